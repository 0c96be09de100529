"""A batch on two Ray nodes, which run on this machine."""

import http.server
import json
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glocal.batch.ledger import Outcome
from glocal.batch.pool import BatchJob, Pool, connected
from glocal.cli import main
from glocal.video import write_video

pytestmark = pytest.mark.heavy


class NodeTeller:
    """Tells on which node it runs, in place of an error, once another one has begun elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self) -> None:
        pass

    def explain(self, video: str, name: str, key: str) -> Outcome:
        import ray

        node = ray.get_runtime_context().get_node_id()
        (self.folder / node).touch()
        end = time.monotonic() + 60
        while len(list(self.folder.iterdir())) < 2 and time.monotonic() < end:
            time.sleep(0.1)
        return Outcome(video, name, key, error=node)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a cluster of two nodes with one core each."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        yield cluster.address
    finally:
        cluster.shutdown()


def test_processes_are_spread_over_the_nodes(address: str, tmp_path: Path) -> None:
    jobs = [BatchJob(f"{number}.mp4", str(number), "k") for number in range(2)]
    with connected(address) as machines:
        assert (machines.cores, machines.alone) == (2, False)
        nodes = {outcome.error for outcome in Pool(partial(NodeTeller, tmp_path), workers=2).run(jobs)}
    assert len(nodes) == 2


def test_a_batch_runs_on_two_nodes(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [np.full((32, 40, 3), 90 + 5 * i, np.uint8) for i in range(8)]
    (tmp_path / "site").mkdir()
    for number in range(4):
        write_video(tmp_path / "site" / f"{number}.mp4", frames, 8)
    out = tmp_path / "out"
    handler: Any = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        videos = f"http://127.0.0.1:{server.server_port}/"
        arguments = ["batch", videos, "--model", "puppets/gated", "--out", str(out), "--address", address]
        assert main([*arguments, "--workers", "2", "--in-flight", "2", "--no-video"]) == 0
        assert "4 of 4 videos are done" in capsys.readouterr().out
        assert main([*arguments, "--workers", "2", "--in-flight", "2", "--no-video"]) == 0
        assert "4 of 4 videos are done already" in capsys.readouterr().out
        server.shutdown()
    outcomes = [json.loads(line) for line in (out / "batch.jsonl").read_text().splitlines()]
    assert {outcome["name"] for outcome in outcomes} == {"0", "1", "2", "3"}
    assert all(
        (out / f"{number}.{suffix}").exists()
        for number in range(4)
        for suffix in ("html", "json", "thumb.jpg")
    )

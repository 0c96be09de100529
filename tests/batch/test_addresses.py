"""Videos at addresses: in memory, and on a web server of this machine."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glocal.batch.inputs import find_videos
from glocal.batch.ledger import key_of
from glocal.batch.remote import address_name, is_address, list_folder, local_copy, remote_state, safe_name
from glocal.batch.worker import Worker
from glocal.errors import InputError
from glocal.explanation.config import ExplainConfig
from glocal.models.source import ModelSource
from glocal.report.explain_to_files import ReportConfig
from glocal.video import write_video

FRAMES = [np.full((32, 40, 3), 90 + 5 * i, np.uint8) for i in range(8)]

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def bucket() -> Iterator[Any]:
    """The file system `memory://`, with three videos and a list."""
    system = fsspec.filesystem("memory")
    for name in (
        "clips/a.mp4",
        "clips/deep/b.AVI",
        "clips/deep/notes.md",
        "clips/.hidden.mp4",
        "other/a.mp4",
    ):
        system.pipe(f"/{name}", name.encode())
    system.pipe("/lists/today.txt", b"# mine\nmemory://clips/a.mp4\n../other/a.mp4\n")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server of a folder with a video in it: its address and the folder."""
    pytest.importorskip("aiohttp")
    folder = tmp_path / "site"
    (folder / "clips").mkdir(parents=True)
    write_video(folder / "clips" / "two words.mp4", FRAMES, 8)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def test_a_folder_elsewhere_is_listed_like_one_here(bucket: Any) -> None:
    assert find_videos(["memory://clips"]) == {
        "memory:///clips/a.mp4": "a",
        "memory:///clips/deep/b.AVI": "deep/b",
    }


def test_a_live_stream_is_refused_with_how_to_record_it() -> None:
    with pytest.raises(InputError, match=r"live streams are not read: .* ffmpeg -i rtsp://camera/live -t 30"):
        find_videos(["rtsp://camera/live"])


def test_lists_and_addresses_can_be_mixed(bucket: Any, tmp_path: Path) -> None:
    (tmp_path / "c.mp4").touch()
    (tmp_path / "list.txt").write_text("c.mp4\nmemory://clips/deep\nmemory://lists/today.txt\n")
    names = find_videos([str(tmp_path / "list.txt")])
    assert names[str(tmp_path / "c.mp4")] == "c"
    assert names["memory:///clips/deep/b.AVI"] == "b"
    assert len(set(names.values())) == len(names) == 4


def test_names_of_results_stay_in_their_folder() -> None:
    assert safe_name("a/../../b//./c.mp4") == "a/b/c.mp4"
    assert safe_name("%2e%2e/%2Fetc/a.mp4") == "etc/a.mp4"
    assert safe_name("..") == "video"


def test_names_that_another_system_refuses_are_changed() -> None:
    assert safe_name("cameras/12:30?.mp4") == "cameras/12_30_.mp4"
    assert safe_name("a/..\\..\\b.mp4") == "a/.._.._b.mp4"
    assert safe_name("nul.mp4") == "_nul.mp4"
    assert safe_name("Con/lpt1 /console.mp4") == "_Con/_lpt1/console.mp4"
    assert safe_name(". ./a.mp4") == "a.mp4"


def test_addresses_that_differ_in_their_query_have_names_of_their_own() -> None:
    names = find_videos([f"https://example.org/video?id={number}" for number in range(3)])
    assert len(set(names.values())) == 3
    assert not any("id=" in name for name in names.values())
    assert address_name("https://example.org/a%20b.mp4?key=secret") == "a b.mp4"


def test_a_path_of_this_machine_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:").mkdir()
    (tmp_path / "a:" / "b.mp4").touch()
    assert not is_address("a://b.mp4")
    assert is_address("s3://bucket/b.mp4")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("memory://nothing/", "there is no video at memory://nothing/"),
        ("nosuch://bucket/", "nosuch://bucket/ cannot be listed"),
        ("memory://none.txt", "memory://none.txt cannot be read as a list of videos"),
    ],
)
def test_what_cannot_be_listed_is_said_in_one_sentence(bucket: Any, address: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        find_videos([address])
    assert "\n" not in str(caught.value)


def test_a_key_changes_with_a_video_elsewhere(bucket: Any) -> None:
    before = key_of("memory://clips/a.mp4", {})
    assert key_of("memory://clips/a.mp4", {}) == before
    bucket.pipe("/clips/a.mp4", b"another content")
    assert key_of("memory://clips/a.mp4", {}) != before
    assert remote_state("memory://clips/gone.mp4") is None


def test_a_copy_is_removed_after_use(bucket: Any) -> None:
    with local_copy("memory://clips/deep/b.AVI") as path:
        assert Path(path).read_bytes() == b"clips/deep/b.AVI"
        assert path.endswith(".avi")
    assert not Path(path).parent.exists()
    with (
        pytest.raises(InputError, match=r"memory://gone.mp4 does not exist; check the address"),
        local_copy("memory://gone.mp4"),
    ):
        pass


def test_a_web_folder_is_listed(site: tuple[str, Path]) -> None:
    address, _ = site
    assert list_folder(f"{address}/clips/") == [(f"{address}/clips/two%20words.mp4", "two words.mp4")]


def worker(out: Path, *, full_paths: bool = False) -> Worker:
    config, report = ExplainConfig(cuts="none"), ReportConfig(full_paths=full_paths, outputs=())
    made = Worker(ModelSource("puppets/gated", None, None), config, report, out, threads=1)
    made.start()
    return made


def test_a_video_on_the_web_is_explained(site: tuple[str, Path], tmp_path: Path) -> None:
    address = f"{site[0]}/clips/two%20words.mp4?key=secret"
    made = worker(tmp_path / "out")
    outcome = made.explain(address, "clips/two words", "k")
    assert outcome.error is None
    assert outcome.duration == pytest.approx(1)
    content = (tmp_path / "out" / "clips" / "two words.json").read_text()
    assert json.loads(content)["video"]["path"] == "two words.mp4"
    assert "secret" not in content
    made.report = ReportConfig(full_paths=True, outputs=())
    made.explain(address, "full", "k")
    assert json.loads((tmp_path / "out" / "full.json").read_text())["video"]["path"] == address
    missing = made.explain(f"{site[0]}/none.mp4?key=secret", "none", "k")
    assert missing.error == f"{site[0]}/none.mp4 does not exist; check the address."
    (site[1] / "bad.mp4").write_bytes(b"nonsense")
    broken = made.explain(f"{site[0]}/bad.mp4", "bad", "k").error
    assert broken is not None
    assert broken.startswith(f"{site[0]}/bad.mp4 is not a video or image that can be decoded")

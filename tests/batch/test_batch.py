"""Batches: which videos, what is remembered, and processes that die, hang or cannot start."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import glocal.models.c3d
from glocal.batch.inputs import find_videos
from glocal.batch.ledger import Ledger, Outcome, file_state, key_of, model_files
from glocal.batch.local_cluster import kept_signal_handlers
from glocal.batch.pool import BatchJob, Machines, Pool, connected
from glocal.batch.tables import has_parquet
from glocal.cli import main
from glocal.errors import InputError, ResourceError, UsageError
from glocal.utils.files import locked_folder, result_key
from glocal.video import write_video

SUFFIXES = ["html", "json", "npz", "mp4", "thumb.jpg", *(["regions.parquet"] if has_parquet() else [])]
FRAMES = [np.full((32, 40, 3), 90 + 5 * i, np.uint8) for i in range(8)]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


# --- which videos ---------------------------------------------------------------------------------------


def test_folders_lists_and_videos_keep_their_places(tmp_path: Path) -> None:
    touch(
        *(tmp_path / "in" / name for name in ("a.mp4", "deep/b.avi", "deep/er/c.MOV", "._a.mp4", "notes.md"))
    )
    touch(tmp_path / "d.mp4", tmp_path / "stills" / "0.png")
    (tmp_path / "list.txt").write_text("# mine\nd.mp4\n\nstills\nin/deep\nmissing.mp4\n")
    found = find_videos([str(tmp_path / "in"), str(tmp_path / "list.txt")])
    assert {os.path.relpath(path, tmp_path): name for path, name in found.items()} == {
        "in/a.mp4": "a",
        "in/deep/b.avi": "deep/b",
        "in/deep/er/c.MOV": "deep/er/c",
        "d.mp4": "d",
        "stills": "stills",
        "missing.mp4": "missing",
    }


def test_no_two_videos_share_a_name(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("one/a.mp4", "one/a.avi", "two/a.mp4", "one/b.mp4", "two/b.mp4")))
    found = find_videos([str(tmp_path / "one"), str(tmp_path / "two")])
    assert len(set(found.values())) == len(found) == 5
    assert found[str(tmp_path / "one" / "a.avi")] == "a.avi"
    assert found[str(tmp_path / "two" / "b.mp4")].endswith("-two-b.mp4")


def test_no_two_videos_share_a_name_where_case_or_accents_do_not_count(tmp_path: Path) -> None:
    places = (
        "one/Clip.mp4",
        "two/clip.mp4",
        "one/pi\u00e9.mp4",
        "two/pie\u0301.mp4",
        "one/a.mp4",
        "two/a-top2.mp4",
    )
    touch(*(tmp_path / place for place in places))
    names = find_videos([str(tmp_path / "one"), str(tmp_path / "two")])
    assert len(set(map(result_key, names.values()))) == len(names) == len(places)


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"\xe9t\xe9.mp4")
    for name in ("latin.txt", "none.txt"):
        with pytest.raises(InputError, match=rf"{name} cannot be read as a list of videos"):
            find_videos([str(tmp_path / name)])


# --- what is remembered ---------------------------------------------------------------------------------


def test_a_ledger_knows_what_is_done(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "batch.jsonl")
    ledger.add(Outcome("/v/a.mp4", "a", "1", label="walk", score=0.5, files=("a.html",)))
    ledger.add(Outcome("/v/b.mp4", "b", "2", error="it is damaged."))
    again = Ledger(ledger.path)
    assert again.outcomes == ledger.outcomes
    assert not again.done("/v/a.mp4", "a", "1"), "its file is not there"
    (tmp_path / "a.html").write_text("a page")
    assert again.done("/v/a.mp4", "a", "1")
    assert not any((again.done("/v/a.mp4", "a", "2"), again.done("/v/a.mp4", "x", "1")))
    assert not again.done("/v/b.mp4", "b", "2"), "it failed"


def test_a_line_that_was_cut_off_loses_itself_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "batch.jsonl")
    ledger.add(Outcome("/v/a.mp4", "a", "1"))
    ledger.add(Outcome("/v/b.mp4", "b", "1"))
    ledger.path.write_bytes(ledger.path.read_bytes()[:-30])
    cut = Ledger(ledger.path)
    assert set(cut.outcomes) == {"/v/a.mp4"}
    cut.add(Outcome("/v/c.mp4", "c", "1"))
    assert set(Ledger(ledger.path).outcomes) == {"/v/a.mp4", "/v/c.mp4"}


def test_a_key_changes_with_the_video_and_with_what_is_asked(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    touch(video)
    keys = [key_of(str(video), {"method": method}) for method in ("3dcam", "3dcam", "gradcam")]
    video.write_bytes(b"more")
    keys.append(key_of(str(video), {"method": "3dcam"}))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert key_of(str(tmp_path / "none.mp4"), {}) == key_of(str(tmp_path / "nothing.mp4"), {})


# --- processes ------------------------------------------------------------------------------------------


class Scripted:
    """Does what a video's name says."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def start(self) -> None:
        if self.folder == "no model":
            raise UsageError("there is no such model.")

    def explain(self, video: str, name: str, key: str) -> Outcome:
        tries = Path(self.folder, f"{name}.tries")
        tries.write_text(tries.read_text() + "." if tries.exists() else ".")
        if video == "crash" or (video == "crash once" and tries.read_text() == "."):
            os.kill(os.getpid(), signal.SIGKILL)
        if video == "hang":
            time.sleep(600)
        if video == "slow":
            time.sleep(1)
        while video.startswith("meet") and len(list(Path(self.folder).iterdir())) < int(video[5:]):
            time.sleep(0.05)
        return Outcome(video, name, key, error="it is damaged." if video == "broken" else None)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    module = pytest.importorskip("ray")
    module.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with connected(None, workers=3) as machines:
        assert machines.alone
        yield module


def test_a_video_beside_one_that_kills_its_process_is_explained(ray: Any, tmp_path: Path) -> None:
    videos = ["slow", "crash", "slow", "crash once", "hang", "fine"]
    found = outcomes(str(tmp_path), videos, workers=1, in_flight=3, attempts=1, timeout=5)
    assert len(found) == len(videos)
    errors = {name: outcome.error for name, outcome in found.items() if outcome.error}
    assert set(errors) == {"1 crash", "4 hang"}
    assert len((tmp_path / "1 crash.tries").read_text()) == 2, "once beside others, and once alone"


def test_a_process_works_on_several_videos_at_once(ray: Any, tmp_path: Path) -> None:
    found = outcomes(str(tmp_path), ["meet 2", "meet 2"], workers=1, in_flight=2, timeout=20)
    assert [outcome.error for outcome in found.values()] == [None, None]


def outcomes(folder: str, videos: list[str], **options: object) -> dict[str, Outcome]:
    pool = Pool(lambda: Scripted(folder), **{"workers": 2, **options})  # type: ignore[arg-type]
    return {
        outcome.name: outcome
        for outcome in pool.run([BatchJob(v, f"{i} {v}", "") for i, v in enumerate(videos)])
    }


def test_a_video_that_kills_its_process_costs_itself_alone(ray: Any, tmp_path: Path) -> None:
    found = outcomes(str(tmp_path), ["fine", "crash", "broken", "fine", "crash once", "fine"], attempts=2)
    assert len(found) == 6
    errors = {name: outcome.error for name, outcome in found.items() if outcome.error}
    assert set(errors) == {"1 crash", "2 broken"}
    assert "the process that explained it died, 2 times" in errors["1 crash"]
    tries = {path.stem: len(path.read_text()) for path in tmp_path.iterdir()}
    assert tries == {"0 fine": 1, "1 crash": 2, "2 broken": 1, "3 fine": 1, "4 crash once": 2, "5 fine": 1}


def test_a_video_that_hangs_is_stopped(ray: Any, tmp_path: Path) -> None:
    found = outcomes(str(tmp_path), ["hang", "fine", "fine"], workers=1, timeout=4)
    assert found["0 hang"].error == "took longer than 4 seconds and was stopped; see --timeout."
    assert [found[name].error for name in ("1 fine", "2 fine")] == [None, None]


def test_a_process_that_does_not_start_ends_the_batch(ray: Any, tmp_path: Path) -> None:
    with pytest.raises(
        ResourceError, match=r"no process has started within 0\.001 seconds; free some memory"
    ):
        outcomes(str(tmp_path), ["fine"], start_timeout=0.001)


def test_too_few_open_files_are_said_before_ray_is_started(tmp_path: Path) -> None:
    """Ray waits for a minute and more without them, and may not end at all."""
    pytest.importorskip("ray")
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (100, int(sys.argv[1])));"
        "from glocal.batch.local_cluster import check_open_files; check_open_files(5);"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    messages = []
    for hard_limit in ("120", "4000"):
        run = subprocess.run([sys.executable, "-c", program, hard_limit], capture_output=True, text=True)
        messages.append((run.stdout.strip(), run.stderr.strip().rpartition("\n")[2]))
    needed = int(messages[1][0])
    assert 120 < needed < 4000
    assert messages[0][1] == (
        f"glocal.errors.ResourceError: Ray with room for 5 processes needs {needed} open files, and 120 are allowed; "
        f"raise the limit (ulimit -n {needed}), or use fewer --workers."
    )


def test_a_model_that_does_not_load_ends_the_batch(ray: Any) -> None:
    with pytest.raises(UsageError, match="there is no such model"):
        outcomes("no model", ["fine", "fine"])


def test_processes_and_threads_follow_from_the_machines() -> None:
    assert Machines(8, 0, alone=True).divided(None, 0) == (4, 2)
    assert Machines(8, 0, alone=True).divided(3, 0) == (3, 2)
    assert Machines(64, 0, alone=False).divided(None, 0) == (32, 1)
    assert Machines(16, 4, alone=True).divided(None, 0.5) == (8, 2)
    with pytest.raises(
        UsageError, match="--workers 1 with --gpus-per-worker 1 needs more than there is: 2 cores and 0 GPUs"
    ):
        Machines(2, 0, alone=True).divided(None, 1)


# --- the command ----------------------------------------------------------------------------------------


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    for name in ("walk.mp4", "sub/run.mp4"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / "in" / name, FRAMES, 8)
    (tmp_path / "in" / "broken.mp4").write_bytes(b"nonsense")
    return tmp_path / "in"


def test_a_batch_goes_on_where_it_was(
    ray: Any, videos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import nullcontext

    out = videos.parent / "out"
    there = Machines(2, 0, alone=True)
    monkeypatch.setattr("glocal.cli.batch_run.connected", lambda *_: nullcontext(there))
    arguments = ["batch", str(videos), "--model", "puppets/gated", "--out", str(out), "--workers", "2"]
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert "2 of 3 videos are done" in shown.out
    assert "broken.mp4 is not a video or image that can be decoded" in shown.err
    assert {str(path.relative_to(out)) for path in out.rglob("*.*")} == {
        "batch.csv",
        "batch.html",
        "batch.jsonl",
        *(f"{name}.{suffix}" for name in ("walk", "sub/run") for suffix in SUFFIXES),
        *(["batch.parquet"] if has_parquet() else []),
    }
    page = (out / "batch.html").read_text("utf-8")
    assert '"sub/run.html","sub/run.thumb.jpg"' in page
    assert "broken.mp4 is not a video" in page
    assert str(videos) not in page, "the page names no folders of the machine"
    rows = {row["name"]: row for row in csv.DictReader((out / "batch.csv").open())}
    assert list(rows) == ["broken", "sub/run", "walk"]
    facts = json.loads((out / "sub" / "run.json").read_text())
    assert (rows["sub/run"]["label"], rows["sub/run"]["error"]) == (facts["target"]["label"], "")
    assert rows["broken"]["error"].startswith(str(videos / "broken.mp4"))

    before = (out / "walk.html").stat().st_mtime_ns
    write_video(videos / "broken.mp4", FRAMES, 8)
    assert main(arguments) == 0
    assert "2 of 3 videos are done already" in capsys.readouterr().out
    assert (out / "walk.html").stat().st_mtime_ns == before
    assert (out / "broken.html").exists()


NETS = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv3d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3, 4)))
"""


@pytest.mark.parametrize("name", ["nets.py:Net", "batched_package.nets:Net"])
def test_other_processes_load_a_model_of_ones_own(
    ray: Any, videos: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import nullcontext

    monkeypatch.setattr("glocal.cli.batch_run.connected", lambda *_: nullcontext(Machines(2, 0, alone=True)))
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = videos.parent
    (folder / "batched_package").mkdir()
    for path in (folder / "nets.py", folder / "batched_package" / "nets.py"):
        path.write_text(NETS)
    (folder / "labels.txt").write_text("run\nwalk\njump\n")
    monkeypatch.chdir(folder)
    choice = ["--model", name, "--labels", "labels.txt", "--clip", "frames=4", "--clip", "size=16"]
    assert main(["batch", "in/walk.mp4", *choice, "--clip", "mean=0,0,0", "--workers", "1"]) == 0
    facts = json.loads((folder / "out" / "walk.json").read_text())
    assert facts["model"] == name
    assert {prediction["label"] for prediction in facts["predictions"]} == {"run", "walk", "jump"}
    assert capsys.readouterr().err.count("is code, which is run") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{in}", "--method", "gradcm"], "Did you mean 'gradcam'"),
        (["{in}", "--model", "puppets/gated", "--target", "wlak"], "Did you mean 'walk'"),
        (["{in}", "--layers", "conv9"], "conv9"),
        (["{in}", "--out", "{in}"], "a result would overwrite .*; choose another --out"),
        (["{in}/empty.txt"], "there is no video; name some"),
        (["{in}", "--address", "127.0.0.1:1"], "there is no Ray cluster at 127.0.0.1:1"),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(
    videos: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    pytest.importorskip("pyarrow")
    touch(videos / "empty.txt")
    given = [one.replace("{in}", str(videos)) for one in arguments]
    assert main(["batch", "--quiet", "--out", str(videos.parent / "out"), *given]) in (1, 2)
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1


def test_the_state_of_a_folder_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "1.png").write_bytes(b"one")
    (tmp_path / "a" / "2.png").write_bytes(b"two")
    before = file_state(tmp_path / "a")
    assert file_state(tmp_path / "a") == before
    (tmp_path / "a" / "b" / "1.png").write_bytes(b"other")
    changed = file_state(tmp_path / "a")
    (tmp_path / "a" / "2.png").rename(tmp_path / "a" / "3.png")
    assert len({before, changed, file_state(tmp_path / "a")}) == 3


def test_the_files_of_a_model_are_its_weights_and_their_cards(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("rgb.safetensors", "rgb.json", "flow.pt", "labels.txt", "made.py")))
    paths = {name: str(tmp_path / name) for name in ("rgb.safetensors", "rgb.json", "flow.pt", "labels.txt")}
    both = f"{paths['rgb.safetensors']},{paths['flow.pt']}"
    assert set(model_files("i3d", both, paths["labels.txt"], None)) == set(paths.values())
    assert set(model_files(paths["rgb.json"])) == {paths["rgb.json"], paths["rgb.safetensors"]}
    assert model_files(f"{tmp_path}/made.py:network") == [f"{tmp_path}/made.py"]
    assert model_files("glocal.models.c3d:c3d") == [glocal.models.c3d.__file__]
    assert model_files("puppets/gated", None) == []


def test_results_that_are_empty_or_changed_are_not_done(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "batch.jsonl")
    (tmp_path / "a.json").write_text("{}")
    ledger.add(Outcome("a.mp4", "a", "k", files=("a.json",), sizes=(2,)))
    ledger.add(Outcome("b.mp4", "b", "k", files=("a.json",)))
    assert Ledger(ledger.path).done("a.mp4", "a", "k")
    for content in ("", "{}{}"):
        (tmp_path / "a.json").write_text(content)
        assert not Ledger(ledger.path).done("a.mp4", "a", "k")
        assert Ledger(ledger.path).done("b.mp4", "b", "k") is bool(content)


def test_a_damaged_ledger_loses_its_damaged_lines_alone(tmp_path: Path) -> None:
    path = tmp_path / "batch.jsonl"
    good = json.dumps({"video": "a.mp4", "name": "a", "key": "k"}).encode()
    wrong = [
        b'{"video": "\xff"}',
        b"[" * 50_000,
        b"[]",
        b"1",
        b'{"video": [], "name": "a", "key": "k"}',
        bytes(9),
    ]
    path.write_bytes(b"\n".join([*wrong, good, *wrong]))
    assert list(Ledger(path).outcomes) == ["a.mp4"]
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        Ledger(path)


def test_a_second_batch_in_a_folder_is_refused(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with locked_folder(out, "batch"):
        assert main(["batch", str(videos), "--model", "resnext3d-small", "--out", str(out)]) == 1
    assert "another batch writes into" in capsys.readouterr().err
    with locked_folder(out, "batch"):
        pass


@pytest.mark.heavy
def test_a_batch_that_is_stopped_says_so_and_listens_to_this_machine_alone(
    videos: Path, tmp_path: Path
) -> None:
    out, temporary = tmp_path / "out", tmp_path / "t"
    temporary.mkdir()
    for number in range(40):
        (videos / f"{number}.mp4").write_bytes((videos / "walk.mp4").read_bytes())
    command = [sys.executable, "-m", "glocal", "batch", str(videos), "--model", "resnext3d-small"]
    begin = time.time()
    run = subprocess.Popen(
        [*command, "--workers", "1", "--quiet", "--out", str(out)],
        env={**os.environ, "HOME": "/proc/none", "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    )
    ledger, end = out / "batch.jsonl", time.monotonic() + 120
    while not ledger.exists():
        assert time.monotonic() < end
        assert run.poll() is None
        time.sleep(0.1)
    addresses = {
        connection.laddr.ip
        for process in psutil.Process(run.pid).children(recursive=True)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert {"127.0.0.1"} <= addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 143
    assert err.splitlines()[-1] == "glocal: interrupted; finished results are kept."
    assert not [path for path in Path("/tmp").glob("glocal-ray-*") if path.stat().st_mtime > begin]


def test_a_signal_while_ray_starts_is_handled_as_it_was_before() -> None:
    """Ray's own handler, which it sets when it starts, ends the process with other codes."""

    class Stopped(BaseException):
        pass

    def stop(number: int, frame: object) -> None:
        raise Stopped

    def start() -> None:
        with kept_signal_handlers():
            signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
            signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(Stopped):
            start()
        assert signal.getsignal(signal.SIGTERM) is stop
    finally:
        signal.signal(signal.SIGTERM, before)

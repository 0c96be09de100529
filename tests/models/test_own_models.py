"""Models of the user by name: code, folders of save_pretrained, the hub, checkpoints of trainers."""

import json
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import glocal
from glocal.cli.app import main
from glocal.errors import InputError, UsageError
from glocal.models.source import ModelSource
from helpers.networks import Small3d
from helpers.token_networks import videomae

CODE = """
    import torch
    from torch import nn
    import glocal
    {extra}

    class Net(nn.Module):
        def __init__(self, num_classes=3, width=4):
            super().__init__()
            self.conv = nn.Conv3d(3, width, 3, padding=1)
            self.head = nn.Linear(width, num_classes)

        def forward(self, x):
            return self.head(self.conv(x).relu().mean((2, 3, 4)))

    class Lit(LightningModule):
        def __init__(self, width, rate=0.1):
            super().__init__()
            self.net = Net(3, width)

    def build():
        return Net()

    def model():
        return glocal.as_model(Net(), glocal.ClipSpec(4, size=16, short_side=16), labels=list("abc"))

    def fail():
        raise ValueError("no weights here")

    def leave():
        raise SystemExit(3)

    def nothing():
        pass

    def needs(path):
        return Net()

    number = 3
    network = Net()
"""
CLIP = {"frames": 4, "size": 16, "mean": [0.0, 0.0, 0.0]}
VIDEO = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
SAID = "is code, which is run; name only code that you trust"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with a file and a package that make networks."""
    lightning = (
        "class LightningModule(nn.Module):\n        def forward(self, *args):\n            raise TypeError"
    )
    code = textwrap.dedent(CODE.format(extra=lightning))
    (tmp_path / "made.py").write_text(code)
    package = tmp_path / "own_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "made.py").write_text(code)
    (package / "broken.py").write_text("import not_installed_anywhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("own_package")]:
        del sys.modules[name]


@pytest.mark.parametrize("place", ["made.py", "./made.py", "own_package.made"])
@pytest.mark.parametrize("factory", ["build", "Net", "network"])
@pytest.mark.usefixtures("folder")
def test_a_factory_makes_the_model_and_that_its_code_is_run_is_said(place: str, factory: str) -> None:
    with pytest.warns(UserWarning, match=SAID):
        model = glocal.load_model(f"{place}:{factory}", clip=CLIP)
    assert (model.name, model.num_classes, list(model.layers)) == (f"{place}:{factory}", 3, ["conv"])
    assert (model.clip.frames, model.clip.size, model.clip.mean) == (4, 16, (0.0,) * 3)
    assert glocal.explain(model, VIDEO).attention.shape == (5, 16, 16)


@pytest.mark.filterwarnings(f"ignore:.*{SAID}")
def test_a_factory_may_be_a_link_to_a_file_of_any_name(folder: Path) -> None:
    """As in the caches of download tools."""
    (folder / "made.py").rename(folder / "0a1b2c")
    (folder / "made.py").symlink_to("0a1b2c")
    assert glocal.load_model("made.py:build", clip=CLIP).num_classes == 3


@pytest.mark.filterwarnings(f"ignore:.*{SAID}")
@pytest.mark.usefixtures("folder")
def test_labels_clip_outputs_and_seed_reach_a_factory() -> None:
    model = glocal.load_model("made.py:build", clip=CLIP, labels=["x", "y", "z"], outputs="sigmoid")
    assert (model.labels, model.outputs) == (("x", "y", "z"), "sigmoid")
    assert glocal.load_model("made.py:Net", clip=CLIP, labels=list("abcde")).num_classes == 5
    assert glocal.load_model("made.py:Net", clip=CLIP, num_classes=4).num_classes == 4
    again, other = (glocal.load_model("made.py:Net", clip=CLIP, seed=seed) for seed in (0, 1))
    first = glocal.load_model("made.py:Net", clip=CLIP).network.state_dict()["head.weight"]
    assert torch.equal(first, again.network.state_dict()["head.weight"])
    assert not torch.equal(first, other.network.state_dict()["head.weight"])
    whole = glocal.load_model("made.py:model", clip={"stride": 2}, labels=["p", "q", "r"], outputs="softmax")
    assert (whole.clip.stride, whole.clip.size, whole.labels) == (2, 16, ("p", "q", "r"))
    assert whole.outputs == "softmax"
    with pytest.raises(UsageError, match="there are 2 labels, but the network has 3"):
        glocal.load_model("made.py:model", labels=["p", "q"])


@pytest.mark.filterwarnings(f"ignore:.*{SAID}")
@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        (
            "made.py",
            UsageError,
            r"made\.py is code; name the function or class in it too, such as",
        ),
        ("made.py:bild", UsageError, r"made\.py has no factory 'bild'\. Did you mean 'build'\?"),
        ("other.py:build", UsageError, r"there is no file other\.py"),
        (
            "no_package.made:build",
            UsageError,
            r"there is no module 'no_package' in .* or among the installed",
        ),
        ("own_package.other:build", UsageError, r"there is no module 'own_package\.other'"),
        (
            "own_package.broken:build",
            InputError,
            r"cannot be imported \(ModuleNotFoundError: .*not_installed",
        ),
        ("made.py:fail", InputError, r"made\.py:fail fails \(ValueError: no weights here\)"),
        ("made.py:leave", InputError, r"made\.py:leave fails \(SystemExit: 3\)"),
        ("made.py:nothing", UsageError, r"made\.py:nothing returns None; return a network"),
        ("made.py:needs", UsageError, r"made\.py:needs needs path; name a function without arguments"),
        ("made.py:number", UsageError, r"made\.py:number is a int, and not a function or class"),
        ("own_package.made:torch.Tensor", UsageError, r"returns a Tensor; return a network"),
        ("made.py:build", UsageError, r"the clips that the network takes are unknown; give clip="),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_factory_that_cannot_be_used_is_refused_in_one_sentence(
    name: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        glocal.load_model(name)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings(f"ignore:.*{SAID}")
def test_a_checkpoint_of_lightning_with_its_network_named(folder: Path) -> None:
    torch.manual_seed(3)
    sys.path.insert(0, str(folder))
    from own_package.made import Lit  # type: ignore[import-not-found]

    trained = Lit(width=6)
    content = {
        "state_dict": {
            **trained.state_dict(),
            "criterion.weight": torch.ones(3),
            "val_acc.tp": torch.ones(3),
        },
        "hyper_parameters": {"width": 6, "rate": 0.3, "batch": 8},
        "pytorch-lightning_version": "2.6",
    }
    torch.save(content, "last.ckpt")
    for name in ("own_package.made:Lit", "made.py:Lit"):
        with pytest.warns(
            UserWarning, match=r"last\.ckpt holds more .* criterion\.weight, val_acc\.tp left out"
        ):
            model = glocal.load_model(name, "last.ckpt", clip=CLIP)
        assert "last.ckpt, without criterion.weight" in model.weights
        state = model.network.state_dict()
        assert all(torch.equal(state[key], value) for key, value in trained.net.state_dict().items())
    with pytest.raises(InputError, match=r"last\.ckpt does not fit made\.py:Net: it has .*in place of"):
        glocal.load_model("made.py:Net", "last.ckpt", num_classes=7)
    with pytest.raises(
        UsageError, match="is no checkpoint of a network of the library; name the network too"
    ):
        glocal.load_model("last.ckpt")
    with pytest.raises(UsageError, match=r"there is no file other\.ckpt"):
        glocal.load_model("made.py:Net", "other.ckpt")


def test_a_checkpoint_alone_is_that_of_the_network_that_it_fits(tmp_path: Path) -> None:
    network = glocal.load_model("r3d-18", num_classes=2).network
    state = {f"model.{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": state | {"criterion.weight": torch.ones(2)}}, tmp_path / "last.ckpt")
    with pytest.warns(UserWarning, match=r"criterion\.weight left out"):
        model = glocal.load_model(tmp_path / "last.ckpt")
    assert (model.name, model.num_classes) == ("r3d-18", 2)


LABELS = dict(enumerate(("run", "walk", "jump", "sit", "wave")))


def saved(folder: Path) -> nn.Module:
    """A network of `transformers` in a folder, with its processor's file."""
    network = videomae(id2label=LABELS)
    network.save_pretrained(folder)
    content = {"size": 36, "crop_size": 32, "image_mean": [0.4] * 3, "image_std": [0.2] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(content))
    return network


def test_a_folder_of_save_pretrained(tmp_path: Path) -> None:
    network = saved(tmp_path / "saved")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = glocal.load_model(tmp_path / "saved")
    assert model.labels == tuple(LABELS.values())
    assert (model.clip.frames, model.clip.short_side, model.clip.mean) == (8, 36, (0.4,) * 3)
    assert not model.network.training
    clip = torch.randn(1, 3, 8, 32, 32)
    torch.testing.assert_close(model.logits(clip), network(clip.transpose(1, 2)).logits)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"has no config\.json; give one that save_pretrained has written"),
        ("{", r"config\.json cannot be read"),
        ("[]", r"config\.json is no JSON object"),
        ("{}", r"does not say in config\.json which network of transformers it holds; name the network"),
        ('{"architectures": ["OwnNet"]}', "holds a OwnNet, which this version of transformers does not have"),
        (
            '{"architectures": ["VideoMAEForVideoClassification"], "model_type": "videomae"}',
            "cannot be loaded",
        ),
    ],
)
def test_other_folders_are_refused(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        glocal.load_model(tmp_path)
    assert "\n" not in str(caught.value)


def test_pickles_in_a_folder_are_read_without_running_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    network = saved(tmp_path / "saved")
    (tmp_path / "saved" / "model.safetensors").unlink()
    torch.save(network.state_dict(), tmp_path / "saved" / "pytorch_model.bin")
    assert glocal.load_model(tmp_path / "saved").num_classes == 5
    torch.save({"trap": Trap()}, tmp_path / "saved" / "pytorch_model.bin")
    with pytest.raises(InputError, match="cannot be loaded"):
        glocal.load_model(tmp_path / "saved")
    assert not (tmp_path / "ran").exists()


def test_weights_that_a_folder_lacks_are_named(tmp_path: Path) -> None:
    import safetensors.torch

    saved(tmp_path)
    state = safetensors.torch.load_file(tmp_path / "model.safetensors")
    del state["classifier.weight"]
    safetensors.torch.save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"lacks weights of VideoMAEFor.*: classifier\.weight"):
        glocal.load_model(tmp_path)


def test_a_model_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    saved(tmp_path / "saved")
    asked: list[list[str]] = []

    def snapshot(name: str, allow_patterns: list[str]) -> str:
        assert name == "lab/actions"
        asked.append(allow_patterns)
        return str(tmp_path / "saved")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    model = glocal.load_model("lab/actions")
    assert (model.name, model.weights, model.labels[0]) == ("lab/actions", "lab/actions", "run")
    assert asked == [["*.json", "*.safetensors"]]

    class RepositoryNotFoundError(Exception):
        pass

    class GatedRepoError(Exception):
        pass

    for error, message in [
        (
            OSError("no route to host"),
            r"cannot be fetched from the Hugging Face hub \(OSError\), and is not in",
        ),
        (RepositoryNotFoundError("404\nfor url"), "the Hugging Face hub has no model lab/actions"),
        (GatedRepoError("403"), "lab/actions is gated; accept its terms"),
    ]:

        def refuse(name: str, allow_patterns: list[str], error: Exception = error) -> str:
            raise error

        monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
        with pytest.raises(InputError, match=message):
            glocal.load_model("lab/actions")


@pytest.mark.parametrize("name", ["i3d-rbg", "puppets/gate", "gated/i3d", "nothing", "st-abn/r3d"])
def test_the_message_of_an_unknown_model_names_all_roads(name: str) -> None:
    with pytest.raises(
        UsageError, match=rf"unknown model '{name}'.*package\.module:factory or file\.py:factory.*hub"
    ):
        glocal.load_model(name)


def test_clip_changes_some_fields_of_a_registered_model() -> None:
    model = glocal.load_model("r3d-18", num_classes=2, clip={"stride": 5, "mean": [0.5, 0.5, 0.5]})
    published = glocal.load_model("r3d-18", num_classes=2).clip
    assert (model.clip.stride, model.clip.mean, model.clip.std) == (5, (0.5,) * 3, published.std)
    with pytest.raises(UsageError, match=r"clip has no key 'strid'.*Did you mean 'stride'"):
        glocal.load_model("r3d-18", clip={"strid": 5})
    with pytest.raises(UsageError, match="outputs must be one of logits, softmax, sigmoid"):
        glocal.load_model("r3d-18", outputs="tanh")  # type: ignore[arg-type]


def test_outputs_of_a_registered_model_make_its_probabilities() -> None:
    model = glocal.load_model("r3d-18", num_classes=3, outputs="sigmoid")
    logits = torch.tensor([[0.0, 1.0, -1.0]])
    torch.testing.assert_close(model.probabilities(logits), logits.sigmoid())


CLIP_OPTIONS = ["--clip", "frames=4", "--clip", "size=16", "--clip", "mean=0,0,0"]


def test_a_factory_from_the_shell(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    glocal.write_video("clip.mp4", VIDEO, 8)
    command = ["clip.mp4", "--model", "made.py:build", *CLIP_OPTIONS]
    assert main(["explain", *command, "--outputs", "sigmoid", "--out", "out"]) == 0
    err = capsys.readouterr().err
    assert err.count(SAID) == 1
    assert err.startswith("glocal: made.py:build is code")
    report = json.loads((folder / "out" / "clip.json").read_text())
    assert report["model"] == "made.py:build"
    assert sum(p["score"] for p in report["predictions"]) != pytest.approx(1, abs=0.05)
    assert main(["classify", *command, "--json"]) == 0
    scores = [p["score"] for p in json.loads(capsys.readouterr().out)[0]["predictions"]]
    assert sum(scores) == pytest.approx(1, abs=1e-4)
    assert main(["localize", *command, "--out", "out"]) == 0
    capsys.readouterr()
    assert main(["layers", "made.py:build", *CLIP_OPTIONS, "--json"]) == 0
    assert [layer["name"] for layer in json.loads(capsys.readouterr().out)] == ["conv"]
    assert main(["layers", "made.py:build"]) == 2
    assert "--clip frames=… --clip size=… in the shell" in capsys.readouterr().err
    assert main(["layers", "made.py:build", "--clip", "frames=0", "--clip", "size=16"]) == 2
    assert "frames must be at least 1, not 0" in capsys.readouterr().err
    assert main(["explain", "clip.mp4", "--model", "made.py:bild", *CLIP_OPTIONS, "--out", "out"]) == 2
    assert "has no factory 'bild'" in capsys.readouterr().err


def test_other_processes_load_a_model_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As workers of a batch and jobs of the server do, from another working folder."""
    torch.save(Small3d().state_dict(), "weights.pth")
    sources = [
        ModelSource(name, clip=CLIP).absolute() for name in ("made.py:build", "own_package.made:build")
    ]
    assert sources[0].name == f"{folder / 'made.py'}:build"
    assert sources[0].paths == [str(folder / "made.py")]
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in (str(folder), "")])
    for source in sources:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert source.load(repeated=True).num_classes == 3

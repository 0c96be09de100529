"""Checkpoints: every format loads; damaged, unsafe and other networks' files are refused."""

import argparse
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from glocal.errors import GlocalError, InputError, UsageError
from glocal.models import MODELS, ModelEntry, load_model
from glocal.models.checkpoints import read_checkpoint
from glocal.video.clip_spec import ClipSpec

State = dict[str, Tensor]


class Tiny(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm3d(4)
        self.fc = nn.Linear(4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.bn(self.conv(x)).flatten(2).mean(2))
        return logits


@pytest.fixture(autouse=True)
def tiny() -> Iterator[None]:
    """A model small enough to be written and read many times."""
    entry = ModelEntry(
        name="tiny",
        title="",
        paper="",
        build=Tiny,
        layers={"conv": "bn"},
        clip_spec=ClipSpec(frames=8),
        num_classes=5,
        key_renames=((r"^backbone\.", ""),),
    )
    with MODELS.override("tiny", entry):
        yield


@pytest.fixture
def state() -> State:
    torch.manual_seed(0)
    return {key: value.clone() for key, value in Tiny(5).state_dict().items()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ünïcode name.pth"


def loads(file: Path, state: State) -> bool:
    loaded = load_model("tiny", file).network.state_dict()
    return all(torch.equal(loaded[key], state[key]) for key in state) and loaded.keys() == state.keys()


WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "state dict": lambda s: s,
    "ordered": OrderedDict,
    "state_dict": lambda s: {
        "arch": "x",
        "state_dict": s,
        "epoch": 3,
        "optimizer": {"state": {0: torch.ones(9)}},
    },
    "model_state": lambda s: {"model_state": s, "loss": torch.tensor(0.5)},
    "model": lambda s: {"model": s, "args": argparse.Namespace(lr=0.1, name="x")},
    "model_state_dict": lambda s: {"model_state_dict": s},
    "nested": lambda s: {"checkpoint": 1, "model": {"state_dict": s}},
    "module.": lambda s: {f"module.{key}": value for key, value in s.items()},
    "wrapped module.": lambda s: {"state_dict": {f"module.{key}": value for key, value in s.items()}},
    "model.module.": lambda s: {"state_dict": {f"model.module.{key}": value for key, value in s.items()}},
    "compiled": lambda s: {f"_orig_mod.{key}": value for key, value in s.items()},
    "renamed": lambda s: {f"backbone.{key}": value for key, value in s.items()},
    "with extras": lambda s: {**s, "epoch": 3, "history": [1, 2]},
    "without counters": lambda s: {key: value for key, value in s.items() if "num_batches" not in key},
    "parameters": lambda s: {key: nn.Parameter(v) if v.is_floating_point() else v for key, v in s.items()},
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_wrapped_state_dict_loads(wrapping: str, legacy: bool, file: Path, state: State) -> None:
    torch.save(WRAPPINGS[wrapping](state), file, _use_new_zipfile_serialization=not legacy)
    assert loads(file, state)


def test_safetensors_load_whatever_their_name(file: Path, state: State) -> None:
    safetensors.torch.save_file({f"module.{key}": value for key, value in state.items()}, file)
    assert loads(file, state)


def test_a_compressed_archive_of_sane_size_loads(file: Path, state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry))
    assert loads(file, state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_become_float32(dtype: torch.dtype, file: Path, state: State) -> None:
    torch.save({key: v.to(dtype) if v.is_floating_point() else v for key, v in state.items()}, file)
    network = load_model("tiny", file).network
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert torch.allclose(network.state_dict()["conv.weight"], state["conv.weight"], atol=2e-2)


def test_classes_and_labels_follow_from_the_file(file: Path) -> None:
    torch.save(Tiny(101).state_dict(), file)
    model = load_model("tiny", file)
    assert model.network(torch.randn(1, 3, 2, 4, 4)).shape == (1, 101)
    assert model.labels[0] == "ApplyEyeMakeup"
    assert model.weights == str(file)


def test_another_number_of_classes_is_refused_unless_a_new_head_is_asked_for(
    file: Path, state: State
) -> None:
    torch.save(state, file)
    for arguments in ({"num_classes": 2}, {"labels": ["a", "b"]}):
        with pytest.raises(UsageError, match="has 5 classes, not 2; give new_head=True"):
            load_model("tiny", file, **arguments)
    with pytest.raises(UsageError, match="a new head needs a number of classes"):
        load_model("tiny", file, new_head=True)
    model = load_model("tiny", file, labels=["a", "b"], new_head=True)
    assert model.labels == ("a", "b")
    assert model.weights == f"{file}, new head of 2 classes"
    loaded = model.network.state_dict()
    assert torch.equal(loaded["conv.weight"], state["conv.weight"])
    assert loaded["fc.weight"].shape == (2, 4)
    assert bool(loaded["fc.weight"].any())
    same = load_model("tiny", file, num_classes=5, new_head=True, seed=1).network.state_dict()
    assert not torch.equal(same["fc.weight"], state["fc.weight"])


def test_a_file_without_classifier_needs_a_new_head(file: Path, state: State) -> None:
    torch.save({key: value for key, value in state.items() if not key.startswith("fc.")}, file)
    with pytest.raises(UsageError, match="has no classifier; give new_head=True"):
        load_model("tiny", file)
    assert load_model("tiny", file, num_classes=2, new_head=True).labels == ("class 0", "class 1")


def test_a_checkpoint_of_another_network_is_refused_with_the_name_of_that_network(
    file: Path, state: State
) -> None:
    torch.save({"extra.weight": torch.ones(2), **state, "bn.bias": torch.ones(3)}, file)
    with pytest.raises(InputError) as error:
        load_model("tiny", file)
    assert f"{file} does not fit tiny" in str(error.value)
    assert "has unknown extra.weight" in str(error.value)
    assert "bn.bias (3,) in place of (4,)" in str(error.value)
    assert "it fits" not in str(error.value)
    with torch.device("meta"):
        other = MODELS["r3d-18"].build(3)
    torch.save({key: torch.zeros(()).expand(v.shape) for key, v in other.state_dict().items()}, file)
    with pytest.raises(InputError, match=r"lacks conv.weight, conv.bias and 4 more.*; it fits r3d-18"):
        load_model("tiny", file)


def test_weights_that_are_not_finite_are_refused_by_name(file: Path, state: State) -> None:
    for value in (float("nan"), float("inf")):
        state["bn.running_var"][1] = value
        torch.save(state, file)
        with pytest.raises(InputError, match=r"NaN or infinite values in bn\.running_var"):
            load_model("tiny", file)
    torch.save(
        {key: v.double() * 1e300 if key == "fc.bias" else v for key, v in Tiny(5).state_dict().items()}, file
    )
    with pytest.raises(InputError, match=r"in fc\.bias"):
        load_model("tiny", file)


@pytest.mark.parametrize("kind", ["integer", "complex", "sparse", "quantized", "bool", "meta"])
@pytest.mark.filterwarnings("ignore")
def test_weights_that_are_no_plain_floats_are_refused(kind: str, file: Path, state: State) -> None:
    weight = state["fc.weight"]
    state["fc.weight"] = {
        "integer": lambda: weight.to(torch.int8),
        "complex": lambda: weight.to(torch.complex64),
        "sparse": weight.to_sparse,
        "quantized": lambda: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8),
        "bool": lambda: weight > 0,
        "meta": lambda: weight.to("meta"),
    }[kind]()
    torch.save(state, file)
    with pytest.raises(InputError) as error:
        load_model("tiny", file)
    one_sentence(error.value)


class Trap:
    """Pickles to a call of `os.mkdir`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def one_sentence(error: Exception) -> None:
    assert isinstance(error, GlocalError)
    assert "\n" not in str(error)
    assert str(error).endswith(".")
    assert len(str(error)) < 500


@pytest.mark.parametrize("form", ["zip", "legacy", "plain pickle", "beside weights"])
def test_code_in_a_pickle_is_not_run(form: str, file: Path, state: State, tmp_path: Path) -> None:
    trap = Trap(tmp_path / "sprung")
    if form == "plain pickle":
        file.write_bytes(pickle.dumps(trap))
    elif form == "beside weights":
        torch.save({"state_dict": state, "extra": trap}, file)
    else:
        torch.save({**state, "trap": trap}, file, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(InputError, match=r"mkdir could run code|Python objects could run code") as error:
        load_model("tiny", file)
    one_sentence(error.value)
    assert not (tmp_path / "sprung").exists()


def bomb(compression: int, zeros: int) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression, compresslevel=1) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
        archive.writestr("archive/version", "3\n")
        with archive.open("archive/data/0", "w") as entry:
            for _ in range(zeros >> 20):
                entry.write(bytes(1 << 20))
    return content.getvalue()


def test_a_zip_bomb_is_refused_before_it_is_unpacked(file: Path) -> None:
    file.write_bytes(bomb(zipfile.ZIP_DEFLATED, 200 << 20))
    with pytest.raises(InputError, match=r"would unpack to 0.2 GiB") as error:
        load_model("tiny", file)
    one_sentence(error.value)


def test_an_archive_far_larger_than_the_network_is_refused(file: Path) -> None:
    file.write_bytes(bomb(zipfile.ZIP_STORED, 2 << 20))
    with pytest.raises(InputError, match="would unpack"):
        read_checkpoint(file, limit=1 << 20)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_that_lies_about_its_sizes_is_refused(compression: int, file: Path, state: State) -> None:
    plain = io.BytesIO()
    torch.save(state, plain)
    packed = io.BytesIO()
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", compression) as target:
        for entry in source.infolist():
            content = bytes(1 << 20) if entry.filename.endswith("data/0") else source.read(entry)
            target.writestr(entry.filename, content)
    content = bytearray(packed.getvalue())
    start = 0
    while (
        start := content.find(b"PK\x01\x02", start)
    ) >= 0:  # the size of each entry in the central directory
        length = struct.unpack_from("<H", content, start + 28)[0]
        if content[start + 46 : start + 46 + length].endswith(b"data/0"):
            struct.pack_into("<I", content, start + 24, 1296)
        start += 4
    file.write_bytes(content)
    with pytest.raises(InputError) as error:
        load_model("tiny", file)
    one_sentence(error.value)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_shapes_without_the_numbers_to_fill_them_are_refused(legacy: bool, file: Path, state: State) -> None:
    state["fc.weight"] = torch.zeros(1).expand(10**12, 4)
    torch.save(state, file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError) as error:
        load_model("tiny", file)
    one_sentence(error.value)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_file_cut_short_anywhere_is_refused(legacy: bool, file: Path, state: State) -> None:
    torch.save(state, file, _use_new_zipfile_serialization=not legacy)
    content = file.read_bytes()
    for share in (0.001, 0.1, 0.5, 0.9, 0.999):
        file.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(InputError, match=r"cut short|is empty") as error:
            load_model("tiny", file)
        one_sentence(error.value)


def test_safetensors_cut_short_are_refused(file: Path, state: State) -> None:
    safetensors.torch.save_file(state, file)
    content = file.read_bytes()
    for length in (9, 100, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(InputError, match="cut short"):
            load_model("tiny", file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello, this is text\n" * 50, "no checkpoint of PyTorch"),
        (b"PK\x03\x04 and then nothing of a zip", "no checkpoint of PyTorch"),
        (bytes(range(256)) * 40, "no checkpoint of PyTorch"),
        (b"\x80\x02", "no checkpoint of PyTorch"),
        (pickle.dumps([1, 2, 3], 2), "no checkpoint of PyTorch"),
        (struct.pack("<Q", 2**40) + b"{}", "no checkpoint of PyTorch"),
    ],
)
def test_other_files_are_refused(content: bytes, message: str, file: Path) -> None:
    file.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        load_model("tiny", file)
    one_sentence(error.value)
    assert file.name in str(error.value)


@pytest.mark.parametrize(
    "content", [[1, 2], {"epoch": 3}, {}, torch.ones(3), "text", {"state_dict": {}}, {1: 2}]
)
def test_a_file_without_state_dict_is_refused(content: Any, file: Path) -> None:
    torch.save(content, file)
    with pytest.raises(InputError, match="holds no state dict"):
        load_model("tiny", file)


def test_a_wrapper_that_holds_itself_is_refused(file: Path) -> None:
    loop: dict[str, Any] = {}
    loop["model"] = loop
    torch.save(loop, file)
    with pytest.raises(InputError, match="holds no state dict"):
        load_model("tiny", file)


def test_folders_pipes_and_unreadable_files_are_refused(file: Path, state: State, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        load_model("tiny", tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        load_model("tiny", tmp_path / "pipe")
    torch.save(state, file)
    file.chmod(0)
    if not os.access(file, os.R_OK):
        with pytest.raises(InputError, match="cannot be read"):
            load_model("tiny", file)


def test_a_scripted_network_is_refused(file: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        for name in ("data.pkl", "constants.pkl"):
            target.writestr(f"archive/{name}", pickle.dumps((), 2))
        target.writestr("archive/version", "3\n")
    file.write_bytes(archive.getvalue())
    with pytest.raises(InputError) as error:
        load_model("tiny", file)
    one_sentence(error.value)

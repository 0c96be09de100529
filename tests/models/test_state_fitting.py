"""Checkpoints that hold more than a network's weights: prefixes, moving averages, metrics, counters."""

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from glocal.errors import InputError
from glocal.models import MODELS, ModelEntry, load_model
from glocal.models.registry import find_entry
from glocal.models.state_fitting import fit_state
from glocal.video.clip_spec import ClipSpec

State = dict[str, Tensor]


class Blocks(nn.Module):
    """A stem, two blocks and a classifier."""

    def __init__(self, num_classes: int, blocks: int = 2) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.layer1 = nn.Sequential(*(nn.Sequential(nn.Conv3d(4, 4, 1)) for _ in range(blocks)))
        self.fc = nn.Linear(4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.layer1(self.conv(x)).flatten(2).mean(2))
        return logits


@pytest.fixture(autouse=True)
def blocks() -> Iterator[None]:
    """The network as a registered model."""
    entry = ModelEntry("blocks", "", "", Blocks, {"layer1": "layer1"}, ClipSpec(frames=8), 5)
    with MODELS.override("blocks", entry):
        yield


def weights(blocks: int = 2) -> State:
    """The state dict of such a network."""
    torch.manual_seed(0)
    return {key: value.clone() for key, value in Blocks(5, blocks).state_dict().items()}


def prefixed(state: State, prefix: str) -> State:
    return {prefix + key: value for key, value in state.items()}


def shifted(state: State) -> State:
    """Other weights: those of a moving average."""
    return {key: value + 1 for key, value in state.items()}


ONE = torch.ones(3)
VARIANTS: dict[str, tuple[Callable[[State], object], list[str]]] = {
    "criterion": (lambda s: s | {"criterion.weight": ONE}, ["criterion.weight"]),
    "counters": (
        lambda s: s | {"total_ops": ONE, "layer1.0.total_ops": ONE, "layer1.0.0.total_params": ONE},
        ["total_ops", "layer1.0.total_ops", "layer1.0.0.total_params"],
    ),
    "lightning": (
        lambda s: {
            "epoch": 3,
            "state_dict": prefixed(s, "model.") | {"criterion.weight": ONE, "val_acc.tp": ONE},
            "optimizer_states": [{"state": {}}],
        },
        ["criterion.weight", "val_acc.tp"],
    ),
    "backbone": (lambda s: prefixed(s, "backbone.") | {"neck.weight": ONE}, ["neck.weight"]),
    "compiled": (lambda s: prefixed(s, "module._orig_mod.model.") | {"loss.w": ONE}, ["loss.w"]),
    "any prefix": (
        lambda s: prefixed(s, "encoder.video.") | {"encoder.text.weight": ONE},
        ["encoder.text.weight"],
    ),
    "average": (lambda s: {"model_ema": s, "epoch": 4}, []),
    "average beside the network": (lambda s: {"model": s, "ema": shifted(s)}, []),
    "average under a prefix": (
        lambda s: prefixed(shifted(s), "ema.") | prefixed(s, "model."),
        [f"ema.{key}" for key in weights()],
    ),
    "average alone": (lambda s: prefixed(s, "model_ema.module.") | {"n": ONE}, ["n"]),
    "averaged model": (lambda s: prefixed(s, "module.") | {"n_averaged": ONE}, ["n_averaged"]),
    "teacher": (
        lambda s: prefixed(shifted(s), "teacher.") | prefixed(s, "student."),
        [f"teacher.{key}" for key in weights()],
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_weights_load_and_what_is_dropped_is_said(variant: str, tmp_path: Path) -> None:
    make, dropped = VARIANTS[variant]
    file = tmp_path / "last.ckpt"
    torch.save(make(weights()), file)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = load_model("blocks", file)
    state = model.network.state_dict()
    assert all(torch.equal(state[key], value) for key, value in weights().items())
    assert len(caught) == bool(dropped)
    for key in dropped[:2]:
        assert key in str(caught[0].message)
        assert f"without {dropped[0]}" in model.weights


def test_a_checkpoint_of_a_larger_network_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "larger.pth"
    for prefix in ("", "model."):
        torch.save(prefixed(weights(blocks=3), prefix) | {"loss.weight": ONE}, file)
        with pytest.raises(InputError, match=r"has unknown .*layer1\.2\.0\.weight"):
            load_model("blocks", file)


def test_a_checkpoint_of_another_registered_network_is_not_cut_down(tmp_path: Path) -> None:
    class Longer(Blocks):
        def __init__(self, num_classes: int) -> None:
            super().__init__(num_classes)
            self.neck = nn.Linear(4, 4)

    file = tmp_path / "longer.pth"
    torch.save(Longer(5).state_dict(), file)
    entry = ModelEntry("longer", "", "", Longer, {"layer1": "layer1"}, ClipSpec(frames=8), 5)
    with (
        MODELS.override("longer", entry),
        pytest.raises(InputError, match=r"has unknown neck.* it fits longer"),
    ):
        load_model("blocks", file)


def test_a_file_without_any_of_the_weights_is_left_as_it_is() -> None:
    state = {"other.weight": ONE}
    assert fit_state(state, ["conv.weight"]).state == state


@pytest.mark.parametrize("name", ["r3d-18", "slow-50", "resnet3d-50"])
def test_public_checkpoints_are_found_under_a_prefix_of_a_trainer(name: str, shared: Path) -> None:
    files = {
        "r3d-18": "r3d-18-torchvision",
        "slow-50": "slow-50-pytorchvideo",
        "resnet3d-50": "resnet3d-50-kenshohara-2020",
    }
    content = json.loads((shared / "checkpoints" / f"{files[name]}.json").read_text())
    keys = [row[0] if isinstance(row, list) else row for row in content["keys"]]
    state: State = {f"net.{key}": ONE for key in keys} | {"train_acc.correct": ONE}
    entry = find_entry(name)
    fitted = fit_state(state, entry.state_shapes(1), entry.rename_key)
    assert fitted.dropped == ("train_acc.correct",)
    assert set(entry.state_shapes(1)) == set(fitted.state)

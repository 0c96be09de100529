"""The networks: sizes, minimum, layers, modes."""

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from glocal.errors import InputError
from glocal.models import MODELS, load_model
from glocal.models.c3d import c3d
from glocal.models.i3d import i3d_rgb, pad_same

CHANNELS = {"i3d-flow": 2, "resnext3d-small-flow": 2, "efficientnet-lite0-r2plus1d-flow": 2}
IMAGE_NETWORKS = ("resnet2d-50", "efficientnet-lite0")
NAMES = list(MODELS)


def clip(name: str, frames: int, height: int, width: int, batch: int = 1) -> Tensor | list[Tensor]:
    torch.manual_seed(0)
    if name in IMAGE_NETWORKS:
        return torch.randn(batch, 3, height, width)
    if name == "i3d-two-stream":
        return [torch.randn(batch, channels, frames, height, width) for channels in (3, 2)]
    return torch.randn(batch, CHANNELS.get(name, 3), frames, height, width)


@pytest.mark.parametrize("name", NAMES)
def test_small_odd_clips_give_logits_and_each_layer_runs_once(name: str) -> None:
    model = load_model(name, num_classes=7)
    frames = 16 if name == "c3d" else 8
    calls: Counter[str] = Counter()
    maps: dict[str, Tensor] = {}

    def count(layer: str) -> object:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            calls[layer] += 1
            maps[layer] = output

        return hook

    for layer, module in model.layers.items():
        module.register_forward_hook(count(layer))  # type: ignore[arg-type]
    with torch.no_grad():
        logits = model.network(clip(name, frames, 32, 45, batch=2))
    assert logits.shape == (2, 7)
    assert torch.isfinite(logits).all()
    assert calls == dict.fromkeys(MODELS[name].layers, 1)
    for activation in maps.values():
        assert activation.ndim == (4 if name in IMAGE_NETWORKS else 5)
        assert (activation >= 0).all(), "explainable layers are activations after a ReLU"
    assert not model.network.training


@pytest.mark.parametrize("name", NAMES)
def test_activations_stay_as_the_layer_returned_them(name: str) -> None:
    """No later module writes into an explainable layer's output."""
    model = load_model(name, num_classes=3)
    kept: list[tuple[Tensor, Tensor]] = []
    for module in model.layers.values():
        module.register_forward_hook(lambda _m, _i, output: kept.append((output, output.clone())))
    with torch.no_grad():
        model.network(clip(name, 16, 32, 32))
    assert len(kept) == len(model.layers)
    assert all(torch.equal(now, then) for now, then in kept)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "i3d-two-stream"])
def test_a_tensor_of_another_form_is_refused_in_one_sentence(name: str) -> None:
    with torch.device("meta"):
        network = MODELS[name].build(2)
    for shape in [(3, 32, 32), (1, 5, 16, 32, 32), (1, 5, 32, 32), (1, 3, 0, 32, 32)]:
        with pytest.raises(InputError, match=r"the network takes .* of at least .* pixels, not a tensor of"):
            network(torch.empty(shape, device="meta"))


def test_below_its_minimum_c3d_names_it() -> None:
    with torch.device("meta"):
        network = c3d(5)
    for shape in [(1, 3, 15, 112, 112), (1, 3, 16, 15, 112), (1, 3, 16, 112, 15)]:
        with pytest.raises(InputError, match="at least 16 frames and 16×16 pixels"):
            network(torch.empty(shape, device="meta"))
    assert network(torch.empty((1, 3, 16, 16, 16), device="meta")).shape == (1, 5)


def test_two_streams_are_averaged_and_need_two_clips() -> None:
    network = load_model("i3d-two-stream", num_classes=4).network
    rgb, flow = clip("i3d-two-stream", 8, 32, 32)
    with torch.no_grad():
        both = network([rgb, flow])
        assert torch.allclose(both, (network.rgb(rgb) + network.flow(flow)) / 2)
        assert torch.equal(both, network((rgb, flow)))
    for wrong in (rgb, [rgb], [rgb, flow, flow]):
        with pytest.raises(InputError, match=r"\[rgb"):
            network(wrong)


def test_same_padding_puts_the_larger_half_behind() -> None:
    x = torch.ones(1, 1, 5, 4, 7)
    padded = pad_same(x, (3, 3, 2), (2, 2, 2))
    assert padded.shape == (1, 1, 7, 5, 8)
    assert padded[0, 0, 0].sum() == 0
    assert padded[0, 0, 6].sum() == 0
    assert padded[0, 0, 1, :, 0].tolist() == [1, 1, 1, 1, 0]
    assert padded[0, 0, 1, 0].tolist() == [1, 1, 1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize("frames", [7, 16, 17, 33])
def test_i3d_keeps_the_positions_that_same_padding_promises(frames: int) -> None:
    with torch.device("meta"):
        model = i3d_rgb(3)
    shapes = {}
    for name in ("Conv3d_1a_7x7", "Mixed_3c", "Mixed_4f", "Mixed_5c"):
        model.get_submodule(name).register_forward_hook(
            lambda _m, _i, output, name=name: shapes.update({name: tuple(output.shape[2:])})
        )
    model(torch.empty((1, 3, frames, 50, 65), device="meta"))
    sizes = [(frames, 50, 65)]
    for stride in (2, 1, 1, 2, 2):  # of time; the first convolution and the four poolings all halve space
        t, h, w = sizes[-1]
        sizes.append((-(-t // stride), -(-h // 2), -(-w // 2)))
    assert shapes == {
        "Conv3d_1a_7x7": sizes[1],
        "Mixed_3c": sizes[3],
        "Mixed_4f": sizes[4],
        "Mixed_5c": sizes[5],
    }


def test_published_stem_of_resnext_keeps_all_frames() -> None:
    with torch.device("meta"):
        network = MODELS["resnext3d-101"].build(3)
    sizes = []
    network.relu.register_forward_hook(lambda _m, _i, output: sizes.append(tuple(output.shape)))
    network(torch.empty((1, 3, 16, 224, 224), device="meta"))
    assert sizes == [(1, 64, 16, 112, 112)]

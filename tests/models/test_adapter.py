"""Networks of the user as models: layers, labels, layouts, and explanations of a whole video."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.videomae.modeling_videomae import VideoMAEModel

import glocal
from glocal.errors import InputError, UsageError
from glocal.models import MODELS
from helpers.networks import Small2d, Small3d, seeded
from helpers.token_networks import FRAMES, PATCH, SIDE, timesformer, videomae, vivit

pytestmark = pytest.mark.filterwarnings("ignore:the network states no normalisation")
CLIP_SPEC = glocal.ClipSpec(frames=6, size=24, short_side=24)
FRAMES_OF_A_VIDEO = np.random.default_rng(0).integers(0, 256, (11, 40, 60, 3), np.uint8)


def test_a_plain_network_needs_a_clip_spec_only() -> None:
    network = seeded(Small3d())
    model = glocal.as_model(network, CLIP_SPEC)
    assert model.network is network
    assert not network.training
    assert list(model.layers) == ["relu1", "layer1", "layer2"]
    assert model.labels == tuple(f"class {i}" for i in range(5))
    explanation = glocal.explain(model, FRAMES_OF_A_VIDEO)
    assert explanation.attention.shape == (11, 40, 60)
    assert list(explanation.layers) == ["relu1", "layer1", "layer2"]


def test_chosen_layers_labels_and_names_are_kept() -> None:
    network = seeded(Small3d())
    model = glocal.as_model(
        network,
        CLIP_SPEC,
        labels=list("abcde"),
        layers=["layer1", network.layer2],
        name="mine",
        weights="of yesterday",
    )
    assert model.layers == {"layer1": network.layer1, "layer2": network.layer2}
    explanation = glocal.explain(model, FRAMES_OF_A_VIDEO, target="c")
    assert (explanation.model, explanation.weights, explanation.target.label) == ("mine", "of yesterday", "c")


def test_an_image_network() -> None:
    clip_spec = glocal.ClipSpec(frames=1, size=24, short_side=24, image=True)
    model = glocal.as_model(seeded(Small2d()), clip_spec)
    assert glocal.explain(model, FRAMES_OF_A_VIDEO[:1]).attention.shape == (1, 40, 60)


class FixedSize(nn.Module):
    """Flattens its activations, as C3D does."""

    def __init__(self, side: int = 24) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv3d(3, 4, 3, 2, 1), nn.ReLU())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(4 * 3 * (side // 2) ** 2, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x))


def test_a_network_of_a_fixed_size_is_explained_on_the_centre_crop_and_says_so() -> None:
    model = glocal.as_model(seeded(FixedSize()), CLIP_SPEC)
    assert (model.fixed_size, model.clip) == (True, replace(CLIP_SPEC, crop="center"))
    explanation = glocal.explain(model, FRAMES_OF_A_VIDEO)
    chosen = glocal.explain(model, FRAMES_OF_A_VIDEO, crop="center")
    assert "the network takes frames of 24×24 pixels only: the centre crop of" in " ".join(explanation.notes)
    assert np.array_equal(explanation.attention[:], chosen.attention[:])
    for run in (glocal.explain, glocal.classify):
        with pytest.raises(UsageError, match=r"takes frames of 24×24 pixels only; use crop='center'"):
            run(model, FRAMES_OF_A_VIDEO, crop="full")
    square = glocal.explain(model, FRAMES_OF_A_VIDEO[:, :, :40], crop="full")
    assert square.attention.shape == (11, 40, 40)


def test_frames_are_large_enough_for_a_network_of_a_fixed_size() -> None:
    model = glocal.as_model(seeded(FixedSize()), replace(CLIP_SPEC, short_side=16))
    assert glocal.explain(model, FRAMES_OF_A_VIDEO).attention.shape == (11, 40, 60)


@pytest.mark.parametrize("height", [24, 36])
def test_a_network_of_a_fixed_oblong_size_gets_whole_frames_of_that_size(height: int) -> None:
    class Oblong(nn.Module):
        """Flattens the map of clips of one height and of 32 columns."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv3d(3, 4, 3, 2, 1), nn.Linear(4 * 3 * (height // 2) * 16, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.conv(x).relu().flatten(1))

    model = glocal.as_model(seeded(Oblong()), replace(CLIP_SPEC, resize=(height, 32)))
    assert (model.fixed_size, model.notes, model.clip.frame_size) == (True, (), (height, 32))
    assert glocal.explain(model, FRAMES_OF_A_VIDEO).attention.shape == (11, 40, 60)
    with pytest.raises(UsageError, match=rf"takes frames of 32×{height} pixels only; use crop='full'"):
        glocal.explain(model, FRAMES_OF_A_VIDEO, crop="center")


def test_networks_of_any_size_keep_their_crop_and_those_of_transformers_are_refused_the_full_frame() -> None:
    model = glocal.as_model(seeded(Small3d()), CLIP_SPEC)
    assert (model.fixed_size, model.notes, model.clip) == (False, (), CLIP_SPEC)
    tokens = glocal.as_model(videomae())
    assert (tokens.fixed_size, tokens.notes) == (True, ())
    with pytest.raises(UsageError, match="pixels only"):
        glocal.explain(tokens, FRAMES_OF_A_VIDEO, crop="full")


class Grey3d(nn.Module):
    """A network of grey clips."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv3d(channels, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).mean((2, 3, 4)))


GREY = replace(CLIP_SPEC, mean=(0.45,), std=(0.225,))


@pytest.mark.parametrize("method", ["3dcam", "gradcam", "occlusion"])
@pytest.mark.parametrize("layout", ["BCTHW", "BTCHW"])
def test_a_network_of_grey_clips_is_explained_on_the_luma_of_a_video(method: str, layout: str) -> None:
    """The same map as that of a network that computes the luma of RGB clips itself."""
    grey = seeded(Grey3d())

    class OfRGB(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = grey

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            luma = torch.einsum("bcthw,c->bthw", x, torch.tensor([0.299, 0.587, 0.114]))[:, None]
            return self.network((luma - 0.45) / 0.225)

    network = grey if layout == "BCTHW" else nn.Sequential(Permuted(), grey)
    model = glocal.as_model(network, GREY, layout=layout, layers=[grey.conv])
    result = glocal.explain(model, FRAMES_OF_A_VIDEO, method=method)
    reference = glocal.as_model(OfRGB(), CLIP_SPEC, layers=[grey.conv])
    expected = glocal.explain(reference, FRAMES_OF_A_VIDEO, method=method)
    assert result.predictions[0].score == pytest.approx(expected.predictions[0].score, abs=1e-5)
    if method != "occlusion":  # which hides places by the value 0 of the input, another grey
        np.testing.assert_allclose(result.attention[:], expected.attention[:], atol=1e-3)
    assert result.attention.shape == (11, 40, 60)


class Permuted(nn.Module):
    """Clips `(B, T, C, H, W)` as `(B, C, T, H, W)`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(1, 2)


def test_an_image_network_of_grey_images() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    clip_spec = glocal.ClipSpec(1, size=24, short_side=24, image=True, mean=(0.5,), std=(0.5,))
    explanation = glocal.explain(glocal.as_model(network, clip_spec), FRAMES_OF_A_VIDEO[:2])
    assert explanation.attention.shape == (2, 40, 60)


@pytest.mark.parametrize(
    ("channels", "clip_spec", "advice"),
    [
        (1, CLIP_SPEC, "takes 1 channels, and the clips have 3; give one value of mean and one of std"),
        (3, GREY, "takes 3 channels, and the clips have 1; give three values of mean and of std"),
        (2, CLIP_SPEC, "takes 2 channels, and the clips have 3; give modality='flow'"),
        (4, GREY, "takes 4 channels, and the clips have 1; clips have 3 channels, 1 if grey, 2 if flow"),
    ],
)
def test_another_number_of_channels_is_refused(
    channels: int, clip_spec: glocal.ClipSpec, advice: str
) -> None:
    with pytest.raises(InputError, match=advice):
        glocal.as_model(Grey3d(channels), clip_spec)


def test_a_transformers_network_of_grey_clips_has_grey_clips() -> None:
    model = glocal.as_model(videomae(num_channels=1))
    assert model.clip.channels == 1
    assert glocal.explain(model, FRAMES_OF_A_VIDEO).attention.shape == (11, 40, 60)


@pytest.mark.parametrize("family", [videomae, timesformer, vivit])
def test_a_network_of_transformers_needs_no_arguments(family: Callable[..., Any]) -> None:
    network = family(id2label=dict(enumerate(("run", "walk", "jump", "sit", "wave"))))
    model = glocal.as_model(network)
    assert model.labels == ("run", "walk", "jump", "sit", "wave")
    assert (model.clip.frames, model.clip.size, model.clip.crop) == (FRAMES, SIDE, "center")
    blocks = [
        row.name for row in glocal.layers(network, torch.zeros(1, FRAMES, 3, SIDE, SIDE)) if row.default
    ]
    assert list(model.layers) == blocks
    explanation = glocal.explain(model, FRAMES_OF_A_VIDEO)
    assert explanation.attention.shape == (11, 40, 60)
    assert list(explanation.layers) == blocks
    clip = torch.randn(1, 3, FRAMES, SIDE, SIDE)
    assert torch.equal(model.network(clip), network(clip.transpose(1, 2)).logits)


def test_a_token_network_that_reads_one_place_is_explained_at_that_place_of_the_video() -> None:
    """Tokens (1..2, 1, 2) of the centre crop: its frames 2 to 5, rows 8 to 15 and columns 16 to 23, of a
    video of twice that size with 32 columns more on either side."""
    network = videomae()
    for block in network.videomae.encoder.layer:
        nn.init.zeros_(block.attention.output.dense.weight)
    network.videomae.embeddings.position_embeddings += 2
    tokens = [(t * 4 + 1) * 4 + 2 for t in (1, 2)]

    def keep(module: VideoMAEModel, args: tuple[torch.Tensor], result: BaseModelOutput) -> BaseModelOutput:
        result.last_hidden_state = result.last_hidden_state[:, tokens]
        return result

    network.videomae.register_forward_hook(keep)
    video = np.random.default_rng(1).integers(0, 256, (FRAMES, 64, 128, 3), np.uint8)
    for against in (False, True):
        found = glocal.explain(
            glocal.as_model(network), video, "1", method="3dcam-channelwise", counterfactual=against
        )
        t, y, x = np.unravel_index(found.attention.argmax(), found.attention.shape)
        assert (2 <= t < 6, 16 <= y < 32, 64 <= x < 80) == (True, True, True)
        assert found.attention[1:7, 8:40, 56:88].sum() / found.attention.sum() >= 0.9


class LightningModule(nn.Module):
    """Stands for Lightning's class, which is recognised by its name."""

    def forward(self, *args: Any) -> Any:
        raise NotImplementedError


class Lit(LightningModule):
    """A network with its loss and metric buffers, as training code wraps it."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.criterion = seeded(Small3d()), nn.CrossEntropyLoss()


class LitWithForward(Lit):
    """Adds preprocessing of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x * 2)


def test_of_a_lightning_module_the_network_is_explained() -> None:
    lit = Lit()
    model = glocal.as_model(lit, CLIP_SPEC)
    assert model.network is lit.net
    assert list(model.layers) == ["relu1", "layer1", "layer2"]
    whole = LitWithForward()
    assert glocal.as_model(whole, CLIP_SPEC).network is whole
    lit.teacher = seeded(Small3d())
    with pytest.raises(UsageError, match=r"Lit has no forward, and 2 submodules .* \(net, teacher\)"):
        glocal.as_model(lit, CLIP_SPEC)


def test_a_module_of_lightning_itself_is_recognised() -> None:
    lightning = pytest.importorskip("lightning", exc_type=ImportError)

    class Real(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = seeded(Small3d())

    module = Real()
    assert glocal.as_model(module, CLIP_SPEC).network is module.net


class Tokens(nn.Module):
    """Channels last in, a dictionary out, and tokens whose grid nothing tells."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.head = nn.Linear(3 * 8 * 8, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, h, w, c = x.shape
        patches = x.reshape(b, t, h // PATCH, PATCH, w // PATCH, PATCH, c).transpose(3, 4).flatten(4)
        return {"features": patches, "scores": self.head(self.mix(self.embed(patches.flatten(1, 3))).mean(1))}


def test_layout_output_and_grid_are_given_to_as_model_only() -> None:
    clip_spec = glocal.ClipSpec(frames=6, size=24, short_side=24, crop="center")
    model = glocal.as_model(
        seeded(Tokens()),
        clip_spec,
        layers=["mix"],
        layout="BTHWC",
        output=lambda r: r["scores"],
        grid=(6, 3, 3),
    )
    assert list(model.layers) == ["mix"]
    assert glocal.explain(model, FRAMES_OF_A_VIDEO).attention.shape == (11, 40, 60)
    found = glocal.attribute(model.network, torch.randn(2, 3, 6, 24, 24), model.layers)
    assert found.attention.shape == (2, 6, 24, 24)


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match=r"the clips that the network takes are unknown; give clip=ClipSpec"):
        glocal.as_model(seeded(Small3d()))
    with pytest.raises(InputError, match=r"cannot process such clips \(.*\); describe its input by clip="):
        glocal.as_model(seeded(Small3d()), CLIP_SPEC, layout="BTCHW")
    with pytest.raises(UsageError, match="there are 2 labels, but the network has 5 classes"):
        glocal.as_model(seeded(Small3d()), CLIP_SPEC, labels=["a", "b"])
    with pytest.raises(UsageError, match="no layer 'layer9'"):
        glocal.as_model(seeded(Small3d()), CLIP_SPEC, layers=["layer9"])
    with pytest.raises(UsageError, match="the layer 'other' is not a part of the network"):
        glocal.as_model(seeded(Small3d()), CLIP_SPEC, layers={"other": nn.ReLU()})


def test_a_mapping_of_clips_means_what_a_clip_specification_does() -> None:
    fields = {"frames": 8, "size": 24, "short_side": 24, "mean": (0.45,) * 3, "std": (0.225,) * 3}
    network = nn.Sequential(nn.Conv3d(3, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3))
    assert glocal.as_model(network, fields).clip == glocal.ClipSpec(**fields)
    assert glocal.as_model(network, fields).clip.crop == "full"


def test_the_examples_in_the_documentation_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block of code, one after the other in one namespace, on small networks."""
    pytest.importorskip("transformers")
    text = (Path(__file__).parents[2] / "docs" / "architectures.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 6
    monkeypatch.setattr(MODELS, "_values", dict(MODELS))  # the registered network is removed again
    namespace = {"video": FRAMES_OF_A_VIDEO}
    for block in blocks:
        exec(compile(block, "docs/architectures.md", "exec"), namespace)

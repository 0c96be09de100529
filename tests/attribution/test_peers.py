"""Equal to the peers, on the same small network: 1e-4 at most after both maps are stretched to [0, 1].

The network keeps its resolution, so that no peer's way of resizing enters. torch-cam and captum are in the
development environment; pytorch-grad-cam needs torchvision and has one of its own (`make test-peers`). Where a
peer leaves its paper, docs/methods.md says so, and the test here shows it.
"""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import glocal
from helpers.networks import seeded

TARGET = 2


class Even(nn.Module):
    """Two stages at the resolution of the input, in 3D or 2D."""

    def __init__(self, axes: int = 3, inplace: bool = False) -> None:
        super().__init__()
        conv = nn.Conv3d if axes == 3 else nn.Conv2d
        self.layer1 = nn.Sequential(conv(3, 6, 3, padding=1), nn.ReLU(inplace))
        self.layer2 = nn.Sequential(conv(6, 8, 3, padding=1), nn.ReLU(inplace))
        self.pool = nn.AdaptiveAvgPool3d(1) if axes == 3 else nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.pool(self.layer2(self.layer1(x))).flatten(1))


def case(axes: int = 3, **options: bool) -> tuple[Even, torch.Tensor]:
    network = seeded(Even(axes, **options), seed=3).eval()
    with torch.no_grad():
        network.fc.weight[TARGET].abs_()
    size = (2, 3, 4, 7, 6)[: 2 + axes] if axes == 3 else (2, 3, 7, 6)
    return network, torch.randn(size, generator=torch.Generator().manual_seed(1))


def stretched(maps: torch.Tensor) -> np.ndarray:
    maps = np.asarray(maps.detach() if isinstance(maps, torch.Tensor) else maps, float)
    flat = maps.reshape(len(maps), -1)
    low, high = flat.min(1, keepdims=True), flat.max(1, keepdims=True)
    assert (high > low).all(), "the case must have something to show"
    return (flat - low) / (high - low)


def assert_equal(ours: torch.Tensor, peers: torch.Tensor, tolerance: float = 1e-4) -> None:
    assert np.abs(stretched(ours) - stretched(peers)).max() <= tolerance


def ours(
    network: Any, clips: torch.Tensor, method: str, layer: str = "layer2", **options: int
) -> torch.Tensor:
    return glocal.attribute(
        network, clips, [layer], method=method, target=TARGET, options=options or None
    ).attention


# --- pytorch-grad-cam -----------------------------------------------------------------------------------


@pytest.fixture
def grad_cam() -> Any:
    try:
        import torchvision  # noqa: F401
    except ImportError:
        pytest.skip("pytorch-grad-cam needs torchvision, which is not here: make test-peers")
    except RuntimeError:
        from bench.workloads import declare_torchvision_operators

        declare_torchvision_operators()
    return pytest.importorskip("pytorch_grad_cam", reason="it is not here: make test-peers")


def grad_cams(module: Any, name: Any, network: Any, clips: Any, layer: Any = "layer2") -> Any:
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    targets = [ClassifierOutputTarget(TARGET)] * len(clips)
    with getattr(module, name)(model=network, target_layers=[network.get_submodule(layer)]) as cam:
        return cam(input_tensor=clips, targets=targets)


@pytest.mark.parametrize(
    ("method", "peer"),
    [
        ("gradcam", "GradCAM"),
        ("gradcam++", "GradCAMPlusPlus"),
        ("xgradcam", "XGradCAM"),
        ("hirescam", "HiResCAM"),
        ("layercam", "LayerCAM"),
        ("gradcam-elementwise", "GradCAMElementWise"),
    ],
)
@pytest.mark.parametrize("layer", ["layer1", "layer2"])
@pytest.mark.parametrize("axes", [3, 2])
def test_pytorch_grad_cam(grad_cam: Any, method: Any, peer: Any, layer: Any, axes: Any) -> None:
    network, clips = case(axes)
    if method == "gradcam++":
        network.fc.weight.data *= 1000  # so that its 1e-6 in the denominator does not matter
    assert_equal(ours(network, clips, method, layer), grad_cams(grad_cam, peer, network, clips, layer))


@pytest.mark.parametrize(("method", "peer"), [("scorecam", "ScoreCAM"), ("ablationcam", "AblationCAM")])
def test_pytorch_grad_cam_on_images_where_it_has_no_other(grad_cam: Any, method: Any, peer: Any) -> None:
    network, clips = case(axes=2)
    assert (network(clips)[:, TARGET] > 0).all(), "it divides by the score"
    assert_equal(ours(network, clips, method), grad_cams(grad_cam, peer, network, clips))


@pytest.mark.parametrize("axes", [3, 2])
def test_pytorch_grad_cam_eigen_cam_where_its_centring_changes_nothing(grad_cam: Any, axes: Any) -> None:
    network, clips = case(axes)
    norm = nn.InstanceNorm3d if axes == 3 else nn.InstanceNorm2d
    network.layer2.append(norm(8))
    mine, theirs = ours(network, clips, "eigencam"), grad_cams(grad_cam, "EigenCAM", network, clips)
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

    with torch.no_grad():
        activation = network.layer2(network.layer1(clips)).numpy()
    signed = get_2d_projection(activation)
    for one, peer, projection in zip(mine, theirs, signed, strict=True):
        if projection.max() > -projection.min():  # the sign of a singular vector is chance there, not here
            assert_equal(one[None], peer[None])
        assert_equal(
            one[None], np.maximum(projection * np.sign(projection.max() + projection.min()), 0)[None]
        )


# --- torch-cam ------------------------------------------------------------------------------------------


def torch_cams(
    name: str, network: Even, clips: torch.Tensor, layer: str = "layer2", **options: str
) -> torch.Tensor:
    methods = pytest.importorskip("torchcam.methods", reason="torch-cam needs Python 3.11")
    with getattr(methods, name)(network, target_layer=layer, **options) as extractor:
        scores = network(clips)
        gradients = {"scores": scores} if name not in ("CAM", "ScoreCAM") else {}
        (cams,) = extractor(class_idx=[TARGET] * len(clips), **gradients)
    return cams


@pytest.mark.parametrize(
    ("method", "peer"),
    [("gradcam", "GradCAM"), ("xgradcam", "XGradCAM"), ("layercam", "LayerCAM"), ("scorecam", "ScoreCAM")],
)
@pytest.mark.parametrize("layer", ["layer1", "layer2"])
@pytest.mark.parametrize("axes", [3, 2])
def test_torch_cam(method: str, peer: str, layer: str, axes: int) -> None:
    network, clips = case(axes)
    assert_equal(ours(network, clips, method, layer), torch_cams(peer, network, clips, layer))


@pytest.mark.parametrize("axes", [3, 2])
def test_torch_cam_cam(axes: int) -> None:
    network, clips = case(axes)
    assert_equal(ours(network, clips, "cam"), torch_cams("CAM", network, clips, fc_layer="fc"))


def test_torch_cam_leaves_the_paper_of_grad_cam_plus_plus() -> None:
    """Its division acts on a copy, so that its α is the squared gradient; the equation's is 1 / (2 + g Σα)."""
    network, clips = case()
    with glocal.attribution.tape.record(network, clips, {"layer2": network.layer2}) as tape:
        activation = tape.activations["layer2"].detach()
        gradient = tape.gradients(tape.logits[:, TARGET].sum())["layer2"]
    squared = (gradient**2 * gradient.clamp(min=0)).flatten(2).sum(2)
    peer = torch_cams("GradCAMpp", network, clips)
    assert_equal(torch.einsum("bc,bcthw->bthw", squared, activation).clamp(min=0), peer)
    assert np.abs(stretched(ours(network, clips, "gradcam++")) - stretched(peer)).max() > 1e-2


# --- captum ---------------------------------------------------------------------------------------------


@pytest.fixture
def captum() -> ModuleType:
    return pytest.importorskip("captum.attr")


@pytest.mark.parametrize("axes", [3, 2])
@pytest.mark.parametrize("layer", ["layer1", "layer2"])
def test_captum_grad_cam_and_channel_ablation(captum: ModuleType, layer: str, axes: int) -> None:
    network, clips = case(axes)
    module = network.get_submodule(layer)
    peer = captum.LayerGradCam(network, module).attribute(clips, target=TARGET, relu_attributions=True)
    assert_equal(ours(network, clips, "gradcam", layer), peer[:, 0])

    with torch.no_grad():
        activation = module(network.layer1(clips) if layer == "layer2" else clips)
        channels = torch.arange(activation.shape[1]).view(1, -1, *[1] * axes)
        mask = channels.expand(1, *activation.shape[1:])
        drop = captum.LayerFeatureAblation(network, module).attribute(clips, target=TARGET, layer_mask=mask)
        weights = drop.flatten(2)[..., 0]
        expected = torch.einsum("bc,bc...->b...", weights, activation).clamp(min=0)
    assert_equal(ours(network, clips, "ablationcam", layer), expected)


@pytest.mark.filterwarnings("ignore:Setting backward hooks", "ignore:Input Tensor 0 did not already")
@pytest.mark.parametrize("axes", [3, 2])
def test_captum_on_pixels(captum: ModuleType, axes: int) -> None:
    network, clips = case(axes)
    largest = {
        "saliency": captum.Saliency(network).attribute(clips.clone(), target=TARGET),
        "guided-backprop": captum.GuidedBackprop(network).attribute(clips.clone(), target=TARGET),
    }
    for method, peer in largest.items():
        assert_equal(ours(network, clips, method), peer.abs().amax(1))
    summed = {
        "inputxgradient": captum.InputXGradient(network).attribute(clips.clone(), target=TARGET),
        "integrated-gradients": captum.IntegratedGradients(network).attribute(
            clips, target=TARGET, n_steps=50
        ),
    }
    for method, peer in summed.items():
        assert_equal(ours(network, clips, method), peer.sum(1).clamp(min=0))


def test_captum_guided_grad_cam(captum: ModuleType) -> None:
    network, clips = case()
    with pytest.warns(UserWarning, match="backward hooks"):
        peer = captum.GuidedGradCam(network, network.layer2).attribute(clips.clone(), target=TARGET)
    assert_equal(ours(network, clips, "guided-gradcam"), peer.abs().amax(1))


def test_captum_on_several_clips_and_inputs(captum: ModuleType) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.even = Even()

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.even(x) + self.even(0.3 * y * y)
            return logits

    network = seeded(Two(), seed=3).eval()
    clips = tuple(torch.randn(2, 2, 3, 4, 7, 6, generator=torch.Generator().manual_seed(1)))
    block, stride = ((3, 2, 4, 4),) * 2, ((3, 1, 2, 2),) * 2
    peer = captum.Occlusion(network).attribute(
        clips, target=TARGET, sliding_window_shapes=block, strides=stride
    )
    expected = sum(x.sum(1).clamp(min=0) / 3 for x in peer)
    found = glocal.attribute(
        network, clips, method="occlusion", target=TARGET, options={"pixels": 4, "frames": 2}
    )
    assert torch.allclose(found.raw, expected, atol=1e-5)
    peer = captum.IntegratedGradients(network).attribute(clips, target=TARGET, n_steps=6)
    expected = sum(x.sum(1).clamp(min=0) for x in peer)
    found = glocal.attribute(
        network, clips, method="integrated-gradients", target=TARGET, options={"steps": 6}
    )
    assert torch.allclose(found.raw, expected, atol=1e-5)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        spread = tuple(0.15 * float(x.max() - x.min()) for x in clips)
        peer = captum.NoiseTunnel(captum.Saliency(network)).attribute(
            clips,
            nt_type="smoothgrad",
            nt_samples=6,
            nt_samples_batch_size=1,
            stdevs=spread,
            target=TARGET,
            abs=False,
        )
    expected = sum(x.abs().amax(1) for x in peer)
    found = glocal.attribute(
        network, clips, method="smoothgrad", target=TARGET, options={"samples": 6, "seed": 7}
    )
    assert torch.allclose(found.raw, expected, atol=1e-5)


def test_guided_backprop_is_the_same_with_relus_in_place_and_without_modules(captum: ModuleType) -> None:
    class Functional(Even):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.layer2[0](torch.relu(self.layer1[0](x)))
            return self.fc(self.pool(x.relu_()).flatten(1))

    network, clips = case()
    expected = ours(network, clips, "guided-backprop")
    inplace, _ = case(inplace=True)
    assert torch.equal(ours(inplace, clips, "guided-backprop"), expected)
    functional = Functional().eval()
    functional.load_state_dict(network.state_dict())
    assert torch.equal(ours(functional, clips, "guided-backprop"), expected)


@pytest.mark.parametrize("axes", [3, 2])
def test_captum_smooth_grad_and_occlusion(captum: ModuleType, axes: int) -> None:
    network, clips = case(axes)
    clips = clips[:1]
    with torch.random.fork_rng():
        torch.manual_seed(7)
        noise = 0.15 * float(clips.max() - clips.min())
        peer = captum.NoiseTunnel(captum.Saliency(network)).attribute(
            clips,
            nt_type="smoothgrad",
            nt_samples=10,
            nt_samples_batch_size=1,
            stdevs=noise,
            target=TARGET,
            abs=False,
        )
    assert_equal(ours(network, clips, "smoothgrad", samples=10, seed=7), peer.abs().amax(1))

    block, stride = ((3, 2, 4, 4), (3, 1, 2, 2)) if axes == 3 else ((3, 4, 4), (3, 2, 2))
    peer = captum.Occlusion(network).attribute(
        clips, target=TARGET, sliding_window_shapes=block, strides=stride
    )
    assert_equal(ours(network, clips, "occlusion", pixels=4, frames=2), peer[:, 0].clamp(min=0))

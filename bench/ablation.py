"""Ablation-CAM of a network's last layer by glocal and by its peers: time, in forward passes, and how alike."""

import warnings
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from typing import Any

import numpy as np
import torch
from torch import nn

import glocal
from bench.contenders import as_array, declare_torchvision_operators
from bench.measure import interleaved

BATCH = 16
ROUNDS = 1


def small_3d() -> tuple[nn.Module, torch.Tensor, str]:
    """The packaged gated network."""
    return glocal.load_model("puppets/gated").network, torch.randn(1, 3, 16, 64, 64), "backbone.layer4"


def resnet_2d() -> tuple[nn.Module, torch.Tensor, str]:
    """torchvision's, untrained."""
    from torchvision.models import resnet18

    return resnet18(weights=None).eval(), torch.randn(1, 3, 112, 112), "layer4"


def forward(network: nn.Module, clips: torch.Tensor, layer: str, target: int) -> object:
    """One batch without gradients, in clips."""
    with torch.no_grad():
        return network(clips.repeat(BATCH, *[1] * (clips.dim() - 1)))


def ours(network: nn.Module, clips: torch.Tensor, layer: str, target: int) -> object:
    return glocal.attribute(
        network, clips, [layer], "ablationcam", target=target, options={"batch": BATCH}
    ).attention


def captum(network: nn.Module, clips: torch.Tensor, layer: str, target: int) -> object:
    """LayerFeatureAblation of each channel; the weighted sum, ReLU and upsampling are left to its user."""
    from captum.attr import LayerAttribution, LayerFeatureAblation

    module = network.get_submodule(layer)
    kept: list[torch.Tensor] = []
    handle = module.register_forward_hook(lambda module, args, result: kept.append(result))
    with torch.no_grad():
        network(clips)
        handle.remove()
        (activation,) = kept
        channels = torch.arange(activation.shape[1]).view(1, -1, *[1] * (activation.dim() - 2))
        mask = channels.expand(1, *activation.shape[1:])
        drops = LayerFeatureAblation(network, module).attribute(
            clips, target=target, layer_mask=mask, perturbations_per_eval=BATCH
        )
        cam = (drops.flatten(2)[..., 0][(...,) + (None,) * (activation.dim() - 2)] * activation).sum(1).relu()
        mode = "trilinear" if clips.dim() == 5 else "bilinear"
        return LayerAttribution.interpolate(cam[:, None], clips.shape[2:], mode)[:, 0]


def pytorch_grad_cam(network: nn.Module, clips: torch.Tensor, layer: str, target: int) -> object:
    from pytorch_grad_cam import AblationCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with AblationCAM(network, [network.get_submodule(layer)]) as cam:
        cam.batch_size = BATCH
        return cam(clips, [ClassifierOutputTarget(target)])


Contender = Callable[[nn.Module, torch.Tensor, str, int], object]
CASES: dict[str, tuple[Callable[[], tuple[nn.Module, torch.Tensor, str]], dict[str, Contender]]] = {
    "puppets/gated, layer4, 1 × 16×64×64": (small_3d, {"glocal": ours, "captum": captum}),
    "resnet18, layer4, 1 × 112×112": (
        resnet_2d,
        {"glocal": ours, "captum": captum, "pytorch-grad-cam": pytorch_grad_cam},
    ),
}


def run() -> dict[str, Any]:
    """Tables of all cases: seconds, forward passes, and Pearson's r with glocal's map."""
    declare_torchvision_operators()
    results: dict[str, Any] = {}
    for title, (prepare, contenders) in CASES.items():
        torch.manual_seed(0)
        network, clips, layer = prepare()
        with torch.no_grad():
            target = int(network(clips).argmax())
        asked = (network, clips, layer, target)
        with warnings.catch_warnings(), redirect_stderr(StringIO()):  # the peers' progress bars
            warnings.simplefilter("ignore")
            work = {who: partial(contender, *asked) for who, contender in contenders.items()}
            seconds = interleaved({"forward": partial(forward, *asked), **work}, ROUNDS)
            maps = {who: as_array(contender()).ravel() for who, contender in work.items()}
        one = seconds.pop("forward") / BATCH
        print(f"\nAblation-CAM, {title}, batches of {BATCH}")
        print(f"{'':18}{'seconds':>9}{'× forward':>11}{'÷ glocal':>10}{'r':>8}")
        results[title] = {}
        for who, value in seconds.items():
            r = float(np.corrcoef(maps[who], maps["glocal"])[0, 1])
            print(f"{who:18}{value:9.3f}{value / one:11.1f}{value / seconds['glocal']:10.2f}{r:8.4f}")
            results[title][who] = {"seconds": value, "forwards": value / one, "r": r}
    return results

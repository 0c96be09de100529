"""Ablation-CAM of a network's last layer by glocal and other libraries: time in forward passes, and correlation."""

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
from bench.measure import interleaved
from bench.workloads import as_array, declare_torchvision_operators

BATCH = 16
ROUNDS = 1


def small_3d() -> tuple[nn.Module, torch.Tensor, str]:
    """The packaged gated network."""
    return glocal.load_model("puppets/gated").network, torch.randn(1, 3, 16, 64, 64), "backbone.layer4"


def resnet_2d() -> tuple[nn.Module, torch.Tensor, str]:
    """ResNet-18 of torchvision, untrained."""
    from torchvision.models import resnet18

    return resnet18(weights=None).eval(), torch.randn(1, 3, 112, 112), "layer4"


def forward(network: nn.Module, clips: torch.Tensor, layer: str, target: int) -> object:
    """One forward pass of a batch without gradients."""
    with torch.no_grad():
        return network(clips.repeat(BATCH, *[1] * (clips.dim() - 1)))


def by_glocal(network: nn.Module, clips: torch.Tensor, layer: str, target: int) -> object:
    return glocal.attribute(
        network, clips, [layer], method="ablationcam", target=target, options={"batch": BATCH}
    ).attention


def by_captum(network: nn.Module, clips: torch.Tensor, layer: str, target: int) -> object:
    """LayerFeatureAblation of each channel; the weighted sum, ReLU and upsampling are left to its user."""
    from captum.attr import LayerAttribution, LayerFeatureAblation

    module = network.get_submodule(layer)
    activations: list[torch.Tensor] = []
    handle = module.register_forward_hook(lambda module, args, result: activations.append(result))
    with torch.no_grad():
        network(clips)
        handle.remove()
        (activation,) = activations
        channels = torch.arange(activation.shape[1]).view(1, -1, *[1] * (activation.dim() - 2))
        mask = channels.expand(1, *activation.shape[1:])
        drops = LayerFeatureAblation(network, module).attribute(
            clips, target=target, layer_mask=mask, perturbations_per_eval=BATCH
        )
        cam = (drops.flatten(2)[..., 0][(...,) + (None,) * (activation.dim() - 2)] * activation).sum(1).relu()
        mode = "trilinear" if clips.dim() == 5 else "bilinear"
        return LayerAttribution.interpolate(cam[:, None], clips.shape[2:], mode)[:, 0]


def by_pytorch_grad_cam(network: nn.Module, clips: torch.Tensor, layer: str, target: int) -> object:
    from pytorch_grad_cam import AblationCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with AblationCAM(network, [network.get_submodule(layer)]) as cam:
        cam.batch_size = BATCH
        return cam(clips, [ClassifierOutputTarget(target)])


Workload = Callable[[nn.Module, torch.Tensor, str, int], object]
CASES: dict[str, tuple[Callable[[], tuple[nn.Module, torch.Tensor, str]], dict[str, Workload]]] = {
    "puppets/gated, layer4, 1 × 16×64×64": (small_3d, {"glocal": by_glocal, "captum": by_captum}),
    "resnet18, layer4, 1 × 112×112": (
        resnet_2d,
        {"glocal": by_glocal, "captum": by_captum, "pytorch-grad-cam": by_pytorch_grad_cam},
    ),
}


def run() -> dict[str, Any]:
    """Tables of all cases: seconds, forward passes, and Pearson's r with glocal's map."""
    declare_torchvision_operators()
    results: dict[str, Any] = {}
    for title, (prepare, workloads) in CASES.items():
        torch.manual_seed(0)
        network, clips, layer = prepare()
        with torch.no_grad():
            target = int(network(clips).argmax())
        arguments = (network, clips, layer, target)
        with warnings.catch_warnings(), redirect_stderr(StringIO()):  # the peers' progress bars
            warnings.simplefilter("ignore")
            work = {name: partial(workload, *arguments) for name, workload in workloads.items()}
            seconds = interleaved({"forward": partial(forward, *arguments), **work}, ROUNDS)
            maps = {name: as_array(workload()).ravel() for name, workload in work.items()}
        forward_seconds = seconds.pop("forward") / BATCH
        print(f"\nAblation-CAM, {title}, batches of {BATCH}")
        print(f"{'':18}{'seconds':>9}{'× forward':>11}{'÷ glocal':>10}{'r':>8}")
        results[title] = {}
        for name, value in seconds.items():
            r = float(np.corrcoef(maps[name], maps["glocal"])[0, 1])
            print(
                f"{name:18}{value:9.3f}{value / forward_seconds:11.1f}{value / seconds['glocal']:10.2f}{r:8.4f}"
            )
            results[title][name] = {"seconds": value, "forwards": value / forward_seconds, "r": r}
    return results

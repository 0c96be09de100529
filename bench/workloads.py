"""A five-layer attribution at the clip's size, by glocal and by other libraries.

Each workload is a function `(network, clips, layers) -> array (B, T, H, W)`; `layers` are module paths.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import glocal


def declare_torchvision_operators() -> None:
    """Let torchvision import without its compiled operators, which no workload runs."""
    from torch.library import Library

    library = Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    globals()["_library"] = library


def forward(network: nn.Module, clips: Tensor, layers: Sequence[str]) -> object:
    """One forward pass without gradients: the unit of time."""
    with torch.no_grad():
        return network(clips)


def bound(network: nn.Module, clips: Tensor, layers: Sequence[str]) -> object:
    """One forward pass, and one backward pass down to the layers, alone: what gradients at the layers take.

    Autograd records from the lowest layer on, and computes no gradient of a parameter.
    """
    outputs: list[Tensor] = []

    def note(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        outputs.append(output if output.requires_grad else output.detach().requires_grad_())
        return outputs[-1]

    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    handles = [network.get_submodule(name).register_forward_hook(note) for name in layers]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        return torch.autograd.grad(network(clips).amax(1).sum(), outputs)[0]
    finally:
        for handle in handles:
            handle.remove()
        for parameter in trained:
            parameter.requires_grad_(True)


def glocal_3dcam(network: nn.Module, clips: Tensor, layers: Sequence[str]) -> object:
    """Sum 3DCAM by glocal."""
    return glocal.attribute(network, clips, layers=layers).attention


def glocal_grad_cam(network: nn.Module, clips: Tensor, layers: Sequence[str]) -> object:
    """Sum Grad-CAM by glocal."""
    return glocal.attribute(network, clips, layers=layers, method="gradcam").attention


def pytorch_grad_cam(network: nn.Module, clips: Tensor, layers: Sequence[str]) -> object:
    """Grad-CAM by pytorch-grad-cam, which combines the layers itself."""
    from pytorch_grad_cam import GradCAM

    with GradCAM(model=network, target_layers=[network.get_submodule(name) for name in layers]) as cam:
        return cam(input_tensor=clips, targets=None)


def captum(network: nn.Module, clips: Tensor, layers: Sequence[str]) -> object:
    """LayerGradCam by captum, layer by layer, upsampled and summed as its documentation shows."""
    from captum.attr import LayerAttribution, LayerGradCam

    with torch.no_grad():
        target = network(clips).argmax(1)
    total: Any = 0
    for name in layers:
        cam = LayerGradCam(network, network.get_submodule(name)).attribute(
            clips, target=target, relu_attributions=True
        )
        cam = cam / cam.amax(dim=(1, 2, 3, 4), keepdim=True).clamp(min=1e-12)
        total = total + LayerAttribution.interpolate(cam.detach(), clips.shape[2:], "trilinear")
    return total[:, 0]


def torch_cam(network: nn.Module, clips: Tensor, layers: Sequence[str]) -> object:
    """Grad-CAM by torch-cam, upsampled and summed."""
    from torchcam.methods import GradCAM

    with GradCAM(network, target_layer=list(layers)) as extractor:
        scores = network(clips)
        cams = extractor(class_idx=scores.argmax(1).tolist(), scores=scores)
    maps = [F.interpolate(cam[:, None], clips.shape[2:], mode="trilinear")[:, 0] for cam in cams]
    return torch.stack(maps).sum(0)


WORKLOADS: dict[str, Callable[..., object]] = {
    "forward": forward,
    "bound": bound,
    "glocal 3DCAM": glocal_3dcam,
    "glocal Grad-CAM": glocal_grad_cam,
    "torch-cam": torch_cam,
    "pytorch-grad-cam": pytorch_grad_cam,
    "captum": captum,
}


def as_array(result: object) -> np.ndarray:
    """A tensor or array as a NumPy array of floats."""
    return result.detach().float().numpy() if isinstance(result, torch.Tensor) else np.asarray(result)

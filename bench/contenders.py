"""The same work by glocal and by its peers: a five-layer attribution at the clip's size.

Every contender is a function `(network, clips, layers) -> array (B, T, H, W)`; `layers` are module names.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

import glocal


def declare_torchvision_operators() -> None:
    """Let torchvision import where its compiled operators are missing; no contender runs them."""
    from torch.library import Library

    library = Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    globals()["_library"] = library


def forward(network, clips, layers):
    with torch.no_grad():
        return network(clips)


def ours(network, clips, layers):
    return glocal.attribute(network, clips, layers=layers).attention


def ours_grad_cam(network, clips, layers):
    return glocal.attribute(network, clips, layers=layers, method="gradcam").attention


def pytorch_grad_cam(network, clips, layers):
    from pytorch_grad_cam import GradCAM

    with GradCAM(model=network, target_layers=[network.get_submodule(name) for name in layers]) as cam:
        return cam(input_tensor=clips, targets=None)


def captum(network, clips, layers):
    """LayerGradCam takes one layer; its maps are upsampled and added up as its documentation shows."""
    from captum.attr import LayerAttribution, LayerGradCam

    with torch.no_grad():
        target = network(clips).argmax(1)
    total = 0
    for name in layers:
        cam = LayerGradCam(network, network.get_submodule(name)).attribute(
            clips, target=target, relu_attributions=True
        )
        cam = cam / cam.amax(dim=(1, 2, 3, 4), keepdim=True).clamp(min=1e-12)
        total = total + LayerAttribution.interpolate(cam.detach(), clips.shape[2:], "trilinear")
    return total[:, 0]


def torch_cam(network, clips, layers):
    from torchcam.methods import GradCAM

    with GradCAM(network, target_layer=list(layers)) as extractor:
        scores = network(clips)
        cams = extractor(class_idx=scores.argmax(1).tolist(), scores=scores)
    maps = [F.interpolate(cam[:, None], clips.shape[2:], mode="trilinear")[:, 0] for cam in cams]
    return torch.stack(maps).sum(0)


CONTENDERS: dict[str, Callable[..., object]] = {
    "forward": forward,
    "glocal 3DCAM": ours,
    "glocal Grad-CAM": ours_grad_cam,
    "torch-cam": torch_cam,
    "pytorch-grad-cam": pytorch_grad_cam,
    "captum": captum,
}


def as_array(result: object) -> np.ndarray:
    return result.detach().float().numpy() if isinstance(result, torch.Tensor) else np.asarray(result)

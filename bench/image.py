"""A photograph in memory to its attribution map in its own pixels, by glocal and by pytorch-grad-cam.

Both take an array `(224, 224, 3)` uint8, prepare it, run ResNet-50, explain its best class by the same five
layers, one map each, and return their sum or mean as a map of that size. The bound is the network's own part:
one forward pass, and one backward pass down to the lowest layer, of an image that is prepared already.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

import glocal
from bench.measure import interleaved
from bench.workloads import bound, declare_torchvision_operators

SIDE, ROUNDS = 224, 25


def run() -> dict[str, Any]:
    declare_torchvision_operators()
    from pytorch_grad_cam import GradCAM

    torch.manual_seed(0)
    model = glocal.load_model("resnet2d-50")
    model = replace(model, clip=replace(model.clip, short_side=SIDE))  # as large for both
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    paths = list(model.layer_paths.values())
    layers = [model.network.get_submodule(path) for path in paths]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.clip.mean, model.clip.std))

    def prepared() -> torch.Tensor:
        return ((torch.from_numpy(image).permute(2, 0, 1) / 255 - mean) / std)[None]

    def ours() -> object:
        return glocal.explain(model, image[None], method="3dcam").attention

    def theirs() -> object:
        with GradCAM(model=model.network, target_layers=layers) as cam:
            return cam(input_tensor=prepared(), targets=None)

    clip = prepared()
    workloads = {
        "glocal 2DCAM": ours,
        "bound": lambda: bound(model.network, clip, paths),
        "pytorch-grad-cam": theirs,
    }
    seconds = interleaved(workloads, ROUNDS)
    ratios = {
        "ratio": seconds["glocal 2DCAM"] / seconds["pytorch-grad-cam"],
        "ratio of the bound": seconds["bound"] / seconds["pytorch-grad-cam"],
    }
    print(f"\n{SIDE}×{SIDE} image, resnet2d-50, {len(layers)} layers")
    for name, value in {**seconds, **ratios}.items():
        print(f"{name:20}{value:8.3f}")
    return {"seconds": seconds, **ratios}

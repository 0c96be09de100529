"""A photograph in memory to its attribution map in its own pixels, by glocal and by pytorch-grad-cam.

Both take an array `(224, 224, 3)` uint8, prepare it, run ResNet-50 and return a map of that size.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

import glocal
from bench.measure import interleaved
from bench.workloads import declare_torchvision_operators

SIDE, ROUNDS = 224, 9


def run() -> dict[str, Any]:
    declare_torchvision_operators()
    from pytorch_grad_cam import GradCAM

    torch.manual_seed(0)
    model = glocal.load_model("resnet2d-50")
    model = replace(model, clip=replace(model.clip, short_side=SIDE))  # as large for both
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    layers = [model.network.get_submodule(path) for path in model.layer_paths.values()]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.clip.mean, model.clip.std))

    def ours() -> object:
        return glocal.explain(model, image[None]).attention

    def theirs() -> object:
        clip = (torch.from_numpy(image).permute(2, 0, 1) / 255 - mean) / std
        with GradCAM(model=model.network, target_layers=layers) as cam:
            return cam(input_tensor=clip[None], targets=None)

    seconds = interleaved({"glocal 2DCAM": ours, "pytorch-grad-cam": theirs}, ROUNDS)
    ratio = seconds["glocal 2DCAM"] / seconds["pytorch-grad-cam"]
    print(f"\n{SIDE}×{SIDE} image, resnet2d-50, {len(layers)} layers: {seconds}, ratio {ratio:.2f}")
    return {"seconds": seconds, "ratio": ratio}

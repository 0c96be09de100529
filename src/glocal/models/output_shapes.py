"""The shapes of what the modules of a network put out, found without computing any value."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution.inputs.network_inputs import Inputs, call, map_tensors


def output_shapes(network: nn.Module, clips: Inputs, paths: Sequence[str]) -> dict[str, torch.Size]:
    """Path → shape of a module's output, such as `(1, C, T, H, W)`.

    Args:
        network: one of the library; it is run on the meta device, and stays where it is.
        clips: its input, of which only the shapes matter.
        paths: of modules that return a tensor.
    """
    shapes: dict[str, torch.Size] = {}

    def keep_shape_of(path: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            shapes[path] = output.shape

        return hook

    valueless = deepcopy(network).to("meta").eval()
    for path in paths:
        valueless.get_submodule(path).register_forward_hook(keep_shape_of(path))
    with torch.no_grad():
        call(valueless, map_tensors(clips, lambda tensor: tensor.to("meta")))
    return shapes

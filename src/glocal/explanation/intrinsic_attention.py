"""What a network with attention of its own is asked, window by window: to be edited, and to tell when."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from torch import Tensor, nn

from glocal.attribution import IntrinsicAttention, IntrinsicAttentionNetwork
from glocal.attribution.inputs.network_inputs import Inputs
from glocal.errors import UsageError
from glocal.explanation.blending import Blend
from glocal.explanation.edit import Edit
from glocal.explanation.volume import Volume
from glocal.models import Model
from glocal.models.stabn import STABN, TransformedSTABN
from glocal.video import Geometry, Video, Window

EditLike: TypeAlias = Edit | npt.ArrayLike


class Watched(nn.Module):
    """An attending network, and the temporal attention of its first pass, which is that of the clip."""

    temporal: Tensor | None = None

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def attend(self, clips: Inputs) -> IntrinsicAttention:
        assert isinstance(self.network, IntrinsicAttentionNetwork)
        attended = self.network.attend(clips)
        if self.temporal is None:
            self.temporal = attended.temporal.detach()
        return attended

    def forward(self, clips: Inputs) -> Tensor:
        return self.attend(clips).logits


class Editor:
    """The network of a model as it is for each window of a video, under an edit of its attention or without.

    Raises:
        UsageError: the network has no attention to edit, or the edit does not fit the video.
    """

    def __init__(self, model: Model, edit: EditLike | None, video: Video, geometry: Geometry) -> None:
        self.network, self.geometry = model.network, geometry
        self.edit: Edit | None = None
        if edit is None:
            return
        if not isinstance(model.network, STABN):
            raise UsageError(
                f"model '{model.name}' has no attention of its own to edit; use one named st-abn/…."
            )
        edit = edit if isinstance(edit, Edit) else Edit.of(edit)
        self.edit = edit.checked((video.frames, video.height, video.width))

    def __call__(self, window: Window) -> nn.Module:
        """The network for a window; one that attends is `Watched`."""
        network = self.network
        if self.edit is not None:
            assert isinstance(network, STABN)
            network = TransformedSTABN(network, self.edit.change(window, self.geometry))
        return Watched(network) if isinstance(network, IntrinsicAttentionNetwork) else network


class Timeline:
    """The temporal attention of the frames of a video, as the windows come."""

    def __init__(self, cuts: Sequence[int] = ()) -> None:
        self._blend = Blend(Volume(), cuts)
        self._any = False

    def add(self, window: Window, network: nn.Module) -> None:
        """Take what the network, one that `Editor` gave, said of a window."""
        if isinstance(network, Watched) and network.temporal is not None:
            steps = network.temporal.flatten()[None, None].float()
            weights = F.interpolate(steps, len(window.points), mode="linear", align_corners=False)
            maps = weights.cpu().numpy().reshape(-1, 1, 1)
            self._blend.add(window.points, window.frames, maps, 1.0)
            self._any = True

    def finish(self, frames: int) -> npt.NDArray[np.float64] | None:
        """`(T,)` in [0, 1]; None where the network has no temporal attention."""
        if not self._any:
            return None
        return np.array([float(weight[0, 0]) for weight in self._blend.finish(frames)])

"""Edit and record the intrinsic attention of a network, such as an ST-ABN, window by window."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from torch import Tensor, nn

from glocal.attribution import IntrinsicAttention, IntrinsicAttentionNetwork
from glocal.attribution.inputs.network_inputs import Inputs
from glocal.errors import UsageError
from glocal.explanation.blending import WindowBlender
from glocal.explanation.edit import Edit, EditLike
from glocal.explanation.volume import Volume
from glocal.models import Model
from glocal.models.stabn import STABN, TransformedSTABN
from glocal.video import Geometry, Video, Window


class _Recording:
    """What a module has recorded: no tensor of its own, which attribution would restore after a pass."""

    temporal: Tensor | None = None


class AttentionRecorder(nn.Module):
    """A network with intrinsic attention that keeps the temporal attention of its first forward pass."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self._recording = _Recording()

    @property
    def temporal(self) -> Tensor | None:
        """The temporal attention of the first forward pass; None before it."""
        return self._recording.temporal

    def attend(self, clips: Inputs) -> IntrinsicAttention:
        """Return logits and attention of the network, and keep the temporal attention of the first call."""
        assert isinstance(self.network, IntrinsicAttentionNetwork)
        attended = self.network.attend(clips)
        if self._recording.temporal is None:
            self._recording.temporal = attended.temporal.detach()
        return attended

    def forward(self, clips: Inputs) -> Tensor:
        """Return the logits `(B, num_classes)`."""
        return self.attend(clips).logits


class AttentionEditor:
    """Make the network for each window of a video, with or without an edit of its intrinsic attention.

    Raises:
        UsageError: the network has no attention that can be edited, or the edit does not fit the video.
        InputError: the edit is a file that cannot be read.
    """

    network: nn.Module
    geometry: Geometry

    def __init__(self, model: Model, edit: EditLike | None, video: Video, geometry: Geometry) -> None:
        self.network, self.geometry = model.network, geometry
        self.edit: Edit | None = None
        if edit is None:
            return
        if not isinstance(model.network, STABN):
            raise UsageError(
                f"model '{model.name}' has no attention of its own to edit; use one named st-abn/…."
            )
        video_shape = (video.frames, video.height, video.width)
        if isinstance(edit, str | os.PathLike):
            edit = Edit.load(edit, video_shape)
        elif not isinstance(edit, Edit):
            edit = Edit.from_array(edit)
        self.edit = edit.check_shape(video_shape)

    @property
    def is_per_window(self) -> bool:
        """Whether `network_for` returns another network for each window."""
        return self.edit is not None or isinstance(self.network, IntrinsicAttentionNetwork)

    def network_for(self, window: Window) -> nn.Module:
        """Return the network for a window; one with intrinsic attention comes as an `AttentionRecorder`."""
        network = self.network
        if self.edit is not None:
            assert isinstance(network, STABN)
            network = TransformedSTABN(network, self.edit.change(window, self.geometry))
        return AttentionRecorder(network) if isinstance(network, IntrinsicAttentionNetwork) else network


class TemporalCurve:
    """The temporal attention of every frame of a video, blended over its windows."""

    def __init__(self, cuts: Sequence[int] = ()) -> None:
        self._blender = WindowBlender(Volume(), cuts)
        self._is_empty = True

    def add(self, window: Window, network: nn.Module) -> None:
        """Add the temporal attention that `network`, from `AttentionEditor.network_for`, has recorded."""
        if isinstance(network, AttentionRecorder) and network.temporal is not None:
            steps = network.temporal.flatten()[None, None].float()
            weights = F.interpolate(steps, len(window.points), mode="linear", align_corners=False)
            maps = weights.cpu().numpy().reshape(-1, 1, 1)
            self._blender.add(window.points, window.frames, maps, 1.0)
            self._is_empty = False

    def finish(self, frames: int) -> npt.NDArray[np.float64] | None:
        """Return `(T,)` in [0, 1] of all `frames`; None if the network has no temporal attention."""
        if self._is_empty:
            return None
        return np.array([float(weight[0, 0]) for weight in self._blender.finish(frames)])

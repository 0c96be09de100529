"""How a model's input clip is sampled and normalised."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from glocal.errors import UsageError
from glocal.types import Flow, Frame

Crop = Literal["full", "center"]
Modality = Literal["rgb", "flow", "rgb+flow"]
FlowMethod = Literal["tvl1", "dis"]
"""How optical flow is computed: TV-L1, slow, for which most flow networks are trained; or DIS, fast."""


@dataclass(frozen=True)
class ClipSpec:
    """How a model samples, resizes and normalises its input clips.

    Attributes:
        frames: number of sampled frames in a clip.
        stride: distance of sampled frames, in frames of the video (after resampling to `fps`).
        short_side: pixels; frames are resized so that their short side has this length.
        resize: height and width in pixels to which frames are resized whatever their proportions, in place of
            `short_side`; None keeps the proportions.
        flow: how optical flow is computed, for networks that take it: "tvl1", or "dis", which needs no
            contrib modules of OpenCV.
        size: pixels; side of the centre crop that the network was trained on.
        mean, std: one value for each channel, applied after scaling to `range`: three for RGB clips, one for
            grey clips, which are the luma of the frames; flow is divided by 20 instead.
        range: values to which 0 and 255 are mapped linearly.
        fps: frames per second to which the video is resampled first; None keeps the video's rate.
        modality: input of the network; "rgb+flow" are two streams.
        crop: default part of a frame that is explained: "full" or "center".
        image: whether the network takes images `(B, C, H, W)`.

    Raises:
        UsageError: a value is out of range.
    """

    frames: int
    stride: int = 1
    short_side: int = 128
    size: int = 112
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    range: tuple[float, float] = (0.0, 1.0)
    fps: float | None = None
    modality: Modality = "rgb"
    crop: Crop = "full"
    image: bool = False
    resize: tuple[int, int] | None = None
    flow: FlowMethod = "tvl1"

    @property
    def frame_size(self) -> tuple[int, int]:
        """`(H, W)` of a clip's frames as the network was trained: all of `resize`, or the centre crop."""
        return self.resize if self.resize and self.crop == "full" else (self.size, self.size)

    @property
    def channels(self) -> int:
        """Number of channels of the clips; for two streams, of the first."""
        return 2 if self.modality == "flow" else len(self.mean)

    def __post_init__(self) -> None:
        _check_channels(self.mean, self.std)
        for name in ("frames", "stride", "short_side", "size"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.resize is not None and (len(self.resize) != 2 or min(self.resize) < 1):
            raise UsageError(f"resize must be a height and a width of at least 1, not {self.resize}")
        if self.fps is not None and not self.fps > 0:
            raise UsageError(f"fps must be positive, not {self.fps}")
        for name, values in (("modality", Modality), ("crop", Crop), ("flow", FlowMethod)):
            allowed = get_args(values)
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        if self.image and self.frames != 1:
            raise UsageError(f"a network for images takes 1 frame, not {self.frames}")


def _check_channels(mean: Sequence[float], std: Sequence[float]) -> None:
    """Raise UsageError if mean and standard deviation are not those of one or of three channels."""
    for name, values in (("mean", mean), ("std", std)):
        if isinstance(values, int | float):
            raise UsageError(f"{name} must have one value for each channel, such as ({values},)")
    if len(mean) != len(std) or len(mean) not in (1, 3):
        raise UsageError(
            f"mean has {len(mean)} and std {len(std)} values; give three of each for RGB clips, or one of "
            "each for grey clips"
        )
    if not all(value > 0 for value in std):
        raise UsageError(f"std must be positive, not {tuple(std)}")


LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of a pixel (ITU-R BT.601)."""

FLOW_LIMIT = 20.0
"""Longest flow in pixels; faster motion is clipped (Carreira and Zisserman, 2017)."""


def rgb_clip(frames: Sequence[Frame], clip_spec: ClipSpec) -> torch.Tensor:
    """Stack frames `(H, W, 3)` to a normalised clip `(1, 3, T, H, W)` float32, or `(1, 1, T, H, W)` if grey.

    Values are scaled to `clip_spec.range`, then normalised by mean and standard deviation.
    """
    low, high = clip_spec.range
    mean, std = (
        np.array(values, np.float32).reshape(-1, 1, 1, 1) for values in (clip_spec.mean, clip_spec.std)
    )
    clip = _channels_first(frames)
    if clip_spec.channels == 1:
        clip = np.add.reduce([weight * channel for weight, channel in zip(LUMA, clip, strict=True)])[None]
    clip *= (high - low) / 255
    clip += low
    clip -= mean
    clip /= std
    return torch.from_numpy(clip)[None]


def flow_clip(flows: Sequence[Flow]) -> torch.Tensor:
    """Stack flows `(H, W, 2)` in pixels to a clip `(1, 2, T, H, W)` float32 in [-1, 1]."""
    clip = _channels_first(flows)
    np.clip(clip, -FLOW_LIMIT, FLOW_LIMIT, out=clip)
    clip /= FLOW_LIMIT
    return torch.from_numpy(clip)[None]


def _channels_first(frames: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """Stack frames `(H, W, C)` to `(C, T, H, W)` float32.

    By NumPy, as clips are made in a thread beside the network: PyTorch would start threads of its own for it,
    which slow down those of the network as long as that thread lives.
    """
    return np.array(np.stack(frames).transpose(3, 0, 1, 2), np.float32, order="C")

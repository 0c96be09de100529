"""Adapt a bare network for the clips that a caller gives with it."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

from torch import nn

from glocal.errors import InputError, UsageError
from glocal.models.adapter import as_model
from glocal.models.model import Model
from glocal.models.preprocessing import UnknownClipError
from glocal.video import ClipSpec, Video, read_video
from glocal.video.memory import is_one_video

LONGEST_CLIP = 64
"""Frames of a video in memory at most that is taken for one clip of the network."""


def as_explainable(model: Model | nn.Module, video: Any) -> Model:
    """Return a model as it is, and adapt a bare network by `as_model`.

    Where nothing states the network's clips, a video in memory of at most 64 frames is taken for one: its
    frames and size, with values in [0, 1]. A warning says so.

    Args:
        model: a model, or a network of any kind.
        video: what is to be explained; of several, the first one is looked at.

    Raises:
        UsageError: it is neither, or the network's clips are unknown.
        InputError: the network cannot process such clips.
    """
    if isinstance(model, Model):
        return model
    if not isinstance(model, nn.Module):
        raise UsageError(_refusal(model))
    try:
        return as_model(model)
    except UnknownClipError:
        clip_spec = _clip_like(video)
        if clip_spec is None:
            raise
    warnings.warn(
        f"the network does not state its clips, for which {clip_spec.frames} frames of {clip_spec.size} "
        "pixels with values in [0, 1] are assumed; otherwise give as_model(network, clip=ClipSpec(…)).",
        stacklevel=4,
    )
    return _adapted(model, clip_spec)


def _adapted(network: nn.Module, clip_spec: ClipSpec) -> Model:
    """The network as a model of clips, or of images if it takes no clips."""
    try:
        return as_model(network, clip_spec)
    except InputError:
        image = ClipSpec(1, short_side=clip_spec.short_side, size=clip_spec.size, image=True)
        try:
            return as_model(network, image)
        except InputError:
            pass
        raise


def _clip_like(video: Any) -> ClipSpec | None:
    """The clip specification of a short video in memory; None for files and longer videos."""
    if isinstance(video, Sequence) and not isinstance(video, str | bytes) and not is_one_video(video):
        video = video[0] if video else None
    if video is None or hasattr(video, "load") or not is_one_video(video):
        return None
    opened = read_video(video)
    if not isinstance(opened, Video) or opened.path is not None or opened.frames > LONGEST_CLIP:
        return None
    side = min(opened.height, opened.width)
    return ClipSpec(opened.frames, short_side=side, size=side)


def _refusal(model: object) -> str:
    """Say what to give instead, and of the name or path of a model how it is loaded."""
    loaded = f", such as glocal.load_model({str(model)!r})" if isinstance(model, str | os.PathLike) else ""
    return f"the model is a {type(model).__name__}; give a glocal.Model or a torch.nn.Module{loaded}."

"""Read the preprocessing that `transformers` and timm state: processors, configuration files, mappings."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from glocal.errors import InputError, UsageError
from glocal.models.preprocessing import Preprocessing
from glocal.models.transforms import from_transforms, is_transform
from glocal.utils.files import printable
from glocal.utils.json_files import MAX_SETTINGS_BYTES, read_json

PROCESSOR_FILES = ("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json")
"""Files in which `transformers` saves a processor beside its network, the best first."""

INNER = ("video_processor", "image_processor", "feature_extractor")
"""Where a processor of several inputs holds the one of its pictures."""

SMALL = 384
"""Sides from which on ConvNeXT's processor stretches frames instead of cropping them."""


def read_processor(processor: Any) -> Preprocessing:
    """Return what a processor states.

    Args:
        processor: a video or image processor of `transformers`, its configuration as a mapping or the path of
            its file or folder; a data configuration of timm; or transforms of torchvision or pytorchvideo.

    Raises:
        UsageError: it is none of these, or prepares clips in a way that a `ClipSpec` cannot describe.
        InputError: the file cannot be read.
    """
    if isinstance(processor, Preprocessing):
        return processor
    if isinstance(processor, str | os.PathLike):
        return _of_path(Path(processor))
    content = _as_mapping(processor)
    if content is not None and "mean" in content and "input_size" in content:
        return from_timm(content)
    if content is not None and isinstance(content.get("pretrained_cfg"), Mapping):
        return from_timm(content["pretrained_cfg"])
    if content is not None and ("image_mean" in content or "do_rescale" in content or "size" in content):
        return _of_values(content)
    if is_transform(processor):
        return from_transforms(processor)
    raise UsageError(
        f"processor is {type(processor).__name__}; give a processor of transformers or its configuration, a "
        "data configuration of timm, or transforms of torchvision or pytorchvideo; otherwise describe the "
        "clips by clip=ClipSpec(…)."
    )


def find_preprocessing(network: nn.Module) -> Preprocessing | None:
    """What lies beside a network: its data configuration of timm, or the file of its processor."""
    for name in ("pretrained_cfg", "default_cfg"):
        content = _as_mapping(getattr(network, name, None))
        if content and content.get("mean") and content.get("input_size"):
            return from_timm(content)
    folder = getattr(getattr(network, "config", None), "name_or_path", None)
    if not isinstance(folder, str) or not folder:
        return None
    for name in PROCESSOR_FILES:
        path = Path(folder) / name if Path(folder).is_dir() else _cached_file(folder, name)
        if path is not None and path.is_file():
            return _of_path(path)
    return None


def _cached_file(repository: str, name: str) -> Path | None:
    """A file of a repository in the cache of `huggingface_hub`, if it has been downloaded."""
    try:
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(repository, name)
    except (ImportError, ValueError):  # ValueError: no name of a repository
        return None
    return Path(path) if isinstance(path, str) else None


def _of_path(path: Path) -> Preprocessing:
    if path.is_dir():
        files = [path / name for name in PROCESSOR_FILES if (path / name).is_file()]
        if not files:
            raise UsageError(f"{printable(path)} holds none of {', '.join(PROCESSOR_FILES)}.")
        path = files[0]
    try:
        content = read_json(path, limit=MAX_SETTINGS_BYTES)
    except OSError as problem:
        raise InputError(f"the processor {printable(path)} cannot be read ({problem.strerror}).") from None
    except ValueError as problem:
        raise InputError(
            f"the processor {printable(path)} is not valid JSON ({problem}); copy it again."
        ) from None
    if not isinstance(content, dict):
        raise InputError(f"the processor {printable(path)} is no JSON object; copy it again.")
    return read_processor(content)


def _as_mapping(source: Any) -> Mapping[str, Any] | None:
    """The fields of a processor, of the one inside it, or of a mapping; None for other objects."""
    for name in INNER:
        inner = source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
        if inner is not None:
            return _as_mapping(inner)
    if isinstance(source, Mapping):
        return source
    if hasattr(source, "to_dict"):
        fields = source.to_dict()
        return fields if isinstance(fields, Mapping) else None
    return None


def from_timm(config: Mapping[str, Any]) -> Preprocessing:
    """What a data configuration of timm states: `input_size`, `mean`, `std`, `crop_pct` and `crop_mode`."""
    channels, height, width = _numbers(config["input_size"])
    side = _side((height, width))
    short_side = math.floor(side / (config.get("crop_pct") or 1))
    return Preprocessing(
        short_side=short_side,
        resize=(short_side, short_side) if config.get("crop_mode") == "squash" else None,
        size=side,
        mean=_numbers(config["mean"]),
        std=_numbers(config.get("std") or (1.0,)),
        range=(0.0, 1.0),
        crop="center",
        image=True,
        channels=int(channels),
    )


def _of_values(content: Mapping[str, Any]) -> Preprocessing:
    """What the fields of a processor of `transformers` state."""
    if content.get("do_flip_channel_order"):
        raise UsageError(
            "the processor swaps the channels to blue, green, red, which a ClipSpec cannot; wrap the network "
            "in a module that swaps them, and give clip=ClipSpec(…)."
        )
    normalised = content.get("do_normalize", True) and content.get("image_mean") is not None
    mean = _numbers(content["image_mean"]) if normalised else (0.0,) * 3
    std = _numbers(content.get("image_std") or (1.0,)) if normalised else (1.0,) * 3
    sampled = content.get("do_sample_frames") is not False
    return replace(
        _sizes(content),
        frames=_count(content.get("num_frames")),
        fps=content.get("fps") if sampled else None,
        mean=mean,
        std=std,
        range=_value_range(content),
        channels=1 if content.get("do_convert_grayscale") or content.get("do_grayscale") else None,
    )


def _value_range(content: Mapping[str, Any]) -> tuple[float, float]:
    """The values to which 0 and 255 are mapped before normalisation."""
    if content.get("do_rescale") is False:
        return 0.0, 255.0
    factor = float(content.get("rescale_factor") or 1 / 255)
    is_offset = content.get("offset", content.get("rescale_offset"))
    if is_offset is None:  # the video processor of ViViT always shifts, and does not say so
        is_offset = math.isclose(factor, 1 / 127.5, rel_tol=1e-3)
    low = -1.0 if is_offset else 0.0
    return low, round(255 * factor + low, 9)


def _sizes(content: Mapping[str, Any]) -> Preprocessing:
    """How the fields of a processor say that frames are resized and cropped."""
    target = _size_of(content.get("crop_size")) if content.get("do_center_crop", True) is not False else None
    size = content.get("size")
    if content.get("do_resize") is False or size is None:
        return Preprocessing(short_side=target, size=target, crop="center" if target else None)
    shortest = _shortest_edge(size, cropped=target is not None)
    if shortest is None:
        return _stretched(_size_of(size), target)
    if content.get("crop_pct") and target is None:
        return _convnext_sizes(shortest, content["crop_pct"])
    return Preprocessing(short_side=shortest, size=target or shortest, crop="center" if target else "full")


def _stretched(side: int | None, target: int | None = None) -> Preprocessing:
    """Frames resized to a square whatever their proportions, then cropped where there is a smaller target."""
    assert side is not None, "a size is given"
    return Preprocessing(short_side=side, resize=(side, side), size=target or side, crop="center")


def _convnext_sizes(side: int, crop_pct: float) -> Preprocessing:
    """ConvNeXT's processor: a centre crop of `crop_pct` below 384 pixels, else a stretched frame."""
    if side >= SMALL:
        return _stretched(side)
    return Preprocessing(short_side=int(side / crop_pct), size=side, crop="center")


def _shortest_edge(size: Any, cropped: bool) -> int | None:
    """The short side to which frames are resized in proportion; None if they are stretched to a size.

    A plain number is the short side if a crop follows, and else both sides.
    """
    if isinstance(size, int):
        return size if cropped else None
    if isinstance(size, Mapping):
        return _count(size.get("shortest_edge"))
    return _count(getattr(size, "shortest_edge", None))


def _size_of(size: Any) -> int | None:
    """The side of a square that a number, a pair, or a mapping with height and width gives."""
    if size is None or isinstance(size, int):
        return size
    if isinstance(size, Sequence):
        return _side(tuple(size))
    sides = size if isinstance(size, Mapping) else vars(size)
    height, width = sides.get("height"), sides.get("width")
    if height is None or width is None:
        raise UsageError(
            f"the processor resizes frames to {dict(sides)}, which a ClipSpec cannot describe; "
            "give clip=ClipSpec(…)."
        )
    return _side((height, width))


def _side(sides: Sequence[float]) -> int:
    """The side of a square.

    Raises:
        UsageError: the sides differ.
    """
    if len(set(sides)) != 1:
        shape = "×".join(f"{side:g}" for side in sides)
        raise UsageError(
            f"the network takes frames of {shape} pixels (height × width), and clips are square."
        )
    return int(sides[0])


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values) if isinstance(values, Sequence) else (float(values),)


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and value else None

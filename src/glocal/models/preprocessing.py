"""What is known of a network's preprocessing, and the `ClipSpec` that follows from it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from glocal.errors import UsageError
from glocal.video.clip_spec import ClipSpec, Crop, Modality

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

DEFAULT_FRAMES = 16
"""Frames of a clip where a video preprocessing states all but these."""


class UnknownClipError(UsageError):
    """Nothing states the number of frames or their size that a network takes."""


@dataclass(frozen=True)
class Preprocessing:
    """The fields of a `ClipSpec` that a source states; None where it does not.

    Attributes:
        frames, stride, fps: how frames are sampled.
        short_side, resize, size: of the resized frame and of the network's input, in pixels.
        mean, std, range: how values are normalised.
        crop: which part of a frame the network takes.
        image: whether the network takes images.
        channels: number of channels of the input.
        modality: RGB or optical flow.
    """

    frames: int | None = None
    stride: int | None = None
    fps: float | None = None
    short_side: int | None = None
    resize: tuple[int, int] | None = None
    size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    range: tuple[float, float] | None = None
    crop: Crop | None = None
    image: bool | None = None
    channels: int | None = None
    modality: Modality | None = None

    def or_else(self, other: "Preprocessing") -> "Preprocessing":
        """Fill in what is not stated from another source; sizes and normalisation each as a whole."""
        missing = {field.name for field in fields(self) if getattr(self, field.name) is None}
        for together in (("short_side", "resize", "size", "crop"), ("mean", "std", "range")):
            if not missing.issuperset(together):
                missing -= set(together)
        return replace(self, **{name: getattr(other, name) for name in missing})

    def clip_spec(self) -> ClipSpec:
        """The clip specification; frames, size and mean must be stated.

        Raises:
            UsageError: a value is out of range.
        """
        assert self.size is not None
        assert self.mean is not None
        image = bool(self.image)
        mean, std = _by_channel(self.mean, self.channels), _by_channel(self.std or (1.0,), self.channels)
        return ClipSpec(
            1 if image else DEFAULT_FRAMES if self.frames is None else self.frames,
            stride=1 if image else self.stride or 1,
            fps=None if image else self.fps,
            short_side=self.short_side or (min(self.resize) if self.resize else self.size),
            resize=self.resize,
            size=self.size,
            mean=mean,
            std=std,
            range=self.range or (0.0, 1.0),
            crop=self.crop or ClipSpec.crop,
            image=image,
            modality=self.modality or "rgb",
        )


DOCUMENTED = {
    "videomae": Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "timesformer": Preprocessing(mean=(0.45,) * 3, std=(0.225,) * 3),
    "vivit": Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3, range=(-1.0, 1.0)),
    "vjepa2": Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "xclip": Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD),
}
"""Model type of `transformers` → normalisation in the processors' files of its published networks."""

PUBLISHED_STRIDES = {"videomae": 4, "timesformer": 32, "vivit": 2}
"""Model type → stride in the papers' training on Kinetics-400, which no configuration states."""

RESIZE_SHARES = {"vivit": 256 / 224, "vjepa2": 256 / 224}
"""Model type → short side of the resized frame over the side of the crop; 1 for the others."""

CHANNEL_NAMES = ("num_channels", "in_chans")
FRAME_NAMES = ("num_frames", "frames_per_clip", "num_input_frames", "clip_len")
SIZE_NAMES = ("image_size", "crop_size", "img_size", "input_size")
STRIDE_NAMES = ("frame_sampling_rate", "frame_sample_rate", "sampling_rate", "frame_stride", "frame_interval")


def from_config(config: Any) -> Preprocessing:
    """What the configuration of a network of `transformers` states: frames, stride, size and channels."""
    inner = getattr(config, "vision_config", None)
    sources = [config] if inner is None else [config, inner]
    size = _square_side(_first(sources, SIZE_NAMES))
    share = RESIZE_SHARES.get(getattr(config, "model_type", ""), 1)
    frames = _whole(_first(sources, FRAME_NAMES))
    return Preprocessing(
        frames=frames,
        stride=_whole(_first(sources, STRIDE_NAMES)),
        short_side=size and int(size * share),
        size=size,
        crop="center" if size else None,
        image=frames is None if size else None,
        channels=_whole(_first(sources, CHANNEL_NAMES)),
    )


def find_clip_spec(config: Any, clip: ClipSpec | None, stated: Preprocessing | None) -> ClipSpec:
    """Return the clip specification of a network, and warn of what had to be assumed.

    Args:
        config: of a network of `transformers`, or None.
        clip: as the caller gives it; with `stated`, only its sampling of frames is used.
        stated: what a processor states, or None.

    Raises:
        UsageError: the number of frames or their size is unknown.
    """
    if clip is not None and stated is None:
        return clip
    sampling = Preprocessing()
    if clip is not None:
        sampling = Preprocessing(clip.frames, clip.stride, clip.fps, image=clip.image)
    read = sampling.or_else(stated or Preprocessing()).or_else(from_config(config))
    if read.size is None or (read.frames is None and read.image is None):
        raise UnknownClipError(
            "the clips that the network takes are unknown; give clip=ClipSpec(frames=…, size=…), which is "
            "--clip frames=… --clip size=… in the shell, or the processor=… that prepares its clips."
        )
    model_type = getattr(config, "model_type", "")
    documented = DOCUMENTED.get(model_type, Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD))
    complete = read.or_else(documented).clip_spec()
    if assumed := _assumptions(read, complete, model_type):
        warnings.warn(
            f"the network states no {' and no '.join(assumed)}; give processor=… or clip=ClipSpec(…) if it "
            "takes others.",
            stacklevel=3,
        )
    return complete


def _assumptions(read: Preprocessing, clip_spec: ClipSpec, model_type: str) -> list[str]:
    """What is not stated, each with what is assumed in its place."""
    assumed = []
    if read.mean is None:
        mean, std = (", ".join(f"{x:g}" for x in values) for values in (clip_spec.mean, clip_spec.std))
        low, high = clip_spec.range
        origin = f"published {model_type} networks" if model_type in DOCUMENTED else "ImageNet"
        assumed.append(
            f"normalisation (assumed: values in [{low:g}, {high:g}], mean {mean} and standard deviation "
            f"{std}, those of {origin})"
        )
    if read.frames is None and not clip_spec.image:
        assumed.append(f"number of frames (assumed: {clip_spec.frames})")
    if assumed and read.stride is None and read.fps is None and not clip_spec.image:
        trained = PUBLISHED_STRIDES.get(model_type)
        published = f"; published {model_type} networks were trained with {trained}" if trained else ""
        assumed.append(f"stride of the frames (assumed: {clip_spec.stride}{published})")
    return assumed


def _by_channel(values: Sequence[float], channels: int | None) -> tuple[float, ...]:
    """The values of three channels, or of one: their mean for grey clips."""
    if channels == 1 and len(values) > 1:
        return (round(sum(values) / len(values), 6),)
    return tuple(values) * 3 if len(values) == 1 and channels != 1 else tuple(values)


def _first(sources: Sequence[Any], names: Sequence[str]) -> Any:
    """The first of some attributes that one of the sources has."""
    values = (getattr(source, name, None) for source in sources for name in names)
    return next((value for value in values if value is not None), None)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _square_side(size: Any) -> int | None:
    """The side of a square size given as a number or as a pair; None for others."""
    sides = set(size) if isinstance(size, list | tuple) else {size}
    return _whole(sides.pop()) if len(sides) == 1 else None

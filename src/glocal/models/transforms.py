"""Read the preprocessing of torchvision's presets and of chains of transforms, pytorchvideo's included.

The classes are recognised by their names and attributes, so that neither package is needed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from glocal.errors import UsageError
from glocal.models.preprocessing import Preprocessing

PRESETS = ("VideoClassification", "ImageClassification")
"""Classes of torchvision that prepare all of a network's input."""

CHAINS = ("transforms", "_transforms")
"""Attributes that hold the transforms of a chain."""


def is_transform(source: Any) -> bool:
    """Whether an object is a preset, a transform or a chain of transforms."""
    return type(source).__name__ in PRESETS or _kind(source) in STEPS or bool(_parts(source))


def from_transforms(source: Any) -> Preprocessing:
    """What a preset of torchvision, or a chain of transforms of torchvision or pytorchvideo, states.

    Raises:
        UsageError: a transform changes frames in a way that a `ClipSpec` cannot describe.
    """
    if type(source).__name__ in PRESETS:
        return _of_preset(source)
    chain = _Chain()
    for transform in _flattened(source):
        chain.add(transform)
    return chain.result()


def _of_preset(preset: Any) -> Preprocessing:
    """Torchvision resizes, crops the centre, scales to [0, 1], and normalises."""
    sides = _sides(preset.resize_size)
    return Preprocessing(
        short_side=min(sides),
        resize=(sides[0], sides[1]) if len(sides) == 2 else None,
        size=_square(preset.crop_size),
        mean=tuple(map(float, preset.mean)),
        std=tuple(map(float, preset.std)),
        range=(0.0, 1.0),
        crop="center",
        image=type(preset).__name__ == "ImageClassification",
    )


@dataclass
class _Chain:
    """What the transforms of a chain add up to."""

    frames: int | None = None
    short_side: int | None = None
    size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    low: float = 0.0
    high: float = 255.0
    is_scaled: bool = False
    image: bool | None = None
    channels: int | None = None
    resize: tuple[int, int] | None = None

    def add(self, transform: Any) -> None:
        """Follow one transform; those that only augment, reorder or convert are passed over."""
        step = STEPS.get(_kind(transform))
        if step is not None:
            step(self, transform)
        elif callable(transform):
            self.probe(transform)

    def scale(self, factor: float, offset: float = 0.0) -> None:
        """Follow `values * factor + offset`."""
        self.low, self.high = (value * factor + offset for value in (self.low, self.high))
        self.is_scaled = True

    def probe(self, transform: Callable[[Any], Any]) -> None:
        """Follow a function of the values, such as `lambda x: x / 255`, by what it makes of 0 and 1."""
        zeros = torch.zeros(3, 2, 2, 2)
        try:
            low, high = transform(zeros), transform(zeros + 1)
        except Exception:
            name = "a function" if isinstance(transform, _Function) else type(transform).__name__
            raise UsageError(
                f"what {name} of the processor does is unknown; describe the clips by clip=ClipSpec(…)."
            ) from None
        if not isinstance(low, torch.Tensor) or low.shape != zeros.shape:
            return  # it packs pathways, or moves axes
        offset, factor = float(low.flatten()[0]), float((high - low).flatten()[0])
        if (offset, factor) != (0.0, 1.0):
            self.scale(factor, offset)

    def result(self) -> Preprocessing:
        """The values that the chain states."""
        normalised = self.mean is not None
        return Preprocessing(
            frames=self.frames,
            short_side=self.short_side or self.size,
            resize=self.resize,
            size=self.size or self.short_side,
            mean=self.mean if normalised else (0.0,) * 3 if self.is_scaled else None,
            std=self.std if normalised else (1.0,) * 3 if self.is_scaled else None,
            range=(self.low, self.high) if self.is_scaled else (0.0, 1.0) if normalised else None,
            crop="center" if self.size or self.short_side else None,
            image=self.image,
            channels=self.channels,
        )


def _normalize(chain: _Chain, transform: Any) -> None:
    mean, std = (tuple(map(float, _iterable(value))) for value in (transform.mean, transform.std))
    if chain.mean is not None:
        raise UsageError("the processor normalises twice; describe the clips by clip=ClipSpec(…).")
    chain.mean, chain.std = mean, std


def _resize(chain: _Chain, transform: Any) -> None:
    sides = _sides(transform.size)
    chain.short_side = min(sides)
    chain.resize = (sides[0], sides[1]) if len(sides) == 2 else None


def _short_side_scale(chain: _Chain, transform: Any) -> None:
    chain.short_side = int(getattr(transform, "_size", None) or transform.size)


def _center_crop(chain: _Chain, transform: Any) -> None:
    sizes = (getattr(transform, name, None) for name in ("size", "crop_size", "_size"))
    chain.size = _square(next(size for size in sizes if size is not None))


def _temporal_subsample(chain: _Chain, transform: Any) -> None:
    chain.frames = int(getattr(transform, "_num_samples", None) or transform.num_samples)


def _divide(chain: _Chain, transform: Any) -> None:
    chain.scale(1 / 255)


def _convert(chain: _Chain, transform: Any) -> None:
    """Torchvision's conversions from 0 … 255 to [0, 1]; a `ToDtype` without `scale` only changes the type."""
    if getattr(transform, "scale", True) and not chain.is_scaled:
        chain.scale(1 / 255)


def _picture_to_tensor(chain: _Chain, transform: Any) -> None:
    """Conversions of a picture; `PILToTensor` keeps 0 … 255."""
    chain.image = True
    if _kind(transform) != "PILToTensor" and not chain.is_scaled:
        chain.scale(1 / 255)


def _grey(chain: _Chain, transform: Any) -> None:
    chain.channels = int(transform.num_output_channels)


def _pass_over(chain: _Chain, transform: Any) -> None:
    """Augmentations and conversions of type or order, which change no value of a prepared clip."""


STEPS: dict[str, Callable[[_Chain, Any], None]] = {
    **dict.fromkeys(("Normalize", "NormalizeVideo"), _normalize),
    "Resize": _resize,
    "ShortSideScale": _short_side_scale,
    **dict.fromkeys(("CenterCrop", "CenterCropVideo", "UniformCropVideo"), _center_crop),
    "UniformTemporalSubsample": _temporal_subsample,
    "Div255": _divide,
    "Grayscale": _grey,
    **dict.fromkeys(("ToTensor", "PILToTensor", "MaybeToTensor"), _picture_to_tensor),
    **dict.fromkeys(("ConvertImageDtype", "ToDtype", "ToTensorVideo", "ConvertUint8ToFloat"), _convert),
    **dict.fromkeys(
        (
            "Permute",
            "ConvertFloatToUint8",
            "UniformTemporalSubsampleRepeated",
            "PackPathway",
            "ToImage",
            "ToPureTensor",
            "RandomHorizontalFlip",
            "RandomHorizontalFlipVideo",
            "Identity",
            "RemoveKey",
        ),
        _pass_over,
    ),
}
"""Class of a transform → how a chain follows it."""


def _flattened(source: Any) -> Iterable[Any]:
    """The transforms of a chain, those of chains inside it and of `ApplyTransformToKey` included."""
    parts = _parts(source)
    if not parts:
        yield source
    for part in parts:
        yield from _flattened(part)


def _parts(source: Any) -> list[Any]:
    """The transforms that an object runs one after the other; none if it is a single transform."""
    if isinstance(source, list | tuple):
        return list(source)
    for name in CHAINS:
        parts = getattr(source, name, None)
        if isinstance(parts, list | tuple) and not isinstance(source, type):
            return list(parts)
    inner = getattr(source, "_transform", None) or getattr(source, "transform", None)
    if _kind(source) == "ApplyTransformToKey" and inner is not None:
        return [inner]
    if isinstance(source, torch.nn.Sequential):
        return list(source)
    if _kind(source) == "Lambda":
        return [_Function(source.lambd if hasattr(source, "lambd") else source.lambda_)]
    return []


@dataclass
class _Function:
    """A plain function as a transform."""

    function: Callable[[Any], Any]

    def __call__(self, values: torch.Tensor) -> Any:
        return self.function(values)


def _kind(source: Any) -> str:
    return type(source).__name__


def _sides(size: Any) -> tuple[int, ...]:
    return tuple(int(side) for side in _iterable(size))


def _square(size: Any) -> int:
    sides = set(_sides(size))
    if len(sides) != 1:
        raise UsageError(
            "the processor crops frames that are not square, and clips are; give clip=ClipSpec(…)."
        )
    return sides.pop()


def _iterable(value: Any) -> Iterable[Any]:
    return value if isinstance(value, Iterable) else (value,)

"""Convert networks in ONNX files to PyTorch, so that they have layers and gradients."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from glocal.errors import GlocalError, InputError, UsageError
from glocal.models.adapter import as_model
from glocal.models.model import Model, Outputs
from glocal.models.onnx_files import convert_version, read_onnx
from glocal.types import LabelSource
from glocal.utils.files import printable
from glocal.utils.optional_import import optional_import
from glocal.utils.resources import raise_if_lacking
from glocal.utils.structure import construct
from glocal.video.clip_spec import ClipSpec

NEWEST_OPSET = 17
"""The newest operator set that the converter supports completely; newer files are converted down to it."""


def load_onnx(
    path: str | os.PathLike[str],
    clip: ClipSpec | Mapping[str, Any] | None = None,
    *,
    labels: LabelSource | None = None,
    outputs: Outputs | None = None,
) -> Model:
    """Load the network in an ONNX file; its layers are named after the file's nodes.

    Args:
        path: of the file.
        clip: how frames are sampled and normalised, or some fields of it; by default RGB in [0, 1] of the
            input size in the file.
        labels: class names, the path of a label file, or the name of a packaged list.
        outputs: what makes probabilities of the network's outputs, see `as_model`.

    Raises:
        UsageError: the packages that read ONNX are not installed, or the file has no fixed input size and
            `clip` is not given.
        InputError: the file cannot be read, or contains operators that cannot be converted.
    """
    path = Path(path)
    convert = _converter()
    try:
        content = read_onnx(path)
        shape = _input_shape(content, path)
        version = max((v.version for v in content.opset_import if v.domain in ("", "ai.onnx")), default=1)
        if version > NEWEST_OPSET:
            content = convert_version(content, NEWEST_OPSET)
        network = convert(content)
    except FileNotFoundError as problem:
        raise UsageError(f"there is no file {printable(Path(problem.filename or path))}.") from None
    except NotImplementedError as problem:
        raise InputError(f"{printable(path)} cannot be converted to PyTorch: {problem}.") from None
    except GlocalError:
        raise
    except Exception as problem:
        raise_if_lacking(problem)
        reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0][:300]
        raise InputError(f"{printable(path)} cannot be read as an ONNX network ({reason}).") from None
    layout = "BTCHW" if len(shape) == 5 and shape[1] != 3 and shape[2] == 3 else "BCTHW"
    if not isinstance(clip, ClipSpec):
        known = {} if {"frames", "size"} <= set(clip or {}) else vars(_clip_spec(shape, layout, path))
        clip = construct(ClipSpec, clip or {}, "clip", **known)
    return as_model(
        network, clip, labels=labels, outputs=outputs, name=path.stem, weights=path.name, layout=layout
    )


def _input_shape(content: Any, path: Path) -> tuple[int, ...]:
    """Shape of the only input; 0 for sizes that the file does not fix."""
    constants = {tensor.name for tensor in content.graph.initializer}
    inputs = [item for item in content.graph.input if item.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(item.name for item in inputs)
        raise InputError(f"{printable(path)} takes {len(inputs)} inputs ({names}), where one clip is needed.")
    return tuple(dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim)


def _clip_spec(shape: tuple[int, ...], layout: str, path: Path) -> ClipSpec:
    """RGB in [0, 1] for an input of shape `(B, C, T, H, W)` or `(B, C, H, W)`."""
    image = len(shape) == 4
    frames = 1 if image else shape[layout.index("T")] if len(shape) == 5 else 0
    if not frames or not shape[-1] or shape[-1] != shape[-2]:
        sizes = " × ".join(str(size or "any") for size in shape)
        raise UsageError(
            f"{printable(path)} takes an input of {sizes}, which is no clip of fixed length and square "
            "frames; load it in Python with load_model(path, clip=ClipSpec(…))."
        )
    return ClipSpec(frames, short_side=shape[-1], size=shape[-1], crop="center", image=image)


def _converter() -> Any:
    optional_import("onnx", extra="onnx", purpose="an ONNX file")
    with _without_torchvision():
        return optional_import("onnx2torch", extra="onnx", purpose="an ONNX file").convert


@contextmanager
def _without_torchvision() -> Iterator[None]:
    """Provide stand-ins for torchvision where it is missing or does not match PyTorch.

    The converter imports it for two operators of object detectors, which classifiers do not have.
    """
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        torchvision_ops = ModuleType("torchvision.ops")
        torchvision_ops.roi_align = None  # type: ignore[attr-defined]
        package = ModuleType("torchvision")
        package.ops = torchvision_ops  # type: ignore[attr-defined]
        stand_ins = {"torchvision": package, "torchvision.ops": torchvision_ops}
        before = {name: sys.modules.get(name) for name in stand_ins}
        sys.modules.update(stand_ins)
        try:
            yield
        finally:
            for name, module in before.items():
                if module is None:
                    del sys.modules[name]
                else:
                    sys.modules[name] = module
    else:
        yield

"""Read checkpoints as untrusted files, compare them with a network, and convert them to its shapes."""

import argparse
import pickle
import re
import threading
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from glocal.errors import InputError
from glocal.utils.files import printable
from glocal.utils.resources import failures_as, raise_if_lacking

WRAPPERS = (
    *("state_dict", "model_state", "model_state_dict", "model", "network", "net", "params", "module"),
    *("model_ema", "state_dict_ema", "ema_state_dict", "ema_model", "ema"),
)
"""Keys under which training scripts store the state dict, beside optimizer states and other extras; moving
averages are taken where there is nothing else."""

PREFIXES = ("module.", "_orig_mod.", "model.", "network.", "net.")
"""Prefixes that wrappers of a network (DataParallel, torch.compile, Lightning) add to each key."""

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
COUNTS = (torch.int64, torch.int32, *FLOATS)
COUNTER = ".num_batches_tracked"
MAX_RATIO = 100

_allowed_names_lock = threading.Lock()  # what may be unpickled is a setting of the whole process


def read_checkpoint(path: Path, limit: int) -> dict[str, Tensor]:
    """Read the state dict in a file of `torch.save` (zip or legacy format) or safetensors, to the CPU.

    Wrappers, prefixes shared by all keys, and everything but tensors are removed. No code in the file is
    run, and a zip archive is not unpacked before its size is known.

    Args:
        path: the file.
        limit: largest allowed size, unpacked, in bytes.

    Raises:
        InputError: the file cannot be read, is not a checkpoint, or is not safe to load.
    """
    try:
        if path.is_dir():
            raise InputError(f"{printable(path)} is a folder, not a checkpoint; name the file in it.")
        if path.exists() and not path.is_file():
            raise InputError(f"{printable(path)} is not a regular file; save the checkpoint to one.")
        with path.open("rb") as file:
            start = file.read(9)
        size = path.stat().st_size
    except OSError as problem:
        raise InputError(f"the checkpoint {printable(path)} cannot be read ({problem.strerror}).") from None
    if size == 0:
        raise InputError(f"the checkpoint {printable(path)} is empty; copy or download it again.")
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") < size:
        content = _read_safetensors(path)
    elif start[:4] == b"PK\x03\x04":
        content = _read_pickle(path, mmap=_check_archive(path, limit))
    else:
        content = _read_pickle(path, mmap=False)
    state = _strip(_unwrap(content, path))
    _check_size(path, sum(tensor.numel() * tensor.element_size() for tensor in state.values()), limit)
    return state


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{printable(path)} is no checkpoint of PyTorch or safetensors, or it is damaged or cut "
        "short; copy or download it again."
    )


def _read_safetensors(path: Path) -> Any:
    with failures_as(Exception, lambda problem: _damaged(path)):
        return safetensors.torch.load_file(path)


def _check_archive(path: Path, limit: int) -> bool:
    """Check a zip archive for damage and unpacked size; return whether all of it is stored uncompressed."""
    with failures_as(Exception, lambda problem: _damaged(path)), zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        unpacked = sum(entry.file_size for entry in entries)
        _check_size(path, unpacked, min(limit, MAX_RATIO * path.stat().st_size))
        if stored:
            intact = all(entry.file_size == entry.compress_size for entry in entries)
        else:
            intact = archive.testzip() is None
    if not intact:
        raise _damaged(path)
    return stored


def _check_size(path: Path, unpacked: int, limit: int) -> None:
    if unpacked > limit:
        raise InputError(
            f"the checkpoint {printable(path)} would unpack to {unpacked / 2**30:.1f} GiB, far more than the "
            "network holds, and is refused; get it from a source that you trust."
        )


def _read_pickle(path: Path, mmap: bool) -> Any:
    try:
        # The command-line arguments that training scripts save along are plain data.
        with (
            _allowed_names_lock,
            torch.serialization.safe_globals([argparse.Namespace]),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as problem:
        raise_if_lacking(problem)
        blocked = re.search(r"GLOBAL (\S+)", str(problem))
        if blocked is None and not _is_recent_pickle(path):
            raise _damaged(path) from None
        what = blocked[1] if blocked else "its Python objects"
        raise InputError(
            f"the checkpoint {printable(path)} is refused: it holds more than tensors, and loading "
            f"{what} could run code; save its state dict alone."
        ) from None
    except Exception as problem:  # a hostile or broken pickle can fail in any way
        raise_if_lacking(problem)
        raise _damaged(path) from None


def _is_recent_pickle(path: Path) -> bool:
    """Whether a file is a bare pickle of protocol 3 or above, which `torch.save` never writes."""
    with path.open("rb") as file:
        return file.read(2) in (b"\x80\x03", b"\x80\x04", b"\x80\x05")


def read_hyper_parameters(path: Path) -> dict[str, Any]:
    """The hyper-parameters that Lightning stores in a checkpoint; none if the file has none.

    No code in the file is run.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="meta", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception:
        # It may be safetensors, or damaged, which reading its weights reports.
        return {}
    values = content.get("hyper_parameters") if isinstance(content, Mapping) else None
    return dict(values) if isinstance(values, Mapping) else {}


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    for _ in WRAPPERS:
        if not isinstance(content, Mapping):
            break
        content = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
    if isinstance(content, Mapping):
        state = {
            key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)
        }
        if state:
            return state
    raise InputError(
        f"{printable(path)} holds no state dict; save one with torch.save(network.state_dict(), path)."
    )


def _strip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    while prefix := next((p for p in PREFIXES if all(key.startswith(p) for key in state)), ""):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def add_batch_counters(state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Add the batch counters of batch norm layers as zeros; files from before PyTorch 0.4.1 lack them."""
    counters = {key: torch.tensor(0) for key in shapes if key.endswith(COUNTER)}
    return {**counters, **state}


def describe_mismatch(state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> str:
    """Describe how a state dict differs from a network's shapes; empty if it fits."""
    missing = [key for key in shapes if key not in state]
    unexpected = [key for key in state if key not in shapes]
    reshaped = [
        f"{key} {tuple(state[key].shape)} in place of {tuple(shape)}"
        for key, shape in shapes.items()
        if key in state and state[key].shape != shape
    ]
    parts = [
        f"{verb} {abbreviated(keys)}"
        for verb, keys in (("lacks", missing), ("has unknown", unexpected), ("has", reshaped))
        if keys
    ]
    return ", ".join(parts)


def abbreviated(keys: Sequence[str], most: int = 2) -> str:
    """The first of some keys, and how many more there are."""
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return ", ".join(keys[:most]) + more


def check_types(state: Mapping[str, Tensor], source: str) -> None:
    """Check that every tensor is dense and of a type that converts to float32.

    Raises:
        InputError: a tensor is sparse, quantised or of another type.
    """
    for key, tensor in state.items():
        allowed = COUNTS if key.endswith(COUNTER) else FLOATS
        dense = tensor.layout == torch.strided and not tensor.is_meta and not tensor.is_nested
        if not dense or tensor.dtype not in allowed:
            kind = f"{tensor.dtype}" if dense else f"{tensor.layout} {tensor.dtype}"
            raise InputError(
                f"{source} stores {key} as {kind}, where only dense floating-point weights can be loaded; "
                "save it as float32."
            )


def load_state(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy a state dict of the right shapes into a network, converted to the network's types.

    Raises:
        InputError: a weight is not finite.
    """
    network.load_state_dict(dict(state))
    for key, tensor in network.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{source} has NaN or infinite values in {key}; get an undamaged file.")


def average_to_flow(
    state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]
) -> tuple[dict[str, Tensor], bool]:
    """Average RGB kernels `(out, 3, …)` to the two channels of optical flow where `shapes` has two.

    Both are the mean over the three (Wang et al., Temporal Segment Networks, ECCV 2016, cross-modality).

    Returns:
        The state dict with averaged kernels, and whether there were any.
    """
    averaged = dict(state)
    changed = False
    for name, tensor in state.items():
        shape = shapes.get(name, torch.Size())
        if len(shape) > 3 and shape[1] == 2 and tensor.shape == (shape[0], 3, *shape[2:]):
            averaged[name] = tensor.float().mean(1, keepdim=True).expand(shape).contiguous()
            changed = True
    return averaged, changed


def inflate(state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> tuple[dict[str, Tensor], bool]:
    """Inflate 2D kernels `(out, in, H, W)` to `(out, in, T, H, W)` where `shapes` has five dimensions.

    A kernel is repeated `T` times and divided by `T`, so that a clip of one repeated frame has the image
    network's activations, except near its first and last frames because of padding (Carreira & Zisserman,
    CVPR 2017). RGB kernels for a network of optical flow keep their three inputs, see `average_to_flow`.

    Returns:
        The state dict with inflated kernels, and whether there were any.
    """
    inflated = dict(state)
    changed = False
    for name, tensor in state.items():
        shape = shapes.get(name, torch.Size())
        if tensor.ndim != 4 or len(shape) != 5:
            continue
        outputs, inputs, time, *size = shape
        if tensor.shape in {(outputs, inputs, *size), (outputs, 3 if inputs == 2 else inputs, *size)}:
            inflated[name] = tensor.float().unsqueeze(2).repeat(1, 1, time, 1, 1) / time
            changed = True
    return inflated, changed


def add_identities(
    state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size], pattern: str
) -> dict[str, Tensor]:
    """Add the depthwise convolutions over time that `state` lacks, as the identity (R(2+1)D from images).

    Args:
        state: of an image network.
        shapes: of the network for clips.
        pattern: regular expression of the keys of those convolutions; empty for none.
    """
    added = dict(state)
    for key, shape in shapes.items():
        if pattern and key not in state and re.search(pattern, key):
            added[key] = nn.init.dirac_(torch.empty(shape), groups=shape[0])
    return added

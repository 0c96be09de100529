"""The attribution of a video in an NPZ file: maps on the network's grid, and the way to the frames."""

import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from glocal.errors import InputError
from glocal.explanation.volume import Volume
from glocal.types import AttributionMap
from glocal.video import Geometry

GEOMETRY = ("frame", "resized", "crop")
"""Arrays `geometry/<name>`: the fields of `Geometry`."""


class SavedVolumes(NamedTuple):
    """The volumes of an NPZ file.

    Attributes:
        attention: all layers together.
        layers: layer name → volume.
        geometry: the way to the frames; None in a file of version 0.1.0.
    """

    attention: Volume
    layers: dict[str, Volume]
    geometry: Geometry | None


def write_volumes(path: Path, attention: Volume, layers: Mapping[str, Volume], geometry: Geometry) -> None:
    """Write `attention`, uint8 `(T, h, w)` on the network's grid, and `scale`: attribution is their product.

    The same of each layer are `layers/<name>` and `layer_scales/<name>`. `geometry/frame`,
    `geometry/resized` and `geometry/crop` are the fields of `Geometry`, by which `Geometry.backward` brings
    maps to the frames.

    Args:
        path: of the NPZ file.
        attention: of all layers together.
        layers: layer name → volume.
        geometry: the way between the frames and the grid.

    Raises:
        OSError: the file cannot be written.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        _write_maps(archive, "attention", "scale", attention)
        for name, volume in layers.items():
            _write_maps(archive, f"layers/{name}", f"layer_scales/{name}", volume)
        for name in GEOMETRY:
            _write_array(archive, f"geometry/{name}", np.array(getattr(geometry, name)))


def read_volumes(path: Path, layers: Sequence[str] = ()) -> SavedVolumes:
    """Read what `write_volumes`, or version 0.1.0, wrote.

    Args:
        path: of the NPZ file.
        layers: names of the layers to read; by default none.

    Raises:
        OSError: the file cannot be read.
        KeyError, ValueError, zipfile.BadZipFile: it is no such file.
    """
    with zipfile.ZipFile(path) as archive:
        is_old = "grid/attention.npy" in archive.namelist()
        if is_old:
            attention = _read_maps(archive, "grid/attention", "grid_scale/attention")
            maps = {n: _read_maps(archive, f"grid/layers/{n}", f"grid_scale/layers/{n}") for n in layers}
            return SavedVolumes(attention, maps, None)
        attention = _read_maps(archive, "attention", "scale")
        maps = {n: _read_maps(archive, f"layers/{n}", f"layer_scales/{n}") for n in layers}
        frame, resized, crop = (
            tuple(int(length) for length in _read_array(archive, f"geometry/{name}")) for name in GEOMETRY
        )
        return SavedVolumes(attention, maps, Geometry(frame, resized, crop))  # type: ignore[arg-type]


def load_attention(path: "str | os.PathLike[str]") -> AttributionMap:
    """Read the attribution from an NPZ file that `Explanation.save` wrote, in pixels of the frames.

    Args:
        path: of the NPZ file; one of version 0.1.0 has the JSON file beside it.

    Returns:
        float32 `(T, H, W)` in [0, 1]. For long videos see `Explanation.load`, which reads map by map.

    Raises:
        InputError: the file is missing or holds no attribution.
    """
    path = Path(path)
    with reading(path):
        volume, _, geometry = read_volumes(path)
        if geometry is None:
            fields = json.loads(path.with_suffix(".json").read_text("utf-8"))["geometry"]
            geometry = Geometry(**{name: tuple(fields[name]) for name in GEOMETRY})
    return np.stack([geometry.backward(attribution[None])[0] for attribution in volume])


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what is wrong with the files of an explanation into an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{error.filename or path} cannot be read: {error.strerror}.") from error
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} and the file beside it are not a saved explanation ({error}).") from error


def _write_maps(archive: zipfile.ZipFile, name: str, scale_name: str, volume: Volume) -> None:
    """Write the maps as one uint8 array `name`, and `peak / 255` as `scale_name`."""
    scale = np.float32((volume.peak or 1.0) / 255)
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(volume), *volume[0].shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for attribution in volume:
            file.write(np.rint(attribution / scale).clip(0, 255).astype(np.uint8).tobytes())
    _write_array(archive, scale_name, scale)


def _write_array(archive: zipfile.ZipFile, name: str, array: npt.ArrayLike) -> None:
    with archive.open(f"{name}.npy", "w") as file:
        np.lib.format.write_array(file, np.asarray(array))


def _read_maps(archive: zipfile.ZipFile, name: str, scale_name: str) -> Volume:
    scale = np.float32(_read_array(archive, scale_name))
    volume = Volume()
    with archive.open(f"{name}.npy") as file:
        (count, height, width), kind = _read_header(file)
        if kind != np.uint8:
            raise ValueError(f"{name} is {kind}, not uint8")
        for _ in range(count):
            steps = np.frombuffer(file.read(height * width), np.uint8).reshape(height, width)
            volume.append(steps * scale)
    return volume


def _read_array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    with archive.open(f"{name}.npy") as file:
        array: npt.NDArray[Any] = np.lib.format.read_array(file)
    return array


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    np.lib.format.read_magic(file)
    shape, _, kind = np.lib.format.read_array_header_1_0(file)
    return shape, kind

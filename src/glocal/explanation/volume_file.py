"""The attribution of a video in an NPZ file: maps on the network's grid, and the way to the frames."""

import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from glocal.errors import InputError
from glocal.explanation.explanation_facts import ExplanationFacts
from glocal.explanation.geometry_bounds import check_geometry, check_grid
from glocal.explanation.volume import Volume
from glocal.types import AttributionMap
from glocal.utils.files import printable
from glocal.utils.npz import open_array, open_npz, read_array
from glocal.utils.resources import failures_as
from glocal.video import Geometry

MAX_VOLUME_BYTES = 2**40
"""Largest volume, unpacked; it is read map by map."""

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

    The same of each layer are `layers/<name>`, on the grid of the layer where its maps are interpolated from
    it, and `layer_scales/<name>`. `geometry/frame`,
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


def read_volumes(
    path: Path, layers: Sequence[str] = (), *, frames: int | None = None, geometry: Geometry | None = None
) -> SavedVolumes:
    """Read what `write_volumes`, or version 0.1.0, wrote; sizes are checked before anything is read.

    Args:
        path: of the NPZ file.
        layers: names of the layers to read, if the file has any; by default none.
        frames: number of maps that each volume must have; None for any.
        geometry: that the file must have, or that a file of version 0.1.0, which has none, was written for.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such file.
    """
    with open_npz(path) as archive:
        if "grid/attention.npy" in archive.namelist():
            names = "grid/attention", "grid_scale/attention", "grid/layers", "grid_scale/layers"
            saved = None
        else:
            names = "attention", "scale", "layers", "layer_scales"
            saved = _read_geometry(archive)
        if saved is not None and geometry not in (None, saved):
            raise ValueError("the geometry differs from that of the JSON file")
        bounds = VolumeBounds(frames, saved or geometry)
        attention, scale, layer_maps, layer_scales = names
        volume = _read_maps(archive, attention, scale, bounds)
        has_layers = any(member.startswith(f"{layer_maps}/") for member in archive.namelist())
        volumes = {
            name: _read_maps(archive, f"{layer_maps}/{name}", f"{layer_scales}/{name}", bounds)
            for name in (layers if has_layers else ())
        }
        return SavedVolumes(volume, volumes, saved)


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
            geometry = ExplanationFacts.read(path.with_suffix(".json")).geometry
            check_grid(geometry, *volume[0].shape)
    return np.stack([geometry.backward(attribution[None])[0] for attribution in volume])


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what is wrong with the files of an explanation into an InputError."""

    def described(problem: Exception) -> InputError:
        if isinstance(problem, OSError):
            return InputError(f"{printable(problem.filename or path)} cannot be read: {problem.strerror}.")
        reason = " ".join(str(problem).split())[:200]
        return InputError(f"{printable(path)} and the file beside it are not a saved explanation ({reason}).")

    with failures_as((OSError, ValueError), described):
        yield


def _write_maps(archive: zipfile.ZipFile, name: str, scale_name: str, volume: Volume) -> None:
    """Write the maps as one uint8 array `name`, and `peak / 255` as `scale_name`."""
    scale = np.float32((volume.peak or 1.0) / 255)
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(volume), *volume.grid)}
        np.lib.format.write_array_header_1_0(file, header)
        for maps in volume.on_grid():
            file.write(np.rint(maps / scale).clip(0, 255).astype(np.uint8).tobytes())
    _write_array(archive, scale_name, scale)


def _write_array(archive: zipfile.ZipFile, name: str, array: npt.ArrayLike) -> None:
    with archive.open(f"{name}.npy", "w") as file:
        np.lib.format.write_array(file, np.asarray(array))


class VolumeBounds(NamedTuple):
    """What the volumes of a file must fit: how many maps, and the geometry that brings them to frames."""

    frames: int | None
    geometry: Geometry | None


def _read_maps(archive: zipfile.ZipFile, name: str, scale_name: str, bounds: VolumeBounds) -> Volume:
    scale = np.float32(read_array(archive, scale_name, limit=8, kinds="f", shape=()))
    if not np.isfinite(scale) or scale <= 0:
        raise ValueError(f"the array '{scale_name}' is {scale}")
    volume = Volume(size=None if bounds.geometry is None else bounds.geometry.crop[2:])
    shape = (bounds.frames, None, None)
    with open_array(archive, name, limit=MAX_VOLUME_BYTES, kinds="u", shape=shape) as maps:
        count, height, width = maps.shape
        if maps.dtype != np.uint8 or count == 0:
            raise ValueError(f"'{name}' holds {count} maps of {maps.dtype}")
        check_grid(bounds.geometry, height, width)
        for steps in maps.rows():
            volume.append(steps * scale)
    return volume


def _read_geometry(archive: zipfile.ZipFile) -> Geometry:
    fields: list[Any] = [
        tuple(read_array(archive, f"geometry/{name}", limit=64, kinds="iu", shape=(length,)).tolist())
        for name, length in zip(GEOMETRY, (2, 2, 4), strict=True)
    ]
    geometry = Geometry(*fields)
    check_geometry(geometry)
    return geometry

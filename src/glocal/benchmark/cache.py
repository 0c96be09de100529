"""Cache of computed results, so that an interrupted run resumes."""

import contextlib
import hashlib
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from glocal.models.adapter import NetworkAdapter
from glocal.models.framewise import FramewiseNetwork
from glocal.utils.files import output_path
from glocal.utils.json_files import read_json

_MISSING: Any = object()


class Cache:
    """Results kept on disk between runs: plain data by key, one file each.

    A key holds everything that its value follows from; a value is what JSON can hold. A file that cannot be
    read is computed again.

    Args:
        folder: created if missing; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, key: Any, compute: Callable[[], Any]) -> Any:
        """Return the value of `key` from the cache, or compute and store it.

        Raises:
            InputError: the folder cannot be written.
        """
        value = self.find(key, _MISSING)
        return self.put(key, compute()) if value is _MISSING else value

    def find(self, key: Any, default: Any = None) -> Any:
        """Return the value of `key`, or `default` if none is stored."""
        if self.folder is None:
            return default
        text = _text_of(key)
        try:
            stored = read_json(self._path(text), surrogates=True)
            return stored["value"] if stored["key"] == json.loads(text) else default
        except (OSError, ValueError, KeyError, TypeError):
            return default

    def put(self, key: Any, value: Any) -> Any:
        """Store a value, and return it as it will be read.

        Raises:
            InputError: the folder cannot be written.
        """
        if self.folder is None:
            return value
        value = json.loads(json.dumps(value))
        path = self._path(_text_of(key))
        with output_path(path) as temporary:
            temporary.write_text(json.dumps({"key": key, "value": value}), "utf-8")
        return value

    def _path(self, text: str) -> Path:
        assert self.folder is not None, "without a folder nothing is kept"
        name = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        return self.folder / name[:2] / f"{name[2:34]}.json"


def _text_of(key: Any) -> str:
    return json.dumps(key, sort_keys=True, ensure_ascii=False)


KNOWN_CODE = frozenset(("torch", "glocal"))
"""Packages whose code does not count for the fingerprint of a network."""


def fingerprint(network: nn.Module) -> str:
    """Digest of a network's weights, the same on every device, and of what else a network of one's own has.

    That is its structure, and the files in which the classes of its modules are written.
    """
    digest = hashlib.sha256()
    for key, tensor in network.state_dict().items():
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    while isinstance(network, NetworkAdapter | FramewiseNetwork):
        network = network.network
    if not type(network).__module__.startswith("glocal."):
        digest.update(re.sub("0x[0-9a-f]+", "", repr(network)).encode())
        for path in _code_files(network):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def _code_files(network: nn.Module) -> list[Path]:
    """The files, in order, in which the classes of a network are written, but for those of known packages."""
    files = set[Path]()
    for kind in {type(module) for module in network.modules()}:
        if kind.__module__.partition(".")[0] not in KNOWN_CODE:
            with contextlib.suppress(OSError, TypeError):  # made at run time, or in C
                files.add(Path(inspect.getfile(kind)))
    return sorted(path for path in files if path.is_file())

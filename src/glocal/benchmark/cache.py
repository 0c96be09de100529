"""Cache of computed results, so that an interrupted run resumes."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from glocal.utils.files import atomic_path, writing
from glocal.utils.json_files import read_json


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
        if self.folder is None:
            return compute()
        text = json.dumps(key, sort_keys=True, ensure_ascii=False)
        name = hashlib.sha256(text.encode()).hexdigest()
        path = self.folder / name[:2] / f"{name[2:34]}.json"
        try:
            stored = read_json(path)
            if stored["key"] == json.loads(text):
                return stored["value"]
        except (OSError, ValueError, KeyError, TypeError):
            pass
        value = json.loads(json.dumps(compute()))
        with writing(path), atomic_path(path) as temporary:
            temporary.write_text(json.dumps({"key": key, "value": value}, ensure_ascii=False), "utf-8")
        return value


def fingerprint(network: nn.Module) -> str:
    """Digest of a network's weights, the same on every device."""
    digest = hashlib.sha256()
    for key, tensor in network.state_dict().items():
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:24]

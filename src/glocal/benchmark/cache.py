"""Cache of computed results, so that an interrupted run resumes."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from glocal.utils.files import atomic_path, writing


class Cells:
    """Plain data by key, one file each, in a folder.

    A key tells everything that the value follows from; a value is what JSON holds. A file that does not
    read is computed again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: Any, compute: Callable[[], Any]) -> Any:
        """The value of `key`: kept from before, or computed and kept.

        Raises:
            InputError: the folder cannot be written.
        """
        text = json.dumps(key, sort_keys=True, ensure_ascii=False)
        name = hashlib.sha256(text.encode()).hexdigest()
        path = self.folder / name[:2] / f"{name[2:34]}.json"
        try:
            kept = json.loads(path.read_text("utf-8"))
            if kept["key"] == json.loads(text):
                return kept["value"]
        except (OSError, ValueError, KeyError, TypeError):
            pass
        value = json.loads(json.dumps(compute()))
        with writing(path), atomic_path(path) as temporary:
            temporary.write_text(json.dumps({"key": key, "value": value}, ensure_ascii=False), "utf-8")
        return value


def fingerprint(network: nn.Module) -> str:
    """The same for the same weights, on every device."""
    digest = hashlib.sha256()
    for key, tensor in network.state_dict().items():
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:24]

"""Load networks that `save_pretrained` has written, from a folder or from the Hugging Face hub."""

import contextlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import nn

from glocal.errors import InputError
from glocal.utils.files import printable
from glocal.utils.json_files import MAX_SETTINGS_BYTES, read_json
from glocal.utils.optional_import import optional_import

CONFIG = "config.json"
SAFE_FILES = ("*.json", "*.safetensors")
PICKLES = ("pytorch_model*.bin",)
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_repository(name: str) -> bool:
    """Whether a name has the form `org/name` of a repository of the hub."""
    return REPOSITORY.fullmatch(name) is not None and len(name) <= 96


def load_repository(name: str) -> nn.Module:
    """Download a network from the Hugging Face hub, unless it is in the cache, and load it.

    Configurations and safetensors are fetched; a repository without safetensors gives pickles, of which
    tensors alone are read.

    Raises:
        InputError: the repository cannot be fetched, or is no network that can be loaded.
    """
    hub = optional_import("huggingface_hub", extra="transformers", purpose=f"the model {name}")
    folder = Path(_fetched(hub, name, SAFE_FILES))
    if not list(folder.glob("*.safetensors")):
        folder = Path(_fetched(hub, name, (*SAFE_FILES, *PICKLES)))
    return load_folder(folder, name)


def _fetched(hub: Any, name: str, patterns: tuple[str, ...]) -> str:
    try:
        folder: str = hub.snapshot_download(name, allow_patterns=list(patterns))
    except Exception as problem:
        # Which errors pass depends on the versions of huggingface_hub and of its HTTP library.
        kind = type(problem).__name__
        if "NotFound" in kind and "LocalEntry" not in kind:
            raise InputError(
                f"the Hugging Face hub has no model {name}, or it is private; check its name."
            ) from None
        if "Gated" in kind:
            raise InputError(f"{name} is gated; accept its terms, and log in.") from None
        raise InputError(
            f"{name} cannot be fetched from the Hugging Face hub ({kind}), and is not in its cache; "
            "connect to the internet, or give the folder of a copy."
        ) from None
    return folder


def load_folder(folder: Path, name: str | None = None) -> nn.Module:
    """Load the network in a folder of `transformers` or timm.

    Args:
        folder: with `config.json` and weights as safetensors, or as a pickle of tensors alone.
        name: of the network, for messages.

    Raises:
        InputError: the folder holds no such network, or weights are missing.
    """
    name = name or printable(folder)
    config = _read_config(folder, name)
    if "architecture" in config and "pretrained_cfg" in config:
        timm = optional_import("timm", extra="timm", purpose=f"the model {name}")
        network: nn.Module = _loaded(name, lambda: timm.create_model(f"local-dir:{folder}", pretrained=True))
        return network
    kinds = config.get("architectures") or []
    if not kinds or not isinstance(kinds[0], str):
        raise InputError(
            f"{name} does not say in {CONFIG} which network of transformers it holds; name the network and "
            "its weights, as --model package.module:Net --weights model.safetensors."
        )
    transformers = optional_import("transformers", extra="transformers", purpose=f"the model {name}")
    kind = getattr(transformers, kinds[0], None)
    if kind is None or not hasattr(kind, "from_pretrained"):
        raise InputError(
            f"{name} holds a {kinds[0]}, which this version of transformers does not have; code that comes "
            "with a model is not run, so write a factory, package.module:factory, that makes it."
        )
    loaded, report = _loaded(name, lambda: _from_pretrained(kind, folder))
    if missing := sorted(report["missing_keys"]):
        more = f" and {len(missing) - 2} more" if len(missing) > 2 else ""
        raise InputError(f"{name} lacks weights of {kinds[0]}: {', '.join(missing[:2])}{more}.")
    return loaded  # type: ignore[no-any-return]


def _from_pretrained(kind: Any, folder: Path) -> Any:
    safe = bool(list(folder.glob("*.safetensors")))
    with _without_progress_bars():
        return kind.from_pretrained(
            str(folder),
            local_files_only=True,
            output_loading_info=True,
            use_safetensors=safe,
            weights_only=True,
            trust_remote_code=False,
        )


@contextlib.contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Inside, `transformers` shows no progress bars, which it does even where stderr is no terminal."""
    logging = optional_import("transformers.utils.logging", extra="transformers", purpose="such a model")
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _read_config(folder: Path, name: str) -> dict[str, Any]:
    try:
        config = read_json(folder / CONFIG, limit=MAX_SETTINGS_BYTES)
    except FileNotFoundError:
        raise InputError(
            f"the folder {name} has no {CONFIG}; give one that save_pretrained has written, or a file in it."
        ) from None
    except (OSError, ValueError) as problem:
        raise InputError(f"{printable(folder / CONFIG)} cannot be read ({problem}).") from None
    if not isinstance(config, dict):
        raise InputError(f"{printable(folder / CONFIG)} is no JSON object.")
    return config


def _loaded(name: str, load: Any) -> Any:
    """Call a loader of another library, and report its failure in one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return load()
    except Exception as problem:
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        raise InputError(f"the network in {name} cannot be loaded ({lines[0].rstrip('.')}).") from problem

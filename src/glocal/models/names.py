"""Names of models beside those of the registered networks: packaged models, and variants of a network."""

from pathlib import Path

PACKAGED_FOLDER: Path = Path(__file__).parent / "trained"
"""Folder of the models that are installed with the library."""

VARIANTS = ("gated", "st-abn")
"""Networks that can be built on a backbone, `<variant>/<backbone>`."""


def packaged_models() -> dict[str, Path]:
    """Name, such as `puppets/gated` → path of its weights, which have a card beside them."""
    files = {
        file.relative_to(PACKAGED_FOLDER).with_suffix("").as_posix(): file
        for file in PACKAGED_FOLDER.rglob("*.safetensors")
    }
    return dict(sorted(files.items()))

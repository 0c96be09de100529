"""The table of the models, kept beside the networks so that it is listed without building them.

`listing.json` has the rows of `summary()`, one a line. Write it again after a change of a network's entry:
`python -m glocal.models.listing`.
"""

import json
from pathlib import Path
from typing import Any

from glocal.models.names import VARIANTS, packaged_models
from glocal.utils.registrations import registered_names

LISTING_FILE: Path = Path(__file__).parent / "listing.json"
"""The rows of `summary()`."""


def listed_models() -> list[dict[str, Any]]:
    """Return the rows of `summary()`, read from `listing.json` without importing a network.

    They are computed if the networks registered are not those of the file, as with one of another package.
    """
    rows: list[dict[str, Any]] = json.loads(LISTING_FILE.read_text(encoding="utf-8"))
    listed = {row["name"] for row in rows if row["name"].partition("/")[0] not in VARIANTS}
    networks = registered_names("models", "register_model", group="glocal.models")
    if networks is None or listed != {*networks, *packaged_models()}:
        from glocal.models.registry import summary

        return summary()
    return rows


def write_listing() -> None:
    """Write `listing.json` from the networks."""
    from glocal.models.registry import summary

    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in summary())
    LISTING_FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    write_listing()

"""The processes of a run, before Lightning knows them."""

import os


def first_process() -> bool:
    """Whether this is the only process of a run, or the one that starts and speaks for the others."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK"))

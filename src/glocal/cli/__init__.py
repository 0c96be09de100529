"""The command `glocal`: parses, calls, reports errors; nobody calls it."""

from .app import main

__all__ = ["main"]

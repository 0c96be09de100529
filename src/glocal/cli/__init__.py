"""The command `glocal`: parses, calls, reports errors; nobody calls it."""

from glocal.cli.app import main

__all__ = ["main"]

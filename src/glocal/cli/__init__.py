"""The command line `glocal`: parses arguments, calls the library and reports errors."""

from glocal.cli.app import main

__all__ = ["main"]

"""A process for one task, which may crash, hang or run out of memory without harm to the server."""

import importlib
import json
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

MAX_MESSAGE_BYTES = 1 << 24

EXIT_SECONDS = 2.0
"""Time for a process to exit after its last message."""

# Each process is forked from one that has only imported the necessary modules: it starts quickly and has
# no data of other jobs or of the server.
# Where there is no such process (Windows), each imports them itself.
_HAS_FORKSERVER = "forkserver" in multiprocessing.get_all_start_methods()
_CONTEXT: Any = multiprocessing.get_context("forkserver" if _HAS_FORKSERVER else "spawn")
if _HAS_FORKSERVER:
    _CONTEXT.set_forkserver_preload(["glocal.server.worker"])

_DEATHS: dict[str, str] = {
    "SIGXCPU": "it took more computing time than a job may take; give a shorter clip",
    "SIGKILL": "it was stopped, probably because the machine ran out of memory; give a smaller clip",
    "SIGXFSZ": "its results are larger than a job may write; give a shorter clip",
}
_CRASH = "the program crashed; the file is probably damaged, so convert it to MP4 (H.264)"


class ChildProcess:
    """A process that runs `function(connection, *arguments)` and sends JSON messages over the connection.

    Messages are JSON and not pickles, because unpickling data from a process that a hostile file has taken
    over could run code in the server.

    Args:
        function: `module:function`, imported only by the process: the server itself does not load PyTorch.
        arguments: further arguments, which can be pickled.
    """

    def __init__(self, function: str, *arguments: Any) -> None:
        self._ours, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_call, args=(function, theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()

    def messages(self, seconds: float) -> Iterator[dict[str, Any]]:
        """Yield the messages of the process, up to the one with `state`.

        If the process crashes, or runs for longer than `seconds`, the last message is made here: its state is
        `failed`, and `error` is a sentence.
        """
        deadline = time.monotonic() + seconds
        try:
            while self._ours.poll(max(0.0, deadline - time.monotonic())):
                message = json.loads(self._ours.recv_bytes(MAX_MESSAGE_BYTES))
                ended = "state" in message
                yield message
                if ended:
                    self._process.join(EXIT_SECONDS)
                    return
            reason = f"it took longer than the {seconds:g} seconds that a job may take; give a shorter clip"
        except EOFError:
            self._process.join()
            print(f"glocal: a job ended with exit code {self._process.exitcode}.", file=sys.stderr)
            reason = _DEATHS.get(_signal_name(self._process.exitcode or 0), _CRASH)
        except (ValueError, OSError):
            reason = _CRASH
        yield {"state": "failed", "error": f"The clip could not be explained: {reason}."}

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def close(self) -> None:
        """Kill the process and free its resources."""
        self.kill()
        self._process.join()
        self._process.close()
        self._ours.close()


def _signal_name(exit_code: int) -> str:
    """Return the name of the signal that ended a process, or an empty text."""
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return ""


def _call(function: str, *arguments: Any) -> None:
    module, _, name = function.partition(":")
    getattr(importlib.import_module(module), name)(*arguments)

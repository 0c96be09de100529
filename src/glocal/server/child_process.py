"""A process for one piece of work, which can crash, hang or eat memory without harm to the server."""

import importlib
import json
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

LONGEST = 1 << 24
"""Bytes of one message."""

GRACE = 2.0
"""Seconds in which a process may clean up after its last message."""

# Each process is forked from one that has only imported what the work needs: it starts at once, and nothing
# that another job left behind, or that the server knows, is in it.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["glocal.server.worker"])

_DEATHS: dict[int, str] = {
    signal.SIGXCPU: "it took more computing time than a job may take; give a shorter clip",
    signal.SIGKILL: "it was stopped, probably because the machine ran out of memory; give a smaller clip",
    signal.SIGXFSZ: "its results are larger than a job may write; give a shorter clip",
}
_CRASH = "the program crashed over it; the file is probably damaged, so convert it to MP4 (H.264)"


class Child:
    """A process that runs `work(connection, *arguments)` and tells of it in JSON over the connection.

    `work` is `module:function`, which only the process imports: the server itself needs no PyTorch.

    Its messages are JSON rather than pickles, since a pickle from a process that a hostile file has taken
    over would take over the server too.
    """

    def __init__(self, work: str, *arguments: Any) -> None:
        self._ours, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_call, args=(work, theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()

    def messages(self, seconds: float) -> Iterator[dict[str, Any]]:
        """What the process says until it ends; one that goes on for longer than `seconds` is killed.

        The last message has `error`, a sentence, where the process did not come to its end.
        """
        deadline = time.monotonic() + seconds
        try:
            while self._ours.poll(max(0.0, deadline - time.monotonic())):
                message = json.loads(self._ours.recv_bytes(LONGEST))
                ended = "state" in message
                yield message
                if ended:
                    self._process.join(GRACE)
                    return
            reason = f"it took longer than the {seconds:g} seconds that a job may take; give a shorter clip"
        except EOFError:
            self._process.join()
            print(f"glocal: a job ended with exit code {self._process.exitcode}.", file=sys.stderr)
            reason = _DEATHS.get(-(self._process.exitcode or 0), _CRASH)
        except (ValueError, OSError):
            reason = _CRASH
        yield {"state": "failed", "error": f"The clip could not be explained: {reason}."}

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def close(self) -> None:
        """End the process and free what it holds here."""
        self.kill()
        self._process.join()
        self._process.close()
        self._ours.close()


def _call(work: str, *arguments: Any) -> None:
    module, _, function = work.partition(":")
    getattr(importlib.import_module(module), function)(*arguments)

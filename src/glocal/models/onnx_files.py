"""Read ONNX files of unknown origin: sizes and paths are checked before anything is loaded.

`python -m glocal.models.onnx_files VERSION BYTES` converts a network from standard input to standard
output: the converter is code in C++ that a damaged file may crash.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from glocal.utils.files import printable, read_bounded
from glocal.utils.process_limits import confine

MAX_FILE_BYTES = (1 << 31) - 1
"""Size of a message of Protocol Buffers; larger networks have their weights in other files."""

MAX_WEIGHT_BYTES = 1 << 36
MAX_NODES = 100_000
CONVERSION_SECONDS = 300


def read_onnx(path: Path) -> Any:
    """Read a network with its weights, also those in other files of its folder.

    Raises:
        FileNotFoundError: there is no such file.
        OSError, ValueError: it cannot be read, is no ONNX file, or names weights outside of its folder.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load_model_from_string(read_bounded(path, MAX_FILE_BYTES))
    except DecodeError as problem:
        raise ValueError(f"it is no network: {problem}") from None
    graphs = list(_graphs(model.graph))
    if sum(len(graph.node) for graph in graphs) > MAX_NODES:
        raise ValueError(f"it has more than {MAX_NODES} operators")
    external = [
        t for graph in graphs for t in _tensors(graph) if t.data_location == onnx.TensorProto.EXTERNAL
    ]
    total = sum(_external_bytes(tensor, path.parent) for tensor in external)
    if total > MAX_WEIGHT_BYTES:
        raise ValueError(f"its weights have {total} bytes, more than the {MAX_WEIGHT_BYTES} that are read")
    if external:
        onnx.load_external_data_for_model(model, str(path.parent))
    return model


def _graphs(graph: Any) -> Iterator[Any]:
    """Yield a graph and those inside its operators; Protocol Buffers bound how deeply they are nested."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors)


def _external_bytes(tensor: Any, folder: Path) -> int:
    """Return the size of a tensor in another file, which must be a regular one below `folder`."""
    facts = {entry.key: entry.value for entry in tensor.external_data}
    location = facts.get("location", "")
    outside = PurePosixPath(location).is_absolute() or PureWindowsPath(location).drive
    path = folder / location
    if not location or outside or not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"its weights are in {location[:99]!r}, which is not below its folder")
    if not path.is_file():
        raise FileNotFoundError(2, "No such file", str(path))
    size, offset = path.stat().st_size, int(facts.get("offset", 0))
    length = int(facts.get("length", size - offset))
    if offset < 0 or length < 0 or offset + length > size:
        raise ValueError(f"its weights in {printable(location)} are cut short")
    return length


def convert_version(model: Any, version: int) -> Any:
    """Convert a network to another version of the operators, in a process with limits.

    Raises:
        ValueError: it cannot be converted.
    """
    import onnx

    content = model.SerializeToString()
    seconds = 2 * CONVERSION_SECONDS
    command = [sys.executable, "-m", __name__, str(version), str(8 * len(content) + (2 << 30))]
    try:
        run = subprocess.run(command, input=content, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"it takes too long to convert to the operators of version {version}") from None
    if run.returncode:
        lines = run.stderr.decode(errors="replace").strip().splitlines() or ["the converter crashed"]
        raise ValueError(f"it cannot be converted to the operators of version {version}: {lines[-1][:200]}")
    return onnx.load_model_from_string(run.stdout)


def main() -> None:
    """Convert the network on standard input to standard output."""
    version, memory = map(int, sys.argv[1:])
    confine(memory=memory, seconds=CONVERSION_SECONDS, file_bytes=1 << 24)
    import onnx.version_converter

    model = onnx.load_model_from_string(sys.stdin.buffer.read())
    sys.stdout.buffer.write(onnx.version_converter.convert_version(model, version).SerializeToString())


if __name__ == "__main__":
    main()

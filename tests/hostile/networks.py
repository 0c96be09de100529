"""Hostile ONNX files: a good one that is damaged, and ones that name what they must not."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hostile.generators import HostileFile, damaged


def small_network(change: Callable[[Any], object] | None = None, version: int = 17) -> bytes:
    """A convolution, a mean and a linear layer, after a change."""
    rng = np.random.default_rng(0)
    weights = {
        "conv.weight": rng.normal(size=(4, 3, 1, 3, 3)).astype(np.float32),
        "conv.bias": np.zeros(4, np.float32),
        "head.weight": rng.normal(size=(3, 4)).astype(np.float32),
        "head.bias": np.zeros(3, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["clip", "conv.weight", "conv.bias"], ["a"], name="conv"),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("GlobalAveragePool", ["b"], ["c"], name="pool"),
        helper.make_node("Flatten", ["c"], ["d"], name="flatten"),
        helper.make_node("Gemm", ["d", "head.weight", "head.bias"], ["logits"], name="head", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("clip", TensorProto.FLOAT, [1, 3, 4, 16, 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)
    if change is not None:
        change(model)
    content: bytes = model.SerializeToString()
    return content


def weights_in(location: str, **more: str) -> Callable[[Any], None]:
    """A change: the first weights are in another file."""

    def change(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **more}.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value

    return change


def nested(model: Any) -> None:
    """A change: operators in operators, deeper than is parsed."""
    graph = model.graph
    for _ in range(200):
        node = graph.node.add()
        node.op_type = "If"
        attribute = node.attribute.add()
        attribute.name, attribute.type = "then_branch", onnx.AttributeProto.GRAPH
        graph = attribute.g


def many(model: Any) -> None:
    """A change: a long chain of operators."""
    for number in range(200_000):
        model.graph.node.add(op_type="Relu", input=[f"r{number}"], output=[f"r{number + 1}"])


def large(model: Any) -> None:
    """A change: weights that announce more numbers than they have."""
    model.graph.initializer[0].dims[:] = [1 << 40, 1 << 20, 1, 3, 3]


def networks(folder: Path, count: int) -> Iterator[HostileFile]:
    """ONNX files that are damaged, too deep, too long, or have their weights elsewhere."""
    seeds = folder / "seeds"
    seeds.mkdir(parents=True)
    (seeds / "small.onnx").write_bytes(small_network())
    (folder / "weights").write_bytes(bytes(99))
    contents = {
        "passwd": small_network(weights_in("/etc/passwd")),
        "above": small_network(weights_in("../../etc/passwd")),
        "itself": small_network(weights_in(".")),
        "absent": small_network(weights_in("absent")),
        "short": small_network(weights_in("weights", length=str(1 << 50))),
        "before": small_network(weights_in("weights", offset="-8", length="8")),
        "number": small_network(weights_in("weights", offset="x")),
        "large": small_network(large),
        "many": small_network(many),
        "newer": small_network(version=99),
        "nested": small_network(nested),
    }
    for name, content in contents.items():
        path = folder / f"{name}.onnx"
        path.write_bytes(content)
        yield HostileFile("onnx", path)
    yield from damaged(folder, "onnx", [seeds / "small.onnx"], count - len(contents))

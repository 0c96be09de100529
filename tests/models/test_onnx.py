"""ONNX files: the converted network has the logits and attributions of the original."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import glocal
from glocal.cli import main
from glocal.errors import InputError, UsageError
from helpers.networks import Small3d, seeded

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx2torch")

T, S = 6, 20


@pytest.fixture(scope="module")
def network() -> Any:
    return seeded(Small3d(inplace=False)).eval()


@pytest.fixture(scope="module")
def file(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The network's graph node by node, written by hand: what no exporter has touched."""
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    write(path, network, [1, 3, T, S, S])
    return path


def unknown_to_the_converter() -> Any:
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Hardmax", ["clip"], ["logits"])],
        "odd",
        [value("clip", onnx.TensorProto.FLOAT, [1, 3, T, S, S])],
        [value("logits", onnx.TensorProto.FLOAT, [1, 3, T, S, S])],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def write(path: Any, network: Any, shape: Any, opset: Any = 17) -> None:
    helper = onnx.helper
    tensors, nodes = {}, []

    def conv(name: Any, module: Any, source: Any, target: Any) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = module.weight, module.bias
        pads = list(module.padding) * 2
        attributes = {"kernel_shape": module.kernel_size, "strides": module.stride, "pads": pads}
        weights = [f"{name}.weight", f"{name}.bias"]
        nodes.append(helper.make_node("Conv", [source, *weights], [target], name=name, **attributes))

    def norm(name: Any, module: Any, source: Any, target: Any) -> None:
        keys = ("weight", "bias", "running_mean", "running_var")
        tensors.update({f"{name}.{key}": getattr(module, key) for key in keys})
        inputs = [source, *(f"{name}.{key}" for key in keys)]
        nodes.append(helper.make_node("BatchNormalization", inputs, [target], name=name, epsilon=module.eps))

    def relu(name: Any, source: Any) -> None:
        nodes.append(helper.make_node("Relu", [source], [name], name=name))

    conv("conv1", network.conv1, "clip", "c1")
    norm("bn1", network.bn1, "c1", "b1")
    relu("relu1", "b1")
    nodes.append(
        helper.make_node("MaxPool", ["relu1"], ["p1"], name="pool", kernel_shape=[2] * 3, strides=[2] * 3)
    )
    conv("conv2", network.layer1[0], "p1", "c2")
    norm("bn2", network.layer1[1], "c2", "b2")
    relu("layer1", "b2")
    conv("conv3", network.layer2[0], "layer1", "c3")
    relu("layer2", "c3")
    nodes.append(helper.make_node("GlobalAveragePool", ["layer2"], ["mean"], name="mean"))
    nodes.append(helper.make_node("Flatten", ["mean"], ["flat"], name="flat"))
    tensors["fc.weight"], tensors["fc.bias"] = network.fc.weight, network.fc.bias
    nodes.append(helper.make_node("Gemm", ["flat", "fc.weight", "fc.bias"], ["logits"], name="fc", transB=1))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("clip", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, 5])],
        [onnx.numpy_helper.from_array(t.detach().numpy(), name) for name, t in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def test_the_converted_network_gives_the_same_logits_and_attention(network: Any, file: Any) -> None:
    model = glocal.load_model(file)
    clips = torch.randn(1, 3, T, S, S)
    assert torch.allclose(model.network(clips), network(clips), atol=1e-5)
    assert list(model.layers) == ["relu1", "layer1", "layer2"]
    for target in range(5):
        expected = glocal.attribute(network, clips, target=target)
        found = glocal.attribute(model.network, clips, model.layers, target=target)
        assert torch.allclose(found.attention, expected.attention, atol=1e-4)


def test_clip_spec_and_labels_follow_from_the_file(file: Any) -> None:
    model = glocal.load_model(file)
    assert (model.clip.frames, model.clip.size, model.clip.crop) == (T, S, "center")
    assert model.labels == tuple(f"class {i}" for i in range(5))
    assert (model.name, model.weights) == ("small", "small.onnx")
    assert glocal.load_model(file, labels=list("abcde")).labels == tuple("abcde")
    clip_spec = glocal.ClipSpec(frames=T, size=S, short_side=S, mean=(0.5,) * 3)
    assert glocal.load_model(file, clip=clip_spec).clip == clip_spec


def test_a_video_is_explained_with_an_onnx_file(file: Any) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (9, 30, 40, 3), np.uint8)
    explanation = glocal.explain(glocal.load_model(file), frames)
    assert explanation.attention.shape == (9, 30, 40)
    assert explanation.attention.max() > 0.9


def test_the_command_line_takes_an_onnx_file(file: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", str(file)]) == 0
    assert "layer2" in capsys.readouterr().out


@pytest.mark.parametrize("opset", [18, 20, 21])
def test_newer_operator_sets_are_converted_down(network: Any, tmp_path: Path, opset: Any) -> None:
    path = tmp_path / "new.onnx"
    write(path, network, [1, 3, T, S, S], opset)
    clips = torch.randn(1, 3, T, S, S)
    assert torch.allclose(glocal.load_model(path).network(clips), network(clips), atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_exports_of_pytorch_load(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "exported.onnx"
    torch.onnx.export(network, (torch.zeros(1, 3, T, S, S),), str(path), dynamo=False)
    model, clips = glocal.load_model(path), torch.randn(1, 3, T, S, S)
    expected = glocal.attribute(network, clips, target=2).attention
    assert torch.allclose(
        glocal.attribute(model.network, clips, model.layers, target=2).attention, expected, atol=1e-4
    )


def test_an_open_size_needs_a_clip_spec(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "open.onnx"
    write(path, network, ["batch", 3, "frames", S, S])
    with pytest.raises(
        UsageError, match=r"open.onnx takes an input of any × 3 × any × 20 × 20.*clip=ClipSpec"
    ):
        glocal.load_model(path)
    clip_spec = glocal.ClipSpec(frames=T, size=S, short_side=S)
    assert glocal.load_model(path, clip=clip_spec).network(torch.zeros(2, 3, T, S, S)).shape == (2, 5)


def test_files_that_are_no_network_are_refused(network: Any, file: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*absent.onnx"):
        glocal.load_model(tmp_path / "absent.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(InputError, match=r"broken.onnx cannot be read as an ONNX network"):
        glocal.load_model(broken)
    odd = tmp_path / "odd.onnx"
    onnx.save(unknown_to_the_converter(), str(odd))
    with pytest.raises(InputError, match=r"odd.onnx cannot be converted to PyTorch: .*Hardmax"):
        glocal.load_model(odd)
    with pytest.raises(UsageError, match="labels and clip only"):
        glocal.load_model(file, num_classes=5)
    with pytest.raises(UsageError, match="there are 2 labels, but the network has 5 classes"):
        glocal.load_model(file, labels=["a", "b"])


def test_the_converter_works_without_torchvision(
    network: Any, file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] in ("onnx2torch", "torchvision")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    clips = torch.randn(1, 3, T, S, S)
    assert torch.allclose(glocal.load_model(file).network(clips), network(clips), atol=1e-5)
    assert "torchvision.ops" not in sys.modules


def test_missing_packages_are_named(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx2torch", None)
    with pytest.raises(InputError, match=r"ONNX file needs onnx2torch.*glocal\[onnx\]"):
        glocal.load_model(file)

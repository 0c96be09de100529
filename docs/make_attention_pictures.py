"""Draw the pictures of docs/ that show attention and gates.

`python docs/make_attention_pictures.py GATED ST_ABN` takes the `best.safetensors` of a gated network that
says when (`glocal table paper-a/9 labels=when frozen=true …`) and of an ST-ABN on clips of two figures
(`recipes/puppets-cue-worn.yaml`).
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure

import glocal
from glocal.datasets.puppets import PuppetClip, Puppets
from glocal.models import Model
from glocal.models.gated import Gated
from glocal.report.drawing import overlay
from glocal.report.figure_grid import PictureRow, figure_grid
from glocal.report.style import OverlayStyle
from glocal.training.clips import EvaluationClips
from glocal.training.sources import PuppetSource
from glocal.types import Frame

PICTURES = Path(__file__).with_name("pictures")
STYLE = OverlayStyle(threshold=None)
DPI = 150


def save(figure: Figure, name: str) -> None:
    """Write a figure as a JPEG in the folder of pictures."""
    figure.savefig(PICTURES / f"{name}.jpg", dpi=DPI, pil_kwargs={"quality": 88})


def frames_of(clip: PuppetClip, count: int) -> list[int]:
    """Evenly spaced frames of a clip."""
    return [int(index) for index in np.linspace(0, len(clip.frames) - 1, count).round()]


def enlarged(frame: Frame, side: int = 160) -> Frame:
    """A small frame with pixels that can be seen."""
    return np.asarray(cv2.resize(frame, (side, side), interpolation=cv2.INTER_CUBIC))


def two_figures(index: int = 5) -> None:
    """Both readings of 3DCAM, for the actions of both figures."""
    model = glocal.load_model("puppets/resnext3d")
    clip = Puppets("test", 100, size=112, distractor="acting")[index]
    video = glocal.read_video(clip.frames, clip.fps)
    shown = frames_of(clip, 6)
    rows = [PictureRow("frames", [clip.frames[index] for index in shown])]
    for method in ("3dcam", "3dcam-active"):
        for actor in clip.actors[:2]:
            explanation = glocal.explain(model, video, str(actor.action), method=method)
            pictures = [overlay(clip.frames[i], explanation.frame(i), STYLE) for i in shown]
            rows.append(PictureRow(f"{method.removeprefix('3dcam-')}\n{actor.action}", pictures))
    save(figure_grid(rows), "3dcam-two-figures")


def gate_votes(model: Model, indices: tuple[int, int] = (0, 1)) -> None:
    """Frames of an early and a late act, and what each gate adds to the logit of the right answer."""
    network = model.network
    assert isinstance(network, Gated)
    puppets = Puppets("test", 40, size=72, scale=(0.3, 1.0), labels="when")
    clips = EvaluationClips(PuppetSource(puppets), model.clip, model.labels)
    figure = Figure(figsize=(7, 2.9))
    for row, index in enumerate(indices):
        clip = puppets[index]
        for column, frame in enumerate(frames_of(clip, 6)):
            axes = figure.add_axes((0.01 + 0.105 * column, 0.55 - 0.5 * row, 0.1, 0.36))
            axes.imshow(enlarged(clip.frames[frame]))
            axes.set_axis_off()
            axes.set_title(str(frame), fontsize=7, pad=2)
        with torch.no_grad():
            logits = network.gate_logits(clips[index].clips[None])
        right = clip.label
        votes = {gate: float(values[0, right] - values[0].mean()) for gate, values in logits.items()}
        axes = figure.add_axes((0.73, 0.6 - 0.5 * row, 0.25, 0.3))
        axes.barh(list(votes), list(votes.values()), color="#3b6ea5")
        axes.axvline(0, color="black", linewidth=0.6)
        axes.invert_yaxis()
        axes.tick_params(labelsize=7)
        axes.set_title(f"votes for '{clip.class_name}'", fontsize=8)
    save(figure, "gates-when")


def spatial_attention(model: Model, indices: tuple[int, ...] = (1, 3)) -> None:
    """M_s of clips with two figures, of which the one with the red bib counts."""
    spec = model.clip
    puppets = Puppets(
        "test", 40, task="cue-worn", frames=spec.frames, size=spec.short_side, fps=spec.fps or 5.0,
        distractor="none", occlusion=0.0, scale=(0.5, 1.0),
    )  # fmt: skip
    clips = EvaluationClips(PuppetSource(puppets), spec, model.labels)
    rows = []
    for index in indices:
        clip = puppets[index]
        with torch.no_grad():
            spatial = model.network.attend(clips[index].clips[None]).spatial[0, 0].numpy()  # type: ignore[operator]
        shown = frames_of(clip, 6)
        plain = [enlarged(clip.frames[t]) for t in shown]
        low, high = spatial.min(), spatial.max()
        maps = [enlarged((spatial[t] - low) / (high - low)) for t in shown]  # type: ignore[arg-type]
        rows.append(PictureRow(clip.class_name, plain))
        pictures = [overlay(p, np.clip(m, 0, 1), STYLE) for p, m in zip(plain, maps, strict=True)]
        rows.append(PictureRow("M_s", pictures))
    save(figure_grid(rows, colorbar_label="M_s, scaled"), "st-abn-cue-worn")


if __name__ == "__main__":
    two_figures()
    if len(sys.argv) > 1:
        gate_votes(glocal.load_model(sys.argv[1]))
    if len(sys.argv) > 2:
        spatial_attention(glocal.load_model(sys.argv[2]))

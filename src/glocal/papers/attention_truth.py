"""Paper B, figure 3 in numbers: when M_t and where M_s point, against what is true of puppets."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from glocal.datasets.puppets import PuppetClip
from glocal.errors import UsageError
from glocal.evaluation import AUROC, HitMax, MaxBoxAcc
from glocal.evaluation.maxbox import inclusive
from glocal.models import Model, load_model
from glocal.models.stabn import STABN
from glocal.papers.table import Context, Row, Rows, Table
from glocal.papers.videos import puppets_like
from glocal.pipeline import explain
from glocal.video import read_video

Scores = npt.NDArray[np.float64]
IOUS = (0.3, 0.5, 0.7)


class Pointing:
    """How well attention finds the act in clips of puppets.

    AUROC separates the frames of the act from those in which the figure stands still: over the frames of all
    clips, and on average over the frames of one. `hit_max` is the share of the frames of the act in which the
    maximum lies in the figure's box, and MaxBoxAcc is over these frames too.
    """

    def __init__(self) -> None:
        self.all_clips, self.each_clip = AUROC(), list[float]()
        self.hits, self.boxes = HitMax(), MaxBoxAcc(IOUS)

    def update(self, clip: PuppetClip, over_time: Scores, attention: npt.NDArray[np.float32]) -> None:
        """Add a clip: a score `(T,)` of each frame, and attention `(T, H, W)`."""
        start, end = clip.span
        acting = np.zeros(len(clip.frames), bool)
        acting[start:end] = True
        alone = AUROC()
        for measure in (self.all_clips, alone):
            measure.update(over_time, acting)
        self.each_clip.append(alone.compute())
        for frame in range(start, end):
            box = clip.actors[0].boxes[frame : frame + 1]
            if box[0, 2] > box[0, 0]:
                score_map = attention[frame] / (attention[frame].max() or 1)
                self.hits.update(score_map, box)
                self.boxes.update(score_map, inclusive(box))

    def compute(self) -> dict[str, float]:
        """Column → figure."""
        return {
            "AUROC": self.all_clips.compute(),
            "AUROC in a clip": float(np.nanmean(self.each_clip)),
            "hit_max": self.hits.compute(),
            **{f"MaxBoxAcc {iou}": value for iou, value in self.boxes.compute().items()},
        }


def pointing(model: Model, clips: list[PuppetClip], progress: bool = False) -> Mapping[str, Pointing]:
    """Row → how well it points: M_t and M_s of an ST-ABN, 3DCAM of the same network, and what sees nothing.

    3DCAM explains the true class; frames are scored by its mean attention.
    """
    rows = {name: Pointing() for name in ("M_t and M_s", "3DCAM", "middle of the video, full frame")}
    for clip in tqdm(clips, desc=model.name, leave=False, disable=None if progress else True):
        video = read_video(clip.frames, clip.fps)
        label = model.labels.index(clip.action)
        own = explain(model, video, label, "st-abn", cuts="none")
        cam = explain(model, video, label, "3dcam", cuts="none")
        assert own.temporal is not None
        rows["M_t and M_s"].update(clip, own.temporal, own.attention)
        rows["3DCAM"].update(clip, cam.relevance, cam.attention)
        frames, height, width = clip.frames.shape[:3]
        middle = -np.abs(np.arange(frames) - (frames - 1) / 2)
        rows["middle of the video, full frame"].update(clip, middle, np.ones((frames, height, width), "f4"))
    return rows


def _three(context: Context) -> Rows:
    model = load_model(context.model, context.weights, labels=context.labels, device=context.device)
    if not isinstance(model.network, STABN):
        raise UsageError(f"{model.name} has no such attention; give --model st-abn/… and its --weights.")
    puppets = puppets_like(context.weights or context.model, model, context.clips)
    found = pointing(model, list(puppets), context.progress)
    rows = [Row(name, each.compute(), trivial=name.startswith("middle")) for name, each in found.items()]
    return Rows(list(rows[0].values), rows, "AUROC", [f"{model.name}: weights {model.weights}."])


THREE = Table(
    "paper-b/3",
    "when M_t and where M_s point (figure 3 in numbers)",
    {"puppets": "puppets/st-abn"},
    _three,
)

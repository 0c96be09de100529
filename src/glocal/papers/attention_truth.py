"""Paper B, figure 3 in numbers: when M_t and where M_s point, against what is true of puppets."""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
from tqdm import tqdm

from glocal.benchmark.cache import fingerprint
from glocal.benchmark.sample_sets import puppets_like
from glocal.benchmark.tables import Table, TableRow
from glocal.datasets.puppets import PuppetClip, Puppets
from glocal.evaluation import AUROC, MaxBoxAcc, PointingGame, inclusive_boxes
from glocal.explanation.runner import explain
from glocal.models import Model
from glocal.papers.stabn_models import SEEDS, table_models, weights_notes
from glocal.papers.table import TableContext, paper_table
from glocal.papers.training_cache import Measures, mean_and_spread
from glocal.types import AttributionMap, FloatArray
from glocal.utils.structure import to_plain
from glocal.video import read_video

IOUS = (0.3, 0.5, 0.7)


class PuppetPointing:
    """How well attention finds the act in clips of puppets.

    AUROC separates the frames that count, those of the act that the label is about, from all others: over
    the frames of all clips, and on average over the frames of one. `hit_max` is the share of the frames that
    count in which the maximum lies in the box of the figure that counts, and MaxBoxAcc is over these frames.
    Where two figures act, "right figure" is the share of these frames in which the one that counts gets more
    attention than the other, a pixel; chance is 0.5.
    """

    all_clips: AUROC
    single_clips: list[float]
    hits: PointingGame
    boxes: MaxBoxAcc
    right_figure: list[bool]

    def __init__(self) -> None:
        self.all_clips, self.single_clips = AUROC(), list[float]()
        self.hits, self.boxes = PointingGame(), MaxBoxAcc(IOUS)
        self.right_figure = []

    def update(self, clip: PuppetClip, over_time: FloatArray, attention: AttributionMap) -> None:
        """Add a clip: a score `(T,)` of each frame, and attention `(T, H, W)`."""
        alone = AUROC()
        for measure in (self.all_clips, alone):
            measure.update(over_time, clip.relevant_frames)
        self.single_clips.append(alone.compute())
        acting = [actor.mask for actor in clip.actors if actor.actions]
        for frame in np.flatnonzero(clip.relevant_frames):
            if len(acting) > 1 and all(mask[frame].any() for mask in acting):
                means = [float(attention[frame][mask[frame]].mean()) for mask in acting]
                self.right_figure.append(means[0] > max(means[1:]))
            box = clip.actors[0].boxes[frame : frame + 1]
            if box[0, 2] > box[0, 0]:
                score_map = attention[frame] / (attention[frame].max() or 1)
                self.hits.update(score_map, box)
                self.boxes.update(score_map, inclusive_boxes(box))

    def compute(self) -> dict[str, float]:
        """Column → figure."""
        return {
            "AUROC": self.all_clips.compute(),
            "AUROC in a clip": float(np.nanmean(self.single_clips)),
            "hit_max": self.hits.compute(),
            **{f"MaxBoxAcc {iou}": value for iou, value in self.boxes.compute().items()},
            **({"right figure": float(np.mean(self.right_figure))} if self.right_figure else {}),
        }


def measure_pointing(
    model: Model, clips: list[PuppetClip], *, progress: bool = False
) -> Mapping[str, PuppetPointing]:
    """TableRow → how well it points: M_t and M_s of an ST-ABN, 3DCAM of the same network, and a trivial row.

    3DCAM explains the true class; frames are scored by its mean attention.
    """
    rows = {name: PuppetPointing() for name in ("M_t and M_s", "3DCAM", "middle of the video, full frame")}
    for clip in tqdm(clips, desc=model.name, leave=False, disable=None if progress else True):
        video = read_video(clip.frames, clip.fps)
        label = model.labels.index(clip.class_name)
        intrinsic = explain(model, video, label, method="st-abn", cuts="none")
        cam = explain(model, video, label, method="3dcam", cuts="none")
        assert intrinsic.temporal is not None
        rows["M_t and M_s"].update(clip, intrinsic.temporal, intrinsic.attention)
        rows["3DCAM"].update(clip, cam.relevance, cam.attention)
        frames, height, width = clip.frames.shape[:3]
        middle = -np.abs(np.arange(frames) - (frames - 1) / 2)
        rows["middle of the video, full frame"].update(clip, middle, np.ones((frames, height, width), "f4"))
    return rows


@paper_table(
    "paper-b/3",
    "when M_t and where M_s point (figure 3 in numbers)",
    {"puppets": "puppets/st-abn"},
    options=SEEDS,
)
def table_3(context: TableContext) -> Table:
    """How well an ST-ABN's own attention and 3DCAM point, beside a trivial row."""
    figures: list[Mapping[str, Measures]] = []
    notes: list[str] = []
    for model, _, name in table_models(context):
        puppets = puppets_like(name, model, context.clips)
        key = {
            "pointing": fingerprint(model.network),
            "measures": "with the right figure",
            "clip": to_plain(asdict(model.clip)),
            "videos": to_plain(vars(puppets)),
        }

        def measured(model: Model = model, puppets: Puppets = puppets) -> dict[str, Measures]:
            rows = measure_pointing(model, list(puppets), progress=context.progress)
            return {row: pointing.compute() for row, pointing in rows.items()}

        figures.append(context.cache.get(key, measured))
        notes += weights_notes(model)
    rows = [
        TableRow(
            name,
            mean_and_spread(
                [rows[name] for rows in figures], {column: column for column in figures[0][name]}
            ),
            trivial=name.startswith("middle"),
        )
        for name in figures[0]
    ]
    return Table(list(rows[0].values), rows, "AUROC", notes)

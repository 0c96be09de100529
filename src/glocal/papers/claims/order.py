"""Order: actions that are the same frames in another order, which only motion distinguishes."""

from collections.abc import Iterator
from functools import partial

from torch import Tensor

from glocal.benchmark.samples import PUPPET_FPS
from glocal.benchmark.tables import Table
from glocal.datasets.puppets import ACTIONS, PAIRS, Puppets
from glocal.errors import InputError
from glocal.models import Model
from glocal.papers.claims.experiment import DATA, claim_model, claim_table
from glocal.papers.table import TableContext, paper_table
from glocal.video.clip_spec import rgb_clip
from glocal.video.geometry import Geometry

CLIPS = 200
MARGIN = 9 / 8
"""Clips are drawn so much larger than the network sees them, as those of the recipes are."""
SCALE = (0.3, 1.0)
COLUMNS = {
    "right": "share of the clips for which the network prefers the action to the other one of its pair",
    "backwards": "share of the clips for which, shown backwards, it prefers the other one",
}


@paper_table("claims/order", "Actions that are each other backwards: are they distinguished?", DATA)
def table_of_pairs(context: TableContext) -> Table:
    """Clips of both actions of each pair, forwards and backwards; chance is 0.5 in both columns."""
    model, _, key = claim_model(context)
    count = context.clips or CLIPS
    pairs = [pair for pair in PAIRS if set(pair) <= set(model.labels)]
    if not pairs or model.clip.modality != "rgb" or model.clip.image:
        raise InputError(f"{model.name} has no pair of puppets' actions in colour clips.")
    values = {}
    for pair in pairs:
        cell = {**key, "claim": "order", "pair": pair, "clips": count}
        values[" / ".join(pair)] = context.cache.get(cell, partial(_pair, model, pair, count))
    return claim_table(values, COLUMNS, "right", trivial={"chance": {"right": 0.5, "backwards": 0.5}})


def _pair(model: Model, pair: tuple[str, str], count: int) -> list[dict[str, float]]:
    """`COLUMNS` of `count` clips, for each 1 or 0."""
    classes = [list(model.labels).index(action) for action in pair]
    figures = []
    for clip, answer in _clips(model, pair, count):
        both = [model.logits(shown)[0][classes] for shown in (clip, clip.flip(2))]
        forwards, backwards = (int(scores.argmax()) for scores in both)
        figures.append({"right": float(forwards == answer), "backwards": float(backwards != answer)})
    return figures


def _clips(model: Model, pair: tuple[str, str], count: int) -> Iterator[tuple[Tensor, int]]:
    """The first test clips `(1, C, T, H, W)` that show one of a pair, and which of the two it is."""
    clip_spec = model.clip
    puppets = Puppets(
        "test",
        -(-count * len(ACTIONS) // 2),
        frames=clip_spec.frames,
        size=round(MARGIN * clip_spec.size),
        fps=clip_spec.fps or PUPPET_FPS,
        scale=SCALE,
    )
    device = next(model.network.parameters()).device
    for index in range(len(puppets)):
        action = ACTIONS[index % len(ACTIONS)]
        if action in pair:
            frames = puppets[index].frames
            geometry = Geometry.fit(frames[0].shape[:2], clip_spec, "center")
            yield (
                rgb_clip([geometry.forward(frame) for frame in frames], clip_spec).to(device),
                pair.index(action),
            )

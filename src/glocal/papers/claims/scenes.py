"""The clips of the claims: two who act, or one, with what the network is asked about them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from glocal.attribution.inputs.network_inputs import call, to_network
from glocal.attribution.tape import find_logits, frozen
from glocal.benchmark.cache import fingerprint
from glocal.benchmark.samples import FPS
from glocal.datasets.puppets import Puppets
from glocal.errors import GlocalError, InputError
from glocal.evaluation.sanity import ExplainFunction
from glocal.evaluation.statistics import bootstrap
from glocal.models import Model, load_model
from glocal.papers.table import Context, Row, Rows
from glocal.types import AttributionMap, Mask
from glocal.video.clip_spec import rgb_clip

CLIPS = 200
DATA = {"puppets": "puppets/gated"}


@dataclass(frozen=True, eq=False)
class Scene:
    """A clip of figures that act.

    Attributes:
        name: tells which clip it is.
        clip: `(1, C, T, H, W)`.
        frames: `(T, H, W, 3)` uint8.
        masks: one `(T, H, W)` a figure that acts.
        classes: the class of each figure's action.
    """

    name: str
    clip: Tensor
    frames: npt.NDArray[np.uint8]
    masks: tuple[Mask, ...]
    classes: tuple[int, ...]


def scenes(context: Context, model: Model, distractor: str) -> Iterator[Scene]:
    """Puppets of the test split at the network's resolution, without those whose action it does not know.

    Raises:
        InputError: the network knows none of the puppets' actions, or takes no colour clips.
    """
    clip_spec, known = model.clip, list(model.labels)
    if clip_spec.modality != "rgb" or clip_spec.image or clip_spec.frames < 5:
        raise InputError(
            f"{model.name} takes no colour clips of 5 frames or more, which the claims are about."
        )
    puppets = Puppets(
        "test",
        context.clips or CLIPS,
        frames=clip_spec.frames,
        size=clip_spec.size,
        fps=clip_spec.fps or FPS,
        distractor=distractor,
    )
    if not set(puppets.actions) & set(known):
        raise InputError(
            f"{model.name} knows none of the puppets' actions; name a network trained on puppets."
        )
    device = next(model.network.parameters()).device
    for clip in tqdm(puppets, desc="clips", unit="clip", disable=None if context.progress else True):
        actors = [actor for actor in clip.actors if actor.action is not None]
        if all(actor.action in known for actor in actors):
            yield Scene(
                f"{distractor} {clip.name}",
                rgb_clip(list(clip.frames), clip_spec).to(device),
                clip.frames,
                tuple(actor.mask for actor in actors),
                tuple(known.index(str(actor.action)) for actor in actors),
            )


def setting(context: Context) -> tuple[Model, dict[str, str], dict[str, Any]]:
    """The network, its layers with the paths of their modules, and what tells both apart in a cell's key."""
    model = load_model(context.model, context.weights, labels=context.labels, device=context.device)
    layers = dict(model.layer_paths)
    return (
        model,
        layers,
        {"network": fingerprint(model.network), "layers": layers, "clip_spec": str(model.clip)},
    )


def words(context: Context, option: str) -> list[str]:
    """`a,b` as a list; `all` as an empty one."""
    text = str(context.options[option])
    return [] if text == "all" else [word.strip() for word in text.split(",") if word.strip()]


def logits(network: nn.Module, clip: Tensor) -> Tensor:
    """`(classes,)` of one clip `(1, C, T, H, W)`."""
    with torch.inference_mode(), frozen(network):
        return find_logits(call(network, to_network(clip, network)))[0].float().cpu()


def explained(network: nn.Module, clip: Tensor, explain: ExplainFunction, index: int) -> AttributionMap:
    """Attention `(T, H, W)` of one clip `(1, C, T, H, W)` for a class."""
    found: AttributionMap = (
        explain(network, clip, torch.tensor([index], device=clip.device))[0].float().cpu().numpy()
    )
    return found


def by_method(
    context: Context,
    key: Mapping[str, Any],
    clips: Iterable[Scene],
    methods: Sequence[str],
    figures: Callable[[Scene, str], dict[str, float]],
    controls: Sequence[str] = (),
) -> tuple[dict[str, list[dict[str, float]]], list[str]]:
    """Method → its figures for every clip, and a note on each method that does not fit the network.

    Raises:
        InputError: none fits.
    """
    values: dict[str, list[dict[str, float]]] = {name: [] for name in (*methods, *controls)}
    notes = []
    for scene in clips:
        for name in list(values):
            cell = {**key, "method": name, "clip": scene.name}
            try:
                values[name].append(context.cells.get(cell, partial(figures, scene, name)))
            except GlocalError as problem:
                del values[name]
                notes.append(f"{name} is left out: {problem}")
                if not set(values) - set(controls):
                    raise InputError(f"none of the methods fits the network: {problem}") from problem
    return values, notes


def table(
    values: dict[str, list[dict[str, float]]],
    columns: dict[str, str],
    judge: str | None = None,
    trivial: dict[str, dict[str, float]] | None = None,
    groups: dict[str, str] | None = None,
    notes: Sequence[str] = (),
    controls: Sequence[str] = (),
) -> Rows:
    """Row → one mapping of columns to figures a clip, as means; their 95 % intervals are the notes.

    Args:
        columns: name → what it says.
        judge: see `Rows`.
        trivial: rows that look at no network.
        groups: row → its group.
        notes: more of them.
        controls: rows that look at no network either.
    """
    rows, below = [], [f"{name}: {text}." for name, text in columns.items()]
    for row, clips in values.items():
        found = {name: bootstrap([clip[name] for clip in clips]) for name in columns}
        defined = {name: interval for name, interval in found.items() if interval.mean == interval.mean}
        means = {name: interval.mean for name, interval in defined.items()}
        rows.append(Row(row, means, trivial=row in controls, group=(groups or {}).get(row, "")))
        ranges = [f"{name} {i.low:.3f} to {i.high:.3f}" for name, i in defined.items()]
        below.append(f"{row}, {len(clips)} clips, 95 % intervals: {', '.join(ranges)}.")
    rows += [Row(name, figures, trivial=True) for name, figures in (trivial or {}).items()]
    return Rows(list(columns), rows, judge, [*below, *notes])

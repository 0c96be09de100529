"""Methods side by side on the same clips, bit by bit, so that a stopped comparison goes on where it was."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from glocal.attribution.inputs.network_inputs import call, to_network
from glocal.attribution.tape import find_logits, frozen
from glocal.benchmark.explainers import CONTROLS
from glocal.benchmark.measures import Protocol, Question
from glocal.benchmark.one import Keep, One, Picture
from glocal.benchmark.samples import Subject, as_target
from glocal.errors import InputError, UsageError
from glocal.evaluation.cost import costs
from glocal.evaluation.sanity import ExplainFunction
from glocal.models import Model


@dataclass
class Found:
    """Everything that was measured, as plain data.

    Attributes:
        names: of the clips, in order; `classes`, the class explained in each, `labels` the true one or None.
        results: method → for every clip what `measure` returns.
        sanity: method → for every clip of the check, part → similarity; "" is the network as it was.
        shuffled: method → for every clip of the check, similarity to a network trained on random labels.
        strips: method → part → a picture.
        pictures: clip → method → pictures of frames; "" for the frames themselves.
        cost: method → `time` and `memory` in forward passes.
        refused: method → why it does not fit the network.
    """

    names: list[str] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    labels: list[int | None] = field(default_factory=list)
    results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    sanity: dict[str, list[dict[str, dict[str, float]]]] = field(default_factory=dict)
    shuffled: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    strips: dict[str, dict[str, str]] = field(default_factory=dict)
    pictures: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    cost: dict[str, dict[str, float]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def compare(
    model: Model,
    subjects: Iterator[Subject],
    contenders: Mapping[str, ExplainFunction],
    target: str | list[int],
    protocol: Protocol,
    keep: Keep,
    draw: Picture,
    *,
    identity: Mapping[str, Any],
    options: Mapping[str, Mapping[str, Any]] | None = None,
    noise: int | None = None,
    sanity: int = 0,
    shuffled: nn.Module | None = None,
    shown: int = 3,
    total: int | None = None,
    progress: bool = False,
) -> Found:
    """Measure every method, and the controls, on every clip.

    Args:
        contenders: method → what explains by it.
        target: `"top1"`, `"truth"`, or one class index in a list.
        keep: what is measured goes through it; see `Keep`.
        draw: makes the pictures.
        identity: all else that the results follow from, such as the model's weights; part of every key.
        options: method → its options, which its results follow from too.
        noise: clips to which noise is added, for the sensitivity; None for all.
        sanity: clips on which the weights are randomised.
        shuffled: the same network trained on random labels, for a second check on these clips.
        shown: clips of which there are pictures.
        total: number of clips, for the progress bar.

    Raises:
        InputError: no method fits the network, or there is no clip.
    """
    every = {**contenders, **CONTROLS}
    found = Found(results={name: [] for name in every})
    key = {"identity": dict(identity), "target": target}
    first: Question | None = None
    bar = tqdm(subjects, desc="compare", total=total, unit="clip", disable=None if progress else True)
    for place, subject in enumerate(bar):
        measured = protocol if noise is None or place < noise else replace(protocol, samples=0)
        question = ask(model, subject, target, measured)
        mark = f"{subject.name} {zlib.crc32(subject.clip.numpy().tobytes()):08x}"
        first = first or question
        found.names.append(subject.name)
        found.classes.append(int(question.classes))
        found.labels.append(subject.label)
        for name, explain in every.items():
            if name in found.refused:
                continue
            bar.set_postfix_str(name)
            own = dict((options or {}).get(name.partition("@")[0], {}))
            about = {**key, "protocol": asdict(measured), "clip": mark, "method": name, "options": own}
            one = One(question, explain, about, keep)
            try:
                found.results[name].append(one.measures())
                if place < shown:
                    found.pictures.setdefault(subject.name, {})[name] = one.pictures(draw)
                if place < sanity and name in contenders:
                    steps = one.sanity(draw)
                    found.sanity.setdefault(name, []).append(steps["alike"])
                    found.strips.setdefault(name, steps["pictures"])
                    if shuffled is not None:
                        found.shuffled.setdefault(name, []).append(one.labels(shuffled))
            except (UsageError, InputError) as problem:
                _refuse(found, name, problem, contenders)
        if place < shown:
            plain = np.zeros(subject.clip.shape[2:], np.float32)
            found.pictures[subject.name][""] = draw(subject, plain if plain.ndim == 3 else plain[None])
    if first is None:
        raise InputError("there is no clip that methods could be compared on.")
    explains = {name: explain for name, explain in every.items() if name not in found.refused}
    shape = list(first.clip.shape)
    chosen = {method: dict(own) for method, own in (options or {}).items()}
    cell = {**key, "protocol": asdict(protocol), "cost": sorted(explains), "options": chosen, "shape": shape}
    found.cost = keep(cell, lambda: _cost(first, explains))
    return found


def ask(model: Model, subject: Subject, target: str | list[int], protocol: Protocol) -> Question:
    """The question that all methods answer for a clip."""
    clip = to_network(subject.clip, model.network)
    assert isinstance(clip, Tensor), "a tensor is moved to a tensor"
    with torch.inference_mode(), frozen(model.network):
        logits = find_logits(call(model.network, clip))
    return Question(
        model.network, subject, clip, as_target(subject, target, logits).to(clip.device), protocol
    )


def _refuse(found: Found, name: str, problem: Exception, contenders: Mapping[str, ExplainFunction]) -> None:
    """Leave a method out that does not fit the network; raises InputError when none is left."""
    found.refused[name] = str(problem)
    del found.results[name]
    for part in (found.sanity, found.shuffled, found.strips):
        part.pop(name, None)
    for pictures in found.pictures.values():
        pictures.pop(name, None)
    if all(method in found.refused for method in contenders):
        raise InputError(f"none of the methods fits the network: {problem}") from problem


def _cost(question: Question, explains: Mapping[str, ExplainFunction]) -> dict[str, dict[str, float]]:
    network, clip, classes = question.network, question.clip, question.classes

    def forward() -> None:
        with torch.inference_mode(), frozen(network):
            call(network, clip)

    works = {
        name: lambda explain=explain: explain(network, clip, classes) for name, explain in explains.items()
    }
    return {name: cost._asdict() for name, cost in costs(forward, works).items()}

"""A sample before a network, and what one explainer says of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from glocal.attribution.inputs.network_inputs import to_network
from glocal.attribution.targets import Score
from glocal.benchmark.samples import Footage, Sample
from glocal.errors import UsageError
from glocal.evaluation.faithfulness import REMOVAL_UNITS, BlockDrops, EndScores, block_drops, end_scores
from glocal.evaluation.sanity import ExplainFunction
from glocal.models import Model
from glocal.types import AttributionMap, BoxArray

SampleTarget = str | int
"""`"top1"`, `"truth"`, or a class index."""
Value = TypeVar("Value")


@dataclass(frozen=True)
class MeasureConfig:
    """How explanations are measured.

    Attributes:
        over, baseline, steps: of insertion and deletion; see `glocal.evaluation.faithfulness.deletion`.
        blocks: of `infidelity`.
        samples: of `sensitivity_max`; 0 leaves it out.
        batch: changed clips that run through the network at once, at most; see `batch_limit`.
    """

    over: tuple[str, ...] = REMOVAL_UNITS
    baseline: str = "blur"
    steps: int = 10
    blocks: int = 32
    samples: int = 4
    batch: int = 16


@dataclass(eq=False)
class PreparedSample:
    """A sample before a network, with the class that every explainer explains.

    Attributes:
        name: of the sample.
        network: in eval mode.
        footage: frames and truth.
        clip: `(1, C, T, H, W)` or `(1, C, H, W)`, on the network's device.
        classes: `(1,)`, the class explained.
        label: index of the true class, where known.
        config: how explanations are measured.
        score: of a class, whose changes are measured: the model's probabilities.
    """

    name: str
    network: nn.Module
    footage: Footage
    clip: Tensor
    classes: Tensor
    label: int | None
    config: MeasureConfig
    score: Score = "probability"

    @cached_property
    def ends(self) -> EndScores:
        """Scores of the clip and of the emptied clip; the same for all explainers and curves."""
        return end_scores(
            self.network,
            self.clip,
            self.classes,
            baseline=self.config.baseline,
            batch=self.config.batch,
            score=self.score,
        )

    @cached_property
    def blocks(self) -> BlockDrops:
        """What emptying random blocks does to the score; the same for all explainers."""
        return block_drops(
            self.network,
            self.clip,
            self.classes,
            baseline=self.config.baseline,
            blocks=self.config.blocks,
            batch=self.config.batch,
            score=self.score,
        )


def prepare(model: Model, sample: Sample, target: SampleTarget, config: MeasureConfig) -> PreparedSample:
    """Load a sample, and choose the class that is explained.

    Raises:
        InputError: the sample cannot be loaded.
        UsageError: the true class is asked for and unknown.
    """
    footage = sample.load()
    clip = to_network(footage.network_input, model.network)
    assert isinstance(clip, Tensor), "a tensor is moved to a tensor"
    label = sample.class_index(model.labels)
    if target == "truth":
        if label is None:
            raise UsageError(
                f"the true class of {sample.name} is unknown to the model; choose another --target."
            )
        classes = torch.tensor([label])
    elif isinstance(target, str):
        classes = model.probabilities(model.logits(clip))[0].argmax()[None]
    else:
        classes = torch.tensor([target])
    classes = classes.to(clip.device)
    return PreparedSample(
        sample.name, model.network, footage, clip, classes, label, config, model.probabilities
    )


class ExplainedSample:
    """What one explainer says of a sample; measures take it.

    Attributes:
        prepared: the sample, its network, and the class explained.
        explain: the explainer.
    """

    prepared: PreparedSample
    explain: ExplainFunction

    def __init__(self, prepared: PreparedSample, explain: ExplainFunction) -> None:
        self.prepared, self.explain = prepared, explain
        self._shared: dict[Any, Any] = {}

    @cached_property
    def attribution(self) -> Tensor:
        """Attribution map `(1, T, H, W)`, or `(1, H, W)` for images; computed when it is first needed."""
        p = self.prepared
        return self.explain(p.network, p.clip, p.classes).detach().to(p.clip.device)

    @cached_property
    def maps(self) -> AttributionMap:
        """The attribution as `(T, H, W)`; T is 1 for images."""
        return frames_of(self.attribution)

    @property
    def true_boxes(self) -> dict[int, BoxArray]:
        """Frame → true boxes; empty where they are unknown."""
        return dict(self.prepared.footage.boxes or {})

    def shared(self, compute: Callable[["ExplainedSample"], Value]) -> Value:
        """Return `compute(self)`, which runs once for all measures that ask for it."""
        if compute not in self._shared:
            self._shared[compute] = compute(self)
        value: Value = self._shared[compute]
        return value


def frames_of(attribution: Tensor) -> AttributionMap:
    """`(1, T, H, W)` or `(1, H, W)` → `(T, H, W)`."""
    maps: AttributionMap = attribution[0].float().cpu().numpy()
    return maps if maps.ndim == 3 else maps[None]

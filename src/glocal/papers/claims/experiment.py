"""What the experiments have in common: the model, clips, methods measured on them, a table."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution import METHODS
from glocal.benchmark.cache import fingerprint
from glocal.benchmark.explainers import OTHER_SCORES, parse_explainers
from glocal.benchmark.runner import Results, run
from glocal.benchmark.samples import Sample, open_samples, puppet_samples, spread_evenly
from glocal.benchmark.tables import RowIntervals, Table, TableRow, interval_notes
from glocal.datasets import DATASETS
from glocal.datasets.puppets import ACTIONS
from glocal.errors import InputError, UsageError
from glocal.evaluation.sanity import ExplainFunction
from glocal.evaluation.statistics import Interval, bootstrap
from glocal.models import Model
from glocal.papers.table import TableContext
from glocal.types import AttributionMap
from glocal.utils.files import printable

CLIPS = 200
DATA = {"puppets": "puppets/gated"}
REAL_CLIPS = 40
REAL_DATA = {
    "videos": "efficientnet-lite0",
    "csv": "efficientnet-lite0",
    "surveillance-fight": "efficientnet-lite0",
}
"""Data sets without figures whose acts are known, for claims that ask for none."""
DEFAULT_METHODS = "3dcam,3dcam:centred,3dcam-active,3dcam-active:centred,gradcam,gradcam@layer4"
Figures = dict[str, float]


def real_samples(context: TableContext, model: Model, clips: int) -> Iterator[Sample]:
    """Windows of the videos of a data set: the first of every video, then the second, and so on.

    Args:
        context: names the data set.
        model: whose clips are sampled.
        clips: number of windows at most; the videos are taken evenly from all.

    Raises:
        UsageError: the folder of the data set is missing.
    """
    if context.root is None:
        raise UsageError(f"{context.data} needs the folder of your copy; give it as --root.")
    dataset = DATASETS[context.data]
    split = "test" if "test" in (dataset.splits or ()) else "train"
    records = spread_evenly(dataset.read(context.root, split), clips)
    sources = {printable(record.path): record.source for record in records if record.source}
    for sample in open_samples(model, videos=[record.path for record in records], clips=clips, crop="center"):
        yield replace(sample, source=sources.get(str(sample.source), sample.source))


def claim_samples(context: TableContext, model: Model, distractor: str) -> Iterator[Sample]:
    """Puppets of the test split at the network's resolution, without those whose action it does not know.

    Of other data sets, `real_samples`.

    Args:
        context: says how many, and of which data.
        model: whose clips are like those.
        distractor: `"acting"` for two figures that act, `"mixed"` for one.

    Raises:
        InputError: the network has no class of the puppets' actions, or takes no colour clips.
    """
    if context.data != "puppets":
        yield from real_samples(context, model, context.clips or REAL_CLIPS)
        return
    clip_spec = model.clip
    if clip_spec.modality != "rgb" or clip_spec.image or clip_spec.frames < 5:
        raise InputError(
            f"{model.name} takes no colour clips of 5 frames or more, which the claims are about."
        )
    if not set(ACTIONS) & set(model.labels):
        raise InputError(
            f"{model.name} has no class of the puppets' actions; name a network trained on puppets."
        )
    for sample in puppet_samples(model, clips=context.clips or CLIPS, distractor=distractor):
        if all(figure.action in model.labels for figure in sample.load().figures):
            yield replace(sample, key=[distractor, sample.key])


def claim_model(context: TableContext) -> tuple[Model, dict[str, str], dict[str, Any]]:
    """The network, its layers with the paths of their modules, and what tells both apart in a cache key."""
    model = context.load_model()
    layers = dict(model.layer_paths)
    key = {
        "network": fingerprint(model.network),
        "layers": layers,
        "clip_spec": str(model.clip),
        "outputs": [str(model.outputs), model.activated],
    }
    return model, layers, key


class MethodsExperiment:
    """A network and the methods that a claim is tried on, named by the option `methods` of its table.

    Attributes:
        model: the network.
        names: of the methods; `all` stands for every method, and for 3DCAM of other scores than the logit.
        key: what tells the network and its layers apart, for caches.
        sources: of the samples that were measured, in order; None for puppets, each of which is alone.
    """

    model: Model
    names: list[str]
    key: dict[str, Any]
    sources: list[str] | None

    def __init__(self, context: TableContext) -> None:
        self.model, self._layers, self.key = claim_model(context)
        self.names = option_names(context, "methods") or [*METHODS, *OTHER_SCORES]
        self._context = context
        self.sources = None

    def explainers(self, *, counterfactual: bool = False) -> Mapping[str, ExplainFunction]:
        """Name → explainer."""
        explainers = parse_explainers(self.names, self._layers, counterfactual=counterfactual)
        return {name: explainer.of(self.model) for name, explainer in explainers.items()}

    def measure(
        self,
        claim: str,
        distractor: str,
        figures: Callable[[Sample, str], Figures],
        *,
        controls: Sequence[str] = (),
    ) -> Results[Figures]:
        """Method → its figures for every sample of a claim, see `claim_samples` and `measure_methods`."""
        key = {**self.key, "claim": claim}
        samples = claim_samples(self._context, self.model, distractor)
        if self._context.data != "puppets":
            self.sources = []
            samples = with_sources(samples, self.sources)
        return measure_methods(self._context, key, samples, self.names, figures, controls=controls)


def with_sources(samples: Iterable[Sample], sources: list[str]) -> Iterator[Sample]:
    """The samples; the source of each is appended to `sources` as it is taken."""
    for sample in samples:
        sources.append(sample.source or sample.name)
        yield sample


def option_names(context: TableContext, option: str) -> list[str]:
    """An option `a,b` as a list; `all` as an empty one."""
    text = str(context.options[option])
    return [] if text == "all" else [name.strip() for name in text.split(",") if name.strip()]


def attribution_map(network: nn.Module, clip: Tensor, explain: ExplainFunction, index: int) -> AttributionMap:
    """Attribution `(T, H, W)` of one clip `(1, C, T, H, W)` for a class."""
    attribution = explain(network, clip, torch.tensor([index], device=clip.device))
    maps: AttributionMap = attribution[0].float().cpu().numpy()
    return maps


def measure_methods(
    context: TableContext,
    key: Mapping[str, Any],
    samples: Iterable[Sample],
    methods: Sequence[str],
    measure: Callable[[Sample, str], Figures],
    *,
    controls: Sequence[str] = (),
) -> Results[Figures]:
    """Method → its figures for every sample, cached.

    Args:
        context: whose cache is used.
        key: what the figures follow from, but for the sample and the method.
        samples: of the claim.
        methods: names.
        measure: the figures of a sample and a method.
        controls: names of methods that ignore the network.

    Raises:
        InputError: no method fits the network.
    """
    return run(
        samples,
        [*methods, *controls],
        measure,
        controls=controls,
        cache=context.cache,
        key=lambda sample, name: {**key, "method": name, "clip": sample.key},
        total=context.clips or CLIPS,
        progress=context.progress,
    )


def claim_table(
    values: Mapping[str, Sequence[Figures]],
    columns: Mapping[str, str],
    judge: str | None = None,
    *,
    trivial: Mapping[str, Figures] | None = None,
    groups: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    controls: Sequence[str] = (),
    paired: bool = False,
    sources: Sequence[str] | None = None,
) -> Table:
    """Means over the clips; their 95 % intervals are among the notes.

    Args:
        values: row → one mapping of columns to figures for each clip.
        columns: name → what it says.
        judge: see `Table`.
        trivial: rows that ignore the network, with their figures.
        groups: row → its group.
        notes: further notes.
        controls: names of rows that ignore the network.
        paired: all rows are of the same clips; the notes say by how much each is above the first in `judge`.
        sources: the video that each clip is from; intervals draw whole videos.
    """
    rows, below = [], {}
    drawn = f"the {len(set(sources))} sources of the clips" if sources else "the clips"
    leads = _leads(values, judge, controls) if paired and judge is not None else {}
    for row, clips in values.items():
        intervals = {name: bootstrap([clip[name] for clip in clips], groups=sources) for name in columns}
        defined = {name: interval for name, interval in intervals.items() if interval.mean == interval.mean}
        means = {name: interval.mean for name, interval in defined.items()}
        rows.append(TableRow(row, means, trivial=row in controls, group=(groups or {}).get(row, "")))
        below[f"{row}, {len(clips)} clips"] = RowIntervals(defined, leads.get(row, {}))
    rows += [TableRow(name, figures, trivial=True) for name, figures in (trivial or {}).items()]
    meanings = [f"{name}: {text}." for name, text in columns.items()]
    intervals_below = interval_notes(below, drawn=drawn, judge=judge or "")
    return Table(list(columns), rows, judge, [*meanings, *intervals_below, *notes])


def _leads(
    values: Mapping[str, Sequence[Figures]], judge: str, controls: Sequence[str]
) -> dict[str, dict[str, Interval]]:
    """Row → the first row → by how much it is above that one, clip by clip."""
    first, *others = (row for row in values if row not in controls)
    leads = {}
    for row in others:
        pairs = zip(values[row], values[first], strict=True)
        lead = bootstrap([clip[judge] - reference[judge] for clip, reference in pairs])
        if lead.mean == lead.mean:
            leads[row] = {first: lead}
    return leads

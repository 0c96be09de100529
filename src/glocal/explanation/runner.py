"""Explain and classify whole videos: windows, attribution, blending."""

from dataclasses import replace

import torch
from torch import Tensor

from glocal.attribution import attribute
from glocal.attribution.targets import top_count
from glocal.explanation.accumulation import WindowResults
from glocal.explanation.config import ExplainConfig, configured_by
from glocal.explanation.explanation import Explanation, Prediction
from glocal.explanation.intrinsic_attention import AttentionEditor
from glocal.explanation.predictions import NUM_BEST, MeanProbabilities, best_predictions
from glocal.explanation.selection import resolve_target, select_layers
from glocal.explanation.window_stream import VideoLike, WindowStream, mark_non_overlapping
from glocal.models import Model
from glocal.types import Progress
from glocal.video.clip_spec import Crop
from glocal.video.scenes import Cuts


@configured_by(ExplainConfig)
def explain(model: Model, video: VideoLike, config: ExplainConfig) -> Explanation:
    """Explain where and when `model` finds its reasons for a class in `video`.

    The video is decoded once, in windows of the model's clip length and in constant memory. Overlapping
    windows fade into each other, each weighted by the target's probability in it, so that the attribution is
    low where the class is not seen. Frames between sampled ones are interpolated.

    Args:
        model: from `load_model` or `as_model`, or a `Model` of your own.
        video: a path (video, image, or folder of images), a `Video`, or frames `(T, H, W, 3)` uint8.
        **config: the fields of `ExplainConfig`, or one as `config`.

    Returns:
        The explanation of the best class of the target; its `per_class` has those of all classes.

    Raises:
        UsageError: an argument is not among what is allowed; the message lists what is.
        InputError: the video cannot be read, or the network cannot use it.
    """
    layers = select_layers(model, config.layers)
    target = resolve_target(config.target, model.labels)
    stream = WindowStream.open(model, video, crop=config.crop, cuts=config.cuts, progress=config.progress)
    editor = AttentionEditor(model, config.edit, stream.video, stream.geometry)
    before = () if config.edit is None else best_predictions(model.labels, _mean_probabilities(model, stream))
    targets = _targets(target, model, stream, editor, config.overlap)
    results = WindowResults(model, config, stream)
    for window, is_counted in mark_non_overlapping(stream.windows("explain", config.overlap)):
        network = editor.network_for(window)
        with results.votes.recording():
            attribution = attribute(
                network,
                window.clip,
                layers,
                method=config.method,
                aggregate=config.aggregate,
                target=targets,
                counterfactual=config.counterfactual,
                options=config.options,
                score=model.probabilities if config.score == "probability" else config.score,
                progress=config.progress is True,
            )
        results.add(window, network, attribution, is_counted=is_counted)
    return results.explanation(before)


def classify(
    model: Model,
    video: VideoLike,
    *,
    crop: Crop | None = None,
    best: int = NUM_BEST,
    cuts: Cuts = "auto",
    progress: Progress = False,
) -> tuple[Prediction, ...]:
    """Return the best classes of a video: probabilities averaged over windows that do not overlap.

    Args:
        model: as for `explain`.
        video: as for `explain`.
        crop: `"full"` or `"center"`; by default the model's own.
        best: how many classes to return.
        cuts: as for `explain`.
        progress: as for `explain`.

    Raises:
        UsageError: an argument is not among what is allowed.
        InputError: the video cannot be read, or the network cannot use it.
    """
    stream = WindowStream.open(model, video, crop=crop, cuts=cuts, progress=progress)
    return best_predictions(model.labels, _mean_probabilities(model, stream), best)


def _targets(
    target: str | int, model: Model, stream: WindowStream, editor: AttentionEditor, overlap: float
) -> str | Tensor:
    """Return the classes to explain in every window: those of the whole video, for `"topK"` too."""
    if isinstance(target, int):
        return torch.tensor([[target]])
    if not stream.has_several(overlap):
        return target
    ranked = _mean_probabilities(model, stream, editor).argsort(descending=True)
    return ranked[None, : top_count(target, len(model.labels))]


def _mean_probabilities(model: Model, stream: WindowStream, editor: AttentionEditor | None = None) -> Tensor:
    """Average the probabilities `(num_classes,)` over the windows, with the editor's edit if there is one."""
    mean = MeanProbabilities()
    for window in stream.windows("classify"):
        edited = replace(model, network=editor.network_for(window)) if editor else model
        mean.add(model.probabilities(edited.logits(window.clip))[0].cpu())
    return mean.value

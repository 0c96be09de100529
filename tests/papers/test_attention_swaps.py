"""Swapped attention, on a hand-made ST-ABN whose answers are known."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glocal.benchmark.cache import Cache
from glocal.errors import UsageError
from glocal.models import Model
from glocal.models.stabn import STABN
from glocal.papers.attention_branch import INVERTING_IS_NOT_ENOUGH, drop, reliance_notes
from glocal.papers.attention_swaps import (
    CASES,
    Attention,
    Replacements,
    SwapExperiment,
    case_logits,
    partners,
    shuffle,
)
from glocal.training.clips import EvaluationClips
from glocal.video import ClipSpec

CLASSES = ("a", "b", "c")
SPEC = ClipSpec(4, size=16, short_side=16, fps=4.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
STEP = 60
"""Grey levels between the classes; frame 0 is the cue: 0 for frame 2, 240 for frame 3."""


class Cued(STABN):
    """Classifies the frame that M_t selects: the logit of a class is the mean of M_t − 1/2 over its frames."""

    def __init__(self, use_cue: bool) -> None:
        nn.Module.__init__(self)
        self.use_cue = use_cue
        self.backbone = SimpleNamespace(penultimate_activation=lambda clips: clips[:, :1] * 255)

    def attention(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        """M_t of 0.9 in the frame that the cue names and 0.5 elsewhere, or always in frame 2; M_s is 0.8."""
        late = (
            features[:, 0, 0].mean((1, 2)) > 120 if self.use_cue else torch.zeros(len(features), dtype=bool)
        )
        temporal = torch.full((len(features), 1, 4, 1, 1), 0.5)
        temporal[torch.arange(len(features)), 0, 2 + late.long()] = 0.9
        return torch.zeros(len(features), 3), torch.full_like(features, 0.8), temporal

    def perception_logits(self, features: Tensor, spatial: Tensor, temporal: Tensor) -> Tensor:
        """Scores of the three grey levels."""
        grey = torch.arange(1, 4) * STEP
        shown = (features - grey[None, :, None, None, None]).abs() < STEP / 2
        return (shown * (temporal - 0.5) * spatial).mean((2, 3, 4))


class Grey:
    """Videos of four grey frames; the odd ones have their class in frame 3, with another one in frame 2."""

    labels = CLASSES
    keeps_frames = False

    def __init__(self, videos: int, cued: bool) -> None:
        self.videos, self.cued = videos, cued

    def __len__(self) -> int:
        return self.videos

    def label(self, index: int) -> str:
        return CLASSES[index % 3]

    def times(self, index: int) -> np.ndarray:
        return np.arange(4) / 4.0

    def identity(self, index: int) -> None:
        return None

    def read(self, index: int, frames: np.ndarray) -> list[np.ndarray]:
        own, other = (1 + index % 3) * STEP, (1 + (index + 1) % 3) * STEP
        late = self.cued and index % 2 == 1
        levels = [240 if late else 0, 0, other if late else own, own if late else other]
        return [np.full((16, 16, 3), levels[frame], np.uint8) for frame in frames]


def experiment(videos: int, cued: bool, cache: Path | None = None) -> SwapExperiment:
    network = Cued(cued).eval()
    model = Model("hand-made", network, {}, CLASSES, SPEC)
    clips = EvaluationClips(Grey(videos, cued), SPEC, CLASSES)
    return SwapExperiment(model, clips, {"videos": videos, "cued": cued}, Cache(cache))


def accuracies(hits: dict) -> dict[str, float]:
    return {case: float(np.mean(columns["top-1"])) for case, columns in hits.items()}


def test_a_network_that_follows_its_cue_relies_on_m_t_alone() -> None:
    """The next video's cue is the opposite one, so that with another clip's M_t every answer is wrong."""
    hits = experiment(12, cued=True).hits()
    top_1 = accuracies(hits)
    assert list(top_1) == list(CASES)
    assert top_1["neither inverted"] == top_1["spatial inverted"] == top_1["M_s of another clip"] == 1
    assert top_1["M_t of another clip"] == top_1["both of another clip"] == 0
    assert top_1["M_s: mean of the clip"] == top_1["M_s shuffled in place"] == 1
    assert drop([hits], "M_t of another clip") == (1, 1, 1)
    notes = reliance_notes([hits, hits])
    assert "on M_s 0.0 (0.0 to 0.0), on M_t 100.0 (100.0 to 100.0)" in notes[1]
    assert INVERTING_IS_NOT_ENOUGH in notes


def test_a_constant_m_t_costs_everything_inverted_and_nothing_swapped() -> None:
    hits = experiment(12, cued=False).hits()
    top_1 = accuracies(hits)
    assert top_1["neither inverted"] == 1
    assert top_1["temporal inverted"] == 0
    for case in ("M_t of another clip", "M_t: mean of the data", "both of another clip"):
        assert top_1[case] == 1
    assert drop([hits], "M_t of another clip").mean == 0


def test_the_interval_of_a_drop_is_over_videos_paired() -> None:
    half = {
        "neither inverted": {"top-1": [True, True, False, True]},
        "x": {"top-1": [True, False, True, True]},
    }
    assert drop([half], "x").mean == 0
    assert drop([half], "x").low == -0.75
    other = {"neither inverted": {"top-1": [True] * 4}, "x": {"top-1": [False] * 4}}
    assert drop([half, other], "x").mean == 0.5


@pytest.mark.parametrize("chunk", [2, 5])
def test_videos_are_swapped_within_chunks_and_cached(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glocal.papers.attention_swaps.CHUNK", chunk)
    hits = experiment(10, cued=True, cache=tmp_path).hits()
    assert all(len(columns["top-1"]) == 10 for columns in hits.values())
    assert not any(hits["M_t of another clip"]["top-1"][:4])

    def fail(*arguments: object) -> None:
        raise AssertionError("what is cached is not computed again")

    monkeypatch.setattr("glocal.papers.attention_swaps.case_logits", fail)
    assert experiment(10, cued=True, cache=tmp_path).hits() == hits


def test_one_video_has_no_other_clip() -> None:
    with pytest.raises(UsageError, match="at least two videos"):
        experiment(1, cued=True).hits()


def test_partners_are_clips_of_the_next_video() -> None:
    assert partners(torch.tensor([4, 4, 7, 9, 9, 9])).tolist() == [2, 2, 3, 0, 1, 0]


def test_shuffling_keeps_the_values_of_each_clip_and_each_frame() -> None:
    generator = torch.Generator().manual_seed(0)
    own = Attention(
        torch.rand(3, 1, 5, 4, 6, generator=generator), torch.rand(3, 1, 5, 1, 1, generator=generator)
    )
    shuffled = shuffle(own, generator)
    assert not torch.equal(shuffled.spatial, own.spatial)
    assert not torch.equal(shuffled.temporal, own.temporal)
    for a, b in (
        (shuffled.spatial.flatten(3), own.spatial.flatten(3)),
        (shuffled.temporal[..., 0, 0], own.temporal[..., 0, 0]),
    ):
        assert torch.equal(a.sort().values, b.sort().values)


def test_logits_with_the_own_attention_are_those_of_the_network() -> None:
    network = Cued(True).eval()
    clips = torch.rand(2, 3, 4, 16, 16)
    features = network.backbone.penultimate_activation(clips)
    own = Attention(*network.attention(features)[1:])
    other, average = own.select(torch.tensor([1, 0])), own.select(slice(1))
    logits = case_logits(network, features, Replacements(own, other, average, own))
    assert torch.equal(logits["neither inverted"], network.perception_logits(features, *own))

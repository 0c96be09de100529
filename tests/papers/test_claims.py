"""The claims' experiments on networks and explanations that are planted."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import glocal
from glocal.benchmark import Cache, Footage, Sample, parse_explainers
from glocal.errors import InputError, UsageError
from glocal.evaluation.faithfulness import BlockDrops, block_drops
from glocal.papers import TableContext, tables
from glocal.papers.claims import order
from glocal.papers.claims.discriminative import discriminate, strongest, within
from glocal.papers.claims.early_late import both_ways, change, early_late
from glocal.papers.claims.experiment import claim_table, measure_methods
from glocal.papers.claims.sensitivity import miss, miss_of_all
from glocal.papers.claims.side_by_side import Half, right_half
from glocal.video import write_video
from helpers.planted import Colours, planted_footage, planted_model, squares, to_clip

MODEL = planted_model()
NETWORK = MODEL.network
LAYERS = {"seen": "relu"}


def two(red: tuple[int, int] = (2, 2), blue: tuple[int, int] = (14, 15)) -> Footage:
    """A red and a blue square; the network's classes 0 and 1 are how much red and blue there is."""
    frames, masks = squares((0, *red), (2, *blue))
    return planted_footage(frames, masks)


def fixed(attention: np.ndarray) -> Callable[..., Any]:
    """An explanation that is the same for every class."""
    return lambda network, clips, classes: torch.as_tensor(attention)[None]


@pytest.mark.parametrize("method", ["gradcam", "layercam"])
def test_a_method_that_asks_the_network_points_at_the_right_square(method: str) -> None:
    explain = parse_explainers([method], LAYERS)[method]
    against = parse_explainers([method], LAYERS, counterfactual=True)[method]
    found = discriminate(MODEL, two(), explain, against)
    assert (found["right"], found["on a figure"], found["more"]) == (1, 1, 1)
    assert found["alike"] < 0.2
    assert found["2nd in 1st"] == 0, "red and blue lie apart"


def test_3dcam_sees_both_squares_in_a_network_of_one_layer() -> None:
    """Its gradient, summed over channels, is the same everywhere, so the activation of all classes is shown."""
    explain = parse_explainers(["3dcam"], LAYERS)["3dcam"]
    found = discriminate(MODEL, two(), explain, explain)
    assert found["alike"] == pytest.approx(1)
    assert found["more"] == 0.5


def test_one_map_for_all_classes_is_right_half_of_the_time() -> None:
    footage = two()
    first, second = (figure.mask for figure in footage.figures)
    for attention in (first, second, first | second):
        found = discriminate(MODEL, footage, *[fixed(attention.astype(np.float32))] * 2)
        assert (found["right"], found["more"], found["alike"]) == (0.5, 0.5, pytest.approx(1))
        assert found["on a figure"] == 1
        assert found["2nd in 1st"] == found["3rd in 1st"] == 1


def test_maxima_on_nobody_or_on_both_count_for_nobody() -> None:
    footage = two()
    mask = footage.figures[0].mask
    nobody = np.zeros(mask.shape, np.float32)
    nobody[:, 23, 0] = 1
    found = discriminate(MODEL, footage, fixed(nobody), fixed(nobody))
    assert math.isnan(found["right"])
    assert found["on a figure"] == 0
    both = planted_footage(footage.frames, [mask, mask])
    assert math.isnan(discriminate(MODEL, both, *[fixed(mask.astype(np.float32))] * 2)["right"])


def test_the_wrong_square_is_wrong() -> None:
    footage = two()
    swapped = torch.stack([torch.from_numpy(footage.figures[i].mask.astype(np.float32)) for i in (1, 0, 0)])
    found = discriminate(MODEL, footage, *[lambda n, c, k: swapped[k]] * 2)
    assert (found["right"], found["more"]) == (0, 0)


def test_a_method_without_a_counterfactual_has_none() -> None:
    def refuses(network: Colours, clips: torch.Tensor, classes: torch.Tensor) -> None:
        raise UsageError("no counterfactual.")

    footage = two()
    found = discriminate(MODEL, footage, fixed(footage.figures[0].mask.astype(np.float32)), refuses)
    assert math.isnan(found["against in 1st"])


def test_the_strongest_tenth_by_hand() -> None:
    attention = np.arange(100, dtype=np.float32).reshape(1, 10, 10)
    assert strongest(attention).sum() == 10
    assert strongest(attention)[0, 9].all()
    assert strongest(np.zeros((1, 10, 10), np.float32)).sum() == 0
    assert within(strongest(attention), attention > 94) == 0.5


def test_evidence_that_gets_no_attention_is_missed() -> None:
    """Two red squares matter alike; attention on one of them misses the blocks that cover only the other."""
    frames, (one, other) = squares((0, 2, 2), (0, 14, 15))
    clip, classes = to_clip(frames), torch.tensor([0])
    masks = torch.from_numpy(np.stack([one, other, ~(one | other)]))
    blocks = BlockDrops(masks, torch.tensor([[0.3, 0.3, 0.001]]))
    half = miss(NETWORK, clip, classes, fixed(one.astype(np.float32)), blocks, 0.9)
    whole = miss(NETWORK, clip, classes, fixed((one | other).astype(np.float32)), blocks, 0.9)
    none = miss(NETWORK, clip, classes, fixed((~(one | other)).astype(np.float32)), blocks, 0.9)
    assert (half["missed"], whole["missed"], none["missed"]) == (0.5, 0, 1)
    assert half["blind"] == pytest.approx(1 - one.mean())
    assert whole["infidelity"] < half["infidelity"]
    empty = miss(NETWORK, clip, classes, fixed(np.zeros_like(one, np.float32)), blocks, 0.9)
    assert (empty["missed"], empty["blind"]) == (1, 1)
    nothing = BlockDrops(masks, torch.tensor([[0.01, 0.0, -0.5]]))
    assert math.isnan(miss(NETWORK, clip, classes, fixed(one.astype(np.float32)), nothing, 0.9)["missed"])


def test_decisive_blocks_of_the_planted_network_are_those_that_cover_the_square() -> None:
    frames, (red,) = squares((0, 2, 2))
    clip, classes = to_clip(frames), torch.tensor([0])
    blocks = block_drops(NETWORK, clip, classes, baseline="mean", blocks=60, sides=(1 / 2, 1 / 2))
    whole = float(MODEL.logits(clip)[0].softmax(0)[0])
    decisive = blocks.masks[blocks.drops[0] >= 0.1 * whole].numpy()
    assert len(decisive)
    assert all((mask & red).any() for mask in decisive)


def test_early_appearance_and_late_motion_are_measured() -> None:
    """Attention on the standing figure first, on what moves later: the claim as it is meant."""
    figure = np.zeros((9, 12, 12), bool)
    figure[:, 2:8, 2:6] = True
    moving = np.zeros((9, 12, 12), np.float32)
    moving[:, 4, 5] = 3
    early = figure.astype(np.float32)
    attention = np.where(np.arange(9)[:, None, None] < 4, early, moving)
    found = early_late(attention, figure, moving)
    assert found["figure early"] == pytest.approx(144 / 24)
    assert found["motion early"] == pytest.approx(144 / 24)
    assert found["figure late"] == pytest.approx(144 / 24)
    assert found["motion late"] == pytest.approx(144)
    assert (found["spread early"], found["spread late"]) == (pytest.approx(24 / 144), pytest.approx(1 / 144))
    assert found["to motion"] == pytest.approx(math.log2(24))
    even = early_late(np.ones((9, 12, 12), np.float32), figure, moving)
    assert (even["to motion"], even["spread late"]) == (pytest.approx(0), pytest.approx(1))


def test_what_a_clip_shows_early_or_late_cancels_out() -> None:
    """The square grows in the middle of the clip: an effect of the content, not of the time in the clip."""
    frames = np.full((9, 24, 24, 3), 60, np.uint8)
    masks = np.zeros((9, 24, 24), bool)
    for t in range(9):
        masks[t, 4:10, 4 : 10 if t < 4 else 20] = True
    frames[masks] = (255, 0, 0)
    footage = planted_footage(frames, [masks])

    def looks_at_red(
        network: Colours | None, clips: torch.Tensor, classes: torch.Tensor | None
    ) -> torch.Tensor:
        return (clips[:, 0] - clips[:, 1]).clamp(min=0)

    forwards = early_late(looks_at_red(None, footage.clip, None)[0].numpy(), masks, change(frames))
    assert forwards["spread late"] > 2 * forwards["spread early"]
    assert forwards["figure late"] < forwards["figure early"] / 2
    both = both_ways(MODEL, footage, looks_at_red)
    for part in ("spread", "figure"):
        assert both[f"{part} early"] == pytest.approx(both[f"{part} late"])
        assert both[f"{part} early"] == pytest.approx(
            (forwards[f"{part} early"] + forwards[f"{part} late"]) / 2
        )


def test_drops_of_a_network_with_softmax_are_those_of_its_probabilities() -> None:
    with_softmax = replace(
        MODEL, network=nn.Sequential(NETWORK, nn.Softmax(1)), outputs="softmax", activated=True
    )
    attention = np.zeros((8, 24, 24), np.float32)
    attention[:4, :12] = 1
    sample, explainers = Sample("two", two), {"row": fixed(attention)}
    expected = miss_of_all(MODEL, sample, explainers)["row"]
    assert expected == pytest.approx(miss_of_all(with_softmax, sample, explainers)["row"])
    assert all(math.isfinite(value) for value in expected.values())


def test_change_is_that_of_the_neighbouring_frames() -> None:
    frames = np.zeros((4, 2, 2, 3), np.uint8)
    frames[2, 0, 1] = (10, 20, 30)
    assert change(frames)[:, 0, 1].tolist() == [0, 30, 60, 60]


def context(folder: Path, **options: Any) -> TableContext:
    return TableContext("puppets", None, "m", None, None, "cpu", 2, options, folder, Cache(folder / "cells"))


def test_methods_that_do_not_fit_are_noted_and_the_rest_is_kept(tmp_path: Path) -> None:
    calls = []

    def figures(sample: Sample, name: str) -> dict[str, float]:
        calls.append(name)
        if name == "odd":
            raise UsageError("it has no tokens.")
        return {"x": float(len(sample.name))}

    clips = [Sample(name, two, key=name) for name in ("a", "bb")]
    results = measure_methods(
        context(tmp_path), {"k": 1}, clips, ["odd", "good"], figures, controls=["control"]
    )
    assert results.values == {"good": [{"x": 1.0}, {"x": 2.0}], "control": [{"x": 1.0}, {"x": 2.0}]}
    assert results.notes == ["odd is left out: it has no tokens."]
    assert calls == ["odd", "good", "control", "good", "control"]
    measure_methods(context(tmp_path), {"k": 1}, clips, ["good"], figures)
    assert len(calls) == 5, "kept"
    with pytest.raises(InputError, match="none of the methods fits the network: it has no tokens"):
        measure_methods(context(tmp_path), {}, clips, ["odd"], figures, controls=["control"])


def test_rows_are_means_with_their_intervals_below() -> None:
    values = {"m": [{"a": 0.0, "b": math.nan}, {"a": 1.0, "b": math.nan}]}
    rows = claim_table(values, {"a": "first", "b": "second"}, "a", trivial={"chance": {"a": 0.5}})
    assert rows.rows[0].values == {"a": 0.5}
    assert rows.margin(rows.rows[0]) == 0
    assert rows.notes == [
        "a: first.",
        "b: second.",
        "95 % intervals by a bootstrap over the clips:",
        "m, 2 clips: a 0.500 (0.000 to 1.000)",
    ]


def test_rows_of_the_same_clips_are_compared_clip_by_clip() -> None:
    values = {"one": [{"a": 0.2}, {"a": 0.6}, {"a": math.nan}], "two": [{"a": 0.3}, {"a": 0.7}, {"a": 9.0}]}
    table = claim_table(values, {"a": "first"}, "a", paired=True)
    assert table.notes[1] == "95 % intervals by a bootstrap over the clips, leads over other rows in a:"
    assert table.notes[-1].endswith("; over one +0.100 (0.100 to 0.100)")


class Brighter(nn.Module):
    """Scores of two classes: how much brighter the end is than the beginning, and the opposite, or neither."""

    def __init__(self, sees_order: bool) -> None:
        super().__init__()
        self.sees_order = sees_order
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = x.mean((1, 3, 4))
        change = means[:, -4:].mean(1) - means[:, :4].mean(1)
        rise = change if self.sees_order else means.sum(1)
        return torch.stack([rise, -rise], 1) * self.weight


@pytest.mark.parametrize(("sees_order", "expected"), [(True, 1.0), (False, 0.5)])
def test_a_network_that_ignores_the_order_stays_at_chance(
    sees_order: bool, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rise = torch.linspace(0, 1, 8).view(1, 1, 8, 1, 1).expand(1, 3, 8, 4, 4)
    monkeypatch.setattr(order, "_clips", lambda *_: [(rise, 0), (rise.flip(2), 1)] * 3)
    model = glocal.Model("m", Brighter(sees_order).eval(), {}, ("up", "down"), glocal.ClipSpec(8))
    found = order._pair(model, ("up", "down"), 6)
    assert np.mean([clip["right"] for clip in found]) == expected
    assert np.mean([clip["backwards"] for clip in found]) == expected


def test_clips_of_a_pair_are_the_test_splits_own() -> None:
    clip_spec = glocal.ClipSpec(frames=6, short_side=32, size=32, fps=8)
    model = glocal.Model("m", Brighter(True).eval(), {}, ("pick up", "put down"), clip_spec)
    clips = list(order._clips(model, ("pick up", "put down"), 4))
    assert [answer for _, answer in clips] == [0, 1, 0, 1]
    assert all(clip.shape == (1, 3, 6, 32, 32) for clip, _ in clips)


def colour_videos(folder: Path) -> None:
    """Three videos: a red, a blue and a grey square on grey."""
    for name, channel in (("red", 0), ("blue", 2)):
        frames, _ = squares((channel, 9, 9))
        write_video(folder / f"{name}.mp4", np.repeat(frames, 2, 0), 25)
    write_video(folder / "grey.mp4", np.full((16, 24, 24, 3), 60, np.uint8), 25)


def test_of_two_clips_side_by_side_the_right_one_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colour_videos(tmp_path)
    monkeypatch.setattr(TableContext, "load_model", lambda context: MODEL)
    options = {"methods": "gradcam,layercam", "sure": 0.6}
    context = TableContext(
        "videos", tmp_path, "colours", None, None, "cpu", 4, options, tmp_path, Cache(tmp_path / "cells")
    )
    table = tables()["claims/side-by-side"].run(context)
    rows = {row.name: row.values for row in table.rows}
    for method in ("gradcam", "layercam"):
        assert rows[method]["right"] == 1
        assert rows[method]["share"] > 0.95
    assert rows["chance"]["right"] == 0.5
    assert any("2 pairs of 2 classes: blue, red" in note for note in table.notes), table.notes
    with pytest.raises(InputError, match="sure="):
        tables()["claims/side-by-side"].run(replace(context, options={**options, "sure": 1.1}))
    with pytest.raises(UsageError, match="--root"):
        tables()["claims/side-by-side"].run(replace(context, root=None))


@pytest.mark.parametrize(
    ("claim", "options", "row"),
    [
        ("claims/invariance", {"methods": "gradcam"}, "gradcam"),
        ("claims/sensitivity", {"method": "gradcam"}, "gradcam seen"),
    ],
)
def test_claims_that_need_no_figures_run_on_videos_and_draw_whole_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claim: str, options: dict[str, str], row: str
) -> None:
    colour_videos(tmp_path)
    monkeypatch.setattr(TableContext, "load_model", lambda context: MODEL)
    context = TableContext(
        "videos", tmp_path, "colours", None, None, "cpu", 3, options, tmp_path, Cache(tmp_path / "cells")
    )
    table = tables()[claim].run(context)
    assert row in {line.name for line in table.rows}
    notes = " ".join(table.notes)
    assert "sources of the clips" in notes
    assert f"{row}, 3 clips" in notes
    with pytest.raises(UsageError, match="--root"):
        tables()[claim].run(replace(context, root=None))


def test_one_map_for_both_classes_is_right_half_of_the_time_side_by_side() -> None:
    frames, _ = squares((0, 2, 2), (2, 14, 15))
    mask = np.zeros(frames.shape[:3], bool)
    mask[..., :12] = True
    footage = replace(two(), figures=(Half(mask, "red"), Half(~mask, "blue")))
    figures = right_half(MODEL, footage, fixed(np.where(mask, 1.0, 0.5).astype(np.float32)))
    assert figures == {"right": 0.5, "share": pytest.approx(0.5), "alike": pytest.approx(1)}

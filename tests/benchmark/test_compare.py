"""Methods side by side on a network whose reasons are known."""

import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import glocal
from glocal.benchmark import (
    CONTROLS,
    MEASURES,
    Cache,
    Comparison,
    ExplainedSample,
    Explainer,
    MeasureConfig,
    compare,
    parse_explainers,
    puppet_samples,
    video_samples,
)
from glocal.benchmark.cache import fingerprint
from glocal.benchmark.comparison_files import (
    ARROWS,
    comparison_markdown,
    comparison_text,
    figures_table,
    intervals_table,
    leads_table,
)
from glocal.benchmark.explained import prepare
from glocal.benchmark.explainers import OTHER_SCORES
from glocal.benchmark.measures import Measure, measure_sample
from glocal.benchmark.measures.localization import max_box_shares
from glocal.benchmark.samples import loaded_sample, record_samples
from glocal.benchmark.summary import Measurements, summarise
from glocal.benchmark.tables import as_csv
from glocal.benchmark.window_maps import explain_window
from glocal.cli import main
from glocal.datasets import Record
from glocal.datasets.puppets import ACTIONS
from glocal.errors import InputError, UsageError
from glocal.evaluation.faithfulness import deletion
from glocal.evaluation.sanity import weight_parts
from glocal.models.adapter import NetworkAdapter
from glocal.models.factories import call_factory
from glocal.report.comparison_page import pictures, ranked, write_comparison
from glocal.video import ClipSpec, write_video
from helpers.browser import chromium
from helpers.networks import Small2d, Small3d, seeded
from helpers.planted import CLIP_SPEC, Colours, planted_model, red_sample

OWN_NETWORK = """import glocal
from torch import nn
def net():
    layers = nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3)
    return glocal.as_model(nn.Sequential(*layers), glocal.ClipSpec(4, size=16, short_side=16), layers=["0"])
"""
CONFIG = MeasureConfig(steps=4, blocks=16, samples=1)
MODEL = planted_model()


def right(network: Colours | None, clips: torch.Tensor, classes: torch.Tensor | None) -> torch.Tensor:
    """The red there is, which is what the network counts."""
    return (clips[:, 0] - clips[:, 1] - clips[:, 2]).clamp(min=0)


def wrong(network: Colours | None, clips: torch.Tensor, classes: torch.Tensor | None) -> torch.Tensor:
    return 1 - right(network, clips, classes)


def run(
    cache: Any,
    methods: dict[str, Callable[..., Any] | Callable[..., Any] | Explainer],
    clips: int = 4,
    sanity: int = 2,
    target: str = "top1",
    noise: int | None = None,
) -> Comparison:
    return compare(
        MODEL,
        map(red_sample, range(clips)),
        methods,
        target=target,
        config=CONFIG,
        noise=noise,
        sanity=sanity,
        illustrated=2,
        cache=cache,
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    methods = {"right": right, "wrong": wrong, **parse_explainers(["3dcam"], {"seen": "relu"})}
    return run(Cache(tmp_path_factory.mktemp("cells")), methods)


CLEAR = [
    *(
        "insertion/space-time",
        "deletion/space-time",
        "insertion/space",
        "deletion/space",
        "drop",
        "infidelity",
    ),
    *("hit_max", "iou", "maxbox"),
]
"""Measures by which the true reason must be best."""


def test_the_true_reason_wins_every_clear_measure_and_beats_the_controls(found: Comparison) -> None:
    summary = summarise(found)
    for name in CLEAR:
        facts = summary["measures"][name]
        assert "right" in facts["best"], name
        assert "wrong" not in facts["best"], name
        assert facts["control"]["low"] >= 0, name
    means = {m: {n: v["mean"] for n, v in facts["means"].items()} for m, facts in summary["methods"].items()}
    assert means["right"]["hit_max"] == 1
    assert means["wrong"]["hit_max"] == 0
    assert means["3dcam"]["hit_max"] == 1
    assert means["right"]["infidelity"] < 0.2 < means["wrong"]["infidelity"]
    assert set(ranked(summary)[-4:]) == set(CONTROLS), "controls come last"


def test_noise_is_added_to_so_many_clips(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    quiet = run(cache, {"right": right}, clips=3, sanity=0, noise=1)
    assert ["sensitivity" in clip["measures"] for clip in quiet.results["right"]] == [True, False, False]
    loud = run(cache, {"right": right}, clips=3, sanity=0)
    assert all("sensitivity" in clip["measures"] for clip in loud.results["right"])
    means = [summarise(found)["methods"]["right"]["means"]["sensitivity"]["mean"] for found in (quiet, loud)]
    assert means[0] == loud.results["right"][0]["measures"]["sensitivity"]
    assert means[1] != means[0]


def test_the_passes_that_a_comparison_takes_are_said_before() -> None:
    clip, passes, costs = red_sample(0), [], []
    model = planted_model()
    compare(
        model,
        [clip],
        {"right": right},
        config=CONFIG,
        noise=0,
        illustrated=0,
        announce=lambda cost, rows: (
            costs.append((cost, rows))
            or model.network.register_forward_hook(lambda network, inputs, output: passes.append(len(output)))
        ),
    )
    (cost, rows), *others = costs
    assert not others
    assert rows == 1 + len(CONTROLS)
    ends, timing = 2, 5
    assert sum(passes) == cost.passes - ends + timing, "the ends are scored to time a pass"
    assert cost.sentence(6, rows).startswith(f"{rows} rows take some {cost.passes} forward passes of ")
    assert "without those of the methods themselves; what is cached" in cost.sentence(6, rows)


def test_methods_of_many_passes_are_named_before_they_are_compared() -> None:
    costs = []
    names = ("rise", "3dcam", "occlusion")
    explainers = {
        name: Explainer(name, {}, options={"samples": 2} if name == "rise" else {}) for name in names
    }
    model = planted_model()
    compare(
        model,
        [red_sample(0)],
        explainers,
        config=CONFIG,
        noise=0,
        illustrated=0,
        sanity=1,
        announce=lambda cost, rows: costs.append(cost.sentence(1, rows)),
    )
    maps = 1 + len(weight_parts(model.network))
    assert f"of which occlusion, rise take up to thousands for each of their {maps} maps;" in costs[0]


def test_what_does_not_ask_the_network_is_flagged(found: Comparison) -> None:
    methods = summarise(found)["methods"]
    assert methods["right"]["survives"]
    assert methods["wrong"]["survives"]
    assert methods["random"]["survives"] is None, "controls are not checked"
    assert len(found.sanity["right"]) == 2


def test_a_network_trained_on_random_labels_is_a_second_check() -> None:
    def asks(network: Colours, clips: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return network.relu(network.conv(clips))[:, 0]

    other = planted_model().network
    other.conv.weight.data = other.conv.weight.data.flip(0)
    found = compare(
        MODEL,
        map(red_sample, range(3)),
        {"right": right, "asks": asks},
        target="truth",
        config=CONFIG,
        sanity=3,
        random_labels=other,
    )
    methods = summarise(found)["methods"]
    assert methods["right"]["shuffled"]["mean"] == pytest.approx(1)
    assert methods["asks"]["shuffled"]["mean"] < 0.5
    rows = list(csv.DictReader(io.StringIO(as_csv(intervals_table(summarise(found))))))
    assert float(rows[0]["random labels"]) == pytest.approx(1)


def test_agreement_is_one_with_itself_and_negative_with_the_opposite(found: Comparison) -> None:
    methods = list(found.results)
    table = np.array(summarise(found)["agreement"])
    assert np.allclose(np.diag(table), [method != "even" for method in methods])
    assert table[methods.index("right"), methods.index("wrong")] == pytest.approx(-1, abs=0.05)
    assert abs(table[methods.index("right"), methods.index("random")]) < 0.2


def test_a_stopped_comparison_goes_on_where_it_was(tmp_path: Path) -> None:
    calls = []

    def slow(network: Colours, clips: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return right(network, clips, classes)

    with pytest.raises(KeyboardInterrupt):
        run(Cache(tmp_path), {"slow": slow})
    before = len(calls)
    again = run(Cache(tmp_path), {"slow": slow})
    total = len(calls) - before
    calls.clear()
    run(Cache(tmp_path), {"slow": slow})
    assert calls == [], "everything is kept"
    fresh = run(None, {"slow": right})
    assert [r["measures"] for r in again.results["slow"]] == [r["measures"] for r in fresh.results["slow"]]
    run(None, {"slow": lambda n, c, k: (calls.append(1), right(n, c, k))[1]})
    assert total < len(calls), "what was done before the stop is not done again"


def test_another_clip_of_the_same_name_is_another_clip() -> None:
    class Recording(Cache):
        def __init__(self) -> None:
            super().__init__(None)
            self.keys = []

        def get(
            self, key: dict[str, Any], compute: Callable[..., Any]
        ) -> dict[str, dict[str, Any] | list[int | float]] | list[str]:
            self.keys.append(json.dumps(key, sort_keys=True))
            return super().get(key, compute)

    first, second = Recording(), Recording()
    run(first, {"right": right}, clips=1, sanity=0)
    other = red_sample(3).load()
    renamed = loaded_sample("red 0", other.clip, other.frames, label="red", boxes=other.boxes)
    compare(MODEL, [renamed], {"right": right}, config=CONFIG, illustrated=2, cache=second)
    assert first.keys
    assert not set(first.keys) & {key for key in second.keys if '"cost"' not in key}


def test_a_method_that_does_not_fit_is_left_out_with_its_reason() -> None:
    def refuses(network: Colours, clips: torch.Tensor, classes: torch.Tensor) -> None:
        raise UsageError("this network has no tokens.")

    found = run(None, {"right": right, "odd": refuses}, clips=1)
    assert found.refused == {"odd": "this network has no tokens."}
    assert "odd" not in summarise(found)["methods"]
    with pytest.raises(InputError, match="none of the methods fits the network: this network has no tokens"):
        run(None, {"odd": refuses}, clips=1)


def test_the_measures_of_a_clip_are_those_of_the_library() -> None:
    prepared = prepare(MODEL, red_sample(1), "top1", CONFIG)
    attention = right(None, prepared.clip, None)
    value = measure_sample(ExplainedSample(prepared, right))
    assert int(prepared.classes) == 0
    curve = deletion(MODEL.network, prepared.clip, attention, torch.tensor([0]), over="space", steps=4)
    assert value["measures"]["deletion/space"] == pytest.approx(float(curve.auc))
    assert value["curves"]["deletion/space"][1] == pytest.approx(curve.scores[0].tolist(), abs=1e-6)
    assert len(value["cells"]) == 8 * 16 * 16


def by_hand(**methods: np.ndarray) -> Comparison:
    """A comparison of `drop` values alone."""
    results = {
        name: [
            {"measures": {"drop": v}, "curves": {}, "counts": {}, "cells": [0, 1, place]}
            for place, v in enumerate(values)
        ]
        for name, values in methods.items()
    }
    return Comparison([f"clip {i}" for i in range(40)], [0] * 40, [None] * 40, results)


def test_the_best_and_those_that_cannot_be_told_from_it() -> None:
    rng = np.random.default_rng(0)
    common = rng.random(40)
    found = by_hand(
        good=0.2 + common,
        near=0.205 + common + 0.05 * (-1.0) ** np.arange(40),
        shifted=0.3 + common,
        random=0.25 + common,
    )
    facts = summarise(found)["measures"]["drop"]
    assert set(facts["best"]) == {"good", "near"}, "0.1 is far, clip by clip, although the clips spread more"
    assert facts["control"]["method"] == "random"
    assert facts["control"]["mean"] == pytest.approx(0.05, abs=0.01)
    assert facts["control"]["low"] > 0
    mean = summarise(found)["methods"]["shifted"]["means"]["drop"]
    assert mean["mean"] == pytest.approx((0.3 + common).mean())


def test_values_that_are_not_defined_are_left_out() -> None:
    values = np.full(40, 0.5)
    values[:10] = np.nan
    mean = summarise(by_hand(good=values, other=values + 0.1))["methods"]["good"]["means"]["drop"]
    assert mean["mean"] == mean["low"] == 0.5


def test_intervals_draw_whole_videos() -> None:
    values = np.repeat([0.2, 0.6], 20)
    found = by_hand(good=values, other=values + 0.1)
    by_clip = summarise(found)["methods"]["good"]["means"]["drop"]
    found.sources = ["a.mp4"] * 20 + ["b.mp4"] * 20
    by_video = summarise(found)["methods"]["good"]["means"]["drop"]
    assert by_clip["low"] > 0.3
    assert (by_video["low"], by_video["high"]) == pytest.approx((0.2, 0.6))
    found.sources = ["a.mp4"] * 40
    assert summarise(found)["methods"]["good"]["means"]["drop"] == by_clip, "of one video, clips are drawn"


def test_maxboxacc_is_that_of_the_measure_over_all_frames(found: Comparison) -> None:
    from glocal.evaluation import MaxBoxAcc, inclusive_boxes

    for method, explain in (("right", right), ("wrong", wrong)):
        measure = MaxBoxAcc()
        for place in range(4):
            footage = red_sample(place).load()
            maps = explain(None, footage.clip, None)[0].numpy()
            for frame, boxes in footage.boxes.items():
                measure.update(maps[frame], inclusive_boxes(boxes))
        mean = summarise(found)["methods"][method]["means"]["maxbox"]["mean"]
        assert mean == pytest.approx(measure.average)
    uneven = [
        {"hits": [[1, 2], [4, 0]], "maps": 4},
        None,
        {"hits": [[0, 3], [0, 1]], "maps": 6},
    ]
    pooled = max_box_shares(uneven)
    assert pooled.mean == pytest.approx(np.mean([5 / 10, 4 / 10]))
    assert pooled.figures == pytest.approx([np.mean([2 / 4, 4 / 4]), float("nan"), 3 / 6 / 2], nan_ok=True)
    assert pooled.weights == [4, 0, 6]


def test_the_interval_of_maxboxacc_is_one_of_a_share(found: Comparison) -> None:
    """A clip with many boxes among clips with few makes no share above 1."""
    counts = [{"hits": [[frames]] * 3, "maps": frames} for frames in (1, 1, 9)]
    measured = Measurements(["a", "b", "c"], [0] * 3, [0] * 3)
    measured.results["right"] = [
        {
            "measures": {},
            "curves": {},
            "counts": {"maxbox": count},
            "cells": found.results["right"][0]["cells"],
        }
        for count in counts
    ]
    interval = summarise(measured)["methods"]["right"]["means"]["maxbox"]
    assert interval == {"mean": 1, "low": 1, "high": 1}


def test_table_and_csv_say_the_same(found: Comparison) -> None:
    summary = summarise(found)
    rows = list(csv.DictReader(io.StringIO(as_csv(intervals_table(summary)))))
    assert [row["method"] for row in rows] == list(found.results)
    for row in rows:
        values = [r["measures"]["drop"] for r in found.results[row["method"]]]
        assert float(row["drop"]) == pytest.approx(np.mean(values))
        assert float(row["drop low"]) <= float(row["drop"]) <= float(row["drop high"])
    text = comparison_text(summary)
    sentence, *tables, wins = (part.splitlines() for part in text.split("\n\n"))
    assert sentence == [summary["verdict"]]
    for table in tables:
        assert table[0].startswith("method")
        assert len(table) == 1 + len(found.results)
        assert len({len(line) for line in table}) == 1, "columns are aligned"
    assert "survives!" in text
    assert wins[0].split("  ")[0] == "measure"
    assert len(wins) == 1 + len(summary["measures"])
    assert max(map(len, [line for part in (*tables, wins) for line in part])) <= 100


def test_who_wins_is_said_with_its_interval(found: Comparison) -> None:
    summary = summarise(found)
    table = leads_table(summary)
    rows = {row.name: list(row.values.values()) for row in table.rows}
    best, equals, _, control = rows["maximum in the box ↑"]
    assert (best, equals) == ("-", "right, 3dcam"), "none of two equals leads"
    assert control.split(" ")[-1] in CONTROLS
    name, measure = next((n, m) for n, m in summary["measures"].items() if m["leader"] and "next" in m)
    over = measure["next"]
    best, _, lead, _ = rows[f"{measure['title']} {ARROWS[measure['better']]}"]
    assert best == measure["leader"] == measure["best"][0]
    assert lead == f"{over['mean']:+.3f} ({over['low']:.3f} to {over['high']:.3f}) {over['method']}"
    assert rows["sensitivity ↓"][-1] == "-", "controls are no rivals there"
    mean = summary["methods"][best]["means"][name]["mean"]
    assert f"**{mean:.3f}**" in comparison_markdown(summary)

    by_all_alike = by_hand(**dict.fromkeys(("a", "b", "c", "d", "e"), np.full(40, 0.5)))
    summary = summarise(by_all_alike)
    best, equals, *_ = leads_table(summary).rows[0].values.values()
    assert (best, equals) == ("-", "a, b, c and 2 more"), "none of equals is the best"
    assert "*" not in comparison_text(summary)
    assert "**" not in comparison_markdown(summary)


def test_random_labels_have_their_column_where_they_were_checked(found: Comparison) -> None:
    assert "random labels ↓" not in found.table().columns
    found = replace(found, shuffled={"right": [{"spearman": 0.25}]})
    table = figures_table(summarise(found))
    place = table.header.index("random labels ↓")
    texts = {row.name: table.cells(row, "*{}")[place] for row in table.rows}
    assert texts["right"] == "0.25"
    assert texts["wrong"] == "-"


def test_the_page_opens_offline_and_shows_every_method(found: Comparison, tmp_path: Path) -> None:
    page = write_comparison(
        summarise(found),
        found.pictures,
        found.strips,
        {"Model": "<b>m</b>", "Weights": "w", "Clips": "squares"},
        tmp_path / "x.html",
    )
    html = page.read_text("utf-8")
    assert "<b>m</b>" not in html, "texts are escaped"
    assert re.findall(r'(?:src|href)="(?!data:)([^"]*)"', html) == []
    for method in found.results:
        assert html.count(f'data-method="{method}"') >= 6
    assert html.count("data:image/jpeg") == 2 * 8 * 6 + 3 * len(found.strips["right"])
    assert "fail the sanity check" in html


def test_long_names_of_clips_fit_a_phone(found: Comparison, tmp_path: Path) -> None:
    names = {clip: f"{clip}_{'np1_fr_goo_' * 6}37.avi, window 0" for clip in summarise(found)["clips"]}
    path = write_comparison(
        {**summarise(found), "clips": list(names.values())},
        {names[clip]: pictures for clip, pictures in found.pictures.items()},
        found.strips,
        {"Model": "m", "Weights": "w", "Clips": "c", **dict.fromkeys(names.values(), "explained as “red”")},
        tmp_path / "x.html",
    )
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(path.as_uri())
        page.locator("details").evaluate_all("all => all.forEach(part => part.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_pictures_show_the_attention_on_evenly_taken_frames() -> None:
    import base64

    import cv2

    frames = red_sample(0).load().frames
    attention = np.zeros((8, 24, 24), np.float32)
    attention[7, :6, :6] = 1
    first, *_, last = pictures(np.full_like(frames, 60), attention)
    decoded = [
        cv2.imdecode(np.frombuffer(base64.b64decode(p.partition(",")[2]), np.uint8), 1) for p in (first, last)
    ]
    assert decoded[0].shape[1] >= 160
    assert np.abs(decoded[0].astype(int) - 60).max() <= 4
    assert decoded[1][10, 10].max() > 120


def test_explainers_know_their_layers_and_options() -> None:
    network = seeded(Small3d()).eval()
    layers = {"conv": "relu1", "layer1": "layer1"}
    clips = torch.rand(1, 3, 8, 24, 24)
    classes = torch.tensor([2])
    some = parse_explainers(["gradcam@layer1", "3dcam"], layers)
    own = glocal.attribute(network, clips, ["layer1"], method="gradcam", target=2).attention
    both = glocal.attribute(network, clips, ["relu1", "layer1"], target=2).attention
    assert torch.equal(some["gradcam@layer1"](network, clips, classes), own)
    assert torch.equal(some["3dcam"](network, clips, classes), both)
    against = parse_explainers(["3dcam"], layers, counterfactual=True)["3dcam"](network, clips, classes)
    assert torch.equal(
        against,
        glocal.attribute(network, clips, ["relu1", "layer1"], target=2, counterfactual=True).attention,
    )
    assert set(parse_explainers([], layers)) == {*glocal.attribution.METHODS, *OTHER_SCORES}
    centred = parse_explainers(["3dcam:centred@layer1"], layers)["3dcam:centred@layer1"]
    expected = glocal.attribute(network, clips, ["layer1"], target=2, score="centred").attention
    assert torch.equal(centred(network, clips, classes), expected)
    assert centred.name == "3dcam:centred one layer1"
    rows = parse_explainers(
        ["3dcam/max", "3dcam:centred@conv+layer1/auto", "3dcam"], layers, aggregate="mean"
    )
    assert [row.aggregate for row in rows.values()] == ["max", "auto", "mean"]
    assert rows["3dcam:centred@conv+layer1/auto"].name == "3dcam:centred auto conv+layer1"
    with pytest.raises(UsageError, match="Did you mean 'auto'"):
        parse_explainers(["3dcam/autos"], layers)
    with pytest.raises(UsageError, match="Did you mean 'centred'"):
        parse_explainers(["3dcam:centered"], layers)
    with pytest.raises(UsageError, match="Did you mean 'layer1'"):
        parse_explainers(["3dcam@leyer1"], layers)
    with pytest.raises(UsageError, match="Did you mean 'gradcam'"):
        parse_explainers(["gradcm"], layers)
    with pytest.raises(UsageError, match="no option"):
        parse_explainers(["3dcam"], layers, options={"3dcam": {"samples": "3"}})


def test_the_probability_of_a_network_with_softmax_is_its_output() -> None:
    inside = seeded(Small3d()).eval()
    clip = ClipSpec(frames=8, size=24, short_side=24)
    logits_model = glocal.as_model(inside, clip)
    model = glocal.as_model(nn.Sequential(inside, nn.Softmax(1)), clip)
    assert model.activated
    generator = torch.Generator().manual_seed(0)
    clips, classes = torch.rand(1, 3, 8, 24, 24, generator=generator), torch.tensor([2])
    (explainer,) = parse_explainers(["layercam:probability"], {"conv": "0.layer1"}).values()
    (of_logits,) = parse_explainers(["layercam:probability"], {"conv": "layer1"}).values()
    expected = of_logits.of(logits_model)(inside, clips, classes)
    assert expected.max() > 0
    torch.testing.assert_close(explainer.of(model)(model.network, clips, classes), expected)
    window: Any = SimpleNamespace(clip=clips)
    volume = explain_window(model, window, [explainer], 2).layer_maps["layercam:probability"]["conv"]
    of_window = explain_window(logits_model, window, [of_logits], 2).layer_maps["layercam:probability"][
        "conv"
    ]
    torch.testing.assert_close(volume, of_window)


def test_controls_have_the_shape_of_the_clip() -> None:
    for shape in ((2, 3, 8, 12, 10), (2, 3, 12, 10)):
        clips = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        for explain in CONTROLS.values():
            maps = explain(None, clips, None)
            assert maps.shape == (2, *shape[2:])
            assert maps.min() >= 0
            assert maps.max() <= 1
    still = torch.zeros(1, 3, 4, 6, 6)
    still[:, :, 2:, 1, 1] = 1
    moved = CONTROLS["change"](None, still, None)[0]
    assert torch.nonzero(moved).tolist() == [[2, 1, 1]]


def test_puppets_are_seen_at_the_networks_resolution() -> None:
    samples = list(puppet_samples(MODEL, clips=4))
    assert [sample.class_index(ACTIONS[:3]) for sample in samples] == [0, 1, 2, None]
    footage = samples[1].load()
    assert footage.clip.shape == (1, 3, 8, 24, 24)
    assert torch.allclose(footage.clip[0, :, 3], torch.from_numpy(footage.frames[3]).permute(2, 0, 1) / 255)
    mask = footage.figures[0].mask
    assert mask.shape == (8, 24, 24)
    x0, y0, x1, y1 = footage.boxes[0][0].astype(int)
    assert mask[0, y0:y1, x0:x1].sum() == mask[0].sum()


def test_videos_take_turns_and_boxes_follow_the_crop(tmp_path: Path) -> None:
    for name, length in (("a", 20), ("b", 9)):
        frames = np.full((length, 48, 64, 3), 40, np.uint8)
        write_video(tmp_path / f"{name}.mp4", frames, 10)
    paths = [str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")]
    names = [s.name.rpartition("/")[2] for s in video_samples(paths, CLIP_SPEC)]
    assert names == [f"{v}.mp4, window {w}" for w, v in ((0, "a"), (0, "b"), (1, "a"), (1, "b"), (2, "a"))]
    assert len(list(video_samples(paths, CLIP_SPEC, clips=3))) == 3
    assert [s.source for s in video_samples(paths, CLIP_SPEC, clips=3)] == [paths[0], paths[1], paths[0]]
    record = Record(tmp_path / "b.mp4", "red", tubes=(dict.fromkeys(range(4), (8.0, 12.0, 40.0, 36.0)),))
    (sample,) = record_samples([record], CLIP_SPEC, crop="center", clips=5)
    assert sample.label == "red"
    footage = sample.load()
    assert footage.frames.shape == (8, 24, 24, 3)
    boxes = [[tuple(box) for box in footage.boxes.get(frame, ())] for frame in range(8)]
    # 64×48 → 32×24, of which columns 4 to 28 are kept; the middle one of two windows starts at frame 1
    assert boxes[0] == [(0.0, 6.0, 16.0, 18.0)]
    assert boxes[-1] == []


def test_clips_with_boxes_come_before_those_without(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", np.full((8, 24, 24, 3), 90, np.uint8), 10)
    boxed = (dict.fromkeys(range(8), (2.0, 2.0, 9.0, 9.0)),)
    records = [Record(tmp_path / "a.mp4", str(k), tubes=boxed if k in (3, 5, 8) else ()) for k in range(10)]

    def labels(clips: int | None) -> list[str | None]:
        return [sample.label for sample in record_samples(records, CLIP_SPEC, clips=clips)]

    assert labels(2) == ["3", "5"]
    assert labels(3) == ["3", "5", "8"]
    assert labels(5) == ["3", "5", "8", "0", "4"]
    assert len(labels(None)) == len(labels(20)) == 10


def test_what_cannot_be_read_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    write_video(tmp_path / "good.mp4", np.full((8, 24, 24, 3), 90, np.uint8), 10)
    paths = [str(tmp_path / "broken.mp4"), str(tmp_path / "good.mp4")]
    assert [s.name.rpartition("/")[2] for s in video_samples(paths, CLIP_SPEC)] == ["good.mp4, window 0"]
    records = [Record(tmp_path / "broken.mp4", "red"), Record(tmp_path / "good.mp4", "blue")]
    assert [s.label for s in record_samples(records, CLIP_SPEC)] == ["blue"]
    assert caplog.text.count("broken.mp4") == 2
    with pytest.raises(InputError, match="no clip"):
        compare(MODEL, [], {"right": right}, config=CONFIG)


def test_image_networks_are_compared_too() -> None:
    clip_spec = glocal.ClipSpec(frames=1, short_side=24, size=24, image=True)
    network = seeded(Small2d(len(ACTIONS))).eval()
    model = glocal.Model("images", network, {"last": "features"}, ACTIONS, clip_spec)
    found = compare(
        model,
        puppet_samples(model, clips=2),
        ["gradcam", "3dcam"],
        config=CONFIG,
        sanity=1,
    )
    measures = summarise(found)["measures"]
    assert "deletion/space" in measures
    assert "deletion/time" not in measures
    assert "hit_max" in measures
    assert [len(p) for p in found.pictures["puppets test-0-000000"].values()] == [1] * (2 + len(CONTROLS) + 1)


def test_a_new_measure_is_one_function(tmp_path: Path) -> None:
    def spread(explained: ExplainedSample) -> float:
        return float((explained.maps > 0.5).mean())

    entry = Measure("spread", "spread", "shape", "low", "Share of the clip that is attended.", spread)
    with MEASURES.override("spread", entry):
        found = run(None, {"right": right}, clips=2, sanity=0)
        files = found.save(tmp_path)
    by_hand = [np.mean(right(None, red_sample(i).load().clip, None).numpy() > 0.5) for i in range(2)]
    assert [clip["measures"]["spread"] for clip in found.results["right"]] == pytest.approx(by_hand)
    texts = {path.suffix: path.read_text("utf-8") for path in files}
    assert "<h2>Shape</h2>" in texts[".html"]
    assert "spread ↓" in texts[".md"]
    row = next(csv.DictReader(io.StringIO(texts[".csv"])))
    assert float(row["spread"]) == pytest.approx(np.mean(by_hand))


def test_videos_are_compared_in_python(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", np.full((20, 24, 24, 3), 90, np.uint8), 10)
    video = glocal.read_video(tmp_path / "a.mp4")
    for videos in (video, [video], str(tmp_path / "a.mp4"), tmp_path):
        found = compare(MODEL, videos, ["3dcam"], clips=2, config=CONFIG, illustrated=1)
        assert [name.rpartition("/")[2] for name in found.names] == ["a.mp4, window 0", "a.mp4, window 1"]
        assert repr(found) == "<Comparison of 5 methods on 2 clips>"
    assert [row.name for row in found.table().rows] == ["3dcam", *CONTROLS]


def test_names_that_are_no_text_are_cached_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"\xff\n.mp4")
    (tmp_path / "own.py").write_text(OWN_NETWORK)
    write_video(tmp_path / name, np.full((8, 24, 24, 3), 90, np.uint8), 10)
    arguments = ["compare", str(tmp_path / name), "--model", f"{tmp_path}/own.py:net", "--methods", "gradcam"]
    few = ["--steps", "2", "--noise", "0", "--sanity", "0", "--quiet", "--out", str(tmp_path / "out")]
    for _ in range(2):
        assert main([*arguments, *few]) == 0, capsys.readouterr().err
    for suffix in ("json", "csv", "md", "html"):
        (tmp_path / "out" / f"compare.{suffix}").read_text("utf-8")


def test_a_fingerprint_tells_weights_apart() -> None:
    one, same, other = seeded(Small3d()), seeded(Small3d()), seeded(Small3d(), 1)
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)


def test_a_fingerprint_tells_code_and_structure_of_ones_own_network_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", [*sys.path])
    code = (
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def forward(self, clips): return clips.mean((2, 3, 4)) + {}\n"
    )
    digests = []
    for number in (1, 1, 2):
        (tmp_path / "own.py").write_text(code.format(number))
        with pytest.warns(UserWarning, match="is code, which is run"):
            made = call_factory(f"{tmp_path / 'own.py'}:Net", {})
        assert isinstance(made, nn.Module)
        digests.append(fingerprint(NetworkAdapter(made, "BTCHW", None, None)))
    assert digests[0] == digests[1] != digests[2]
    relu, tanh = nn.Sequential(nn.ReLU()), nn.Sequential(nn.Tanh())
    assert fingerprint(relu) == fingerprint(nn.Sequential(nn.ReLU())) != fingerprint(tanh)


@pytest.fixture
def puppets_model(monkeypatch: pytest.MonkeyPatch) -> None:
    network = seeded(Small3d(len(ACTIONS))).eval()
    layers = {"conv": "relu1", "layer1": "layer1", "layer2": "layer2"}
    model = glocal.Model("small", network, layers, ACTIONS, CLIP_SPEC, "custom")
    monkeypatch.setattr("glocal.models.load_model", lambda *args, **options: model)
    monkeypatch.setattr("glocal.papers.table.load_model", lambda *args, **options: model)


QUICK = ["--steps", "2", "--over", "space-time,time", "--quiet"]


def test_the_command_compares_on_puppets(puppets_model: None, tmp_path: Path) -> None:
    arguments = [
        "compare",
        "--data",
        "puppets",
        "--clips",
        "2",
        "--sanity",
        "1",
        *QUICK,
        "--out",
        str(tmp_path),
    ]
    arguments += ["--methods", "3dcam,gradcam@layer2,rise,st-abn", "--option", "rise.samples=4"]
    assert main(arguments) == 0
    assert {p.name for p in tmp_path.iterdir()} == {
        "cells",
        *(f"compare.{suffix}" for suffix in ("html", "json", "csv", "md")),
    }
    data = json.loads((tmp_path / "compare.json").read_text("utf-8"))
    assert list(data["methods"]) == ["3dcam", "gradcam@layer2", "rise", *CONTROLS]
    assert "st-abn" in data["refused"]
    assert len(data["methods"]["rise"]["values"]["infidelity"]) == 2
    assert {"hit_max", "lift_limbs", "hit_moment", "insertion/time"} <= set(data["measures"])
    assert all(cost > 0 for cost in data["methods"]["rise"]["cost"].values())
    assert data["methods"]["3dcam"]["survives"] in (True, False)


def test_the_command_compares_on_videos(
    puppets_model: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clips").mkdir()
    frames = np.random.default_rng(0).integers(0, 255, (10, 40, 40, 3), np.uint8)
    write_video(tmp_path / "clips" / "a.mp4", frames, 10)
    arguments = ["compare", str(tmp_path / "clips"), "--methods", "3dcam", "--out", str(tmp_path / "out")]
    assert main([*arguments, *QUICK, "--target", "walk"]) == 0
    data = json.loads((tmp_path / "out" / "compare.json").read_text("utf-8"))
    assert data["classes"] == [ACTIONS.index("walk")] * 2
    assert "hit_max" not in data["measures"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name some videos, or a data set"),
        (["--data", "pupets"], "unknown data set 'pupets'"),
        (["--data", "jhmdb"], "give it as --root"),
        (["--data", "puppets", "--methods", "3dcm"], "Did you mean '3dcam'"),
        (["--data", "puppets", "--over", "spacetime"], "space-time"),
        (["--data", "puppets", "--target", "top3"], "one class is explained"),
        (["--data", "puppets", "--option", "masks=3"], "METHOD.NAME=VALUE"),
    ],
)
def test_wrong_usage_is_one_sentence(
    puppets_model: None,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    sentence: str,
) -> None:
    assert main(["compare", *arguments, "--quiet", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1


def test_a_claim_is_one_command(puppets_model: None, tmp_path: Path) -> None:
    for name, option in (
        ("early-late", "methods=3dcam"),
        ("discriminative", "methods=3dcam"),
        ("sensitivity", "method=3dcam"),
    ):
        assert (
            main(["table", f"claims/{name}", option, "--clips", "2", "--quiet", "--out", str(tmp_path)]) == 0
        )
        rows = list(csv.DictReader((tmp_path / f"claims-{name}-puppets.csv").open()))
        assert rows[0]["method"].startswith("3dcam")

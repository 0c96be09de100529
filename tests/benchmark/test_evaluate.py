"""How well explainers localize, on a network whose reasons are known."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import glocal
from glocal.benchmark import Explainer, Footage, Sample, evaluate, parse_explainers
from glocal.benchmark.annotated_windows import annotated_windows
from glocal.benchmark.box_measures import MaxBoxMeasure, PointMeasures
from glocal.benchmark.sample_sets import SampleSet
from glocal.cli import main
from glocal.datasets.puppets import ACTIONS
from glocal.errors import InputError, UsageError
from glocal.video import Geometry
from helpers.networks import Small3d, seeded
from helpers.planted import CLIP_SPEC, planted_model, red_sample

MODEL = planted_model()
LAYERS = {"seen": "relu"}
POINTS = PointMeasures(("hit_any", "hit_max", "Acc 0.5"), "hit_max")
BASELINES = [
    "full frame",
    "best fixed centred box",
    "Gaussian centre prior",
    "optical-flow magnitude",
    "motion over half a second",
    "uniform random maps",
]


def red_videos(count: int = 3) -> SampleSet:
    """Whole videos of a red square, to which the fixed box is fitted too."""

    def video(place: int) -> Footage:
        footage = red_sample(place).load()
        return Footage(footage.video, footage.boxes)

    samples = [
        Sample(f"red {place}", lambda place=place: video(place), "red", place) for place in range(count)
    ]
    boxes = [box / 24 for place in range(count) for box in video(place).boxes.values()]
    return SampleSet(samples, lambda: boxes, "red", "these")


def test_a_method_that_sees_the_square_points_at_it() -> None:
    """A method on layers, and one on the input alone, beside the baselines."""
    by_name = evaluate(MODEL, red_videos(), ["gradcam@seen"], measure=POINTS).figures()
    assert by_name["gradcam@seen"]["hit_max"] == 1
    explainers = parse_explainers(["gradcam", "inputxgradient"], LAYERS)
    evaluation = evaluate(MODEL, red_videos(), list(explainers.values()), measure=POINTS)
    figures = evaluation.figures()
    assert list(figures) == [*(explainer.name for explainer in explainers.values()), *BASELINES]
    for explainer in explainers.values():
        assert figures[explainer.name]["hit_max"] == 1
    assert figures["gradcam one seen"]["Acc 0.5"] == 1
    assert figures["full frame"]["hit_max"] == pytest.approx(36 / 24**2)
    table = evaluation.table(titles={"gradcam one seen": "Grad-CAM"})
    assert [row.name for row in table.rows if not row.trivial] == ["Grad-CAM", "inputxgradient one seen"]
    assert table.margin(table.rows[0]) == pytest.approx(
        1 - max(figures[name]["hit_max"] for name in BASELINES)
    )
    assert repr(evaluation) == "<Evaluation of 2 explainers on 3 clips>"


def test_a_refinement_is_measured_beside_its_start() -> None:
    start = Explainer("gradcam", LAYERS)
    refined = Explainer("gradcam", LAYERS, refinements=("guided",))
    measure = MaxBoxMeasure((0.3, 0.5))
    figures = evaluate(MODEL, red_videos(2), [start, refined], measure=measure).figures()
    values = figures[refined.name]
    assert values["gain"] == pytest.approx(values["average"] - figures[start.name]["average"])
    alone = evaluate(MODEL, red_videos(2), [refined], measure=measure).figures()[refined.name]
    assert alone == pytest.approx({name: values[name] for name in alone if name != "ms a frame"} | {
        "ms a frame": alone["ms a frame"]
    })  # fmt: skip
    assert "gain" not in alone


def test_clips_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    def broken() -> Footage:
        raise InputError("it is broken.")

    samples = red_videos(1)
    both = SampleSet([Sample("bad", broken), *samples.samples], samples.fitting, "red", "these")
    evaluation = evaluate(MODEL, both, [Explainer("gradcam", LAYERS)], measure=POINTS)
    assert len(evaluation.scores) == 1
    assert evaluation.notes[-1] == "1 clips could not be read and are left out"
    with pytest.raises(InputError, match="it is broken"):
        evaluate(MODEL, SampleSet([Sample("bad", broken)], samples.fitting, "red", "these"), [])
    with pytest.raises(UsageError, match="true or top1"):
        evaluate(MODEL, samples, [], target="best")


def test_a_class_by_name_is_explained_in_all_clips() -> None:
    explained = []

    def explain(target: str) -> dict[str, dict[str, float]]:
        evaluation = evaluate(MODEL, red_videos(2), ["gradcam@seen"], measure=POINTS, target=target)
        explained.append(evaluation.notes[0])
        return evaluation.figures()

    by_label, by_truth = (explain(target)["gradcam@seen"] for target in (MODEL.labels[0], "true"))
    assert "explained is 'red'" in explained[0]
    assert by_label == by_truth
    with pytest.raises(UsageError, match="no class 'violet'"):
        explain("violet")
    with pytest.raises(UsageError, match="not 'top2'"):
        explain("top2")


def test_clips_of_one_source_are_drawn_together() -> None:
    """Of three clips of one source and three of another, the intervals are those of two."""
    samples = red_videos(6)
    sources = [replace(sample, source="ab"[place // 3]) for place, sample in enumerate(samples.samples)]
    apart = evaluate(MODEL, samples, ["gradcam@seen"], measure=POINTS)
    together = evaluate(MODEL, replace(samples, samples=sources), ["gradcam@seen"], measure=POINTS)
    assert [len(source) for source in apart.sources] == [1] * 6
    assert [len(source) for source in together.sources] == [3, 3]
    row = "full frame"
    figures = [evaluation.figures()[row]["hit_max"] for evaluation in (apart, together)]
    assert [evaluation.interval(row).mean for evaluation in (apart, together)] == pytest.approx(figures)
    name = together.explainers[0].name
    assert together.interval(name, "hit_max") == (1, 1, 1)
    lead = together.lead(name, row, "hit_max")
    assert lead.mean == pytest.approx(1 - figures[0])
    assert together.lead(row, row) == (0, 0, 0)


def test_a_network_of_images_explains_each_annotated_frame() -> None:
    """Of a clip of 25 frames a second, sampled at one a second; motion is read from every third frame."""
    footage = red_videos(1).samples[0].load()
    box = next(iter(footage.boxes.values()))
    spec = replace(CLIP_SPEC, image=True, frames=1, fps=1.0)
    geometry = Geometry.fit((24, 24), spec)
    parts = list(annotated_windows(replace(footage, boxes=dict.fromkeys((3, 4), box)), spec, geometry))
    assert [part.sampled for part in parts] == [[3], [4]]
    assert [part.frames for part in parts] == [[3], [4]]
    assert [list(part.context) for part in parts] == [[0, 3, 6], [1, 4, 7]]


@pytest.fixture
def small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    network = seeded(Small3d(len(ACTIONS))).eval()
    layers = {"conv": "relu1", "layer1": "layer1", "layer2": "layer2"}
    model = glocal.Model("small", network, layers, ACTIONS, CLIP_SPEC, "custom")
    monkeypatch.setattr("glocal.models.load_model", lambda *args, **options: model)
    monkeypatch.setattr("glocal.benchmark.sample_sets.FITTED", 2)


def test_the_command_evaluates_a_model_beside_the_baselines(
    small_model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--data", "puppets", "--clips", "2", "--out", str(tmp_path), "--model", "small"]
    command += ["--method", "3dcam,gradcam@layer2", "--aggregate", "max"]
    assert main([*command, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["methods"]) == ["3dcam", "gradcam@layer2"]
    assert list(result["baselines"]) == BASELINES
    assert set(result["methods"]["3dcam"]) == {
        *("0.3", "0.5", "0.7", "average", "hit_any", "hit_max"),
        *("Acc 0.5", "Acc 0.6", "Acc2 0.5", "Acc2 0.6"),
    }
    assert result["clips"] == 2
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "full frame (trivial)" in out
    assert f"{result['methods']['3dcam']['hit_max']:.3f}" in out
    assert {path.name for path in tmp_path.iterdir()} == {
        "cells",
        "evaluate-puppets.csv",
        "evaluate-puppets.md",
    }


def test_the_command_refines_and_gives_intervals(
    small_model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--data", "puppets", "--clips", "2", "--out", str(tmp_path), "--model", "small"]
    command += ["--method", "gradcam", "--refine", "motion", "--target", ACTIONS[0], "--intervals"]
    assert main([*command, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["methods"]) == ["gradcam", "gradcam + motion"]
    gain = result["methods"]["gradcam + motion"]["gain"]
    averages = [result["methods"][name]["average"] for name in ("gradcam + motion", "gradcam")]
    assert gain == pytest.approx(averages[0] - averages[1])
    assert f"explained is '{ACTIONS[0]}'" in result["notes"][0]
    assert main(command) == 0
    assert "95 % intervals by a bootstrap over the 2 sources" in capsys.readouterr().out
    assert main([*command, "--refine", "sharpen"]) == 2
    assert "sharpen" in capsys.readouterr().err


def test_the_figures_are_those_of_the_measures_on_the_explanation(
    small_model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pointing game by hand, from `explain` on each clip."""
    from glocal.benchmark.sample_sets import find_sample_set
    from glocal.evaluation import PointingGame

    command = ["evaluate", "--data", "puppets", "--clips", "2", "--out", str(tmp_path), "--model", "small"]
    assert main([*command, "--json", "--quiet"]) == 0
    result = json.loads(capsys.readouterr().out)
    model = glocal.models.load_model("small")
    metric = PointingGame()
    for sample in find_sample_set(model, "puppets", clips=2).samples:
        footage = sample.load()
        explanation = glocal.explain(model, footage.video, target=str(sample.label), overlap=0.0)
        for frame, boxes in footage.boxes.items():
            metric.update(explanation.attention[frame], boxes)
    assert result["methods"]["3dcam"]["hit_max"] == pytest.approx(metric.compute(), abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "jhmdb"], "needs --root"),
        (["--data", "puppets", "--method", "3dcm"], "Did you mean '3dcam'"),
        (["--data", "puppets", "--method", "3dcam@leyer1"], "Did you mean 'layer1'"),
        (["--data", "puppets", "--annotations", "x"], "is for a baseline alone"),
        (["full-frame", "--data", "jhmdb"], "give their folder or file as --annotations"),
    ],
)
def test_wrong_usage_is_one_sentence(
    small_model: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: Any, sentence: Any
) -> None:
    assert main(["evaluate", *arguments, "--model", "small", "--quiet", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1


def test_the_true_class_of_an_unknown_label_is_refused() -> None:
    samples = red_videos()
    for label, sentence in (
        ("crimson", "has the label 'crimson', which is no class"),
        (None, "has no label"),
    ):
        unknown = Sample("red 9", samples.samples[0].load, label, 9)
        mixed = SampleSet([*samples.samples, unknown], samples.fitting, "mixed", "these")
        with pytest.raises(UsageError, match=sentence):
            evaluate(MODEL, mixed, ["gradcam@seen"], measure=POINTS, target="true")
    assert evaluate(MODEL, mixed, ["gradcam@seen"], measure=POINTS, target="top1").figures()

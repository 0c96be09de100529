"""The report in a real browser: what it shows is what the files say, and nothing else happens."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import glocal
from glocal.explanation.explanation import Explanation
from glocal.explanation.volume import Volume
from glocal.localization import ScoredBox, boxes
from glocal.report import TimeSpan, overlay, write_report
from glocal.report.style import SCALES, OverlayStyle
from glocal.video import write_video
from glocal.video.resizing import resize
from helpers.browser import chromium, embedded, open_report, screen, settle, shown_box, shown_frame, unpacked
from helpers.networks import Small3d, seeded

COUNT, HEIGHT, WIDTH = 24, 60, 86
HOSTILE = '</script><script>hacked = 1</script><img src=x onerror="hacked = 1">'
TIMES = np.cumsum([0.0, *([0.05, 0.1, 0.15] * 8)])[:COUNT].tolist()


def grey(index: int) -> int:
    return 20 + 9 * index


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Explanation], np.ndarray]:
    """A clip whose frames are grey, each its own grey and its own time; two methods, three classes."""
    folder = tmp_path_factory.mktemp("report")
    frames = np.stack([np.full((HEIGHT, WIDTH, 3), grey(t), np.uint8) for t in range(COUNT)])
    frames[:, 20:40, 30:60] = 255 - frames[:, 20:40, 30:60]
    write_video(folder / "in.mp4", frames, Fraction(10), times=TIMES, crf=1)
    video = glocal.read_video(folder / "in.mp4")
    network = seeded(Small3d()).eval()
    model = glocal.Model(
        "small",
        network,
        {"conv": "relu1", "layer1": "layer1"},
        (HOSTILE, "bee", "cat", "dog", "eel"),
        glocal.ClipSpec(frames=8, short_side=32, size=32, mean=(0.4,) * 3),
    )

    def explain(**options: int | str) -> Explanation:
        return glocal.explain(model, video, cuts="none", crop="center", **options)

    best, *others = explain(target="top3").per_class
    against, other = (
        explain(target=best.target.index, counterfactual=True),
        explain(target=0, method="gradcam"),
    )
    temporal = np.linspace(0.1, 1, COUNT)
    votes = {"conv": best.predictions[::-1], "layer1": best.predictions}
    all_of_them = [
        replace(e, votes=votes, temporal=temporal, cuts=(10,), others=())
        for e in (best, *others, against, other)
    ]
    truth = [[ScoredBox(30, 20, 60, 40, 1.0)] for _ in range(COUNT)]
    page, *_ = write_report(
        all_of_them[0],
        video,
        folder,
        "clip",
        true_boxes=truth,
        others=all_of_them[1:],
        spans=[TimeSpan(0.5, 1.0, HOSTILE)],
    )
    return page, all_of_them, frames


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def opened(browser: Any, report: tuple[Path, list[Explanation], np.ndarray]) -> Any:
    page = open_report(browser, report[0])
    page.evaluate(
        "start = { view: { ...view }, controls: [...document.querySelectorAll('input')].map(e => [e, e.value, e.checked]) }"
    )
    return page


@pytest.fixture
def page(opened: Any) -> Iterator[Any]:
    """The report as it is when it has just been opened."""
    opened.evaluate(
        """() => {
          document.activeElement.blur();
          for (const [input, value, checked] of start.controls) Object.assign(input, { value, checked });
          Object.assign(view, start.view);
          updateLayout();
          choose(0);
          player.seek(0);
        }"""
    )
    opened.set_viewport_size({"width": 1280, "height": 720})
    settle(opened)
    yield opened
    assert opened.problems == []


def facts(report: tuple[Path, list[Explanation], np.ndarray]) -> dict[str, Any]:
    return json.loads(report[0].with_suffix(".json").read_text("utf-8"))


def drag(page: Any, name: str, value: float) -> None:
    page.locator(f"#{name}").fill(str(value))
    settle(page)


def choose(page: Any, name: str, value: str) -> None:
    page.select_option(f"#{name}", value)
    settle(page)


def seek(page: Any, frame: int) -> None:
    page.evaluate("frame => player.seek(frame)", frame)
    settle(page)


def plot_area(page: Any) -> dict[str, float]:
    page.locator(".plot").scroll_into_view_if_needed()
    return page.locator(".plot").bounding_box()


def test_it_opens_from_disk_and_asks_for_nothing_else(
    page: Any, report: tuple[Path, list[Explanation], np.ndarray]
) -> None:
    assert [url for url in page.asked if not url.startswith(("data:", "blob:"))] == [report[0].as_uri()]
    assert page.inner_text("#now").startswith("Frame 1 of 24 · 0.00 s")


def test_it_opens_on_the_most_relevant_frame_and_says_how_sure_the_model_is(
    browser: Any, report: tuple[Path, list[Explanation], np.ndarray]
) -> None:
    page = open_report(browser, report[0])
    best = report[1][0]
    assert shown_frame(page) == best.relevance.argmax()
    assert f"{100 * best.predictions[0].score:.1f} %: unsure" in page.inner_text("h1")
    assert page.inner_text("#sentence").startswith("Decided ")
    page.context.close()


def test_a_link_leads_to_a_moment_a_layer_and_a_class(
    browser: Any, report: tuple[Path, list[Explanation], np.ndarray], tmp_path: Path
) -> None:
    second = report[1][1].target.index
    page = open_report(browser, report[0], address=f"#t={TIMES[5]:.2f}&layer=layer1&class={second}")
    assert (shown_frame(page), page.input_value("#layer"), page.input_value("#class")) == (5, "layer1", "1")
    seek(page, 9)
    wanted = f"#t={TIMES[9]:g}&layer=layer1&class={second}"
    page.wait_for_function("wanted => location.hash.startsWith(wanted)", arg=wanted)
    again = open_report(browser, report[0], address=page.evaluate("location.hash"))
    assert (shown_frame(again), again.input_value("#layer"), again.input_value("#class")) == (
        9,
        "layer1",
        "1",
    )
    page.evaluate("location.hash = '#t=nonsense&layer=none&class=99'")
    settle(page)
    assert page.problems == again.problems == []
    page.context.close()
    again.context.close()


def test_frames_of_low_relevance_have_no_box(
    browser: Any, report: tuple[Path, list[Explanation], np.ndarray], tmp_path: Path
) -> None:
    explanation = fading(report[1][0])
    video = glocal.read_video(report[0].with_name("in.mp4"))
    path, *_ = write_report(explanation, video, tmp_path, "fading")
    rows = json.loads(path.with_suffix(".json").read_text("utf-8"))["frames"]
    assert [row["relevant"] for row in rows] == [row["relevance"] >= 0.1 for row in rows]
    assert {row["relevant"] for row in rows} == {True, False}
    assert all(row["boxes"] for row in rows), "the file keeps them, marked"
    page = open_report(browser, path)
    for index in (0, COUNT - 1):
        seek(page, index)
        assert shown_box(page) == (rows[index]["boxes"][0]["box"] if rows[index]["relevant"] else None)
    page.context.close()


def fading(explanation: Explanation) -> Explanation:
    """The same attribution, which fades to a hundredth from the first frame to the last."""
    volume = Volume()
    for factor, attribution in zip(np.geomspace(1, 0.01, COUNT), explanation.volume, strict=True):
        volume.append(attribution / (attribution.mean() or 1) * np.float32(factor))
    volume.normalise()
    return replace(explanation, volume=volume)


def test_on_every_frame_the_box_is_the_json_files(
    page: Any, report: tuple[Path, list[Explanation], np.ndarray]
) -> None:
    page.focus("#timeline")
    page.keyboard.press("Home")
    for index, row in enumerate(facts(report)["frames"]):
        settle(page)
        assert shown_frame(page) == index
        assert shown_box(page) == row["boxes"][0]["box"]
        page.keyboard.press("ArrowRight")


def test_the_attention_belongs_to_the_frame_while_it_plays(page: Any) -> None:
    drag(page, "strength", 0)
    page.uncheck("#boxes")
    page.uncheck("#truth")
    page.click("#play")
    seen = page.evaluate(
        """() => new Promise(done => {
          const seen = [], canvas = document.getElementById("screen"), start = performance.now();
          const look = () => {
            seen.push([Number(canvas.dataset.frame), canvas.getContext("2d").getImageData(4, 4, 1, 1).data[0]]);
            performance.now() - start < 2500 ? requestAnimationFrame(look) : done(seen);
          };
          look();
        })"""
    )
    page.click("#play")
    assert len({frame for frame, _ in seen}) > 8
    for frame, level in seen:
        assert level == pytest.approx(grey(frame), abs=3)


def test_a_click_on_the_timeline_goes_to_the_frame_shown_at_that_time(
    page: Any, report: tuple[Path, list[Explanation], np.ndarray]
) -> None:
    area = plot_area(page)
    end = TIMES[-1] + 1 / facts(report)["video"]["fps"]
    for share in (0.2, 0.57, 0.93):
        before = screen(page)
        page.mouse.click(area["x"] + share * area["width"], area["y"] + 20)
        settle(page)
        assert shown_frame(page) == np.searchsorted(TIMES, share * end, side="right") - 1
        assert not np.array_equal(screen(page), before)


def test_dragging_along_the_timeline_scrubs(page: Any) -> None:
    area = plot_area(page)
    page.mouse.move(area["x"] + 5, area["y"] + 20)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.8, area["y"] + 20, steps=4)
    page.mouse.up()
    page.wait_for_function("() => Number(document.getElementById('screen').dataset.frame) > 15")


def test_boxes_follow_the_threshold_as_python_finds_them_in_the_same_maps(
    page: Any, report: tuple[Path, list[Explanation], np.ndarray]
) -> None:
    data = embedded(report[0].read_text("utf-8"))
    steps = unpacked(data["explanations"][0]["maps"]).astype(np.float32)
    geometry = report[1][0].geometry
    saved = shown_box(page)
    found = set()
    for threshold in (0.13, 0.37, 0.72, 0.97):
        drag(page, "threshold", threshold)
        for index in (0, 7, 20):
            seek(page, index)
            expected = boxes(geometry.backward(steps[index][None])[0], threshold)[0]
            assert shown_box(page) == list(expected[:4])
            found.add(expected[:4])
    assert len(found) > 3
    drag(page, "threshold", 0.5)
    seek(page, 0)
    assert shown_box(page) == saved


def test_boxes_of_the_packed_maps_are_near_those_of_the_full_ones(
    page: Any, report: tuple[Path, list[Explanation], np.ndarray]
) -> None:
    near = page.evaluate("data.times.map((_, i) => painter.box(source, source.at(i), 0.5))")
    for box, row in zip(near, facts(report)["frames"], strict=True):
        assert np.abs(np.subtract(box[:4], row["boxes"][0]["box"])).max() <= 2


def expected_picture(
    report: tuple[Path, list[Explanation], np.ndarray], index: int, attention: np.ndarray, style: OverlayStyle
) -> np.ndarray:
    return overlay(report[2][index], np.clip(attention, 0, 1).astype(np.float32), style)


def assert_shows(page: Any, expected: np.ndarray) -> None:
    """The canvas, larger than the frame, is `expected` but for compression and rounding."""
    seen = cv2.resize(screen(page), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    assert np.abs(seen.astype(int) - expected).mean() < 3


def plain(page: Any) -> None:
    page.uncheck("#boxes")
    page.uncheck("#truth")


@pytest.mark.parametrize("colormap", ["inferno", "cividis"])
def test_the_picture_is_the_overlay_that_python_draws(
    page: Any, report: tuple[Path, list[Explanation], np.ndarray], colormap: str
) -> None:
    plain(page)
    choose(page, "colormap", colormap)
    for index in (3, 17):
        seek(page, index)
        assert_shows(
            page, expected_picture(report, index, report[1][0].frame(index), OverlayStyle(0.75, colormap))
        )


@pytest.mark.parametrize("scale", SCALES)
def test_frames_are_drawn_in_the_scale_that_is_chosen_and_the_legend_says_so(
    page: Any, report: tuple[Path, list[Explanation], np.ndarray], scale: str
) -> None:
    plain(page)
    attention = report[1][0].attention
    weakest = int(attention.max((1, 2)).argmin())
    seek(page, weakest)
    assert "weak frames are drawn brighter" in page.inner_text("#key")
    choose(page, "scale", scale)
    assert_shows(page, expected_picture(report, weakest, attention[weakest], OverlayStyle(scale=scale)))
    words = {"video": "", "soft": "weak frames are drawn brighter", "frame": "its own scale"}[scale]
    assert words in page.inner_text("#key")
    assert ("the curve" in page.inner_text("#key")) is (scale != "video")


def test_a_layer_is_shown_relative_to_its_own_maximum(
    page: Any, report: tuple[Path, list[Explanation], np.ndarray]
) -> None:
    plain(page)
    seek(page, 9)
    before = screen(page)
    choose(page, "layer", "layer1")
    assert not np.array_equal(screen(page), before)
    layer = report[1][0].layers["layer1"]
    volume = report[1][0].layer_volumes["layer1"]
    assert_shows(page, expected_picture(report, 9, layer[9] / volume.peak, OverlayStyle()))
    assert page.locator("#aggregate").is_disabled()


def test_another_class_and_another_method_show_their_own_attention(
    page: Any, report: tuple[Path, list[Explanation], np.ndarray]
) -> None:
    plain(page)
    seek(page, 9)
    for index, explanation in enumerate(report[1][1:4], 1):
        choose(page, "class", str(index))
        assert_shows(page, expected_picture(report, 9, explanation.frame(9), OverlayStyle()))
        assert explanation.target.label in page.inner_text("h1")
    assert page.inner_text("h1").startswith("Against ")
    choose(page, "method", "gradcam")
    assert_shows(page, expected_picture(report, 9, report[1][4].frame(9), OverlayStyle()))
    assert page.evaluate("facts().boxes[9]") == pytest.approx([*boxes(report[1][4].frame(9))[0]], abs=1e-5)


@pytest.mark.parametrize(("how", "combine"), [("mean", np.mean), ("max", np.max)])
def test_layers_are_combined_anew(
    page: Any, report: tuple[Path, list[Explanation], np.ndarray], how: str, combine: Any
) -> None:
    data = embedded(report[0].read_text("utf-8"))["explanations"][0]
    maps = [
        unpacked(packed) * np.array(packed["peaks"])[:, None, None] / packed["levels"]
        for packed in data["layers"].values()
    ]
    finest = max(volume.shape[1:] for volume in maps)
    expected = combine(
        [np.stack([resize(attribution, finest) for attribution in volume]) for volume in maps], axis=0
    )
    expected /= expected.max()
    choose(page, "aggregate", how)
    for index in (0, 11):
        seen = np.array(page.evaluate("i => [...source.at(i)]", index)).reshape(expected.shape[1:])
        assert np.abs(seen - expected[index]).max() < 1e-5


def test_temporal_attention_weighs_the_frames(
    page: Any, report: tuple[Path, list[Explanation], np.ndarray]
) -> None:
    before = np.array(page.evaluate("[...source.at(3)]"))
    page.check("#weigh")
    settle(page)
    after = np.array(page.evaluate("[...source.at(3)]"))
    data = embedded(report[0].read_text("utf-8"))
    weighed = np.array(data["temporal"]) * data["explanations"][0]["maps"]["peaks"]
    assert after == pytest.approx(
        before * data["temporal"][3] / weighed.max() * max(data["explanations"][0]["maps"]["peaks"]), abs=1e-5
    )


def test_of_an_attending_network_its_spatial_attention_is_shown_alone(
    page: Any, report: tuple[Path, list[Explanation], np.ndarray]
) -> None:
    """M_t · M_s is what its method gives; without the weight, M_s is left."""
    data = embedded(report[0].read_text("utf-8"))
    packed, temporal = data["explanations"][0]["maps"], np.array(data["temporal"])
    product = unpacked(packed) * np.array(packed["peaks"])[:, None, None] / packed["levels"]
    spatial = product / temporal[:, None, None]
    for weigh, expected in ((True, product), (False, spatial)):
        seen = page.evaluate(
            """weigh => new ExplanationMaps({ ...facts(), method: "st-abn" }, [], data.temporal)
              .source({ ...view, weigh }).then(source => [...source.at(3)])""",
            weigh,
        )
        assert np.abs(np.array(seen) - (expected / expected.max())[3].ravel()).max() < 1e-5


def test_smoothing_is_a_gaussian_mean_that_stops_at_a_cut(
    page: Any, report: tuple[Path, list[Explanation], np.ndarray]
) -> None:
    data = embedded(report[0].read_text("utf-8"))["explanations"][0]["maps"]
    maps = unpacked(data) * np.array(data["peaks"])[:, None, None] / data["levels"]
    maps /= maps.max()
    drag(page, "smoothing", 1.5)
    reach, bell = 3, lambda k: np.exp(-k * k / (2 * 1.5**2))
    for index, scene in ((9, (0, 10)), (10, (10, COUNT)), (17, (10, COUNT))):
        expected = maps
        for (low, high), place in (
            (scene, index),
            ((0, maps.shape[1]), 6),
            ((0, maps.shape[2]), 5),
        ):
            near = np.arange(max(low, place - reach), min(high, place + reach + 1))
            weights = bell(near - place)
            expected = np.tensordot(np.take(expected, near, 0), weights / weights.sum(), (0, 0))
        seen = page.evaluate("([t, i]) => source.at(t)[i]", [index, 6 * maps.shape[2] + 5])
        assert seen == pytest.approx(float(expected), abs=1e-5)


def test_the_predictions_can_be_those_of_a_gate(
    page: Any, report: tuple[Path, list[Explanation], np.ndarray]
) -> None:
    network = page.locator("#votes b").all_inner_texts()
    choose(page, "gate", "conv")
    assert page.locator("#votes b").all_inner_texts() == network[::-1]


def test_the_keyboard_alone_is_enough(page: Any, report: tuple[Path, list[Explanation], np.ndarray]) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "timeline":
            break
    assert page.evaluate("document.activeElement.id") == "timeline"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("End")
    settle(page)
    assert shown_frame(page) == COUNT - 1
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowLeft")
    settle(page)
    assert shown_frame(page) == COUNT - 12
    assert page.get_attribute("#timeline", "aria-valuenow") == str(COUNT - 12)
    page.keyboard.press("[")
    page.keyboard.press("[")
    page.keyboard.press("]")
    settle(page)
    assert page.input_value("#threshold") == "0.45"
    page.keyboard.press("l")
    page.keyboard.press("c")
    settle(page)
    assert page.input_value("#layer") == "conv"
    assert page.input_value("#class") == "1"
    page.keyboard.press("b")
    settle(page)
    assert shown_box(page) is None
    page.keyboard.press(" ")
    page.wait_for_selector('#play[aria-pressed="true"]')
    page.keyboard.press(" ")
    page.wait_for_selector('#play[aria-pressed="false"]')


def test_keys_that_a_control_needs_are_left_to_it(page: Any) -> None:
    page.focus("#strength")
    page.keyboard.press("ArrowLeft")
    settle(page)
    assert shown_frame(page) == 0
    assert page.input_value("#strength") == "0.7"


def test_every_control_has_a_name(page: Any) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, [role]")].filter(e => e.offsetParent
          && !(e.labels?.length || e.getAttribute("aria-label") || e.textContent.trim() || e.querySelector("img")))
          .map(e => e.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    pairs = page.evaluate(
        """() => [...document.querySelectorAll("h1, h2, p, b, span, dt, dd, label, button, select, output, kbd, footer")]
          .filter(e => e.offsetParent && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && !e.closest(".bar"))
          .map(e => {
            let ground = e;
            while (/rgba\\(.*, 0\\)/.test(getComputedStyle(ground).backgroundColor) && ground.parentElement) ground = ground.parentElement;
            return [getComputedStyle(e).color, getComputedStyle(ground).backgroundColor, e.outerHTML.slice(0, 60)];
          })"""
    )
    assert len(pairs) > 30

    def luminance(colour: str) -> float:
        parts = np.array([float(x) for x in colour[colour.index("(") + 1 : -1].split(",")[:3]]) / 255
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [
            0.2126,
            0.7152,
            0.0722,
        ]

    for ink, ground, where in pairs:
        high, low = sorted((luminance(ink), luminance(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, where
    page.emulate_media(color_scheme="light")


def test_it_fits_a_phone_and_works_by_touch(
    browser: Any, report: tuple[Path, list[Explanation], np.ndarray]
) -> None:
    page = open_report(
        browser, report[0], viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    area = plot_area(page)
    page.touchscreen.tap(area["x"] + area["width"] * 0.5, area["y"] + 20)
    settle(page)
    assert 8 < shown_frame(page) < 16
    small = page.evaluate(
        """[...document.querySelectorAll("button, select, .ticks label")].filter(e => e.offsetParent)
          .filter(e => e.getBoundingClientRect().height < 30).map(e => e.outerHTML)"""
    )
    assert small == []
    assert page.problems == []
    page.context.close()


def test_a_label_with_a_script_in_it_is_only_a_label(page: Any) -> None:
    choose(page, "method", "gradcam")
    assert page.evaluate("typeof hacked") == "undefined"
    assert HOSTILE in page.inner_text("h1")
    assert page.locator("main script, img[src=x]").count() == 0
    run = page.evaluate(
        """() => { const s = document.createElement("script"); s.textContent = "hacked = 1"; document.body.append(s);
          return typeof hacked; }"""
    )
    assert run == "undefined", "the page's policy runs no script but its own"
    assert any("Content Security Policy" in problem for problem in page.problems)
    page.problems.clear()


def test_the_view_is_saved_as_a_picture(page: Any) -> None:
    seek(page, 5)
    with page.expect_download() as download:
        page.click("#save-picture")
    assert download.value.suggested_filename == "clip-frame5.png"
    picture = cv2.imread(str(download.value.path()))[:, :, ::-1]
    assert np.array_equal(picture, screen(page))


def test_the_table_is_saved_as_csv(page: Any, report: tuple[Path, list[Explanation], np.ndarray]) -> None:
    with page.expect_download() as download:
        page.click("#save-table")
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8"))))
    expected = facts(report)["frames"]
    assert len(rows) == COUNT
    for row, frame in zip(rows, expected, strict=True):
        assert int(row["frame"]) == frame["frame"]
        assert float(row["time"]) == frame["time"]
        assert float(row["relevance"]) == pytest.approx(frame["relevance"], abs=1e-4)
        assert [int(row[key]) for key in ("x0", "y0", "x1", "y1")] == frame["boxes"][0]["box"]


def test_side_by_side_shows_the_plain_frame_on_the_left(page: Any) -> None:
    plain(page)
    one = screen(page)
    page.check("#side")
    settle(page)
    two = screen(page)
    assert two.shape == (one.shape[0], 2 * one.shape[1], 3)
    assert np.abs(two[:, one.shape[1] :].astype(int) - one).mean() < 1
    assert two[4, 4].tolist() == pytest.approx([grey(0)] * 3, abs=3)


@pytest.mark.parametrize("pixel", [Fraction(1), Fraction(4, 3), Fraction(1, 2)])
def test_frames_of_pixels_that_are_not_square_have_the_videos_shape(
    browser: Any, tmp_path: Path, report: tuple[Path, list[Explanation], np.ndarray], pixel: Fraction
) -> None:
    _, explanations, frames = report
    write_video(tmp_path / "in.mp4", frames, Fraction(10), times=TIMES, sample_aspect_ratio=pixel)
    page, *_ = write_report(explanations[0], glocal.read_video(tmp_path / "in.mp4"), tmp_path, "clip")
    opened = open_report(browser, page)
    for columns in (1, 2):
        opened.set_checked("#side", columns == 2)
        settle(opened)
        shown = opened.locator("#screen").bounding_box()
        assert shown["width"] / shown["height"] == pytest.approx(columns * pixel * WIDTH / HEIGHT, rel=0.01)
        assert opened.evaluate("innerHeight") > shown["height"]
    opened.close()


def test_a_notebook_shows_the_same_page(
    browser: Any, report: tuple[Path, list[Explanation], np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "notebook.html"
    path.write_text(f"<h1>A notebook</h1>{report[1][0]._repr_html_()}", "utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    inside = page.frames[1]
    inside.wait_for_selector("html[data-ready]")
    peak = int(report[1][0].relevance.argmax())
    inside.wait_for_function(f"() => document.getElementById('screen').dataset.frame === '{peak}'")
    before = inside.evaluate("document.getElementById('screen').dataset.box")
    assert json.loads(before) == facts(report)["frames"][peak]["boxes"][0]["box"]
    inside.focus("#timeline")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    inside.wait_for_function("() => document.getElementById('screen').dataset.frame === '1'")
    assert screen(inside)[4, 4].tolist() == pytest.approx([grey(1)] * 3, abs=12)
    page.close()


def test_without_its_video_the_attention_plays_on_black(
    browser: Any, report: tuple[Path, list[Explanation], np.ndarray], tmp_path: Path
) -> None:
    from glocal.report import page_html

    path = tmp_path / "alone.html"
    path.write_text(page_html(report[1][0], None), "utf-8")
    page = open_report(browser, path)
    drag(page, "strength", 0)
    assert screen(page)[4, 4].tolist() == [0, 0, 0]
    page.click("#play")
    page.wait_for_function("() => Number(document.getElementById('screen').dataset.frame) > 5")
    assert page.problems == []
    page.context.close()


def test_a_video_too_long_for_a_page_is_played_from_the_file_beside_it(
    browser: Any,
    report: tuple[Path, list[Explanation], np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("glocal.report.page_media.MAX_EMBEDDED_BYTES", 100)
    video = glocal.read_video(report[0].with_name("in.mp4"))
    path, *_ = write_report(report[1][0], video, tmp_path, "50% #1")
    page = open_report(browser, path)
    page.wait_for_function("() => document.getElementById('beside').readyState >= 2")
    area = plot_area(page)
    page.mouse.click(area["x"] + 0.57 * area["width"], area["y"] + 20)
    page.wait_for_function("() => document.getElementById('beside').currentTime > 1")
    assert page.locator(".controls").is_hidden()
    assert "50% #1.mp4" in page.inner_text("main")
    assert page.problems == []
    page.context.close()


def test_an_image_has_a_page_without_a_clock(browser: Any, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "still.png"), np.full((50, 70, 3), 90, np.uint8))
    network = seeded(Small3d()).eval()
    model = glocal.Model(
        "small",
        network,
        {"conv": "relu1", "layer1": "layer1"},
        tuple("abcde"),
        glocal.ClipSpec(frames=8, short_side=32, size=32),
    )
    video = glocal.read_video(tmp_path / "still.png")
    explanation = glocal.explain(model, video)
    path, *_ = write_report(explanation, video, tmp_path, "out")
    page = open_report(browser, path)
    assert page.locator("#play, #timeline").count() == 0
    assert shown_box(page) == list(explanation.boxes()[0][0][:4])
    page.uncheck("#boxes")
    drag(page, "strength", 0)
    assert screen(page)[5, 5].tolist() == pytest.approx([90] * 3, abs=2)
    assert page.problems == []
    page.context.close()


def test_what_an_encoder_adds_to_odd_sides_is_left_out(browser: Any, report: Any, tmp_path: Path) -> None:
    frames = np.zeros((9, 61, 85, 3), np.uint8)
    frames[:, :, 43:] = 255
    network = seeded(Small3d()).eval()
    model = glocal.Model(
        "small",
        network,
        {"conv": "relu1"},
        tuple("abcde"),
        glocal.ClipSpec(frames=8, short_side=32, size=32),
    )
    video = glocal.read_video(frames)
    path, *_ = write_report(glocal.explain(model, video), video, tmp_path, "odd")
    page = open_report(browser, path)
    page.uncheck("#boxes")
    drag(page, "strength", 0)
    row = screen(page)[200, :, 0].astype(float)
    assert len(row) == 8 * 85
    assert np.argmax(row > 127) == pytest.approx(8 * 43, abs=1)
    page.context.close()


def blank(browser: Any, *scripts: Any) -> Any:
    from importlib.resources import files

    page = browser.new_page()
    for name in scripts:
        page.add_script_tag(content=files("glocal.report").joinpath("web", name).read_text("utf-8"))
    return page


def test_the_largest_box_is_that_of_localization_on_any_mask(browser: Any) -> None:
    page, rng, cases, expected = blank(browser, "boxes.js"), np.random.default_rng(0), [], []
    for kind in range(160):
        height, width = rng.integers(1, 16, 2)
        maps = (rng.random((height, width)) < rng.choice([0.15, 0.3, 0.5, 0.7])).astype(np.float32)
        if kind % 4 == 0:
            maps = cv2.resize(rng.random((4, 5)).astype(np.float32), (21, 17))
        threshold = float(rng.choice([0.3, 0.5, 0.83]))
        cases.append([maps.ravel().tolist(), maps.shape[1], maps.shape[0], threshold])
        expected.append([list(box[:4]) for box in boxes(maps, threshold)])
    found = page.evaluate(
        "cases => cases.map(([map, ...rest]) => largestBox(Float32Array.from(map), ...rest))", cases
    )
    assert [[box[:4]] if box else [] for box in found] == expected
    page.close()


@pytest.mark.parametrize("crop", ["full", "center"])
@pytest.mark.parametrize("cells", [(7, 9), (1, 1), (60, 80)])
def test_maps_are_spread_over_the_frame_as_geometry_does(browser: Any, crop: Any, cells: Any) -> None:
    geometry = glocal.video.Geometry.fit((61, 83), glocal.ClipSpec(frames=8, short_side=40, size=32), crop)
    maps = np.random.default_rng(0).random((1, *cells)).astype(np.float32)
    page = blank(browser, "maps.js")
    found = page.evaluate(
        """([geometry, cells, map]) => [...new Upsampler(geometry, ...cells, 61, 83).run(Float32Array.from(map))]""",
        [{"resized": geometry.resized, "crop": geometry.crop}, cells, maps.ravel().tolist()],
    )
    assert np.abs(np.reshape(found, (61, 83)) - geometry.backward(maps)[0]).max() < 1e-6
    page.close()

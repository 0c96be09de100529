"""The page of a batch of 10,000 videos in a browser: pages, order, search, and links to moments."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import PIL.Image
import pytest

from glocal.batch.ledger import Outcome
from glocal.batch.overview import write_overview
from helpers.browser import chromium

LABELS = ["walk", "run", "juggling soccer ball", "</script><b>tag", "playing cymbals & drums"]
COUNT = 10_000


def outcome(number: int, pick: random.Random) -> Outcome:
    name = f"camera {number % 7}/day {number // 700}/clip-{number}#1"
    if number % 200 == 7:
        return Outcome(f"/videos/{name}.mp4", name, "k", error="/videos/x is damaged; copy it again.")
    return Outcome(
        f"/videos/{name}.mp4",
        name,
        "k",
        seconds=round(pick.uniform(1, 30), 3),
        label=pick.choice(LABELS),
        score=round(pick.random(), 6),
        peak=round(pick.uniform(0, 4000), 3),
        duration=4000.0,
        files=(f"{name}.html", f"{name}.json", f"{name}.thumb.jpg"),
    )


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    pick = random.Random(0)
    return [outcome(number, pick) for number in range(COUNT)]


@pytest.fixture(scope="module")
def page_path(outcomes: list[Outcome], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("overview")
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    for entry in outcomes[:400]:
        if entry.error is None:
            path = folder / f"{entry.name}.thumb.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(picture).save(path)
    return write_overview(outcomes, COUNT, folder / "batch.csv", "puppets/gated", "3dcam")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


def opened(browser: Any, path: Path, address: str = "", width: int = 1280) -> Any:
    page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "console",
        lambda m: m.type == "error" and "FILE_NOT_FOUND" not in m.text and page.problems.append(m.text),
    )
    page.goto(path.as_uri() + address)
    page.wait_for_selector("html[data-ready]")
    return page


def names(page: Any) -> list[str]:
    result: list[str] = page.eval_on_selector_all("#videos .name", "all => all.map(each => each.textContent)")
    return result


def test_an_image_has_no_moment_and_a_low_probability_is_called_unsure(browser: Any, tmp_path: Path) -> None:
    shared = {"key": "k", "label": "walk", "files": ("a.html",)}
    image = Outcome("a.jpg", "a", score=0.25, unsure=True, **shared)
    video = Outcome("b.mp4", "b", score=0.75, peak=1.5, duration=4.0, **shared)
    page = opened(browser, write_overview([image, video], 2, tmp_path / "batch.csv", "m", "3dcam"))
    first, second = page.eval_on_selector_all("#videos .facts", "all => all.map(each => each.innerText)")
    assert first.split("\n") == ["a", "walk", "25.0 %, unsure"]
    assert second.split("\n") == ["b", "walk", "75.0 %", "strongest at 0:01.5 of 0:04.0"]
    assert page.get_attribute("#videos .thumb", "href") == "a.html"
    assert not page.problems


def test_the_page_of_many_videos_shows_sixty_of_them(browser: Any, page_path: Path) -> None:
    page = opened(browser, page_path)
    assert page.inner_text("h1") == "9950 of 10000 videos explained"
    assert page.inner_text("#state") == "1 to 60 of 9,950"
    assert len(names(page)) == 60
    page.wait_for_load_state("networkidle")
    assert page.evaluate("[...document.images].slice(0, 3).map(image => image.naturalWidth)") == [160] * 3
    page.click("#next")
    assert page.inner_text("#state") == "61 to 120 of 9,950"
    page.fill("#page", "166")
    page.press("#page", "Enter")
    assert page.inner_text("#state") == "9901 to 9950 of 9,950"
    assert page.is_disabled("#next")
    assert not page.problems


def test_videos_are_ordered_and_chosen_by_class(
    browser: Any, page_path: Path, outcomes: list[Outcome]
) -> None:
    done = [entry for entry in outcomes if entry.error is None]
    page = opened(browser, page_path)
    page.select_option("#order", "score")
    best = sorted(done, key=lambda entry: -(entry.score or 0))
    assert names(page)[:20] == [entry.name for entry in best[:20]]
    page.click("#direction")
    assert names(page)[:20] == [entry.name for entry in best[:-21:-1]]
    page.select_option("#order", "time")
    assert names(page)[0] == min(done, key=lambda entry: entry.peak or 0).name
    page.select_option("#label", label=f"</script><b>tag ({sum(e.label == LABELS[3] for e in done)})")
    chosen = sorted((e for e in done if e.label == LABELS[3]), key=lambda entry: entry.peak or 0)
    assert names(page)[:10] == [entry.name for entry in chosen[:10]]
    page.fill("#search", f"{chosen[5].name.split('/')[-1].upper()}")
    assert chosen[5].name in names(page)
    page.fill("#search", "no such video")
    assert page.inner_text("#state") == "No video fits."
    assert not page.problems


def test_links_lead_to_the_moment(browser: Any, page_path: Path, outcomes: list[Outcome]) -> None:
    page = opened(browser, page_path)
    link = page.get_attribute("#videos li:first-child .soft a", "href")
    address, _, moment = link.partition("#")
    entry = next(e for e in outcomes if e.name == names(page)[0])
    assert address == f"{entry.name}.html".replace(" ", "%20").replace("#", "%23")
    assert float(parse_qs(moment)["t"][0]) == entry.peak


def test_the_address_holds_what_is_shown(browser: Any, page_path: Path) -> None:
    page = opened(browser, page_path, "#order=score&down=&class=run&page=3")
    shown = names(page)
    assert page.inner_text("#state").startswith("121 to 180 of ")
    again = opened(browser, page_path, "#" + page.evaluate("location.hash").removeprefix("#"))
    assert names(again) == shown


def test_failed_videos_have_a_list_of_their_own(browser: Any, page_path: Path) -> None:
    page = opened(browser, page_path)
    page.check("[name=list][value=failed]")
    assert page.inner_text("#state") == "1 to 50 of 50"
    assert page.inner_text("#videos li:first-child .error") == "x is damaged; copy it again."
    assert not page.problems


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_the_page_fits_screens(browser: Any, page_path: Path, width: int) -> None:
    page = opened(browser, page_path, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width

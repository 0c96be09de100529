"""The page in a real browser: a clip goes up, its progress is seen, its report opens."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Client

from helpers.browser import chromium, settle
from helpers.serving import folders, serving, write_clip

HOSTILE = '"><img src=x onerror="document.hacked=1">.mp4'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def client(browser: Any, out: Path) -> Iterator[Client]:
    with serving(out) as found:
        yield found


@pytest.fixture
def open_page(browser: Any, client: Client) -> Iterator[Callable[..., Any]]:
    """Opens the page in a browser of its own; whatever its policy blocks or its script throws is in `problems`."""
    contexts, problems = [], []

    def open_(**options: Any) -> Any:
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: message.type == "error" and problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(str(client.base_url))
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [p for p in problems if "415" not in p and "404" not in p] == []


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "square.mp4")


def upload(page: Any, path: Path, name: str | None = None) -> Any:
    """Choose a file and ask about its best class; the entry of the result."""
    file = str(path) if name is None else {"name": name, "mimeType": "video/mp4", "buffer": path.read_bytes()}
    page.set_input_files("#file", file)
    page.select_option("#target", "top1")
    page.click("#go")
    return page.locator(".result").first


def test_a_clip_goes_up_and_its_report_opens(open_page: Callable[..., Any], clip: Path, out: Path) -> None:
    page = open_page()
    page.evaluate(
        """() => { window.seen = []; new MutationObserver(() => {
          const at = document.querySelector(".result .state"); if (at) seen.push(at.textContent);
        }).observe(document.getElementById("results"), {subtree: true, childList: true, characterData: true}); }"""
    )
    result = upload(page, clip, HOSTILE)
    result.locator(".open").wait_for(timeout=180_000)
    assert result.locator("h3").inner_text() == HOSTILE
    seen = page.evaluate("seen")
    assert any(text.startswith("Waiting") or text.endswith("…") for text in seen)
    assert "Prediction: " in seen[-1]
    assert "untrained" in result.locator(".notes").inner_text()
    page.wait_for_function("() => document.querySelector('.poster img').naturalWidth > 0")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.locator(".result h3").all_inner_texts() == [HOSTILE]

    page.locator(".open").click()
    page.wait_for_selector("html[data-ready]")
    settle(page)
    assert "onerror" in page.locator("header .sub").inner_text()
    page.click("#more summary")
    page.fill("#strength", "0")
    settle(page)
    assert page.evaluate("document.hacked") is None
    assert page.evaluate("self.origin") == "null"
    page.go_back()
    page.wait_for_selector("html[data-ready]")
    page.locator(".remove").click()
    page.wait_for_selector("#none:not([hidden])")
    assert folders(out) == []


def test_two_uploads_at_once_do_not_see_each_other(open_page: Callable[..., Any], clip: Path) -> None:
    pages = [open_page(), open_page()]
    results = [upload(page, clip, f"clip {i}.mp4") for i, page in enumerate(pages)]
    for index, (page, result) in enumerate(zip(pages, results, strict=True)):
        result.locator(".open").wait_for(timeout=180_000)
        assert page.locator(".result h3").all_inner_texts() == [f"clip {index}.mp4"]


def offer(page: Any, models: dict[str, list[str]]) -> None:
    """Have the page offer other models, with these labels."""
    template = page.evaluate("models[0]")
    rows = [template | {"name": name, "labels": labels} for name, labels in models.items()]
    page.route("**/api/models", lambda route: route.fulfill(json=rows))
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.wait_for_selector("#samples button:nth-child(4)")


def test_a_sample_suggests_a_model_that_knows_it_until_the_user_chooses_one(
    open_page: Callable[..., Any], clip: Path
) -> None:
    page = open_page()
    offer(page, {"objects": ["cat", "dog"], "actions": ["walk", "kick"]})
    assert page.input_value("#model") == "objects"
    page.click("#samples button[data-name=kick]")
    assert page.input_value("#model") == "actions"
    page.set_input_files("#file", str(clip))
    assert page.input_value("#model") == "objects"
    page.select_option("#model", "objects")
    page.click("#samples button[data-name=kick]")
    assert page.input_value("#model") == "objects"


def test_a_clip_that_the_browser_cannot_play_is_said_to_be_read_all_the_same(
    open_page: Callable[..., Any], clip: Path, tmp_path: Path
) -> None:
    page = open_page()
    (tmp_path / "clip.avi").write_bytes(b"RIFF")
    page.set_input_files("#file", str(tmp_path / "clip.avi"))
    page.wait_for_selector("#no-preview:not([hidden])")
    page.set_input_files("#file", str(clip))
    page.wait_for_selector("#preview:not([hidden])")
    assert page.locator("#no-preview").is_hidden()


def test_a_hostile_file_is_refused_with_a_sentence(
    open_page: Callable[..., Any], clip: Path, tmp_path: Path
) -> None:
    page = open_page()
    (tmp_path / "page.mp4").write_text("<script>alert(1)</script>" * 20)
    upload(page, tmp_path / "page.mp4")
    page.wait_for_function("() => document.getElementById('problem').textContent")
    assert page.inner_text("#problem").startswith("The file is neither a video nor an image")
    assert page.locator(".result").count() == 0

    (tmp_path / "large.mp4").write_bytes(clip.read_bytes() + b"\0" * 400_000)
    page.set_input_files("#file", str(tmp_path / "large.mp4"))
    assert "larger than" in page.inner_text("#problem")

    (tmp_path / "cut.mp4").write_bytes(clip.read_bytes()[:500])
    result = upload(page, tmp_path / "cut.mp4")
    page.wait_for_selector(".result.failed", timeout=180_000)
    assert result.locator(".state").inner_text().startswith("The file ")


def test_it_is_used_by_keyboard_alone_and_a_job_is_cancelled(
    open_page: Callable[..., Any], out: Path
) -> None:
    before = folders(out)
    page = open_page()
    page.wait_for_selector("#samples button:nth-child(4)")
    page.focus("#samples button:nth-child(2)")
    page.keyboard.press("Enter")
    page.focus("#method")
    page.keyboard.type("RISE")
    page.focus("#go")
    page.keyboard.press("Enter")
    page.wait_for_selector(".result.running")
    page.focus(".result .remove")
    page.keyboard.press("Space")
    page.wait_for_selector("#none:not([hidden])")
    assert page.locator(".result").count() == 0
    for _ in range(100):
        if folders(out) == before:
            break
        page.wait_for_timeout(50)
    assert folders(out) == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(open_page: Callable[..., Any], scheme: str) -> None:
    page = open_page(viewport={"width": 360, "height": 740}, color_scheme=scheme, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, select, .drop")].filter(e => e.offsetParent)
          .map(e => e.getBoundingClientRect()).filter(r => r.height < 36).length"""
    )
    assert small == 0
    contrast = page.evaluate(
        """() => {
          const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
            return .2126 * r + .7152 * g + .0722 * b; };
          const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!c.endsWith(", 0)")) return c; } };
          return Math.min(...[...document.querySelectorAll("h1, h2, p, label, select, summary, a")].filter(e => e.offsetParent && e.textContent.trim()).map(e => {
            const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
            return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
          }));
        }"""
    )
    assert contrast >= 4.5

"""The page in a real browser: a photograph in, classes out, nothing on the console, and a phone's width is enough."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.bundle.sealed import KIT_FOLDER
from tests.render.page.browser import Tab, a_tab
from tests.serving.conftest import HOSTILE, Serve

pytestmark = pytest.mark.full

PHONE_PX = 390


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with a_tab(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


def visit(tab: Tab, url: str, **look: Any) -> None:
    tab.look(**{"width": 1280, **look})
    tab.complaints.clear()
    tab.call("Page.navigate", url=url)
    wait_for(tab, "document.readyState === 'complete' && document.getElementById('answers') !== null")


def wait_for(tab: Tab, condition: str) -> None:
    deadline = time.monotonic() + 30
    while not tab.evaluate(condition):
        assert time.monotonic() < deadline, f"{condition}: {tab.complaints}"
        time.sleep(0.05)


def choose(tab: Tab, *files: Path) -> None:
    """Through the input element, and wait until each has its answer."""
    before = tab.evaluate("document.querySelectorAll('.answer').length")
    node = tab.call("Runtime.evaluate", expression="document.getElementById('files')")["result"]["objectId"]
    tab.call("DOM.setFileInputFiles", files=[str(file) for file in files], objectId=node)
    wait_for(tab, f"document.querySelectorAll('.answer:not([aria-busy])').length === {before + len(files)}")


def texts(tab: Tab, selector: str) -> list[str]:
    found: list[str] = tab.evaluate(f"[...document.querySelectorAll('{selector}')].map(each => each.textContent)")
    return found


@pytest.fixture
def golden(whole: Path) -> Path:
    return whole / KIT_FOLDER / "golden"


def test_a_chosen_photograph_is_shown_with_its_classes_and_where_the_time_went(tab: Tab, serve: Serve, golden: Path) -> None:
    visit(tab, serve().url)
    choose(tab, golden / "photo.jpg", golden / "card.png")
    assert texts(tab, ".answer h2") == ["card.png", "photo.jpg"]
    assert len(texts(tab, ".classes li")) == 8
    assert texts(tab, ".answer:last-child .classes li:first-child .label") == ["class 3"]
    assert texts(tab, ".answer:last-child .classes li:first-child .share") == ["100.0 %"]
    assert all(each.startswith("decoding ") and " ms · inference " in each for each in texts(tab, ".times"))
    wait_for(tab, "[...document.querySelectorAll('.picture img')].every(each => each.complete && each.naturalWidth > 0)")
    widths = "[...document.querySelectorAll('.answer:last-child .bar span')].map(each => each.offsetWidth)"
    bars = tab.evaluate(widths)
    assert bars[0] > 100 > bars[1], "the policy lets the script draw bars"
    assert (
        tab.evaluate("document.getElementById('state').textContent")
        == f"card.png: {texts(tab, '.label')[0]}, " + (texts(tab, ".share")[0])
    )
    assert tab.complaints == []


def test_dropped_photographs_are_taken_as_chosen_ones_are(tab: Tab, serve: Serve, golden: Path) -> None:
    visit(tab, serve().url)
    data = {"items": [], "files": [str(golden / "photo.jpg")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        tab.call("Input.dispatchDragEvent", type=kind, x=600, y=300, data=data)
    wait_for(tab, "document.querySelectorAll('.answer:not([aria-busy])').length === 1")
    assert texts(tab, ".classes li:first-child .label") == ["class 3"]
    assert not tab.evaluate("document.body.classList.contains('dragging')")
    time.sleep(0.3)
    assert tab.evaluate("location.protocol") == "http:", "the browser did not open the file itself"
    assert tab.complaints == []


def test_what_cannot_be_answered_is_told_in_a_sentence_and_the_rest_is_answered(
    tab: Tab, serve: Serve, golden: Path, tmp_path: Path
) -> None:
    visit(tab, serve(body_bytes=1 << 20).url)
    (tmp_path / "note.png").write_text("hello")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "large.png").write_bytes(bytes(3 << 20))
    choose(tab, *(tmp_path / f"{name}.png" for name in ("note", "empty", "large")), golden / "card.png")
    large, empty, note = texts(tab, ".wrong")
    assert large == "This file has 3 MiB; the limit is 1 MiB."
    assert empty == "This file is empty."
    assert note.startswith("This file cannot be read as an image: unsupported image format (supported: JPEG, ")
    assert len(texts(tab, ".classes")) == 1
    assert [each for each in tab.complaints if "422" not in each] == [], "the browser itself notes the refusal"


def test_more_than_the_rate_allows_is_answered_a_little_later(tab: Tab, serve: Serve, golden: Path) -> None:
    visit(tab, serve(per_minute=60).url)
    choose(tab, *[golden / "card.png"] * 14)
    assert len(texts(tab, ".classes")) == 14
    assert texts(tab, ".wrong") == []


def test_hostile_names_of_files_and_classes_run_nowhere(
    tab: Tab, serve: Serve, hostile: Path, golden: Path, tmp_path: Path
) -> None:
    visit(tab, serve(hostile).url)
    name = "<img src=x onerror=window.broken=3>.jpg"
    (tmp_path / name).write_bytes((golden / "photo.jpg").read_bytes())
    choose(tab, tmp_path / name)
    assert texts(tab, ".answer h2") == [name]
    assert set(texts(tab, ".label bdi")) == set(HOSTILE)
    assert tab.evaluate("window.broken === undefined")
    assert tab.complaints == []


def test_the_keyboard_reaches_the_chooser_and_sees_where_it_is(tab: Tab, serve: Serve) -> None:
    visit(tab, serve().url)
    for kind in ("keyDown", "keyUp"):
        tab.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert tab.evaluate("document.activeElement.id") == "files"
    assert tab.evaluate("getComputedStyle(document.querySelector('.button')).outlineStyle") == "solid"


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (PHONE_PX, False)])
def test_it_follows_light_and_dark_and_never_scrolls_sideways(
    tab: Tab, serve: Serve, golden: Path, tmp_path: Path, width: int, dark: bool
) -> None:
    visit(tab, serve().url, width=width, dark=dark)
    (tmp_path / f"{'long' * 20}.png").write_bytes((golden / "card.png").read_bytes())
    choose(tab, golden / "photo.jpg", tmp_path / f"{'long' * 20}.png")
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    tab.screenshot(tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.width == width
        background = picture.convert("RGB").getpixel((2, 2))
    assert background == ((18, 21, 24) if dark else (255, 255, 255))

"""The page in a kit for browsers, in Chromium: it tests itself, makes the very pixels that Pillow makes, and classifies."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecnn.runner import browser as serving
from edgecnn.runner.browser import KitServer
from edgecnn.runner.feeds import feed_of
from edgecnn.runner.golden import feed_sha256, golden_pixels
from edgecnn.runner.kit import Kit
from edgecnn.runner.manifest import MANIFEST
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.pixels import decode, pixels_sha256, to_pixels
from edgecnn.runner.sessions.wasm_browser import open_session
from edgecnn.runtimes.onnxruntime_files import logits_of
from edgecnn.values.preprocessing import PixelRecipe
from tests.conformance.subjects import copied, subjects
from tests.render.page.browser import Tab, a_tab, chromium
from tests.runner.kits import rewrite_manifest

pytestmark = pytest.mark.full

PICTURES = [(97, 61), (61, 97), (33, 200), (59, 83), (20, 20), (64, 64), (500, 333)]
RECIPES: list[dict[str, Any]] = [
    {"resize_px": 32, "crop_px": 32, "interpolation": "bilinear"},
    {"resize_px": 36, "crop_px": 32, "interpolation": "bicubic"},
    {"resize_px": 64, "crop_px": 48, "interpolation": "bilinear"},
    {"resize_px": 24, "crop_px": 31, "interpolation": "bicubic"},
    {"resize_px": 64, "crop_px": 64, "interpolation": "bicubic"},
    {"resize_px": "24x64", "crop_px": "20x56", "interpolation": "bilinear"},
    {"resize_px": "48x32", "crop_px": "48x32", "interpolation": "bicubic", "resize": "stretch"},
    {"resize_px": "32x56", "crop_px": "32x56", "interpolation": "bicubic", "resize": "stretch"},
    {"resize_px": "31x47", "crop_px": "31x47", "interpolation": "bilinear", "resize": "letterbox", "fill": [124, 116, 104]},
    {"resize_px": "24x96", "crop_px": "24x96", "interpolation": "bilinear", "resize": "line", "fill": [128, 128, 128]},
]


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed kit whose golden feed and answers are those of its golden pictures, by ONNX Runtime itself."""
    chromium()
    (subject,) = (each for each in subjects() if each.candidate.id == "wasm-fp32")
    folder = copied(subject, tmp_path_factory.mktemp("kits") / "page")
    opened = Kit.open(folder)
    (feed,) = feed_of(opened, golden_pixels(opened)).values()
    np.save(folder / "golden/logits.npy", logits_of(folder / opened.manifest.model.entry, feed))
    rewrite_manifest(folder, lambda manifest: manifest["golden"].update(feed_sha256=feed_sha256(feed)))
    return folder


@pytest.fixture(scope="module")
def server(kit: Path) -> Iterator[KitServer]:
    made = KitServer(kit, [*Kit.open(kit).manifest.files, MANIFEST])
    yield made
    made.close()


@pytest.fixture
def tab(server: KitServer, tmp_path: Path) -> Iterator[Tab]:
    with a_tab(tmp_path) as found:
        found.attach()
        found.call("Page.navigate", url=server.address(""))
        yield found


@contextmanager
def page_of(kit: Path, profile: Path, *words: str) -> Iterator[Tab]:
    """The page of a kit in a browser of its own. ``words``: of the browser's command line."""
    server = KitServer(kit, [path.relative_to(kit).as_posix() for path in kit.rglob("*")])
    try:
        with a_tab(profile, *words) as tab:
            tab.call("Page.navigate", url=server.address(""))
            yield tab
    finally:
        server.close()


def settled(tab: Tab) -> str:
    """What the page says of its self-test."""
    return str(
        tab.evaluate(
            """new Promise((done) => {
                const said = () => ["trouble", "test"].map((id) => document.getElementById(id)?.textContent).find(Boolean);
                const look = () => (said() ? done(said()) : setTimeout(look, 50));
                look();
            })"""
        )
    )


def chosen(tab: Tab, name: str, content: bytes) -> None:
    """Give the page a file, and wait until it is done with it."""
    tab.evaluate(
        f"""(() => {{
            const content = Uint8Array.from(atob("{base64.b64encode(content).decode()}"), (each) => each.charCodeAt());
            const given = new DataTransfer();
            given.items.add(new File([content], "{name}"));
            const field = document.getElementById("file");
            field.files = given.files;
            field.dispatchEvent(new Event("change"));
            return new Promise((done) => {{
                const look = () => (field.disabled ? setTimeout(look, 50) : done());
                look();
            }});
        }})()"""
    )


def png_of(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    made = io.BytesIO()
    Image.fromarray(picture).save(made, "PNG")
    return made.getvalue()


def test_the_page_tests_itself_and_asks_nobody_else(tab: Tab, server: KitServer) -> None:
    assert settled(tab).startswith("Self-test passed: answers differ by at most")
    assert "pixels are the same to the bit" in settled(tab)
    assert all(each.startswith(server.address("")) or each.startswith("blob:") for each in tab.requests), tab.requests
    assert tab.evaluate("getComputedStyle(document.getElementById('seen')).display") == "none", "no picture yet"
    assert not tab.complaints


def test_on_a_server_that_does_not_isolate_it_the_page_has_one_thread(
    kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "ISOLATED", {})
    with page_of(kit, tmp_path) as tab:
        assert settled(tab).startswith("Self-test passed: ")
        said = str(tab.evaluate("document.getElementById('about').textContent"))
        assert "1 thread, since its server does not isolate the page from other origins" in said


def test_a_golden_photo_of_another_size_is_no_match(kit: Path, tmp_path: Path) -> None:
    spoiled = Path(shutil.copytree(kit, tmp_path / "kit"))
    Image.new("RGB", (8, 8)).save(spoiled / "golden/small.png")
    photo = {"file": Kit.open(kit).manifest.golden.png[0].file, "pixels": "golden/small.png", "max_levels": 255}
    rewrite_manifest(spoiled, lambda manifest: manifest["golden"].update(jpeg=photo))
    with page_of(spoiled, tmp_path / "profile") as tab:
        assert settled(tab) == "golden/small.png is not of the network's size"


def test_a_browser_without_threads_is_missing_and_no_fault_of_the_kit(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "ISOLATED", {})
    with pytest.raises(RunnerError) as caught:
        open_session(Kit.open(kit), {"threads": "2"})
    assert (caught.value.ref, caught.value.missing) == ("browser-lacks-threads", True)
    assert caught.value.because == "it does not isolate the page from other origins, as its server asks"
    open_session(Kit.open(kit), {"threads": "1"}).close()


def test_what_it_shows_of_a_picture_is_what_the_runner_says(tab: Tab, kit: Path) -> None:
    settled(tab)
    chosen(tab, "card.png", (kit / "golden/card.png").read_bytes())
    shown = tab.evaluate("Array.from(document.querySelectorAll('#answers li'), (each) => each.firstChild.textContent)")
    best = np.argsort(-np.load(kit / "golden/logits.npy")[0])[:5]
    assert shown == [Kit.open(kit).manifest.labels[each] for each in best]


def test_a_file_that_is_no_picture_is_refused_by_its_name(tab: Tab) -> None:
    settled(tab)
    chosen(tab, "notes.png", b"text")
    assert settled(tab).startswith("notes.png: ")


def test_pixels_are_those_of_pillow_to_the_bit(tab: Tab) -> None:
    random = np.random.default_rng(0)
    files = [png_of(random.integers(0, 256, (high, wide, 3), np.uint8)) for wide, high in PICTURES]
    for asked in RECIPES:
        recipe = PixelRecipe.model_validate(asked)
        wanted = [pixels_sha256(to_pixels(decode(io.BytesIO(file)), recipe.runner_recipe())) for file in files]
        given = json.dumps([base64.b64encode(file).decode() for file in files])
        made = tab.evaluate(
            f"""import("./pixels.mjs").then(({{ decoded, toPixels }}) => Promise.all({given}.map(async (file) => {{
                const content = Uint8Array.from(atob(file), (each) => each.charCodeAt());
                return Array.from(toPixels(await decoded(new Blob([content])), {json.dumps(asked)}));
            }})))"""
        )
        found = [pixels_sha256(np.array(each, np.uint8).reshape(*recipe.crop_px, 3)) for each in made]
        assert found == wanted, asked


def test_a_kit_that_answers_otherwise_says_so(kit: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(kit, tmp_path / "kit"))
    rewrite_manifest(other, lambda manifest: manifest["preprocessing"]["normalization"].update(mean=[0.0, 0.0, 0.0]))
    server = KitServer(other, [*Kit.open(other).manifest.files, MANIFEST])
    with a_tab(tmp_path / "profile") as tab:
        tab.attach()
        tab.call("Page.navigate", url=server.address(""))
        assert settled(tab).startswith("the golden pixels give another feed")
    server.close()

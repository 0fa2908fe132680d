"""Images from elsewhere are decoded in processes that can be lost without loss of the build."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from edgecnn.data import decoders as module
from edgecnn.data.decoders import Decoders
from edgecnn.data.fingerprints import fingerprint_of
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import OWN_ANSWER_UNUSABLE
from edgecnn.hosts.sandbox import Sandbox
from edgecnn.runner.machine.environment import available_cores
from edgecnn.runner.pixel_recipe import ALL_LEVELS, ImageSize, PixelRecipe
from edgecnn.runner.pixels import UnreadableImage, decode, to_pixels
from tests.runner.causes.test_known import picture

RECIPE = PixelRecipe(ImageSize(20, 20), ImageSize(16, 16), "bilinear")


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    made = Decoders()
    yield made
    made.close()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF"])
def test_the_results_are_those_of_this_process(kind: str, decoders: Decoders) -> None:
    content = picture(kind)
    here = decode(io.BytesIO(content))
    there = decoders.rgb(content, ALL_LEVELS)
    assert (there.mode, there.size, there.tobytes()) == (here.mode, here.size, here.tobytes())
    assert np.array_equal(decoders.pixels(content, RECIPE), to_pixels(here, RECIPE))
    assert decoders.size(content) == Image.open(io.BytesIO(content)).size
    mine, theirs = fingerprint_of(content)._asdict(), decoders.fingerprint(content)._asdict()
    assert np.array_equal(mine.pop("small"), theirs.pop("small"))
    assert mine == theirs


def test_a_damaged_file_has_its_reason_and_its_decoder_goes_on(decoders: Decoders) -> None:
    with pytest.raises(UnreadableImage, match="truncated"):
        decoders.rgb(picture("PNG")[:-60], ALL_LEVELS)
    with pytest.raises(UnidentifiedImageError):
        decoders.size(b"text")
    (process,) = processes_of(decoders)
    decoders.rgb(picture("PNG"), ALL_LEVELS)
    assert processes_of(decoders) == [process]


def processes_of(decoders: Decoders) -> list[int]:
    return [decoder._process.pid for decoder in decoders._idle if decoder._process is not None]


def test_a_decoder_that_was_ended_is_replaced(decoders: Decoders) -> None:
    decoders.size(picture("PNG"))
    (process,) = processes_of(decoders)
    os.kill(process, signal.SIGKILL)
    while not decoders._idle[0].ended:
        pass
    assert decoders.size(picture("PNG"))
    assert processes_of(decoders) != [process]


def test_an_image_whose_decoder_crashes_or_never_ends_is_unreadable(decoders: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as crashing:
        crashing.setattr(module.decoded, "__name__", "faulthandler")  # sandboxed: faulthandler._sigsegv()
        with pytest.raises(UnreadableImage, match="its decoder crashed: signal 11 .SIGSEGV."):
            decoders._call("_sigsegv", b"")
    with monkeypatch.context() as endless:
        endless.setattr(module, "_LIMIT_S", 0.0)
        with pytest.raises(UnreadableImage, match="decoding it took more than 0 s"):
            decoders.rgb(picture("PNG"), ALL_LEVELS)
    assert decoders.size(picture("PNG")) and len(processes_of(decoders)) == 1


def test_no_more_decoders_run_than_there_are_cores(decoders: Decoders) -> None:
    content = picture("JPEG")
    with ThreadPoolExecutor(16) as threads:
        assert len({image.tobytes() for image in threads.map(lambda _: decoders.rgb(content, ALL_LEVELS), range(64))}) == 1
    assert 1 <= len(processes_of(decoders)) <= available_cores()


def test_they_outlive_the_thread_that_needed_them_first(decoders: Decoders) -> None:
    with ThreadPoolExecutor(1) as thread:
        thread.submit(decoders.size, picture("PNG")).result()
    (process,) = processes_of(decoders)
    decoders.size(picture("PNG"))
    assert processes_of(decoders) == [process]


def test_they_read_no_file_of_the_user(decoders: Decoders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("secret")
    monkeypatch.setattr(module.decoded, "__name__", "os")
    with pytest.raises(PermissionError):
        decoders._call("listdir", b"", path=str(tmp_path))


@pytest.mark.parametrize(
    "answer",
    [({"mode": "RGB", "size": [2, 2]}, b"short"), ({"mode": "L", "size": [1, 1]}, b"a"), ({"size": "large"}, b""), ({}, b"")],
)
def test_an_answer_that_is_no_image_is_refused(
    answer: tuple[dict[str, object], bytes], decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sandbox, "call_for_content", lambda *_, **__: answer)
    with pytest.raises(EdgecnnError, check=OWN_ANSWER_UNUSABLE.made):
        decoders.rgb(picture("PNG"), ALL_LEVELS)

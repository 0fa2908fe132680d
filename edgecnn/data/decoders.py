"""Decode images of data sets in sandboxed processes, which stay open until the command ends.

A decoder is native code, and an image from elsewhere may make it do anything. Its process gets the bytes of one file after
another, and can read no other data. A process that crashes is replaced, and its image counts as unreadable.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from edgecnn.data import decoded
from edgecnn.data.fingerprints import Fingerprint
from edgecnn.errors.hosts import OWN_ANSWER_UNUSABLE
from edgecnn.hosts.sandbox import Allowed, Crashed, Sandbox, TimedOut
from edgecnn.runner.machine.environment import available_cores
from edgecnn.runner.pixels import MAX_PIXELS, PixelRecipe, UnreadableImage

_LIMIT_S: Final = 120.0
"""Time for one image. The largest take 5 s on a desktop processor."""
_BANDS: Final[Mapping[str, int]] = {"RGB": 3, "RGBA": 4}


class Decoders:
    """Sandboxed decoders, at most one for each core. They start when they are needed. Every method is thread-safe.

    All methods take the bytes of a file. Raises UnreadableImage: as the function of ``decoded`` does; or the decoder crashed.
    """

    def __init__(self) -> None:
        self._idle = list[Sandbox]()
        self._free = threading.Semaphore(available_cores())
        # Linux ends a sandboxed process with the thread that started it, so a thread that stays starts them all.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="edgecnn-decoders")

    def size(self, content: bytes) -> tuple[int, int]:
        """Return the stored width and height. Raises UnidentifiedImageError: the format is none of ``runner.pixels.FORMATS``."""
        facts, _ = self._call("size", content)
        if facts.get("unknown"):
            raise UnidentifiedImageError
        try:
            width, height = facts["size"]
            return int(width), int(height)
        except (LookupError, TypeError, ValueError) as error:
            raise OWN_ANSWER_UNUSABLE(doing="size", because=str(error)) from error

    def rgb(self, content: bytes, grey_window: tuple[int, int]) -> Image.Image:
        """Return the upright image in RGB; see ``runner.pixels.decode``."""
        return _image("rgb", *self._call("rgb", content, grey_window=grey_window))

    def pixels(self, content: bytes, recipe: PixelRecipe) -> npt.NDArray[np.uint8]:
        """Return uint8 (*crop_px, 3); see ``runner.pixels.to_pixels``."""
        return _array("pixels", *self._call("pixels", content, recipe=recipe))

    def fingerprint(self, content: bytes) -> Fingerprint:
        """Return the fingerprint of an image; see ``fingerprints.fingerprint_of``."""
        facts, small = self._call("fingerprint", content)
        try:
            known = {name: facts["fields"][name] for name in Fingerprint._fields if name != "small"}
            levels = known["levels"] and (int(known["levels"][0]), int(known["levels"][1]))
            return Fingerprint(**{**known, "levels": levels, "small": _array("fingerprint", facts, small)})
        except (LookupError, TypeError, ValueError) as error:
            raise OWN_ANSWER_UNUSABLE(doing="fingerprint", because=str(error)) from error

    def background(self, content: bytes, size_px: int) -> Image.Image:
        """Return a background for composed images, in RGB."""
        return _image("background", *self._call("background", content, size_px=size_px))

    def cutout(self, content: bytes, size_px: int) -> Image.Image:
        """Return a cut-out for composed images, in RGBA."""
        return _image("cutout", *self._call("cutout", content, size_px=size_px))

    def close(self) -> None:
        """End all processes."""
        while self._idle:
            self._idle.pop().__exit__(None, None, None)
        self._starter.shutdown()

    def _call(self, function: str, content: bytes, **arguments: Any) -> tuple[Mapping[str, Any], bytes]:
        with self._borrowed() as decoder:
            try:
                facts, answer = decoder.call_for_content(
                    f"{decoded.__name__}:{function}", arguments, limit_s=_LIMIT_S, content=content, most_bytes=4 * MAX_PIXELS
                )
            except Crashed as error:
                raise UnreadableImage(f"its decoder crashed: {error}") from error
            except TimedOut as error:
                raise UnreadableImage(f"decoding {error}") from error
        if not isinstance(facts, dict):
            raise OWN_ANSWER_UNUSABLE(doing=function, because="its facts are not an object")
        if "why" in facts:
            raise UnreadableImage(str(facts["why"]))
        return facts, answer

    @contextmanager
    def _borrowed(self) -> Iterator[Sandbox]:
        with self._free:
            decoder = self._idle_decoder() or self._starter.submit(Sandbox(Allowed(read=())).__enter__).result()
            try:
                yield decoder
            except BaseException:  # it may still be answering
                decoder.__exit__(None, None, None)
                raise
            self._idle.append(decoder)

    def _idle_decoder(self) -> Sandbox | None:
        """Return a decoder that waits, without those that the system has ended meanwhile."""
        while True:
            try:
                decoder = self._idle.pop()
            except IndexError:
                return None
            if not decoder.ended:
                return decoder
            decoder.__exit__(None, None, None)


_OF_PROCESS: dict[int, Decoders] = {}


def decoders() -> Decoders:
    """Return the decoders of this process, which end with it. A forked process gets its own."""
    number = os.getpid()
    if number not in _OF_PROCESS:
        _OF_PROCESS.clear()
        _OF_PROCESS[number] = Decoders()
        atexit.register(_close, number)
    return _OF_PROCESS[number]


def _close(number: int) -> None:
    if number == os.getpid() and number in _OF_PROCESS:
        _OF_PROCESS.pop(number).close()


def _image(function: str, facts: Mapping[str, Any], content: bytes) -> Image.Image:
    try:
        mode, (width, height) = str(facts["mode"]), facts["size"]
        if min(width, height) < 1 or len(content) != _BANDS[mode] * width * height:
            raise ValueError(f"{len(content):,} bytes are not an image of {width} × {height} in {mode}")
        return Image.frombytes(mode, (width, height), content)
    except (LookupError, TypeError, ValueError) as error:
        raise OWN_ANSWER_UNUSABLE(doing=function, because=str(error)) from error


def _array(function: str, facts: Mapping[str, Any], content: bytes) -> npt.NDArray[np.uint8]:
    try:
        return np.frombuffer(content, np.uint8).reshape(tuple(facts["shape"])).copy()
    except (LookupError, TypeError, ValueError) as error:
        raise OWN_ANSWER_UNUSABLE(doing=function, because=str(error)) from error

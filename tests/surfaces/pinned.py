"""Every text that people read, made from fixed inputs and pinned in ``texts/``, one file a surface.

``python -m tests.surfaces`` writes all of them again.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path

TEXTS = Path(__file__).parent / "texts"
Surface = Callable[[Path], str]
"""Makes the text. The folder is empty, and its path in the text becomes ``FOLDER``."""
COLOURING = ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE")


def every_surface() -> Mapping[str, Surface]:
    """All surfaces by the name of their file."""
    from tests.errors import lines
    from tests.surfaces import charts, commands, looked_at, measured, races, reports, screens, sentences, verdicts

    rooms = (charts, commands, lines, looked_at, measured, races, reports, screens, sentences, verdicts)
    return {name: surface for room in rooms for name, surface in room.SURFACES.items()}


def printed(show: Callable[[], object]) -> str:
    """The text that a screen prints into a pipe."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(stream):
        show()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode("utf-8")


def sections(texts: Mapping[str, str]) -> str:
    """Several texts of one surface."""
    return "\n".join(f"=== {name} ===\n{text.rstrip()}\n" for name, text in texts.items())


def text_of(surface: Surface, folder: Path) -> str:
    """The text as its file holds it: without trailing blanks, with one line break at the end."""
    kept = {name: os.environ.pop(name) for name in COLOURING if name in os.environ}
    try:
        text = surface(folder).replace(str(folder), "FOLDER")
    finally:
        os.environ.update(kept)
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n"


def pinned(name: str) -> Path:
    """The file of a surface."""
    return TEXTS / f"{name}.txt"

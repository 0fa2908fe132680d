"""The folder of a training: ``resume/`` while it runs, and last the facts of how it went, so that what has them is whole."""

from __future__ import annotations

import shutil
from pathlib import Path

RESUME = "resume"


def is_made(out: Path, facts: str) -> bool:
    """Whether an earlier call wrote everything; where only its clearing up was interrupted, that is done."""
    if not (out / facts).exists():
        return False
    shutil.rmtree(out / RESUME, ignore_errors=True)
    return True


def begin(out: Path) -> Path:
    """The folder that an interrupted training goes on from."""
    resume = out / RESUME
    resume.mkdir(parents=True, exist_ok=True)
    return resume


def finish(out: Path, facts: str, text: str) -> None:
    """Write the facts, whole or not at all, and leave nothing to resume."""
    partial = out / RESUME / facts
    partial.write_text(text, encoding="utf-8")
    partial.rename(out / facts)
    shutil.rmtree(out / RESUME)

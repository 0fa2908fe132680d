"""Each surface reads as its pinned text does. ``python -m tests.surfaces`` writes the texts again."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgecnn.cli.main import app
from tests.surfaces.pinned import TEXTS, every_surface, pinned, text_of

SURFACES = every_surface()


@pytest.mark.parametrize("name", SURFACES)
def test_a_surface_reads_as_pinned(name: str, tmp_path: Path) -> None:
    assert text_of(SURFACES[name], tmp_path) == pinned(name).read_text(encoding="utf-8"), "python -m tests.surfaces"


def test_every_pinned_text_has_a_surface() -> None:
    names = {path.relative_to(TEXTS).with_suffix("").as_posix() for path in TEXTS.rglob("*.txt")}
    assert names - set(SURFACES) == set()


@pytest.mark.parametrize("words", [(), ("build",)], ids=["edgecnn", "build"])
def test_help_fits_80_columns(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"}).stdout
    assert max(map(len, shown.splitlines())) <= 80

"""Docstrings and settings name files that are there: a file that is renamed leaves no sign to where it was."""

from __future__ import annotations

import re

from tests.house.source_tree import PACKAGE, ROOT, relative

NAMED = re.compile(r"(?<![\w/.{}<*-])((?:[a-z_0-9]+/)+[a-z_0-9]+\.py)\b")
NEIGHBOUR = re.compile(r"``([a-z_0-9]+\.py)``")
ELSEWHERE = ("efficientnet_builder.py", "efficientnet_lite_builder.py")
"""Of the repository of TensorFlow's networks, as a source of constants."""


def test_a_file_that_is_named_is_there() -> None:
    """In a page ``tests/docs/test_pages.py`` asks this."""
    sources = [*sorted(PACKAGE.rglob("*.py")), ROOT / "pyproject.toml"]
    named = [(path, name) for path in sources for name in NAMED.findall(path.read_text(encoding="utf-8"))]
    absent = [
        f"{relative(path)}: {name}"
        for path, name in named
        if not any((root / name).exists() for root in (ROOT, PACKAGE, path.parent)) and not name.endswith(ELSEWHERE)
    ]
    assert len(named) > 20
    assert absent == []


def test_a_neighbour_that_a_module_names_is_there() -> None:
    named = [(path, name) for path in PACKAGE.rglob("*.py") for name in NEIGHBOUR.findall(path.read_text(encoding="utf-8"))]
    assert [f"{relative(path)}: {name}" for path, name in named if not (path.parent / name).exists()] == []

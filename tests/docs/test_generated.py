"""The reference pages are what ``python -m docs.generated`` writes, and they list everything that the code has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer

from docs.generated import SCHEMAS, pages
from edgecnn.cli.main import app
from edgecnn.judging.metrics import METRICS
from edgecnn.models.catalogue import all_archs
from edgecnn.values.device import Device, Match, RuntimeFacts
from edgecnn.values.recipe import Recipe
from tests.errors.lines import rows
from tests.house.documents import documents
from tests.house.source_tree import ROOT

LINES_MAX = 150
LISTS = {"docs/dependencies.md": "one line for each dependency", "docs/graph-forms.md": "one table for each measurement"}
"""Pages that may be longer, with the reason. Pages of docs/reference may be longer too."""


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The text of each page of the reference by its name."""
    return {path.stem: text for path, text in pages().items()}


def rows_of(table: str) -> list[list[str]]:
    """The cells of every row of a page's tables."""
    return [re.split(r"(?<!\\)\|", line.strip("|")) for line in table.splitlines() if line.startswith("|")]


def test_the_committed_pages_are_the_generated_ones() -> None:
    stale = [path.name for path, text in pages().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "python -m docs.generated"


def test_the_reference_has_every_command_with_its_options(texts: dict[str, str]) -> None:
    page = texts["command-line"]
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert [name for name in commands if f"## `edgecnn {name}`" not in page] == []
    assert "### `edgecnn baseline import`" in page
    assert "--time-budget DURATION" in page


def test_the_reference_has_every_key_of_a_recipe_and_of_a_device(texts: dict[str, str]) -> None:
    tables = [name for name in Recipe.model_fields if name != "schema_"]
    recipe_keys = [key for name in tables for key in getattr(Recipe(), name).__class__.model_fields]
    assert [name for name in tables if f"`[{name}]`" not in texts["recipe"]] == []
    assert [key for key in recipe_keys if f"| `{key}` |" not in texts["recipe"]] == []
    device_keys = [*Match.model_fields, *RuntimeFacts.model_fields, *(Device.model_fields.keys() - {"runtimes", "facts_only"})]
    assert [key for key in device_keys if f"`{key}" not in texts["device"] and f"`[{key}]`" not in texts["device"]] == []


def test_every_key_of_a_recipe_is_described(texts: dict[str, str]) -> None:
    keys = [cells for cells in rows_of(texts["recipe"]) if cells[0].strip().startswith("`")]
    assert len(keys) > 40
    assert [cells[0] for cells in keys if not cells[-1].strip()] == []


def test_the_reference_lists_metrics_networks_and_errors(texts: dict[str, str]) -> None:
    assert [name for name in METRICS if f"`{name}`" not in texts["metrics"]] == []
    assert [spec.name for spec in all_archs() if f"`{spec.name}`" not in texts["catalogue"]] == []
    assert [row.ref for row in rows() if f"`{row.ref}`" not in texts["errors"]] == []


def test_the_reference_links_and_describes_every_schema(texts: dict[str, str]) -> None:
    for path in SCHEMAS.glob("*.json"):
        description = json.loads(path.read_text(encoding="utf-8"))["description"].replace("\n", " ").replace("|", "\\|")
        assert f"[{path.name}](../schemas/{path.name}) | {description} |" in texts["schemas"]


@pytest.mark.parametrize("page", [path for path in documents() if path.parent.name != "reference"], ids=lambda path: path.name)
def test_a_page_is_short(page: Path) -> None:
    if page.relative_to(ROOT).as_posix() not in LISTS:
        assert len(page.read_text(encoding="utf-8").splitlines()) <= LINES_MAX

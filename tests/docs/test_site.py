"""The documentation builds as a site without a warning, lists what the code has, and loads nothing from elsewhere."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from edgecnn.cli.main import app
from edgecnn.judging.metrics import METRICS
from edgecnn.models.catalogue import all_archs
from edgecnn.values.device import Device, Match, RuntimeFacts
from edgecnn.values.recipe import Recipe
from tests.errors.lines import rows
from tests.house.source_tree import ROOT

pytest.importorskip("material", reason='the site needs mkdocs-material: pip install "edgecnn[docs]"')


def built(folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Never with ``--quiet``: warnings that are not said are not counted either."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as readers get it."""
    out = tmp_path_factory.mktemp("site")
    done = built(ROOT, out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the pages, for tests that break one."""
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def text_of(site: Path, page: str) -> str:
    """A page's words, its markup gone."""
    return html.unescape(re.sub(r"<[^>]+>", "", (site / page / "index.html").read_text(encoding="utf-8")))


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = [path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")]
    folders = [site if page.name == "index" else site / page for page in pages]
    assert len(pages) > 20
    assert [folder for folder in folders if not (folder / "index.html").is_file()] == []


def test_the_reference_has_every_verb_with_its_options(site: Path) -> None:
    page = (site / "reference/command-line/index.html").read_text(encoding="utf-8")
    assert "a gate failed" in text_of(site, "reference/command-line")
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert [verb for verb in verbs if f'id="edgecnn-{verb}"' not in page] == []
    assert 'id="edgecnn-baseline-import"' in page
    assert "--time-budget DURATION" in text_of(site, "reference/command-line")


def test_the_reference_has_every_key_of_a_recipe_and_of_a_device(site: Path) -> None:
    recipe, device = text_of(site, "reference/recipe"), text_of(site, "reference/device")
    tables = [name for name in Recipe.model_fields if name != "schema_"]
    keys = [key for name in tables for key in getattr(Recipe(), name).__class__.model_fields]
    assert [name for name in tables if f"[{name}]" not in recipe] == []
    assert [key for key in keys if key not in recipe] == []
    of_device = [*Match.model_fields, *RuntimeFacts.model_fields, *(Device.model_fields.keys() - {"runtimes"})]
    assert [key for key in of_device if key not in device] == []


def test_no_key_of_a_recipe_is_left_without_a_word(site: Path) -> None:
    rows = re.findall(r"<tr>(.*?)</tr>", (site / "reference/recipe/index.html").read_text(encoding="utf-8"), flags=re.DOTALL)
    cells = [re.findall(r"<td>(.*?)</td>", row, flags=re.DOTALL) for row in rows]
    assert len([row for row in cells if row]) > 40
    assert [row[0] for row in cells if row and not row[-1].strip()] == []


def test_the_reference_says_of_a_key_what_its_docstring_says(site: Path) -> None:
    assert (
        "Taken out of the training images, stratified, and never trained on: the ranges of INT8 are taken from them."
        in text_of(site, "reference/recipe")
    )
    assert "False: built only where a target names this runtime" in text_of(site, "reference/device")


def test_the_reference_lists_metrics_networks_and_errors(site: Path) -> None:
    assert [name for name in METRICS if name not in text_of(site, "reference/metrics")] == []
    assert [spec.name for spec in all_archs() if spec.name not in text_of(site, "reference/catalogue")] == []
    errors = text_of(site, "reference/errors")
    assert [row.ref for row in rows() if row.ref not in errors] == []
    assert "FOLDER has cut-outs of WHICH, an unknown class" in errors
    assert "There are files, but no image among them." in errors


def test_every_schema_is_part_of_the_site_and_linked(site: Path) -> None:
    page = (site / "reference/schemas/index.html").read_text(encoding="utf-8")
    for path in (ROOT / "docs" / "schemas").glob("*.json"):
        assert (site / "schemas" / path.name).read_bytes() == path.read_bytes()
        assert f"schemas/{path.name}" in page


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loading = re.compile(r'<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)="(?:https?:)?//[^"]*"')
    importing = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//")
    pages, styles = [*site.rglob("*.html")], [*site.rglob("*.css")]
    assert pages and styles
    found = [hit for path in pages for hit in loading.findall(path.read_text(encoding="utf-8"))]
    found += [hit for path in [*pages, *styles] for hit in importing.findall(path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.slow
def test_a_broken_link_fails_the_build(sources: Path, tmp_path: Path) -> None:
    with (sources / "docs" / "index.md").open("a", encoding="utf-8") as page:
        page.write("\n[gone](howto/add-a-unicorn.md)\n")
    done = built(sources, tmp_path / "site")
    assert done.returncode != 0
    assert "howto/add-a-unicorn.md" in done.stderr


def test_a_marker_that_nothing_generates_fails_the_build(sources: Path, tmp_path: Path) -> None:
    with (sources / "docs" / "index.md").open("a", encoding="utf-8") as page:
        page.write("\n<!-- generated: unicorns -->\n")
    done = built(sources, tmp_path / "site")
    assert done.returncode != 0
    assert "unicorns" in done.stderr

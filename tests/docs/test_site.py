"""The documentation builds as a site without a warning, and no page loads anything from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source_tree import ROOT

pytest.importorskip("material", reason='the site needs mkdocs-material: pip install "edgecnn[docs]"')


def built(folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Without ``--quiet``, which would hide warnings from ``--strict``."""
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


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = [path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")]
    folders = [site if page.name == "index" else site / page for page in pages]
    assert len(pages) > 20
    assert [folder for folder in folders if not (folder / "index.html").is_file()] == []


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
    loaded = [hit for path in pages for hit in loading.findall(path.read_text(encoding="utf-8"))]
    loaded += [hit for path in [*pages, *styles] for hit in importing.findall(path.read_text(encoding="utf-8"))]
    assert loaded == []


@pytest.mark.slow
def test_a_broken_link_fails_the_build(sources: Path, tmp_path: Path) -> None:
    with (sources / "docs" / "index.md").open("a", encoding="utf-8") as page:
        page.write("\n[gone](howto/add-a-unicorn.md)\n")
    done = built(sources, tmp_path / "site")
    assert done.returncode != 0
    assert "howto/add-a-unicorn.md" in done.stderr

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import edgecnn.api
from edgecnn.api import build_and_write, write_page_of_build
from edgecnn.cli.main import app
from edgecnn.devices.files import load_devices
from edgecnn.planning.request import BuildRequest
from edgecnn.store.store import Store
from edgecnn.values.recipe import Recipe
from tests.render.reports import a_report
from tests.store.toys import Ear


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished build of which the store has nothing."""
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    folder = tmp_path / "build"
    folder.mkdir()
    (folder / "report.json").write_text(a_report().model_dump_json(by_alias=True))
    return folder


def test_a_page_is_written_beside_the_report_and_says_what_it_lacks(build: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(build)])
    page = build / "report.html"
    assert done.exit_code == 0, done.output
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    lines = done.stdout.splitlines()
    assert lines[0] == f"{page}: {page.stat().st_size:,} bytes"
    assert [line.partition(": ")[2].partition(":")[0] for line in lines[1:4]] == ["latency", "mistakes", "training"]
    assert lines[4].split() == ["top-1,", "%", "median,", "ms"], "the small plot of the same build"
    assert lines[5].startswith("  onnxruntime-int8")
    assert len(lines) == 7


def test_with_json_it_is_one_document(build: Path, tmp_path: Path) -> None:
    page = tmp_path / "elsewhere.html"
    done = CliRunner().invoke(app, ["report", str(build), "--out", str(page), "--json"])
    document = json.loads(done.stdout)
    assert (document["file"], document["bytes"]) == (str(page), page.stat().st_size)
    assert sorted(document["missing"]) == ["latency", "mistakes", "training"]
    assert not (build / "report.html").exists()


def test_a_folder_that_is_no_build_is_bad_input(tmp_path: Path, build: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == 2
    assert "holds no report.json" in done.stderr


def test_a_page_that_cannot_be_written_is_bad_input(build: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(build), "--out", str(build / "absent" / "page.html")])
    assert done.exit_code == 2
    assert "[page-unwritable]" in done.stderr


def test_without_its_packages_the_verb_names_the_extra(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edgecnn.api, "PAGE_PACKAGES", ("no-such-package",))
    done = CliRunner().invoke(app, ["report", str(build)])
    assert done.exit_code == 3
    assert done.stderr == (
        "edgecnn: error: report.html needs the package no-such-package, which is not installed"
        ' — pip install "edgecnn[report]" [missing-package]\n'
    )


def test_to_a_build_a_page_that_cannot_be_made_is_a_note(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ear = Ear()
    write_page_of_build(a_report(), Store.open(), build, ear)
    assert ear.notes == []
    assert (build / "report.html").is_file()
    monkeypatch.setattr(edgecnn.api, "PAGE_PACKAGES", ("no-such-package",))
    write_page_of_build(a_report(), Store.open(), build, ear)
    assert ear.notes == [], "the page of this very report is there"
    write_page_of_build(a_report(output="elsewhere"), Store.open(), build, ear)
    assert ear.notes == [
        "no report.html: report.html needs the package no-such-package, which is not installed"
        ' — pip install "edgecnn[report]" [missing-package]'
    ]


def test_where_a_drawing_library_fails_a_build_loses_its_page_and_nothing_else(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(facts: object) -> str:
        raise ValueError("Vega-Lite: no such mark")

    monkeypatch.setattr("edgecnn.render.page.report.report_page", fails)
    ear = Ear()
    write_page_of_build(a_report(), Store.open(), build, ear)
    assert ear.notes[0].startswith("no report.html: the page could not be drawn: ValueError: Vega-Lite: no such mark — ")
    assert not (build / "report.html").exists()
    assert CliRunner().invoke(app, ["report", str(build)]).exit_code == 70


def test_a_page_is_drawn_again_only_where_it_would_show_something_else(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cached build answers in half a second, and charts take longer than that. Whatever ended the call before, between the
    report and its page, the page that is left is of another report."""
    request = BuildRequest(recipe=Recipe(), device=load_devices()["cpu"], out=build)
    now = a_report()
    monkeypatch.setattr(edgecnn.api, "run_build", lambda *args: now)
    page = build / "report.html"

    def drawn() -> bool:
        before = page.stat().st_mtime_ns if page.exists() else None
        build_and_write(request, Ear())
        return page.stat().st_mtime_ns != before

    assert drawn()
    warmer = now.environment.model_copy(update={"observed": {**now.environment.observed, "load": "1.93"}})
    now = now.model_copy(update={"environment": warmer, "seconds": 0.5})
    assert not drawn()
    now = now.model_copy(update={"candidates": (now.candidates[0].model_copy(update={"size_mib": 9.9}),)})
    assert drawn()
    page.write_text("of before")
    assert drawn()

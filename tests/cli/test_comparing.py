from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

import edgecnn.api
from edgecnn.cli.main import app
from tests.building.stored_builds import StoredBuild
from tests.house.schemas import FOLDER
from tests.render.reports import a_report


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Two finished builds of which the store has nothing, seen from a folder of the user's."""
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    for name in ("base", "head"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(a_report().model_dump_json(by_alias=True))
    return "base", "head"


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredBuild:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    build = StoredBuild(tmp_path)
    for day, ms in enumerate((1.0, 1.5, 1.2)):
        build.raced("onnxruntime-int8", ms, observed_at=f"2026-11-2{day}T09:00:00+00:00")
    build.answered("onnxruntime-int8", 6)
    return build


def check(name: str, text: str) -> None:
    Draft202012Validator(json.loads((FOLDER / f"{name}.json").read_text())).validate(json.loads(text))


def test_two_builds_are_told_and_a_page_is_written_here(two: tuple[str, str]) -> None:
    done = CliRunner().invoke(app, ["compare", *two])
    assert done.exit_code == 0, done.output
    assert "top-1 on the test split" in done.stdout
    size = Path("compare.html").stat().st_size
    assert done.stdout.splitlines()[-1] == f"compare.html: {size:,} bytes"
    again = CliRunner().invoke(app, ["compare", *two])  # our own page is made anew
    assert again.exit_code == 0 and again.stdout.splitlines()[-1].startswith("compare.html: ")


def test_with_json_it_is_one_document_of_the_published_schema_and_a_page_only_where_one_is_asked(two: tuple[str, str]) -> None:
    done = CliRunner().invoke(app, ["compare", *two, "--json"])
    check("compare", done.stdout)
    assert not Path("compare.html").exists()
    result = CliRunner().invoke(app, ["compare", *two, "--json", "--out", "page.html"])
    check("compare", result.stdout)
    assert Path("page.html").is_file()


@pytest.mark.parametrize("words", [(), ("--out", "compare.html")])
def test_a_file_that_is_not_ours_is_never_replaced(two: tuple[str, str], words: tuple[str, ...]) -> None:
    Path("compare.html").write_text("<!doctype html><p>mine")
    done = CliRunner().invoke(app, ["compare", *two, *words])
    assert Path("compare.html").read_text() == "<!doctype html><p>mine"
    assert "edgecnn did not write this file" in done.stderr
    assert done.exit_code == (2 if words else 0)
    assert "top-1 on the test split" in done.stdout


def test_without_the_page_s_packages_the_table_stands_and_a_page_asked_for_is_missing(
    two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edgecnn.api, "PAGE_PACKAGES", ("no-such-package",))
    done = CliRunner().invoke(app, ["compare", *two])
    assert done.exit_code == 0
    assert "edgecnn: no compare.html: the page needs the package no-such-package" in done.stderr
    assert CliRunner().invoke(app, ["compare", *two, "--out", "page.html"]).exit_code == 3


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("base",), "compare takes 2 to 26 builds, not 1"),
        (("base", "base"), "base was named twice"),
        (("base", "absent"), "absent holds no report.json"),
        (("base", "store"), "store holds no report.json"),
        (("base", "head", "--out", "absent/page.html"), "absent/page.html cannot be written"),
    ],
)
def test_what_cannot_be_compared_is_bad_input(two: tuple[str, str], words: tuple[str, ...], text: str) -> None:
    done = CliRunner().invoke(app, ["compare", *words])
    assert done.exit_code == 2, done.output
    assert text in done.stderr


def test_a_history_is_told_written_and_published(measured: StoredBuild) -> None:
    done = CliRunner().invoke(app, ["study", "history"])
    assert done.exit_code == 0, done.output
    assert "resnet-18 onnxruntime-int8" in done.stdout
    assert "1.00 ms to 1.50 ms, last 1.20 ms" in done.stdout
    assert Path("history.html").is_file()
    result = CliRunner().invoke(app, ["study", "history", "--arch", "resnet-18", "--json"])
    check("history", result.stdout)
    assert [point["figure"]["estimate"] for point in json.loads(result.stdout)["series"][0]["latency"]] == [1.0, 1.5, 1.2]


def test_a_history_of_what_was_never_measured_is_missing(measured: StoredBuild) -> None:
    done = CliRunner().invoke(app, ["study", "history", "--arch", "resnet-34"])
    assert done.exit_code == 3
    assert "holds no measurement of resnet-34" in done.stderr
    assert not Path("history.html").exists()

"""What a job is told beside the exit code: the JUnit file, the annotations, the summary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from edgecnn.cli.main import app
from edgecnn.errors.building import NOTHING_TO_BUILD
from edgecnn.errors.usage import NO_VERDICT
from edgecnn.values.verdict import Verdict
from tests.cli.test_build import Builder


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> Builder:
    builder = Builder()
    builder.judged(Verdict.FAIL)
    monkeypatch.setattr("edgecnn.api.build_and_write", builder)
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return builder


def run(*words: str) -> Any:
    return CliRunner().invoke(app, [*words, "--arch", "lenet-5", "--quiet"])


def errors_of(path: Path) -> list[str]:
    return [str(error.text) for error in ElementTree.parse(path).getroot().iter("error")]


@pytest.mark.parametrize("verb", ["build", "judge"])
def test_a_judging_verb_writes_its_verdicts_as_junit(builder: Builder, tmp_path: Path, verb: str) -> None:
    path = tmp_path / "gates.xml"
    done = run(verb, "--out", str(tmp_path / "out"), "--junit", str(path))
    assert done.exit_code == 1
    assert [failure.text for failure in ElementTree.parse(path).getroot().iter("failure")] == ["seen"]


def test_a_call_that_ends_in_an_error_leaves_the_error_and_no_older_verdict(builder: Builder, tmp_path: Path) -> None:
    path = tmp_path / "gates.xml"
    path.write_text("<testsuites><testsuite tests='1'/></testsuites>")
    builder.error = NOTHING_TO_BUILD(device="cpu", reasons=("no runtime",), command=None)
    assert run("build", "--junit", str(path)).exit_code == 3
    assert errors_of(path) == ["nothing can be built for cpu here: no runtime [nothing-to-build]"]


def test_a_misspelt_bound_stands_in_the_file_too(builder: Builder, tmp_path: Path) -> None:
    path = tmp_path / "gates.xml"
    assert run("judge", "--max", "p99=20", "--junit", str(path)).exit_code == 2
    assert "'p99' in --max is not a metric — did you mean p99_ms?" in errors_of(path)[0]


def test_rounds_of_no_comparison_stand_in_the_file_too(builder: Builder, tmp_path: Path) -> None:
    path = tmp_path / "gates.xml"
    path.write_text("<testsuites><testsuite tests='1'/></testsuites>")
    assert run("judge", "--rounds", "20", "--junit", str(path)).exit_code == 2
    assert "[rounds-without-against]" in errors_of(path)[0]


@pytest.mark.parametrize("verb", ["build", "judge"])
def test_where_unsure_passes_exit_code_file_and_annotations_agree(
    builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    path = tmp_path / "gates.xml"
    builder.judged(Verdict.UNSURE)
    stopped = run(verb, "--junit", str(path))
    assert (stopped.exit_code, len(errors_of(path)), stopped.stderr[:8]) == (4, 1, "::error ")
    passed = run(verb, "--junit", str(path), "--unsure-passes")
    assert (passed.exit_code, errors_of(path), passed.stderr[:10]) == (0, [], "::warning ")


def test_a_call_that_is_killed_leaves_no_older_verdict(builder: Builder, tmp_path: Path) -> None:
    path = tmp_path / "gates.xml"
    path.write_text("<testsuites/>")
    builder.error = KeyboardInterrupt()
    assert run("build", "--junit", str(path)).exit_code == 130
    assert errors_of(path) == [NO_VERDICT().line()]


def test_a_file_that_cannot_be_written_is_bad_input_before_any_work(builder: Builder, tmp_path: Path) -> None:
    done = run("build", "--junit", str(tmp_path / "absent" / "gates.xml"))
    assert done.exit_code == 2
    assert done.stderr.endswith("no such file or directory — choose another file with --junit [result-file-unwritable]\n")
    assert builder.asked == []


def test_an_empty_name_is_a_variable_that_was_not_set(builder: Builder) -> None:
    assert run("build", "--junit", "").exit_code == 2
    assert builder.asked == []


def test_what_is_no_file_is_written_into_and_never_replaced(builder: Builder) -> None:
    assert run("build", "--junit", "/dev/null").exit_code == 1
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize("verb", ["train", "plan", "profile"])
def test_a_verb_that_judges_nothing_takes_no_junit(builder: Builder, tmp_path: Path, verb: str) -> None:
    done = run(verb, "--junit", str(tmp_path / "gates.xml"))
    assert done.exit_code == 2
    assert "[nothing-judged]" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_on_github_annotations_are_talk_and_results_stay_alone_on_stdout(
    builder: Builder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("before\n")
    done = run("build", "--json")
    assert done.stderr.startswith("::error title=edgecnn FAIL%3A drop_pp ≤ 1%2C ")
    assert json.loads(done.stdout)["schema"] == "edgecnn.report/2"
    assert (tmp_path / "summary.md").read_text().startswith("before\n### edgecnn: ")


def test_elsewhere_nobody_is_annotated(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")
    assert "::" not in run("build").stderr


def test_a_summary_that_cannot_be_written_costs_no_verdict(
    builder: Builder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "absent" / "summary.md"))
    done = run("build")
    assert done.exit_code == 1
    assert "no summary was written" in done.stderr

"""JUnit XML that says of a job what its exit code says, whatever is in a name."""

from __future__ import annotations

from itertools import product
from xml.etree import ElementTree

import pytest

from edgecnn.errors.base import ExitCode
from edgecnn.errors.building import NO_REPORT
from edgecnn.judging.gates import exit_code_of
from edgecnn.render.ci import junit_of, junit_of_error, sheet_of_report
from edgecnn.values.verdict import Verdict
from tests.render.ci.sheets import a_sheet, a_verdict
from tests.render.reports import a_report


def suite(text: str) -> ElementTree.Element:
    found = ElementTree.fromstring(text).find("testsuite")
    assert found is not None
    return found


def test_each_gate_is_one_testcase_with_its_bound_and_figures() -> None:
    seen = suite(junit_of(a_sheet(a_verdict(Verdict.PASS), a_verdict(Verdict.FAIL, metric="p99_ms", reason="p99 30 ms"))))
    assert {name: seen.get(name) for name in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "2", "failures": "1", "errors": "0", "skipped": "0", "time": "12.500",
    }  # fmt: skip
    passed, failed = seen.findall("testcase")
    assert (passed.get("name"), passed.findtext("system-out")) == ("drop_pp ≤ 1", "drop 2.00 pp")
    assert failed.get("classname") == "edgecnn.resnet-18 on cpu.onnxruntime-int8"
    problem = failed.find("failure")
    assert problem is not None
    assert (problem.get("type"), problem.get("message"), problem.text) == ("FAIL", "FAIL: p99 30 ms", "p99 30 ms")


@pytest.mark.parametrize(
    ("verdict", "required", "kind"),
    [
        (Verdict.FAIL, "advisory", "failure"),
        (Verdict.UNSURE, "always", "error"),
        (Verdict.UNSURE, "advisory", "skipped"),
        (Verdict.MISSING, "always", "error"),
        (Verdict.MISSING, "when-measured", "skipped"),
    ],
)
def test_what_did_not_pass_is_a_failure_an_error_or_skipped(verdict: Verdict, required: str, kind: str) -> None:
    (case,) = suite(junit_of(a_sheet(a_verdict(verdict, required=required)))).findall("testcase")
    assert [child.tag for child in case] == [kind]


@pytest.mark.parametrize("strict", [False, True])
def test_there_are_failures_or_errors_exactly_where_the_exit_code_is_not_0(strict: bool) -> None:
    for verdict, required in product(Verdict, ("always", "when-measured", "advisory")):
        result = a_verdict(verdict, required=required)
        seen = suite(junit_of(a_sheet(result, require_measured=strict)))
        red = int(seen.get("failures", "0")) + int(seen.get("errors", "0")) > 0
        assert red == (exit_code_of((result,), require_measured=strict) is not ExitCode.OK), (verdict, required)


def test_a_build_of_which_nothing_was_chosen_is_an_error_and_not_an_empty_success() -> None:
    seen = suite(junit_of(a_sheet(why="no candidate was built that could be chosen")))
    assert (seen.get("tests"), seen.get("errors")) == ("1", "1")


def test_names_from_data_stay_text_and_the_document_stays_xml() -> None:
    hostile = 'a <class> & "name" \x1b[31m \x9b \u202e \x00 \ud800 ]]> ünï'
    seen = suite(junit_of(a_sheet(a_verdict(Verdict.FAIL, reason=hostile), title=hostile, candidate=hostile)))
    (case,) = seen.findall("testcase")
    problem = case.find("failure")
    assert problem is not None
    assert problem.text == r'a <class> & "name" \x1b[31m \x9b \u202e \x00 \ud800 ]]> ünï'
    assert junit_of(a_sheet(a_verdict(Verdict.FAIL, reason=hostile))).encode("utf-8")


def test_a_dot_in_a_name_makes_no_level_of_the_tree() -> None:
    (case,) = suite(junit_of(a_sheet(a_verdict(Verdict.PASS), title="v1.2 against v1.1"))).findall("testcase")
    assert case.get("classname") == "edgecnn.v1_2 against v1_1.onnxruntime-int8"


def test_a_regression_carries_what_changed() -> None:
    seen = suite(junit_of(a_sheet(a_verdict(Verdict.FAIL), changed=("onnxruntime: 1.30 → 1.31",))))
    problem = seen.find("testcase/failure")
    assert problem is not None
    assert problem.text is not None
    assert problem.text.endswith("\nchanged: onnxruntime: 1.30 → 1.31")
    assert {each.get("name"): each.get("value") for each in seen.findall("properties/property")}["changed.1"] == (
        "onnxruntime: 1.30 → 1.31"
    )


def test_a_call_that_ended_before_any_verdict_is_one_error(tmp_path: object) -> None:
    from pathlib import Path

    seen = suite(junit_of_error(NO_REPORT(folder=Path("builds/x"), hint="build it")))
    problem = seen.find("testcase/error")
    assert problem is not None
    assert (seen.get("errors"), problem.get("type")) == ("1", "no-report")
    assert "builds/x" in (problem.text or "")


def test_a_report_is_told_by_its_chosen_candidate_s_gates() -> None:
    seen = suite(junit_of(sheet_of_report(a_report())))
    assert seen.get("name") == "edgecnn: resnet-18 on cpu"
    assert [case.get("name") for case in seen.findall("testcase")] == ["drop_pp ≤ 1"]

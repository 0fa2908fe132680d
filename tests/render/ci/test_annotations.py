"""GitHub's workflow commands: one line a gate that did not pass, and no text can begin a command of its own."""

from __future__ import annotations

import pytest

from edgecnn.render.ci import annotation_lines
from edgecnn.values.verdict import Verdict
from tests.render.ci.sheets import a_sheet, a_verdict


@pytest.mark.parametrize(
    ("verdict", "required", "level"),
    [
        (Verdict.FAIL, "advisory", "error"),
        (Verdict.MISSING, "always", "error"),
        (Verdict.MISSING, "when-measured", "warning"),
        (Verdict.UNSURE, "always", "error"),
        (Verdict.UNSURE, "advisory", "warning"),
    ],
)
def test_what_stops_the_job_is_an_error_and_what_does_not_a_warning(verdict: Verdict, required: str, level: str) -> None:
    (line,) = annotation_lines(a_sheet(a_verdict(verdict, required=required)))
    assert line.startswith(f"::{level} title=")


def test_where_unsure_passes_it_is_a_warning_as_the_exit_code_is_0() -> None:
    (line,) = annotation_lines(a_sheet(a_verdict(Verdict.UNSURE, required="always"), unsure_passes=True))
    assert line.startswith("::warning title=")


def test_a_pass_says_nothing_and_no_candidate_says_so() -> None:
    assert annotation_lines(a_sheet(a_verdict(Verdict.PASS))) == []
    (line,) = annotation_lines(a_sheet(why="nothing was chosen"))
    assert line.startswith("::error title=") and line.endswith("::nothing was chosen")


def test_no_text_can_begin_a_command_of_its_own() -> None:
    hostile = "100 %\r\n::set-output name=x::y"
    (line,) = annotation_lines(a_sheet(a_verdict(Verdict.FAIL, reason=hostile), title=hostile))
    assert "\n" not in line
    assert "\r" not in line
    title = line.removeprefix("::error title=").partition("::")[0]
    assert title.endswith("%2C 100 %25%0D%0A%3A%3Aset-output name=x%3A%3Ay")


def test_a_failure_names_what_changed_first() -> None:
    changed = tuple(f"field {number}: 1 → 2" for number in range(9))
    (line,) = annotation_lines(a_sheet(a_verdict(Verdict.FAIL), changed=changed))
    assert line.endswith("%0Achanged: " + "; ".join(changed[:5]))
    (unsure,) = annotation_lines(a_sheet(a_verdict(Verdict.UNSURE), changed=changed))
    assert "changed" not in unsure

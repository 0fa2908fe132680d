"""A record in plain words; and what stands of it in reports, with nobody's words taken for markup or for a terminal's orders."""

from __future__ import annotations

import pytest

from edgecnn.bundle.evidence import EvidenceVerification, EvidenceWeights
from edgecnn.render.markdown import report_markdown
from edgecnn.render.page.report import report_page
from edgecnn.render.screens.bundle import SEEDED_ANSWERS, evidence_lines, record_lines
from edgecnn.render.screens.report import show_report
from edgecnn.render.sentences import REFERENCES, reference_lines
from edgecnn.render.terminal import show_lines
from edgecnn.results.page import PageFacts
from edgecnn.values.figures import Steady
from edgecnn.values.profile import DatedReference
from edgecnn.values.report import BuildReport
from edgecnn.values.verdict import Fidelity
from tests.bundle.evidence_records import a_network, an_evidence, an_evidence_kit
from tests.judging.made import a_latency, an_interval
from tests.render.page.reading import read
from tests.render.reports import a_report

HARM = "\x1b[31mred\x07 <img src=x onerror=alert(1)> [a](javascript:x) `b` | c"


def a_reference(**changes: object) -> DatedReference:
    known: dict[str, object] = {
        "candidate": "onnxruntime-int8", "arch": "resnet-18", "resolution_px": 64, "classes": 1000, "weights": "seeded",
        "runtime_version": "1.23.0", "machine": "a board", "observed_at": "2026-11-20T09:00:00+00:00",
        "fidelity": Fidelity.MEASURED, "p50_ms": an_interval(2.0, 1.9, 2.1), "p99_ms": None, "runs": 8, "record_sha256": "a" * 64,
    }  # fmt: skip
    return DatedReference.model_validate({**known, **changes})


def verified(**changes: object) -> EvidenceVerification:
    known: dict[str, object] = {"path": "pi.json", "signature": "none", "record": an_evidence(sha256="a" * 64)}
    return EvidenceVerification.model_validate({**known, **changes})


def page_of(report: BuildReport) -> str:
    return report_page(PageFacts(report=report))


def runs(**count: int) -> Steady:
    none = {"flat": 8, "faster": 0, "slower": 0, "unsettled": 0, "short": 0, "late": 0}
    return Steady.model_validate({**none, **count, "after_ms": None, "says": "so they went"})


@pytest.mark.parametrize("count", [{"flat": 6, "unsettled": 2}, {"flat": 1, "slower": 7, "late": 2}])
def test_runs_that_did_not_settle_or_were_timed_before_they_had_are_said(count: dict[str, int]) -> None:
    kit = an_evidence_kit(latency=a_latency(an_interval(4.0), steady=runs(**count)))
    assert "so they went" in "\n".join(record_lines(an_evidence(a_network(kit))))


def test_runs_that_were_steady_are_not_spoken_of() -> None:
    kit = an_evidence_kit(latency=a_latency(an_interval(4.0), steady=runs()))
    assert "so they went" not in "\n".join(record_lines(an_evidence(a_network(kit))))


def test_what_seeded_weights_answer_is_not_held_against_the_machine() -> None:
    why = "they differ [golden-logits-differ]"
    published = EvidenceWeights(origin="published", what="ImageNet-1k weights (X)")
    networks = (
        (a_network(failed={"a": why}), True),
        (a_network(failed={"a": why}, weights=published), False),
        (a_network(failed={"a": "no such instruction"}), False),
    )
    for network, said in networks:
        assert (f"    {SEEDED_ANSWERS}" in record_lines(an_evidence(network))) == said


def test_a_terminal_is_shown_another_s_control_characters_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    show_lines(evidence_lines(verified(record=an_evidence(machine=HARM, left_out={HARM: HARM}))))
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\x07" not in said
    assert "\\x1b[31mred\\x07" in said


def test_terminal_markdown_and_page_show_it_apart_from_the_build_s_own_figures(capsys: pytest.CaptureFixture[str]) -> None:
    report = a_report(references=(a_reference(),))
    (line,) = reference_lines(report.references)
    show_report(report, verbose=True)
    assert line in capsys.readouterr().out
    assert f"## {REFERENCES}\n\n- {line}" in report_markdown(report)
    assert f"{REFERENCES} {line.replace('`', '')}" in read(page_of(report)).by_id("notices").words
    for text in (report_markdown(a_report()), page_of(a_report())):
        assert REFERENCES not in text


def test_hostile_words_of_a_record_are_words_in_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    report = a_report(references=(a_reference(machine=HARM, runtime_version=HARM, signed_by=HARM),))
    show_report(report)
    markdown, page = report_markdown(report), page_of(report)
    for text in (capsys.readouterr().out, markdown, page):
        assert "\x1b" not in text and "\x07" not in text
    assert "<img" not in markdown and "](" not in markdown.replace("\\](", "")
    assert not [each for each in read(page).all("img") if each.attributes.get("src") == "x"]

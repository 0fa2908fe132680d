"""A bound that was stated in images per second is shown in images per second in every text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from edgecnn.judging.gates import Circumstances, StatedBounds, gates_for, judge, parse_bounds
from edgecnn.render.bundle import bundle_readme
from edgecnn.render.ci import annotation_lines, junit_of, sheet_of_report, summary_markdown
from edgecnn.render.markdown import report_markdown
from edgecnn.render.page.report import report_page
from edgecnn.render.screens.report import show_report
from edgecnn.results.explain import rebuild_command
from edgecnn.results.page import PageFacts
from edgecnn.values.command import Command
from edgecnn.values.report import BuildReport
from tests.judging.made import a_latency, an_interval
from tests.render.reports import a_build, a_report, a_row

MILLISECONDS = re.compile(r"p50_ms (≤|at most)? ?(50|40)|max p50_ms")


def judged(*texts: str) -> BuildReport:
    row = a_row(latency=a_latency(an_interval(25.0, 20.0, 30.0, 0.98), runs=17))
    gates = gates_for(StatedBounds(parse_bounds([], texts), command_line=parse_bounds([], texts)), Circumstances())
    results = tuple(judge(gate, row) for gate in gates)
    build = a_build(called=Command(verb=("build",), parts=(("--arch", "resnet-18"), *(("--min", text) for text in texts))))
    shipped = row.model_copy(update={"chosen": True, "gates": results})
    return a_report(shipped, gates=results, verdict=results[0].verdict, build=build)


@pytest.mark.parametrize(("bound", "verdict"), [("20", "PASS"), ("40", "UNSURE"), ("60", "FAIL")])
def test_every_text_about_a_gate_has_the_unit_that_was_stated(
    bound: str, verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = judged(f"images_per_s={bound}")
    (result,) = report.gates
    assert (result.verdict.value, result.gate.metric, result.gate.images_per_s) == (verdict, "p50_ms", float(bound))
    assert "40.0 images/s [33.3, 50.0]" in result.reason and f"images_per_s ≥ {bound}" in result.reason
    show_report(report)
    sheet = sheet_of_report(report)
    texts = {
        "terminal": capsys.readouterr().out,
        "markdown": report_markdown(report),
        "page": report_page(PageFacts(report=report)),
        "junit": ElementTree.tostring(ElementTree.fromstring(junit_of(sheet)), encoding="unicode"),
        "summary": summary_markdown(sheet),
        "bundle": bundle_readme(report),
    }
    if verdict != "PASS":
        texts["annotations"] = "\n".join(annotation_lines(sheet))
    for name, text in texts.items():
        plain = text.replace("\\", "")
        assert "images_per_s" in plain, name
        assert not MILLISECONDS.search(plain), (name, MILLISECONDS.search(plain))
    assert f"--min images_per_s={bound}" in str(rebuild_command(report))


def test_a_bound_in_milliseconds_stays_in_milliseconds() -> None:
    (gate,) = gates_for(StatedBounds(parse_bounds(["p50_ms=50"], [])), Circumstances())
    result = judge(gate, a_row(latency=a_latency(an_interval(25.0, 20.0, 30.0, 0.98), runs=17)))
    assert "p50 25.00 ms [20.00, 30.00]" in result.reason and "p50_ms ≤ 50" in result.reason
    assert "images_per_s" not in gate.model_dump(mode="json")

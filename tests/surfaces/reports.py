"""What a build says of itself, in every form, from three fixed reports: settled, provisional, and at the level of chance."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

from edgecnn.judging.judgement import not_learned
from edgecnn.render.bundle import bundle_licences, bundle_readme
from edgecnn.render.ci import annotation_lines, junit_of, sheet_of_report, summary_markdown
from edgecnn.render.markdown import report_markdown
from edgecnn.render.page.report import report_page
from edgecnn.render.screens.report import explanation_lines, show_measured, show_plot, show_report, show_steps
from edgecnn.results.explain import explain
from edgecnn.results.page import PageFacts
from edgecnn.values.artifact import Cached, Failed, Ran
from edgecnn.values.figures import ClassReport
from edgecnn.values.reason import Loses
from edgecnn.values.report import BuildReport, Choice
from edgecnn.values.verdict import Verdict
from tests.building.explained import provisional_report
from tests.judging.made import a_class, a_latency, a_quality, an_accuracy, an_interval
from tests.render.page.pages import a_page
from tests.render.reports import a_gate, a_played_baseline, a_report, a_row
from tests.surfaces.pinned import Surface, printed, sections

BLOCKS = {"p", "li", "tr", "h1", "h2", "h3", "caption", "summary", "pre", "dt", "dd", "figcaption", "section", "nav", "noscript"}
CELLS = {"td", "th"}
UNREAD = {"script", "style", "svg", "title"}


class _Text(HTMLParser):
    """The text of a page, a block a line and cells apart."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self._unread = "", 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unread += tag in UNREAD
        self.text += "\n" if tag in BLOCKS else " | " if tag in CELLS else " "
        self.text += "".join(f" [{value}] " for name, value in attrs if name in ("alt", "aria-label", "placeholder") and value)

    def handle_endtag(self, tag: str) -> None:
        self._unread -= tag in UNREAD
        self.text += "\n" if tag in BLOCKS else ""

    def handle_data(self, data: str) -> None:
        self.text += "" if self._unread else data.replace("\n", " ")


def page_text(page: str) -> str:
    """The words of a page in their order; no markup, no script."""
    reader = _Text()
    reader.feed(page)
    lines = (" ".join(line.split()) for line in reader.text.splitlines())
    text = "\n".join(line for line in lines if line.strip("| "))
    return re.sub(r"^edgecnn \S+, \S+\. This page", "edgecnn VERSION, NOW. This page", text, flags=re.MULTILINE)


def settled() -> BuildReport:
    """Raced here, with everything that can be measured, and with steps of each outcome."""
    outcomes = {
        "prepare": Cached(),
        "train": Ran(seconds=3.2, why=("epochs: 2 → 6", "never made")),
        "export": Failed(ref="x", what="y"),
    }
    return a_page().report.model_copy(update={"outcomes": outcomes, "timings_s": {"train": 3.21}})


def report_at_chance() -> BuildReport:
    """It learned nothing, and one candidate loses too much; the desktop GPU has its own figures."""
    classes = ClassReport(classes=tuple(a_class(f"class {number}", images=100) for number in range(10)))
    test = an_accuracy(right=117, quality=a_quality(classes=classes))
    unlearned = not_learned(a_row(test=test))
    assert unlearned is not None
    gates = (unlearned, a_gate(), a_gate(Verdict.MISSING, "it was not raced"))
    drop = an_interval(2.78, -4.41, 11.54, 0.9)
    loses = Loses(split="validation", drop_pp=drop, bound_pp=1.0, images=36)
    disturbed = a_latency(an_interval(2.0, 1.9, 2.1), disturbed="other programs took 67 % of the processors' time")
    return a_report(
        a_row(test=test, chosen=True, gates=gates, verdict=Verdict.UNSURE, kit_mib=5.9),
        a_row("openvino-int8", because=loses, latency=disturbed),
        gates=gates,
        verdict=Verdict.UNSURE,
        choice=Choice(state="settled", candidate="onnxruntime-int8", why="it is the fastest", carried=("onnxruntime-int8",)),
        skipped_rungs=dict.fromkeys(("a-mixed-2", "a-mixed-4"), "no layer stays in float"),
        notices=("first race: reused",),
        baseline=a_played_baseline(),
    )


REPORTS: Mapping[str, Callable[[], BuildReport]] = {
    "settled": settled,
    "provisional": provisional_report,
    "at-chance": report_at_chance,
}


def page_facts(name: str) -> PageFacts:
    """The settled report has its runs, mistakes and training on the page; the store has nothing of the others."""
    missing = {"latency": "nothing was raced", "mistakes": "no stored answers", "training": "the train artifact is gone"}
    return a_page() if name == "settled" else PageFacts(report=REPORTS[name](), missing=missing)


FORMS: Mapping[str, Callable[[str], str]] = {
    "terminal": lambda name: printed(lambda: show_report(REPORTS[name]())),
    "profile": lambda name: printed(lambda: show_measured(REPORTS[name]())),
    "explain": lambda name: "\n".join(explanation_lines(explain(REPORTS[name]()))),
    "markdown": lambda name: report_markdown(REPORTS[name]()),
    "summary": lambda name: summary_markdown(sheet_of_report(REPORTS[name]())),
    "junit": lambda name: junit_of(sheet_of_report(REPORTS[name]())),
    "annotations": lambda name: "\n".join(annotation_lines(sheet_of_report(REPORTS[name]()))),
    "page": lambda name: page_text(report_page(page_facts(name))),
    "bundle-readme": lambda name: bundle_readme(REPORTS[name]()),
    "bundle-licences": lambda name: bundle_licences(REPORTS[name]()),
}


def reports_in_form(form: str, _: Path) -> str:
    """The three reports in one form."""
    return sections({name: FORMS[form](name) for name in REPORTS})


def steps(_: Path) -> str:
    return printed(lambda: show_steps(settled()))


def plot(_: Path) -> str:
    return printed(lambda: show_plot(settled()))


SURFACES: dict[str, Surface] = {f"report/{form}": partial(reports_in_form, form) for form in FORMS}
SURFACES |= {"report/steps": steps, "report/plot": plot}

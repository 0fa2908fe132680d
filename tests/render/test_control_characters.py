"""Text of a board, a file name or a report reaches a terminal, Markdown and HTML without signs that would steer them."""

from __future__ import annotations

import io
import json

import pytest

from edgecnn.errors.hosts import ANSWER_UNUSABLE
from edgecnn.render.bundle import bundle_licences, bundle_readme
from edgecnn.render.ci import sheet_of_report, summary_markdown
from edgecnn.render.markdown import report_markdown
from edgecnn.render.page.document import _environment
from edgecnn.render.progress import LiveBars, PlainLines
from edgecnn.render.screens.report import show_measured, show_report
from edgecnn.render.terminal import show_error, show_json
from tests.render.reports import a_build, a_gate, a_report, a_row

STEERS = "\x1b[2J\x9b31m\u202e\x07\x7f"
"""Clears a screen, colours (in C1 too), turns the direction of writing, rings, deletes."""
SHOWN = r"\x1b[2J\x9b31m\u202e\x07\x7f"
HOSTILE = a_report(
    a_row(reason=f"reason {STEERS}"),
    build=a_build(device=f"device {STEERS}", data=f"data {STEERS}", arch=f"arch {STEERS}"),
    notices=(f"notice {STEERS}",),
    gates=(a_gate(reason=f"gate {STEERS}"),),
    unexecuted=(f"kit {STEERS}",),
)


def steering(text: str) -> list[str]:
    return sorted({sign for sign in STEERS if not sign.isprintable()} & set(text))


@pytest.mark.parametrize(
    "text", [report_markdown, bundle_readme, bundle_licences, lambda report: summary_markdown(sheet_of_report(report))]
)
def test_markdown_has_none(text: object) -> None:
    assert steering(text(HOSTILE)) == []  # type: ignore[operator]


def test_a_page_has_none_and_its_markup_stays() -> None:
    template = _environment().from_string("<b>{{ a }}</b>{{ [a, a]|join(', ') }}{{ a|tied }}{{ 'x: ' ~ a }}{{ '\n' }}{{ 5 }}")
    page = template.render(a=f"<i>{STEERS}")
    assert page == f"<b>&lt;i&gt;{SHOWN}</b>&lt;i&gt;{SHOWN}, &lt;i&gt;{SHOWN}&lt;i&gt;{SHOWN}x: &lt;i&gt;{SHOWN}\n5"


def test_progress_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    lines = PlainLines(stream)
    lines.note(f"a note {STEERS}\nedgecnn: error: forged")
    assert stream.getvalue() == f"edgecnn: a note {SHOWN}\\nedgecnn: error: forged\n"


def test_bars_have_none(capsys: pytest.CaptureFixture[str]) -> None:
    bars = LiveBars()
    bars.step(f"bench {STEERS}", 1, 2, f"runs {STEERS}")
    bars.note(f"a note {STEERS}")
    bars.close()
    said = capsys.readouterr().err
    assert rf"a note {SHOWN}" in said.replace("\n", "")
    assert steering(said.replace("\x1b[", "")) == []


def test_a_terminal_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    show_report(HOSTILE)
    show_measured(HOSTILE)
    show_error(ANSWER_UNUSABLE(board="nano", doing="info", because=STEERS), as_json=False)
    show_error(ANSWER_UNUSABLE(board="nano", doing="info", because=STEERS), as_json=True)
    captured = capsys.readouterr()
    assert steering(captured.out + captured.err) == []


def test_json_has_none_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"name": f"\u00e4\u00a0\U000e0001{STEERS}", "lines": "a\nb"})
    out = capsys.readouterr().out
    assert steering(out) == [] and "\u00e4\u00a0" in out
    assert json.loads(out) == {"name": f"\u00e4\u00a0\U000e0001{STEERS}", "lines": "a\nb"}

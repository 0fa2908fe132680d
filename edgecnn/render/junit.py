"""Verdicts as JUnit XML, which every CI system shows: one testcase a gate of the chosen candidate.

FAIL is a ``failure``. What else stops the job (a required gate that is UNSURE, a needed figure that is MISSING) is an ``error``;
what does not (an advisory UNSURE, a figure that need not be there) is ``skipped``. So there are failures or errors exactly where
the exit code is not 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from edgecnn.errors.base import EdgecnnError
from edgecnn.render.gate_sheet import GateSheet, bound_of, error_rates
from edgecnn.values.verdict import GateResult, Verdict

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped: control characters and lone surrogates, as class names and paths may have them."""
SUITE = "edgecnn"


def junit_of(sheet: GateSheet) -> str:
    """The document. A build without a candidate to judge is one error."""
    suite = _suite(sheet.title, sheet.seconds, sheet.made_at)
    properties = ElementTree.SubElement(suite, "properties")
    named = {"verdict": sheet.verdict.value, "candidate": sheet.candidate, "edgecnn": sheet.version}
    rates = error_rates(sheet.gates)
    named |= {} if rates is None else {"error rates": rates}
    for name, value in {**named, **{f"changed.{i}": line for i, line in enumerate(sheet.changed, 1)}}.items():
        ElementTree.SubElement(properties, "property", name=name, value=_text(value))
    for result in sheet.gates:
        _add_case(suite, sheet, result)
    if not sheet.gates:
        _add_problem(_case(suite, (sheet.title,), "a candidate is judged"), "error", "MISSING", sheet.why)
    return _document(suite)


def junit_of_error(error: EdgecnnError) -> str:
    """A call that ended before any verdict: one error, so that no earlier file is taken for this call's."""
    suite = _suite("no verdict", 0.0, None)
    _add_problem(_case(suite, ("no verdict",), "a verdict is reached"), "error", error.ref, error.line())
    return _document(suite)


# ---------------------------------------------------------------------------------------------------------------------


def _suite(name: str, seconds: float, made_at: str | None) -> ElementTree.Element:
    stamp = {} if made_at is None else {"timestamp": made_at}
    return ElementTree.Element("testsuite", {"name": _text(f"{SUITE}: {name}"), "time": f"{seconds:.3f}", **stamp})


def _case(suite: ElementTree.Element, about: Sequence[str], name: str) -> ElementTree.Element:
    """``about`` becomes the classname, whose dots make a tree in many readers: no name adds a level by a dot of its own."""
    classname = _text(".".join((SUITE, *(each.replace(".", "_") for each in about))))
    return ElementTree.SubElement(suite, "testcase", name=_text(name), classname=classname, time="0")


def _add_case(suite: ElementTree.Element, sheet: GateSheet, result: GateResult) -> None:
    case = _case(suite, (sheet.title, sheet.candidate), bound_of(result.gate))
    if result.verdict is Verdict.PASS:
        ElementTree.SubElement(case, "system-out").text = _text(result.reason)
        return
    kind = "failure" if result.verdict is Verdict.FAIL else "error" if sheet.stops(result) else "skipped"
    changed = "; ".join(sheet.changed)
    _add_problem(case, kind, result.verdict.value, result.reason + (f"\nchanged: {changed}" if changed else ""))


def _add_problem(case: ElementTree.Element, kind: str, what: str, reason: str) -> None:
    first = reason.partition("\n")[0]
    attributes = {"message": _text(f"{what}: {first}")}
    problem = ElementTree.SubElement(case, kind, attributes if kind == "skipped" else {"type": what, **attributes})
    problem.text = _text(reason)


def _document(suite: ElementTree.Element) -> str:
    cases = suite.findall("testcase")
    for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(kind) is not None for case in cases)))
    suite.set("tests", str(len(cases)))
    whole = ElementTree.Element("testsuites")
    whole.append(suite)
    ElementTree.indent(whole, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(whole, encoding="unicode") + "\n"


def _text(value: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)

"""The report page: one HTML file that loads nothing and works from a disk, on paper and on a phone.

The policy in the head of the page allows two scripts by their digests, and no loading. A name that is not escaped would not run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

import jinja2
from altair.utils.schemapi import debug_mode
from markupsafe import Markup

import edgecnn
from edgecnn.errors.base import visible
from edgecnn.render import desktop, quality
from edgecnn.render.columns import columns_of
from edgecnn.render.figures import tested_on
from edgecnn.render.page import words
from edgecnn.render.page.candidates import candidate_rows, key_figures
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.figure import MARK_BY_FIDELITY, MISSING, Figure, Table
from edgecnn.render.page.sections import figures_of, not_measured
from edgecnn.render.page.style import TEMPLATES, asset_text, digest_source, tokens
from edgecnn.render.sentences import (
    REFERENCES,
    gate_reason,
    knob_lines,
    learned_lines,
    reference_lines,
    size_lines,
    verdict_reason,
)
from edgecnn.render.wording import visible_lines
from edgecnn.results.page import PageFacts, shown_digest
from edgecnn.values.profile import Environment
from edgecnn.values.report import BuildReport

_NAMES: Mapping[str, tuple[str, str]] = {
    "cpu": ("processor", ""),
    "isa": ("instruction sets", ""),
    "cores": ("cores used", ""),
    "affinity": ("core numbers", ""),
    "cpu_limit": ("core limit of the container", ""),
    "governor": ("governor", ""),
    "power_mode": ("power mode", ""),
    "clocks": ("allowed clocks", ""),
    "frequency_mhz": ("clock", "MHz"),
    "temperature_c": ("temperature", "°C"),
    "throttled": ("throttled", ""),
    "load_1min": ("load, 1 min", ""),
    "steal_percent": ("CPU time taken by the hypervisor", "%"),
    "others_percent": ("CPU time of other programs", "%"),
    "processors_online": ("processors online", ""),
    "memory_total_mib": ("memory", "MiB"),
    "memory_available_mib": ("memory available", "MiB"),
    "memory_limit_mib": ("memory limit of the container", "MiB"),
    "kernel": ("kernel", ""),
    "driver": ("driver", ""),
    "gpu": ("GPU", ""),
    "webgpu_adapter": ("WebGPU adapter", ""),
    "python": ("Python", ""),
    "architecture": ("architecture", ""),
    "model": ("board or machine", ""),
    "cpu_vendor": ("processor vendor", ""),
    "machine": ("digest of the machine", ""),
    "energy_meters": ("energy meters", ""),
    "energy_absent": ("reason for no energy meter", ""),
}
_EXPECTED = (
    "cpu", "isa", "cores", "affinity", "cpu_limit", "governor", "frequency_mhz", "temperature_c", "throttled", "load_1min",
    "steal_percent",
)  # fmt: skip
"""Facts that every machine has. A driver, a GPU or a memory limit is optional."""
_RACED = (
    "runtime", "runtime_version", "cores", "affinity", "cpu_limit", "governor", "frequency_mhz", "temperature_c", "throttled",
    "load_1min", "steal_percent", "others_percent", "webgpu_adapter",
)  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """Names and values of the facts, and the names of facts that are not available."""

    read: tuple[tuple[str, str], ...]
    unread: tuple[str, ...]


def machine(environment: Environment) -> Machine:
    """One environment, with the known names first in a fixed order."""
    readings = {**environment.conditions, **environment.observed}
    known = [(_NAMES[name][0], _value(name, readings[name])) for name in _NAMES if name in readings]
    other = [(name.replace("_", " "), value) for name, value in readings.items() if name not in _NAMES]
    unread = tuple(_NAMES[name][0] for name in _EXPECTED if name not in readings) if readings else ()
    return Machine(read=(*known, *other), unread=unread)


def raced_under(environments: Mapping[str, tuple[str, Environment]]) -> Table:
    """The conditions of each race, by candidate. A condition that no race recorded has no column."""
    every = {name: {**environment.conditions, **environment.observed} for name, (_, environment) in environments.items()}
    names = [name for name in _RACED if any(name in readings for readings in every.values())]
    rows = tuple(
        (name, when, *(_value(column, every[name].get(column, "not available")) for column in names))
        for name, (when, _) in environments.items()
    )
    heads = (_NAMES[name][0] if name in _NAMES else name.replace("_", " ") for name in names)
    return Table(caption="Conditions of each race", columns=("candidate", "when", *heads), rows=rows)


def _value(name: str, value: str) -> str:
    unit = _NAMES[name][1] if name in _NAMES else ""
    return f"{value} {unit}" if unit and value[:1].isdigit() else value


TEMPLATE = "page.html.j2"
_POLICY = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""What a page may load besides its scripts. Vega compiles the expressions of charts, so the scripts need ``unsafe-eval``. No
expression contains a name or a path."""
_BEFORE_UNIT = re.compile(r"(\d|\]) (%|ms|pp|px|MiB|×)")


@debug_mode(False)  # a test holds every chart against the schema, which altair would do with every part of one
def report_page(facts: PageFacts) -> str:
    """Return the page as text, for UTF-8."""
    shown = figures_of(facts)
    return document(
        TEMPLATE,
        [figure for figures in shown.values() for figure in figures],
        facts=facts,
        desktop=desktop,
        report=facts.report,
        decided=verdict_reason(facts.report.verdict, facts.report.gates),
        unlearned=learned_lines(facts.report.gates),
        gate_reason=partial(gate_reason, require_measured=facts.report.require_measured),
        shows=shown_digest(facts.report),
        figures=shown,
        lacking=not_measured(facts.report, shown),
        machine=machine(facts.report.environment),
        raced_under=raced_under({raced.candidate: (raced.observed_at, raced.environment) for raced in facts.raced}),
        rows=candidate_rows(facts.report),
        tested_on=tested_on(facts.report),
        packed=size_lines(facts.report.candidates, facts.report.choice.carried, named=str),
        knobs=knob_lines(facts.report.choice, named=str),
        references=[visible(line) for line in reference_lines(facts.report.references, named=str)],
        references_are=REFERENCES,
        columns=[(column.title, column.unit) for column in columns_of(facts.report.candidates, "page")],
        labels=label_table(facts.report),
        key_figures=key_figures(facts.report),
        no_accuracy="the images have no labels; the table below shows how often each candidate predicts the same class as fp32"
        if any(row.agreement is not None for row in facts.report.candidates)
        else "no candidate was evaluated on the test split",
    )


def label_table(report: BuildReport) -> dict[str, Any] | None:
    """The table of labels of the chosen candidate; None if an image has one class."""
    chosen = next((facts for facts in report.candidates if facts.chosen and facts.multi_label), None)
    if chosen is None or chosen.multi_label is None:
        return None
    rows = [tuple(visible(cell) for cell in row) for row in quality.label_rows(chosen.multi_label)]
    note = quality.label_note(chosen.multi_label)
    return {"candidate": chosen.candidate.id, "columns": quality.LABEL_COLUMNS, "rows": rows, "note": note}


def document(template: str, every: Sequence[Figure], **shown: Any) -> str:
    """Return a page from a template of this folder, with the head, style, scripts, charts and glossary that every page has.

    ``every``: the charts that the template shows. ``shown``: the other values that it shows.
    """
    library, behaviour = vega.library(), asset_text("page.js")
    scripts = f"{digest_source(library)} {digest_source(behaviour)} 'unsafe-eval'"
    page = (
        _environment()
        .get_template(template)
        .render(
            **{"version": edgecnn.__version__, "made_at": datetime.now(UTC).isoformat(timespec="seconds"), **shown},
            mark_of=MARK_BY_FIDELITY,
            missing=MISSING,
            policy=f"default-src 'none'; script-src {scripts}; {_POLICY}",
            style=Markup(tokens() + asset_text("page.css")),  # noqa: S704 - our own files
            library=inert_script(library),
            behaviour=inert_script(behaviour),
            charts=inert_json({figure.id: vega.compiled(figure.spec) for figure in every}),
        )
    )
    page, used = words.linked(page)
    return page.replace("</main>", _environment().get_template("words.html.j2").render(words=used) + "</main>", 1)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: f"{share * 100:.1f} %"
    environment.filters["tied"] = tied
    return environment


def _shown(value: Any) -> Any:
    """The text of a value before escaping. Markup is from edgecnn and stays."""
    return visible_lines(value) if type(value) is str else value


def tied(text: str) -> str:
    """Keep each number and its unit on one line."""
    return _BEFORE_UNIT.sub("\\1\u00a0\\2", text)


_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def inert_json(value: Any) -> Markup:
    """Return JSON for a script element, in ASCII and without ``<``, ``>`` and ``&``.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return Markup(text)  # noqa: S704 - the three characters that mean anything to HTML were just taken out


def inert_script(text: str) -> Markup:
    """Return a trusted program for a script element.

    Raises:
        ValueError: the program would end the element early, or has a character that a browser replaces, so that the digest in
            the policy would be wrong.
    """
    lowered = text.lower()
    if "</script" in lowered or "<!--" in lowered or "\r" in text or "\0" in text:
        raise ValueError("this program cannot stand inside a script element")
    return Markup(text)  # noqa: S704 - our own file, and Vega's, checked above

"""All findings on one machine, the gravest first: a pure function of what was read and what is needed."""

from __future__ import annotations

from edgecnn.building.preflight.accelerators import accelerator_findings
from edgecnn.building.preflight.clocks import clock_findings
from edgecnn.building.preflight.machine import machine_findings
from edgecnn.building.preflight.needs import Needs
from edgecnn.building.preflight.python import python_findings
from edgecnn.values.board import BoardFacts, Finding, Weight

_ORDER = tuple(Weight)


def findings_on(facts: BoardFacts, needs: Needs) -> tuple[Finding, ...]:
    """What stands in the way of running and measuring these kits there."""
    found = [
        *machine_findings(facts, needs),
        *python_findings(facts, needs),
        *accelerator_findings(facts, needs),
        *clock_findings(facts),
    ]
    return tuple(sorted(found, key=lambda finding: _ORDER.index(finding.weight)))


def stopping(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Those without whose remedy nothing runs."""
    return tuple(finding for finding in findings if finding.weight is Weight.STOPS)

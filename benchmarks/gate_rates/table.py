"""Every simulated regression: of each gate that has an error rate at least one."""

from __future__ import annotations

from benchmarks.gate_rates import classes, groups, processes, several_labels, shares
from benchmarks.gate_rates.regression import Regression
from edgecnn.judging.metrics import COMPARED, METRICS

WITHOUT_RATE = ("size_mib", "peak_memory_mib", "int8_mac_share", "int8_time_share", "int8_bytes_share")
"""Weighed, counted, the largest of some runs, or seen in one."""


def cases() -> list[Regression]:
    """In the order of the metrics."""
    order = [*METRICS, *COMPARED]
    regressions = [*shares.cases(), *classes.cases(), *several_labels.cases(), *groups.cases(), *processes.cases()]
    return sorted(regressions, key=lambda case: order.index(case.gate.metric))

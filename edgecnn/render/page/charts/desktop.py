"""The desktop GPU's place beside the candidates: another machine's figures, drawn as such, and never on their front."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.render.page.charts.figure import EMULATED, OF_FIDELITY, Mark
from edgecnn.values.report import Accuracy, BaselineFacts, BuildReport
from edgecnn.values.verdict import Interval

PRECISION = "desktop-gpu"
"""Its name in legends and colours, whatever precision it ran in: ``how`` says that."""


@dataclass(frozen=True)
class DesktopPoint:
    """The baseline with both figures."""

    name: str
    cost: Interval
    top1: Interval
    mark: Mark
    """Of its accuracy."""
    timed: str
    """What ran, where."""
    answered: str
    """Where its accuracy is from."""


def desktop_point(report: BuildReport) -> DesktopPoint | None:
    """None where it was not timed, or nothing says how right it is."""
    baseline = report.baseline
    accuracy = baseline.accuracy or _of_fp32(report)
    if baseline.latency.p50_ms is None or accuracy is None:
        return None
    own = baseline.accuracy is not None
    return DesktopPoint(
        name=baseline.device,
        cost=baseline.latency.p50_ms,
        top1=accuracy.top1,
        mark=OF_FIDELITY[accuracy.fidelity] if own else EMULATED,
        timed=f"{baseline.how or 'how is not known'}, on {baseline.latency.machine}",
        answered=f"as {accuracy.machine} answered" if own else baseline.accuracy_from,
    )


def no_desktop_point(baseline: BaselineFacts) -> str:
    """Why it is not drawn."""
    why = baseline.latency.reason or ("not timed" if baseline.latency.p50_ms is None else "its accuracy is not known")
    return f"{baseline.device}, the desktop-GPU baseline, is missing: {why}"


def _of_fp32(report: BuildReport) -> Accuracy | None:
    return next((facts.test for facts in report.candidates if facts.is_baseline), None)

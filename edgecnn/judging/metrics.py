"""The table of metrics: measured figures of a candidate with a name in gates, tables, sentences and charts.

To add one, write its row here; ``value`` reads the field of ``CandidateFacts`` with the measurement. The row defines the bound
that ``--max`` or ``--min`` accepts (if ``judged`` states its interval), its line in the generated reference, its column or
sentence in the terminal and in ``report.md``, and its chart in the page's section of its ``source``. A row with ``chart`` False
has a separate chart, which also uses the title, axis, unit and value from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.wording import bounds_text
from edgecnn.judging import findings
from edgecnn.judging.findings import Finding
from edgecnn.values.candidate import Method
from edgecnn.values.figures import Accuracy, Agreement, Energy, Memory, MultiLabelAccuracy
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import MEDIAN, PERCENTILES, CandidateFacts, Latency, percentile_name
from edgecnn.values.verdict import IMAGES_PER_S, Interval

Unit = Literal["share", "pp", "ms", "MiB", "mJ", "W", "ratio"]
Source = Literal["accuracy", "latency", "size", "residency", "memory", "energy"]


@dataclass(frozen=True)
class Metric:
    """One figure of a candidate: its name, its unit, and where it is read."""

    name: str
    """The name in ``--max NAME=BOUND``, with its unit at the end."""
    unit: Unit
    source: Source
    better: Literal["lower", "higher"]
    value: Callable[[CandidateFacts], Interval | None]
    """Displayed value, with the stored interval."""
    title: str
    """Title of its chart."""
    words: str
    """Words in a sentence."""
    axis: str = ""
    """Axis title before the unit; unset: the title in lower case."""
    column: str = ""
    """Column heading; unset: the words, with the unit if the figures in the column lack it."""
    says: str = ""
    """One sentence under its chart."""
    judged: Callable[[CandidateFacts], Finding] | None = None
    """The figure that a gate judges, with a separate interval if a test needs one. None: no gate uses it."""
    compared: bool = False
    """Whether it can be bounded in a comparison with another build."""
    identical: float | None = None
    """Its value for two builds that ship the same files, by definition; None for a figure of one build alone."""
    chart: bool = True
    digits: int | None = None
    """Decimals; unset: as many as its unit has."""

    def measurement(self, facts: CandidateFacts) -> Accuracy | MultiLabelAccuracy | Agreement | Latency | Memory | Energy | None:
        """The record of how and where the figure was measured; None if it is counted or unmeasured."""
        sources: dict[Source, Accuracy | MultiLabelAccuracy | Agreement | Latency | Memory | Energy | None] = {
            "accuracy": facts.answered or facts.agreement,
            "latency": facts.latency,
            "memory": facts.memory,
            "energy": facts.energy,
        }
        return sources.get(self.source)

    @property
    def signs(self) -> str:
        """The unit as readers see it."""
        return {"share": "%", "ratio": "×"}.get(self.unit, self.unit)

    @property
    def axis_title(self) -> str:
        """``median latency, ms``."""
        return f"{self.axis or self.title.lower()}, {self.signs}"

    @property
    def heading(self) -> str:
        """``p50 ms``."""
        return self.column or (self.words if self.unit in ("share", "pp", "ratio") else f"{self.words} {self.unit}")


def _read(*path: str) -> Callable[[CandidateFacts], Interval | None]:
    """Return a function that reads the interval in the last of these fields; None if any of them is None."""

    def value(facts: CandidateFacts) -> Interval | None:
        figure: Any = facts
        for field in path:
            figure = None if figure is None else getattr(figure, field)
        return exactly(figure) if isinstance(figure, float) else figure

    return value


def _quality(*path: str) -> Callable[[CandidateFacts], Interval | None]:
    return _read("test", "shown_quality", *path)


def _either(name: str) -> Callable[[CandidateFacts], Interval | None]:
    """Return a function that reads a value of single-label or multi-label images."""
    one, several = _quality(name), _read("multi_label", name)
    return lambda facts: one(facts) or several(facts)


def exactly(value: float) -> Interval:
    """Return a counted, exact figure."""
    return Interval(estimate=value, low=value, high=value, confidence=1.0)


def _int8(field: Literal["mac_share", "time_share", "byte_share"]) -> Callable[[CandidateFacts], Interval | None]:
    def value(facts: CandidateFacts) -> Interval | None:
        shares: Mapping[str, float] | None = getattr(facts.residency, field, None)
        return exactly(shares.get("int8", 0.0)) if shares else None

    return value


def _percentile(percent: int) -> Metric:
    name, is_median = percentile_name(percent), percent == MEDIAN
    title = "Median latency" if is_median else f"{percent}th percentile of latency"
    return Metric(
        name, "ms", "latency", "lower", _read("latency", name), title, f"p{percent}",
        judged=findings.latency(percent), compared=is_median, chart=False,
    )  # fmt: skip


def _named_rows(*rows: Metric) -> Mapping[str, Metric]:
    return {row.name: row for row in rows}


SHOWN: Mapping[str, Metric] = _named_rows(
    Metric("drop_pp", "pp", "accuracy", "lower", _read("test", "drop_pp"), "Top-1 lost against fp32", "drop",
           judged=findings.drop, compared=True, identical=0.0, chart=False),
    Metric("top1", "share", "accuracy", "higher", _read("test", "top1"), "Top-1", "top-1", column="top-1 (95 %)",
           axis="top-1 on the test split", judged=findings.top1, compared=True, chart=False),
    Metric("map_drop_pp", "pp", "accuracy", "lower", _read("multi_label", "drop_pp"), "mAP lost against fp32", "drop of mAP",
           axis="mAP lost against fp32",
           judged=findings.map_drop, compared=True, identical=0.0, chart=False),
    Metric("map", "share", "accuracy", "higher", _read("multi_label", "map"), "Mean average precision", "mAP",
           column="mAP (95 %)", axis="mAP on the test split", judged=findings.mean_average_precision, compared=True,
           chart=False),
    Metric("micro_f1", "share", "accuracy", "higher", _read("multi_label", "micro_f1"), "Micro-F1", "micro-F1",
           judged=findings.stored_interval("micro_f1"),
           says="F1 over all labels together, at the thresholds in the kit; higher is better."),
    Metric("top5", "share", "accuracy", "higher", _quality("top5"), "Top-5", "top-5", judged=findings.stored_interval("top5"),
           says="Share of images whose class is among the five largest logits; higher is better."),
    Metric("macro_f1", "share", "accuracy", "higher", _either("macro_f1"), "Macro-F1", "macro-F1",
           judged=findings.stored_interval("macro_f1"),
           says="Mean F1 over classes, so that small classes weigh as much as large ones; higher is better."),
    Metric("ece", "share", "accuracy", "lower", _quality("ece"), "Calibration error", "calibration error",
           judged=findings.stored_interval("ece"),
           says="Mean difference between confidence and accuracy in 15 bins of equal width; lower is better."),
    Metric("agreement", "share", "accuracy", "higher", _either("agreement"), "Agreement with fp32", "agreement with fp32",
           judged=findings.stored_interval("agreement"),
           says="Share of images for which the top prediction (or the set of labels) is the same as fp32's; higher is better."),
    Metric("worst_class_drop_pp", "pp", "accuracy", "lower", _quality("classes", "worst_drop_pp"), "Largest drop of a class",
           "largest drop of a class", judged=findings.worst_class, compared=True, identical=0.0, chart=False,
           digits=1),
    *map(_percentile, PERCENTILES),
    Metric("load_ms", "ms", "latency", "lower", _read("latency", "load_ms"), "Opening the model", "opening the model",
           chart=False),
    Metric("first_ms", "ms", "latency", "lower", _read("latency", "first_ms"), "First inference", "first inference",
           chart=False),
    Metric("cold_start_ms", "ms", "latency", "lower", _read("latency", "cold_start_ms"), "Process start to first prediction",
           "process start to first prediction", chart=False),
    Metric("on_gpu_ms", "ms", "latency", "lower", _read("latency", "on_gpu_ms"), "Median by the GPU's clock",
           "by the GPU's own clock with copies outside", column="by the GPU's clock", chart=False),
    Metric("ratio_to_fp32", "ratio", "latency", "higher", _read("latency", "ratio_to_fp32"), "Speed-up over fp32", "speed-up",
           says="How many times as fast as fp32 in the same rounds of one race; higher is better."),
    Metric("size_mib", "MiB", "size", "lower", _read("size_mib"), "Size of the model's files", "size", column="MiB",
           judged=findings.size, compared=True, chart=False),
    Metric("peak_memory_mib", "MiB", "memory", "lower", _read("memory", "peak_mib"), "Peak resident memory", "peak_memory",
           axis="peak memory", column="peak MiB", judged=findings.peak_memory, compared=True, chart=False),
    Metric("energy_mj", "mJ", "energy", "lower", _read("energy", "total_mj"), "Energy per image", "energy", axis="energy",
           judged=findings.energy, chart=False),
    Metric("int8_mac_share", "share", "residency", "higher", _int8("mac_share"), "Share of multiply-adds", "int8_mac_share",
           judged=findings.int8_share("multiply-adds"), chart=False),
    Metric("int8_time_share", "share", "residency", "higher", _int8("time_share"), "Share of time inside layers",
           "int8_time_share", judged=findings.int8_share("time"), chart=False),
    Metric("int8_bytes_share", "share", "residency", "higher", _int8("byte_share"), "Share of bytes moved",
           "int8_bytes_share", judged=findings.int8_share("bytes moved"), chart=False),
)  # fmt: skip
"""Every row, in display order."""

METRICS: Mapping[str, Metric] = {name: row for name, row in SHOWN.items() if row.judged is not None}
"""Metrics that a gate of one build can bound."""


def reciprocal_of_p50(value: float) -> float:
    """Convert milliseconds of p50 to images a second, and back."""
    return 1000 / value


def bound_in_p50(choice: GateChoice) -> GateChoice:
    """Return the bounds with images a second converted to p50."""
    if not choice.min.get(IMAGES_PER_S, 0) > 0:  # ``check_bounds`` refuses an invalid one
        return choice
    others = {name: bound for name, bound in choice.min.items() if name != IMAGES_PER_S}
    latency = {"p50_ms": reciprocal_of_p50(choice.min[IMAGES_PER_S])}
    return choice.model_copy(update={"max": {**choice.max, **latency}, "min": others})


def budgets_in_p50(budgets: Mapping[str, float]) -> dict[str, float]:
    """Return the budgets with images a second converted to p50."""
    if IMAGES_PER_S not in budgets:
        return dict(budgets)
    rest = {name: bound for name, bound in budgets.items() if name != IMAGES_PER_S}
    return {"p50_ms": reciprocal_of_p50(budgets[IMAGES_PER_S]), **rest}


def budgets_text(stated: Mapping[str, float]) -> str:
    """Return budgets as they were stated: ``images_per_s ≥ 20 and size_mib ≤ 10``."""
    rate = {name: bound for name, bound in stated.items() if name == IMAGES_PER_S}
    most = bounds_text({name: bound for name, bound in stated.items() if name != IMAGES_PER_S})
    return " and ".join(filter(None, (bounds_text({}, rate), most)))


def parse_budgets(
    texts: Iterable[str], named: Callable[[str, str], str], refuse: Callable[[str, str], EdgecnnError]
) -> dict[str, float]:
    """Parse ``p50_ms=5`` and others, each once, from the texts after ``--within``.

    ``named`` converts a typed name and its text to the name of a budget, and raises the error of an unknown name. ``refuse``
    makes the error of a text and its problem.
    """
    budgets: dict[str, float] = {}
    for text in texts:
        typed, _, amount = (piece.strip() for piece in text.partition("="))
        name = named(typed, text)
        if name in budgets:
            raise refuse(text, f"{name} is given twice, {budgets[name]:g} before")
        if "," in amount:
            raise refuse(text, "each budget has a --within of its own")
        if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", amount) or float(amount) <= 0:
            raise refuse(text, f"{name} must be a positive number without a unit, such as 5, not {amount!r}")
        budgets[name] = float(amount)
    return budgets


LATENCY_RATIO = "latency_ratio"
COMPARED: Mapping[str, Metric] = _named_rows(
    Metric(
        LATENCY_RATIO,
        "ratio",
        "latency",
        "lower",
        lambda facts: None,
        "Latency of HEAD over BASE",
        "latency_ratio",
        identical=1.0,
    ),
    *(row for row in METRICS.values() if row.compared),
)
"""Metrics that can be bounded in a comparison with another build; drops are then measured from that build."""
ANY_METRIC: Mapping[str, Metric] = {**METRICS, **COMPARED}
"""All metrics of gates."""


def charted(*sources: Source) -> list[Metric]:
    """Return the metrics of these kinds whose chart and column come from their rows alone."""
    return [row for row in SHOWN.values() if row.chart and row.source in sources]


def finding_of(metric: str, facts: CandidateFacts) -> Finding:
    """Return the finding of ``metric`` (a name of ``METRICS``) for a gate."""
    if facts.candidate.method is Method.ORIGINAL and metric in _AGAINST_FP32:
        return findings.missing("the model file came quantized and holds no float network to compare with")
    judged = METRICS[metric].judged
    assert judged is not None
    if METRICS[metric].source != "accuracy":
        return judged(facts)
    finding = findings.unlabelled(metric, facts) or findings.wrong_label_kind(metric, facts) or judged(facts)
    return finding.model_copy(update={"never_met": findings.arithmetic_differs(facts)})


_AGAINST_FP32 = ("drop_pp", "map_drop_pp", "agreement", "worst_class_drop_pp")

"""The words of a page's charts, each with what may be missing from it: title, sentence, sources and notes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgecnn.judging.metrics import SHOWN
from edgecnn.render.page.charts.accuracy import curves
from edgecnn.render.page.charts.figure import Figure, no_figure
from edgecnn.render.page.charts.footprint import memory, sizes
from edgecnn.render.page.charts.intervals import drops, end_to_end, energy, metric_chart, startup
from edgecnn.render.page.charts.latency import latencies, steadiness
from edgecnn.render.page.charts.load import sustained, throughput
from edgecnn.render.page.charts.residency import residencies
from edgecnn.render.page.charts.tradeoff import tradeoff
from edgecnn.render.page.compared import comparison_page
from edgecnn.render.page.over_time import history_page
from edgecnn.render.page.report import quality_figures
from edgecnn.render.page.studies import frontier_figures
from edgecnn.values.figures import ClassReport
from edgecnn.values.layers import LayerResidency, Residency
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_class, a_latency, a_quality, an_accuracy, an_interval, facts, folds_of
from tests.render.page.comparisons import a_history, a_point, a_series, some_builds
from tests.render.page.frontiers import a_search
from tests.render.page.measured import a_desktop, a_memory, a_soak, a_started, a_throughput, a_way, an_energy
from tests.render.page.pages import a_history as a_training
from tests.render.page.pages import a_page, a_raced
from tests.render.reports import a_gate, a_report, a_residency, a_row
from tests.surfaces.pinned import Surface, sections
from tests.surfaces.reports import page_text

FEW = "3 runs; an interval needs 7"
TIMED = a_latency(an_interval(2.0, 1.9, 2.1))


def _words(figures: Figure | Iterable[Figure] | None) -> str:
    if figures is None:
        return "no chart"
    figures = [figures] if isinstance(figures, Figure) else figures
    return "\n".join(
        line
        for figure in figures
        for line in (
            f"{figure.title}: {figure.says}",
            *(f"  {source.mark.word}: {source.what}" for source in figure.sources),
            *(f"  note: {note}" for note in figure.notes),
        )
    )


def _timed(name: str, ms: float | None, top1: float | None, **changes: Any) -> CandidateFacts:
    latency = a_latency(None, reason="not raced", runs=0) if ms is None else a_latency(an_interval(ms, ms * 0.9, ms * 1.1))
    accuracy = None if top1 is None else an_accuracy(top1=an_interval(top1, top1 - 0.01, top1 + 0.01, 0.95))
    return facts(name, latency=latency, test=accuracy, **changes)


def accuracy_against_cost(_: Path) -> str:
    fp32, int8 = _timed("onnxruntime-fp32", 2.0, 0.9, is_baseline=True), _timed("onnxruntime-int8", 1.0, 0.95)
    untimed, unanswered = _timed("openvino-int8", None, 0.9, size_mib=10.0), _timed("openvino-fp32", 1.0, None)
    selected = a_row("openvino-int8", latency=a_latency(an_interval(1.0), selecting=True))
    emulated = an_accuracy(60, 10, fidelity=Fidelity.EMULATED)
    lost = a_row("openvino-int8", test=emulated, gates=(a_gate(),))
    return sections(
        {
            "timed": _words(tradeoff(a_report(fp32, int8))),
            "not timed": _words(tradeoff(a_report(untimed, _timed("onnxruntime-fp32", None, 0.9, size_mib=40.0)))),
            "some not drawn": _words(tradeoff(a_report(fp32, untimed, unanswered))),
            "another race": _words(tradeoff(a_report(fp32, selected))),
            "desktop GPU": _words(tradeoff(a_report(fp32, int8, baseline=a_desktop()))),
            "desktop GPU that never answered": _words(tradeoff(a_report(fp32, baseline=a_desktop(accuracy=None)))),
            "drops": _words(drops(a_report(fp32, a_row(gates=(a_gate(),)), lost))),
            "sizes": _words(sizes(a_report(a_row(), facts("openvino-int8")))),
        }
    )


def times(_: Path) -> str:
    page = a_page(2)
    first, second = page.raced
    one_run = second.model_copy(update={"runs": second.runs[:1]})
    short = first.model_copy(update={"runs": (first.runs[0].model_copy(update={"p99_ms": None, "samples": 100}),)})
    busy = a_report(a_row(latency=a_latency(an_interval(1.0), ratio=an_interval(3.1), disturbed="other programs ran")))
    unknown = a_latency(
        an_interval(2.0), load_ms=an_interval(30.0), absent={"cold_start_ms": "an older runner did not record it"}
    )
    untimed_way = a_way().model_copy(update={"latency": a_latency(None, reason=FEW)})
    soak = a_soak()
    deaf = soak.model_copy(update={"windows": tuple(window.model_copy(update={"observed": {}}) for window in soak.windows)})

    def drawn(*raced: Any) -> str:
        return _words(latencies(page.model_copy(update={"raced": raced})))

    def of(**fields: Any) -> Any:
        return a_report(facts("onnxruntime-fp32", is_baseline=True), facts("onnxruntime-int8", chosen=True, **fields))

    raced = a_raced("onnxruntime-int8", 1.0, random.Random(0))
    return sections(
        {
            "two races": drawn(first, second.model_copy(update={"purpose": "select"})),
            "one run": drawn(first, one_run),
            "short runs, and one without samples": drawn(short),
            "disturbed": _words(latencies(a_page(1).model_copy(update={"report": busy, "raced": (raced,)}))),
            "speed-up, disturbed": _words(metric_chart(SHOWN["ratio_to_fp32"], busy)),
            "steadiness": _words(steadiness(of(latency=a_started(TIMED)))),
            "start-up": _words(startup(of(latency=a_started(TIMED)))),
            "start-up, not known": _words(startup(of(latency=unknown))),
            "end to end": _words(end_to_end(of(end_to_end=a_way(9.0), latency=TIMED))),
            "end to end, not known": _words(end_to_end(of(end_to_end=untimed_way))),
            "throughput": _words(throughput(of(throughput=a_throughput(100.0)))),
            "throughput, not known": _words(throughput(of(throughput=a_throughput(reason="64 images do not fit the memory")))),
            "soak": _words(sustained(of(sustained=soak))),
            "soak of a machine that cannot tell": _words(sustained(of(sustained=deaf))),
        }
    )


def costs(_: Path) -> str:
    """Residency, memory, energy and training."""
    rows = (a_row(residency=a_residency(int8=0.6, fp32=0.4)), a_row("openvino-int8", residency=a_residency(int8=1.0)))
    planned = a_row("tensorrt-fp16", residency=a_residency("planned", fp16=1.0))
    layers = tuple(
        LayerResidency(name=f"layer {n}", op="Conv", precision="int8", macs=10, time_us=time)
        for n, time in enumerate((None, 4.0, 6.0))
    )
    traced = a_row(chosen=True, residency=Residency(basis="executed", layers=layers, mac_share={"int8": 1.0}, time_share=None))
    gpus = (
        facts("tensorrt-fp16", memory=a_memory(gpu_mib=an_interval(300.0))),
        facts("tensorrt-int8", memory=a_memory(gpu_reason="the driver does not list it")),
    )
    no_meter = {"total_mj": None, "above_idle_mj": None, "reason": "no meter can be read here"}
    unread = a_report(*(facts(name, energy=an_energy(**no_meter)) for name in ("onnxruntime-fp32", "onnxruntime-int8")))
    return sections(
        {
            "residency": _words(residencies(a_report(*rows))),
            "residency, planned": _words(residencies(a_report(planned, facts("openvino-int8")))),
            "layers": _words(residencies(a_report(traced))),
            "memory": _words(memory(a_report(facts("onnxruntime-int8", memory=a_memory()), facts("openvino-int8")))),
            "memory of GPUs": _words(memory(a_report(*gpus))),
            "energy, disturbed": _words(energy(a_report(facts(energy=an_energy(disturbed="others took 9 %"))))),
            "no meter": f"{no_figure(unread, 'energy')}\n{no_figure(unread, 'memory')}",
            "training": _words(curves(a_training(6))),
        }
    )


def classes(_: Path) -> str:
    """Beyond top-1: one class that lost, many classes, and figures over folds."""
    many = ClassReport(classes=tuple(a_class(f"{'x' * 40} {number}", lost=number) for number in range(200)), compared=200)
    one = ClassReport(classes=(a_class("Shirt", lost=130),), compared=1)
    tests = {
        "one lost": an_accuracy(quality=a_quality()),
        "many": an_accuracy(quality=a_quality(classes=many)),
        "folds": folds_of(an_accuracy(quality=a_quality(classes=one))),
    }
    return sections({name: _words(quality_figures(a_report(facts(chosen=True, test=test)))) for name, test in tests.items()})


def other_pages(_: Path) -> str:
    """The scale frontier's charts, and pages of builds of which nothing was measured."""
    nothing = a_history(a_series(latency=(a_point(1, None, reason=FEW),), accuracy=()))
    return sections(
        {
            "scale": _words(frontier_figures(a_search())),
            "scale, a budget far away": _words(frontier_figures(a_search(memory=8192 << 20))),
            "compare, nothing measured": page_text(comparison_page(some_builds(2, 1, paired=(), machines=()))),
            "history, nothing measured": page_text(history_page(nothing)),
        }
    )


SURFACES: dict[str, Surface] = {
    "chart/accuracy": accuracy_against_cost,
    "chart/times": times,
    "chart/costs": costs,
    "chart/classes": classes,
    "chart/other-pages": other_pages,
}

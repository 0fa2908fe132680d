"""Sentences about one candidate, each with what may be missing from it; the forms of a report share them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgecnn.building.build import PlannedBuild
from edgecnn.judging.gates import EffectiveGates, judge_identical
from edgecnn.judging.metrics import exactly
from edgecnn.planning.plan import plan
from edgecnn.render import tables
from edgecnn.render.screens.bundle import record_lines
from edgecnn.render.screens.comparing import comparison_lines
from edgecnn.render.screens.fit import fit_lines
from edgecnn.render.screens.planning import show_plan
from edgecnn.render.screens.report import explanation_lines
from edgecnn.render.sentences import (
    extent_lines,
    footprint_lines,
    knob_lines,
    latency_lines,
    partial_precision_lines,
    reference_lines,
    residency_lines,
    size_lines,
)
from edgecnn.results.explain import explain, explain_candidate
from edgecnn.values.candidate import KnobRace, Knobs, KnobTrial
from edgecnn.values.figures import BatchFigure, ClassReport, Groups, Steady
from edgecnn.values.profile import Environment
from edgecnn.values.recipe import Recipe
from edgecnn.values.verdict import Gate
from tests.building.explained import provisional_report, raced_report
from tests.building.resolutions import resolved
from tests.building.scenes import a_choice
from tests.bundle.evidence_records import HERE, a_network, an_evidence, an_evidence_kit
from tests.fit.made import report as a_search
from tests.fit.test_choose import member
from tests.judging.made import a_class, a_latency, a_quality, an_accuracy, an_interval, facts, folds_of
from tests.judging.made import a_residency as shared
from tests.render.page.measured import a_memory, a_soak, a_steady, a_throughput, a_way, an_energy
from tests.render.reports import a_played_baseline, a_report, a_residency, a_row
from tests.render.test_comparison import a_comparison
from tests.render.test_evidence import a_reference
from tests.surfaces.pinned import Surface, printed, sections

FEW = "3 runs; an interval needs 7"


def _joined(lines: Mapping[str, Iterable[str]]) -> str:
    return sections({name: "\n".join(of) for name, of in lines.items()})


def measured(_: Path) -> str:
    """Times, throughput, memory, energy and sizes."""
    times = {name: an_interval(ms, ms - 1, ms + 1) for name, ms in (("p90_ms", 3), ("load_ms", 30), ("first_ms", 5))}
    absent = {"p90_ms": "a run has only 50 samples; it needs 100", "cold_start_ms": "not recorded", "load_ms": "not recorded"}
    unknown = BatchFigure(batch=2, images_per_s=None, call_ms=None, runs=3, best=False, asked=True, reason=FEW)
    soak = a_soak()
    gap = soak.windows[0].model_copy(update={"p50_ms": None})
    no_way = a_way().model_copy(update={"latency": a_latency(None, reason=FEW)})
    no_meter = an_energy(total_mj=None, above_idle_mj=None, reason="no meter can be read here")
    sized = [facts("onnxruntime-fp32", size_mib=5.8, kit_mib=6.9), facts("onnxruntime-int8", size_mib=1.7, kit_mib=2.9)]

    def latency(**changes: Any) -> list[str]:
        return latency_lines([facts(latency=a_latency(an_interval(2.0, 1.9, 2.1), **changes))])

    return _joined(
        {
            "latency": latency(p99=an_interval(4, 3, 5), cold_start_ms=an_interval(900, 850, 990), **times),
            "latency, some not known": latency(absent=absent),
            "latency, stopped": latency(steady=a_steady(), stopped="stopped after 14 rounds"),
            "throughput": extent_lines([facts(throughput=a_throughput())]),
            "throughput, not known": extent_lines([facts(throughput=a_throughput(figures=(unknown,), screened={}))]),
            "end to end": extent_lines([facts(end_to_end=a_way())]),
            "end to end, not known": extent_lines([facts(end_to_end=no_way)]),
            "soak": extent_lines([facts(sustained=soak.model_copy(update={"windows": (gap, *soak.windows[1:])}))]),
            "memory": footprint_lines([facts(memory=a_memory(gpu_mib=an_interval(300)))]),
            "memory, not of the GPU": footprint_lines([facts(memory=a_memory(gpu_reason="not listed"))]),
            "energy": footprint_lines([facts(energy=an_energy())]),
            "energy, not known": footprint_lines(
                [facts(name, energy=no_meter) for name in ("onnxruntime-fp32", "openvino-fp32")]
            ),
            "size": size_lines(sized, ("onnxruntime-fp32", "onnxruntime-int8")),
        }
    )


def ran(_: Path) -> str:
    """In which precision a kit ran, and with which settings."""
    shares: dict[str, Any] = {
        "mac": {"int8": 1.0}, "time": {"int8": 0.23, "fp32": 0.5, "overhead": 0.27}, "byte_share": {"int8": 0.2, "fp32": 0.8},
        "moved_bytes": 3 * 2**20, "bytes_absent": None,
    }  # fmt: skip
    counted = a_row(residency=shared(**shares))
    unnamed = a_row(residency=shared(**{**shares, "time": {"int8": 0.2, "unknown": 0.8}, "byte_share": {"int8": 0.9}}))
    untimed = a_row(residency=shared(**{**shares, "time": None}))
    planned = a_row("tensorrt-int8", residency=shared("planned", **{**shares, "time": None}))
    trials = (
        KnobTrial(knobs=Knobs(threads=2), ratio=an_interval(1.41, 1.32, 1.55), outcome="taken"),
        KnobTrial(knobs=Knobs(graph_optimization_level="extended"), ratio=an_interval(1.1, 1.05, 1.2), outcome="faster"),
        KnobTrial(knobs=Knobs(spinning=False), ratio=an_interval(0.99, 0.97, 1.02), outcome="not-shown"),
        KnobTrial(knobs=Knobs(threads=1), ratio=an_interval(1.6, 1.4, 1.9), outcome="disturbed", why="other programs ran"),
        KnobTrial(knobs=Knobs(threads=3), ratio=an_interval(1.5, 1.4, 1.6), outcome="unusable", why="other logits"),
        KnobTrial(knobs=Knobs(threads=4), ratio=None, outcome="unusable", why="a run did not end"),
        KnobTrial(knobs=Knobs(threads=5), ratio=None, outcome="not-shown", why="3 paired rounds are too few for an interval"),
    )
    raced = KnobRace(candidate="int8", knobs=Knobs(threads=2), trials=trials, observed_at="2026-11-20T09:00:00", reused=False)
    return _joined(
        {
            "residency": residency_lines([counted, planned, a_row(residency=a_residency(unknown=1.0))]),
            "hollow": partial_precision_lines([counted, unnamed, untimed]),
            "settings": knob_lines(a_choice("int8").model_copy(update={"knobs": raced})),
        }
    )


def desktop_gpu(_: Path) -> str:
    steady = Steady(flat=6, faster=0, slower=0, unsettled=2, short=0, late=0, after_ms=None, says="does not settle: 2 of 8")
    unsteady = a_played_baseline(latency=a_latency(an_interval(1.2), steady=steady))
    short = a_played_baseline(latency=a_latency(an_interval(1.2), reason="p99: a run has only 100 samples"), variants=())
    missing = a_report().baseline
    return _joined(
        {"sentence": map(tables.desktop_sentence, (unsteady, short, missing)), "notes": tables.desktop_notes(unsteady)}
    )


def beyond_top1(_: Path) -> str:
    """The legend of what top-1 does not say: alone, over folds, over groups, and the classes that are left out."""
    classes = ClassReport(classes=tuple(a_class(f"c{n}", lost=n, gained=0) for n in range(30)), compared=30, lost_to_show=10)
    test = an_accuracy(quality=a_quality(classes=classes))
    groups = Groups(groups=40, independent=None, top1_effect=1.5, drop_effect=1.5)
    tests = {"images": test, "folds": folds_of(test), "groups": test.model_copy(update={"groups": groups})}
    legends = {
        name: [tables.quality_legend([a_row(test=one)]), tables.missing_intervals_note([one])] for name, one in tests.items()
    }
    return _joined({**legends, "left out": [tables.unlisted_classes(classes)]})


def explained(_: Path) -> str:
    """A build that raced, and one candidate alone with the command in full."""
    explanation = explain(provisional_report())
    question = explanation.open_questions[0].model_copy(update={"says": "drop 1 pp is open", "images": 5000, "images_seen": 1000})
    counted = explanation.model_copy(update={"open_questions": (question,), "candidates": ()})
    alone = explain_candidate(explanation, "tensorrt-fp16", Path("builds/x"))
    return _joined(
        {
            "raced": explanation_lines(explain(raced_report())),
            "alone": explanation_lines(alone, alone=True),
            "images would settle it": explanation_lines(counted),
        }
    )


def others(_: Path) -> str:
    """Variants of lines whose screens are pinned elsewhere."""
    identical = tuple(
        judge_identical(Gate(metric=metric, side="max", bound=1.03, required="always"), facts(), several_labels=False)
        for metric in ("latency_ratio", "drop_pp")
    )
    same = a_comparison(identical=True, ratio=exactly(1.0), drop_pp=exactly(0.0), gates=identical)
    gains = {"better taught": (0.5, True), "worse taught": (-8.0, True), "taught by labels": (-8.0, False)}
    searches = {
        name: a_search(
            member("a", 0.8, 3.0), distillation_gain_pp=an_interval(gain, gain - 0.7, gain + 0.7), shipped_distilled=taught
        )
        for name, (gain, taught) in gains.items()
    }
    on_nvidia = Environment(conditions={**HERE.conditions, "webgpu_adapter": "nvidia"}, observed={})
    dated = a_latency(an_interval(4.0), observed_at="2026-11-21T01:00:00+00:00", run_settings="4 threads", steady=a_steady())
    differs = "they differ by up to 80.46 [golden-logits-differ]"
    kits = {
        "evidence of another day, on an adapter": an_evidence_kit(latency=dated, environment=on_nvidia),
        "evidence without a time": an_evidence_kit(latency=a_latency(None, reason=FEW), residency=None),
    }
    references = [a_reference(), a_reference(signed_by="ann@example.com", run_settings="4 threads", unsteady="does not settle")]
    return _joined(
        {
            "judge --against, the same files": comparison_lines(same),
            **{f"fit, {name}": list(fit_lines(search))[-1:] for name, search in searches.items()},
            **{name: record_lines(an_evidence(a_network(kit, failed={"a": differs}))) for name, kit in kits.items()},
            "dated references": reference_lines(references),
        }
    )


def trained(_: Path) -> str:
    """The plan's line about training, by what learns."""
    network: dict[str, Any] = {"model": {"arch": "mobilenet-v3-small", "resolution_px": 64}, "quantize": {"images": 200}}
    settings: tuple[dict[str, Any], ...] = (
        {}, {"transfer": "head"}, {"transfer": "head", "head": "svm"}, {"transfer": "last"}, {"transfer": "auto"},
        {"precision": "bf16"}, {"unfreeze": "groups"}, {"processes": 2},
    )  # fmt: skip
    lines = {}
    for train in settings:
        recipe = Recipe.model_validate({**network, "train": {"epochs": 2, "learning_rate": 0.01, **train}})
        planned = PlannedBuild(plan(resolved(recipe, mode="finetune")), (), EffectiveGates(gates=()), "", Path("out"))
        shown = printed(lambda planned=planned: show_plan(planned))  # type: ignore[misc]
        lines[str(train)] = [line for line in shown.splitlines() if line.startswith("training")]
    return _joined(lines)


SURFACES: dict[str, Surface] = {
    "sentence/measured": measured,
    "sentence/ran": ran,
    "sentence/desktop-gpu": desktop_gpu,
    "sentence/beyond-top1": beyond_top1,
    "sentence/explained": explained,
    "sentence/others": others,
    "sentence/trained": trained,
}

"""Builders with defaults, so that a test states the one field that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgecnn.judging.choice import Contest, Estimated
from edgecnn.judging.intervals import tango_drop_pp, wilson
from edgecnn.judging.regret import estimate
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime
from edgecnn.values.figures import (
    Accuracy,
    ClassFigures,
    ClassReport,
    FoldFigures,
    Folds,
    LabelFigures,
    MultiLabelAccuracy,
    Quality,
)
from edgecnn.values.forecast import Forecast, ForecastBasis, ForecastSource
from edgecnn.values.layers import Residency
from edgecnn.values.profile import Environment, Profile, Run
from edgecnn.values.report import CandidateFacts, Latency
from edgecnn.values.verdict import Fidelity, Gate, GateResult, Interval, Verdict

CONDITIONS = {"machine": "m1", "cpu": "AMD EPYC", "cores": "2", "runtime": "onnxruntime", "runtime_version": "1.31.1"}


def a_candidate(ident: str) -> Candidate:
    runtime, precision, *mixed = ident.split("-")
    method = Method.MIXED if mixed else Method.POST_TRAINING if precision == "int8" else Method.FLOAT
    return Candidate(id=ident, runtime=Runtime(runtime), precision=Precision(precision), method=method)


def a_forecast(estimate: float, low: float, high: float, **changes: object) -> Forecast:
    known = {
        "network": "mobilenet-v2",
        "resolution_px": 224,
        "device": "raspberry-pi-5",
        "runtime": Runtime.NCNN,
        "precision": Precision.FP16,
        "threads": 4,
        "p50_ms": Interval(estimate=estimate, low=low, high=high, confidence=0.9),
        "basis": ForecastBasis.TRANSFERRED,
        "off_percent": 9.4,
        "off_networks": 18,
        "off_devices": 5,
        "source": ForecastSource(title="ncnn's benchmark", url=None, date="2026-03-30", board="Raspberry Pi 5", networks=17),
    }
    return Forecast.model_validate({**known, **changes})


def an_accuracy(lost: int = 0, gained: int = 0, images: int = 1000, right: int | None = None, **changes: object) -> Accuracy:
    top1 = wilson(images * 9 // 10 if right is None else right, images)
    assert top1 is not None
    return Accuracy(
        split="test",
        images=images,
        top1=top1,
        drop_pp=tango_drop_pp(lost, gained, images),
        discordant=lost + gained,
        fidelity=Fidelity.MEASURED,
        machine="AMD EPYC",
        pixels="p" * 64,
        lost=lost,
        gained=gained,
    ).model_copy(update=changes)


def a_multi_label(drop: tuple[float, float, float] | None = (0.4, 0.1, 0.7), **changes: object) -> MultiLabelAccuracy:
    """Of two labels, mAP 80 %; ``drop`` with its ends, None of the baseline itself."""

    def share(estimate: float) -> Interval:
        return an_interval(estimate, estimate - 0.03, estimate + 0.03, 0.9)

    labels = tuple(
        LabelFigures(
            name=name,
            images=images,
            threshold=threshold,
            average_precision=0.8,
            precision=wilson(images // 2, images),
            recall=wilson(images // 2, images),
            f1=0.5,
        )
        for name, images, threshold in (("bag", 120, 0.41), ("hat", 60, 0.625))
    )
    return MultiLabelAccuracy(
        split="test",
        images=400,
        map=share(0.8).model_copy(update={"confidence": 0.95}),
        map_bounds=wilson(0.8 * 500, 500, 0.9),
        trials=500.0,
        drop_pp=None if drop is None else an_interval(*drop, 0.9),
        micro_f1=share(0.7),
        macro_f1=share(0.6),
        agreement=None if drop is None else share(0.95),
        labels=labels,
        fidelity=Fidelity.MEASURED,
        machine="AMD EPYC",
        pixels="p" * 64,
    ).model_copy(update=changes)


def a_quality(**changes: object) -> Quality:
    """Ten classes of which one, Shirt, was shown to lose."""
    shirt = a_class("Shirt", lost=130, gained=10, regression="shown", p_adjusted=1e-20)
    others = tuple(
        a_class(name) for name in ("Bag", "Boot", "Coat", "Dress", "Pullover", "Sandal", "Sneaker", "T-shirt", "Trouser")
    )
    classes = ClassReport(
        classes=(shirt, *others), compared=10, lost_to_show=8, worst_drop_pp=an_interval(12.0, 9.4, 14.1, 0.90), widest="Shirt"
    )
    known: dict[str, object] = {
        "top5": an_interval(0.99, 0.985, 0.994, 0.90),
        "macro_f1": an_interval(0.86, 0.85, 0.87, 0.90),
        "ece": an_interval(0.05, 0.03, 0.06, 0.90),
        "agreement": an_interval(0.97, 0.96, 0.98, 0.90),
        "classes": classes,
    }
    return Quality.model_validate({**known, **changes})


def folds_of(test: Accuracy) -> Accuracy:
    """The same, answered by the networks of two folds."""
    one = FoldFigures(images=test.images // 2, right=450, lost=5, gained=5)
    folds = Folds(each=(one, one), top1_effect=1, drop_effect=1, alone_top1=test.top1, alone_drop_pp=None, worth_images=0)
    return test.model_copy(update={"folds": folds})


def a_class(name: str, lost: int = 5, gained: int = 5, images: int = 1000, **changes: object) -> ClassFigures:
    return ClassFigures(
        name=name,
        images=images,
        right=images * 9 // 10,
        recall=wilson(images * 9 // 10, images),
        f1=0.9 if images else None,
        lost=lost,
        gained=gained,
        drop_pp=tango_drop_pp(lost, gained, images),
        p_adjusted=1.0,
        regression="not shown",
    ).model_copy(update=changes)


WEATHER = (1.0, 1.02, 0.98, 1.01, 0.99, 1.0, 1.03, 0.97)
"""What each round of a race adds to everyone in it."""


def a_contest(costs: Mapping[str, float | Sequence[float]], run_settings: Mapping[str, str] | None = None) -> Contest:
    """A race of latency for the choice: of each candidate its runs in milliseconds, or one figure for eight runs alike."""
    each = {name: [ms * now for now in WEATHER] if isinstance(ms, float) else list(ms) for name, ms in costs.items()}
    shown = {
        name: Estimated(cost=estimate(runs), runs=len(runs), machine="AMD EPYC", run_settings=(run_settings or {}).get(name))
        for name, runs in each.items()
    }
    return Contest("latency", shown, {name: dict(enumerate(runs)) for name, runs in each.items()})


def an_interval(estimate: float, low: float | None = None, high: float | None = None, confidence: float = 0.984375) -> Interval:
    return Interval(
        estimate=estimate, low=estimate if low is None else low, high=estimate if high is None else high, confidence=confidence
    )


def a_latency(p50: Interval | None, p99: Interval | None = None, ratio: Interval | None = None, **changes: object) -> Latency:
    return Latency(
        p50_ms=p50,
        p99_ms=p99,
        ratio_to_fp32=ratio,
        runs=8,
        samples=8000,
        fidelity=Fidelity.MEASURED,
        machine="AMD EPYC",
        observed_at="2026-11-20T09:00:00+00:00",
    ).model_copy(update=changes)


def a_judged_latency(p50: Interval | None, p99: Interval | None = None, **changes: object) -> Latency:
    """The same of as many runs as any gate needs."""
    return a_latency(p50, p99, runs=17).model_copy(update=changes)


def facts(ident: str = "onnxruntime-int8", **fields: object) -> CandidateFacts:
    return CandidateFacts.model_validate({"candidate": a_candidate(ident), "kit": f"sha-of-{ident}", **fields})


def a_residency(
    basis: str = "executed", mac: dict[str, float] | None = None, time: dict[str, float] | None = None, **changes: object
) -> Residency:
    return Residency.model_validate({"basis": basis, "layers": (), "mac_share": mac or {}, "time_share": time, **changes})


def a_gate(metric: str = "drop_pp", bound: float = 1.0, required: str = "always", side: str = "max") -> Gate:
    return Gate.model_validate({"metric": metric, "side": side, "bound": bound, "required": required})


def a_result(verdict: Verdict, required: str = "always") -> GateResult:
    gate = a_gate(required=required)
    return GateResult(gate=gate, candidate="x", verdict=verdict, figure=None, fidelity=Fidelity.MEASURED, reason="")


def a_run(round_: int, ms: float = 1.0, samples: int = 50) -> Run:
    return Run(
        round=round_,
        position=0,
        load_ns=1,
        first_ns=1,
        warmup_ns=(),
        samples_ns=(round(ms * 1e6),) * samples,
        started_at="2026-11-20T09:00:00+00:00",
    )


def a_race(medians_ms: Sequence[float], *, samples: int = 50, race: str | None = "race-1", **conditions: str) -> Profile:
    return Profile(
        what="race",
        subject="kit-a",
        device="cpu",
        host="here",
        environment=Environment(conditions={**CONDITIONS, **conditions}, observed={}),
        fidelity=Fidelity.MEASURED,
        observed_at="2026-11-20T09:00:00+00:00",
        race=race,
        purpose="report",
        runs=tuple(a_run(index, ms, samples) for index, ms in enumerate(medians_ms)),
    )

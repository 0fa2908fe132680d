"""What a page is made of, without a build: medians of really recorded runs with samples drawn around them, and hostile names."""

from __future__ import annotations

import base64
import io
import json
import random
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

from PIL import Image

from edgecnn.judging.intervals import median_interval, wilson
from edgecnn.results.page import ClassAnswers, Mistake, Mistakes, PageFacts, Raced, RunShape, drawn_ms
from edgecnn.training.history import BestFacts, EpochFacts, History, PhaseFacts
from edgecnn.values.figures import ClassReport
from edgecnn.values.layers import LayerResidency, Residency
from edgecnn.values.profile import Environment
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Fidelity, Verdict
from tests.judging.made import a_class, a_latency, a_quality, an_accuracy, an_interval, facts
from tests.render.page.measured import a_desktop, a_memory, a_soak, a_throughput, a_way, an_energy, with_everything
from tests.render.reports import a_build, a_gate, a_report

RECORDED = Path(__file__).parents[2] / "judging" / "runs" / "recorded_runs.json"
RUNS, SAMPLES, LAYERS = 8, 1000, 60
WHEN = "2026-11-20T09:00:00+00:00"
NAMES = tuple(
    f"{runtime}-{precision}"
    for runtime in ("onnxruntime", "openvino", "tensorrt")
    for precision in ("fp32", "int8", "fp16", "bf16")
)
CLASSES = ("bag", "boot", "shirt", "trouser")
HOSTILE = (
    "</script><script>window.broken='script'</script>",
    '"><img src=x onerror="window.broken=\'img\'">',
    "'><svg onload=\"window.broken='svg'\">",
    "{{7*7}}{% raw %}",
    "a\u2028b\u2029c",
    "<!--<script>",
    "\"]+(window.broken='expression')+[\"",
    "&lt;b&gt;\\u003cb\\u003e",
)


@cache
def recorded_medians_ms() -> tuple[float, ...]:
    """The medians of the recorded runs of one kit, in the order they ran."""
    runs = json.loads(RECORDED.read_text())["recordings"][0]["runs"]
    return tuple(run[3] / 1e6 for run in runs if run[2] == "a")


def a_raced(name: str, speed: float, draw: random.Random, **changes: Any) -> Raced:
    """Eight runs whose medians are recorded ones, made this many times faster."""
    start = draw.randrange(len(recorded_medians_ms()) - RUNS)
    medians = [median / speed for median in recorded_medians_ms()[start : start + RUNS]]
    known: dict[str, Any] = {
        "candidate": name,
        "race": "race-1",
        "purpose": "report",
        "observed_at": WHEN,
        "environment": Environment(conditions={"runtime": "onnxruntime"}, observed={"load_1min": "0.4"}),
        "fidelity": Fidelity.MEASURED,
        "runs": tuple(a_run(number, median, draw) for number, median in enumerate(medians)),
    }
    return Raced.model_validate({**known, **changes})


def a_run(number: int, median_ms: float, draw: random.Random) -> RunShape:
    samples = [round(median_ms * 1e6 * draw.lognormvariate(0, 0.08)) for _ in range(SAMPLES)]
    return RunShape(
        round=number,
        samples=SAMPLES,
        at_ms=drawn_ms(samples),
        p99_ms=sorted(samples)[990] / 1e6,
        load_ms=31.5,
        first_ms=median_ms * 4,
    )


def a_layered(precision: str, layers: int = LAYERS) -> Residency:
    made = tuple(
        LayerResidency(
            name=f"layer-{n}", op="Conv", precision="fp32" if n % 9 == 0 else precision, macs=n * 1000, time_us=5.0 + n % 7
        )
        for n in range(layers)
    )
    shares = {precision: 0.9, "fp32": 0.1} if precision != "fp32" else {"fp32": 1.0}
    return Residency(basis="executed", layers=made, mac_share=shares, time_share=shares)


def a_row(name: str, raced: Raced, draw: random.Random, place: int) -> CandidateFacts:
    p50 = median_interval([run.at_ms[12] for run in raced.runs])
    p99 = median_interval([run.p99_ms or 0.0 for run in raced.runs])
    lost, gained = draw.randrange(5, 60), draw.randrange(5, 40)
    baseline = place == 0
    return facts(
        name,
        test=an_accuracy(lost, gained, 5000, 4400 - lost + gained)
        if not baseline
        else an_accuracy(images=5000, right=4400, drop_pp=None),
        latency=a_latency(p50, p99, None if baseline else an_interval(1.5, 1.4, 1.6)),
        size_mib=44.0 / (1 + place % 4),
        residency=a_layered(name.split("-")[1]),
        verdict=Verdict.PASS,
        gates=(a_gate(),),
        is_baseline=baseline,
        chosen=place == 1,
        reason="chosen: it is the fastest inside the budget" if place == 1 else "slower",
    )


def a_jpeg(level: int) -> str:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), (level, 120, 200 - level)).save(stream, "JPEG")
    return base64.b64encode(stream.getvalue()).decode("ascii")


def some_mistakes(classes: tuple[str, ...] = CLASSES, **changes: Any) -> Mistakes:
    size = len(classes)
    counts = tuple(tuple(90 if row == column else (row * column) % 4 for column in range(size)) for row in range(size))
    known: dict[str, Any] = {
        "candidate": "onnxruntime-int8",
        "fidelity": Fidelity.MEASURED,
        "machine": "AMD EPYC",
        "images": sum(map(sum, counts)),
        "wrong": sum(map(sum, counts)) - 90 * size,
        "classes": tuple(
            ClassAnswers(name=name, images=100, recall=wilson(90, 100), baseline_recall=0.91, confusions=((classes[0], 3),))
            for name in classes
        ),
        "counts": counts,
        "worst": tuple(
            Mistake(
                image=n,
                file="hats/a <b>.jpg" if n == 1 else None,
                truth=truth,
                answer=answer,
                confidence=0.9,
                baseline_answer=truth,
                jpeg_base64=a_jpeg(n * 15),
            )
            for n, truth, answer in zip(range(12), cycle(classes), cycle(classes[1:] + classes[:1]), strict=False)
        ),  # fmt: skip
    }
    return Mistakes.model_validate({**known, **changes})


def a_history(epochs: int = 6) -> History:
    told = tuple(
        EpochFacts(
            epoch=n, train_loss=2 / (n + 1), validation_top1=None if n < 2 else 0.7 + n / 50, learning_rate=0.01, resolution_px=64
        )
        for n in range(epochs)
    )
    best = BestFacts(phase="finetune", epoch=epochs - 1, validation_top1=0.8)
    return History(phases=(PhaseFacts(name="finetune", epochs=told),), best=best, stopped="all epochs done", initial={})


def a_page(count: int = 2, **changes: Any) -> PageFacts:
    """A page of which everything is known, with this many candidates."""
    draw = random.Random(count)
    raced = tuple(a_raced(name, 1 + 0.35 * place, draw) for place, name in enumerate(NAMES[:count]))
    rows = tuple(with_everything(a_row(each.candidate, each, draw, place), 1 + place / 3) for place, each in enumerate(raced))
    known: dict[str, Any] = {
        "report": a_report(*rows, notices=("demo: small images",), baseline=a_desktop()),
        "raced": raced,
        "mistakes": some_mistakes(),
        "history": a_history(),
    }
    return PageFacts.model_validate({**known, **changes})


def an_empty_page() -> PageFacts:
    """A build of which nothing could be measured, and a store that has nothing of it."""
    nobody = facts("onnxruntime-fp32", is_baseline=True, reason="")
    report = a_report(nobody, gates=(), verdict=Verdict.MISSING, environment=Environment(conditions={}, observed={}))
    missing = {"latency": "nothing was raced", "mistakes": "no stored answers", "training": "the train artifact is gone"}
    return PageFacts(report=report, missing=missing)


def a_hostile_page() -> PageFacts:
    """Every text that a user, a path or a machine can put into a report is one that means harm."""
    page = a_page(len(HOSTILE))
    names = {row.candidate.id: harm for row, harm in zip(page.report.candidates, HOSTILE, strict=True)}
    rows = tuple(_hostile_row(row, names[row.candidate.id]) for row in page.report.candidates)
    return page.model_copy(
        update={
            "report": _hostile_report(page.report, rows),
            "raced": tuple(raced.model_copy(update={"candidate": names[raced.candidate]}) for raced in page.raced),
            "mistakes": some_mistakes(HOSTILE, candidate=HOSTILE[0], machine=HOSTILE[1]),
            "history": a_history().model_copy(update={"stopped": HOSTILE[0]}),
            "missing": {"latency": HOSTILE[0]},
        }
    )


def _hostile_row(row: CandidateFacts, harm: str) -> CandidateFacts:
    layer = LayerResidency(name=harm, op=harm, precision=harm, macs=1, time_us=2.0)
    residency = Residency(basis="executed", layers=(layer,), mac_share={harm: 1.0}, time_share={harm: 1.0})
    assert row.test is not None and row.latency is not None
    return row.model_copy(
        update={
            "candidate": row.candidate.model_copy(update={"id": harm}),
            "reason": harm,
            "residency": residency,
            "kit": harm,
            "test": row.test.model_copy(update={"machine": harm, "quality": a_quality(classes=_hostile_classes())}),
            "latency": row.latency.model_copy(update={"machine": harm, "disturbed": harm, "stopped": harm}),
            "energy": an_energy(meter=harm, covers=harm, machine=harm, disturbed=harm),
            "memory": a_memory(machine=harm, gpu_reason=harm),
            "throughput": a_throughput(reason=harm, machine=harm, disturbed=harm),
            "end_to_end": a_way().model_copy(update={"picture": harm}),
            "sustained": a_soak(says=harm, machine=harm),
            "gates": (a_gate(reason=harm),),
        }
    )


def _hostile_classes() -> ClassReport:
    return ClassReport(classes=tuple(a_class(harm, lost=60, regression="shown") for harm in HOSTILE), compared=len(HOSTILE))


def _hostile_report(report: BuildReport, rows: tuple[CandidateFacts, ...]) -> BuildReport:
    first, second = HOSTILE[:2]
    build = a_build(
        name=first, arch=first, weights=second, data=first, device=second, command=" ".join(HOSTILE), splits={first: 3}
    )
    return report.model_copy(
        update={
            "candidates": rows,
            "build": build,
            "choice": report.choice.model_copy(update={"candidate": first, "why": second, "settle_command": first}),
            "gates": (a_gate(reason=second),),
            "baseline": a_desktop(device=first, how=second, accuracy=None, accuracy_from=first),
            "notices": HOSTILE,
            "unexecuted": HOSTILE,
            "skipped_rungs": {first: second},
            "environment": Environment(conditions={first: second}, observed={second: first}),
            "made_at": first,
            "version": second,
        }
    )

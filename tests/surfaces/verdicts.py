"""Sentences that a verdict, a choice, a build or a machine comes with: reasons, gates, notices and findings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.building.notices import calibration_notices, class_notices, fold_notices, notices, unexecuted_engine_notices
from edgecnn.devices.check.findings import Needs, findings_on, needs_of
from edgecnn.devices.check.reading import facts_of
from edgecnn.devices.files import device_named
from edgecnn.judging.choice import ChoiceRules, SpeedClaim, choose, with_claims
from edgecnn.judging.gates import judge
from edgecnn.judging.reasons import worded
from edgecnn.planning.candidates import BASELINE
from edgecnn.values.artifact import Blocked, Failed, Unavailable, WeightsAnswer
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.dataset import Grouping
from edgecnn.values.figures import CalibrationFacts, ClassReport, Groups
from edgecnn.values.reason import DatedOrder, NotClimbed, NotSupported
from edgecnn.values.recipe import Recipe
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity
from tests.building.resolutions import TRT_FP16, summary
from tests.building.scenes import ELSEWHERE, Staging, an_artifact
from tests.devices.check.recorded import JETPACK_7, JETSON_ORIN_NANO, RASPBERRY_PI_5, READY, recorded
from tests.judging.made import (
    a_class,
    a_contest,
    a_gate,
    a_judged_latency,
    a_quality,
    a_residency,
    an_accuracy,
    an_interval,
    facts,
    folds_of,
)  # fmt: skip
from tests.render.page.measured import an_energy
from tests.surfaces.pinned import Surface, sections

RACED = {"onnxruntime-fp32": 0.81, "onnxruntime-int8": 0.73}
BUSY = "other programs took 40 % of the processors' time"


def choices(_: Path) -> str:
    """Why each candidate was or was not chosen."""
    chosen = an_accuracy(split="validation")

    def fp32(**fields: Any) -> CandidateFacts:
        return facts("onnxruntime-fp32", **{"is_baseline": True, "validation": chosen, "size_mib": 16.07, **fields})

    def int8(**fields: Any) -> CandidateFacts:
        known = {"validation": an_accuracy(10, 3, split="validation"), "size_mib": 4.35, **fields}
        return facts("onnxruntime-int8", **known)

    here, away = ChoiceRules(attached=True), ChoiceRules(attached=False, device="jetson-orin-nano")
    by_size = ChoiceRules(attached=True, objective="size")
    only_int8 = ChoiceRules(attached=True, shippable=("onnxruntime-int8",))
    dated = DatedOrder(
        relative={"litert-int8": 0.4, "onnxruntime-fp32": 1.0},
        networks=("mobilenet-v2",),
        machine="a board",
        observed_on="2026-11-20",
    )
    by_record = away.model_copy(update={"dated": dated})
    emulated = an_accuracy(split="validation", fidelity=Fidelity.EMULATED)
    twins = (facts("ncnn-fp16", validation=emulated, residency=a_residency("elsewhere", {"fp32": 1.0})),)
    killed = {"measure": Failed(ref="run-failed", what="the process was killed", hint="more memory")}
    unmade: dict[str, Any] = {
        "without a kit": {},
        "with a failed step": {"quantize": Failed(ref="x", what="1 image cannot calibrate [x]"), "package": Blocked(by="x")},
        "with a blocked step": {"package": Blocked(by="export")},
        "without a package": {"quantize": Unavailable(why="nncf is not installed", command="pip install nncf")},
    }
    rows, later = (fp32(), int8()), {}
    for name, ratio in {"faster": (2.0, 1.9, 2.1), "not shown": (1.08, 0.97, 1.21), "slower": (0.9, 0.8, 0.95)}.items():
        claims = {("onnxruntime-int8", "onnxruntime-fp32"): SpeedClaim(ratio=an_interval(*ratio))}
        later[f"later race, {name}"] = with_claims(
            choose(rows, here, a_contest(RACED)), {r.candidate.id: r for r in rows}, claims
        )
    settings = {"onnxruntime-fp32": "1 thread, spinning off", "onnxruntime-int8": "2 threads"}
    choice_of = {
        **later,
        "raced": choose((fp32(), int8()), here, a_contest(RACED)),
        "raced with settings": choose((fp32(), int8()), here, a_contest(RACED, settings)),
        "alike": choose((fp32(), int8()), here, a_contest({"onnxruntime-fp32": 0.731, "onnxruntime-int8": 0.73})),
        "too large": choose((fp32(), int8()), ChoiceRules(attached=True, most_mib=5.0), a_contest(RACED)),
        "nothing inside the budget": choose((fp32(validation=None), int8(validation=None)), here),
        "by size": choose((fp32(), int8()), by_size),
        "not weighed": choose((fp32(), int8(size_mib=None)), by_size),
        "over the budget": choose((fp32(), int8(validation=an_accuracy(25, 8, split="validation"))), here),
        "another runtime": choose((fp32(), int8()), only_int8, a_contest(RACED)),
        "not in the race": choose((fp32(), int8()), here, a_contest({"onnxruntime-fp32": 0.81})),
        "not evaluated": choose((fp32(), int8(validation=None)), here),
        "killed": choose((fp32(), int8(outcomes=killed)), here),
        **{name: choose((fp32(), int8(kit=None, outcomes=outcomes)), here) for name, outcomes in unmade.items()},
        "provisional": choose((fp32(), facts("tensorrt-fp16", validation=chosen), int8()), away),
        "provisional, by a record": choose((fp32(), facts("litert-int8", validation=chosen)), by_record),
        "provisional, other arithmetic": choose((fp32(), *twins, facts("openvino-fp32", validation=None)), away),
    }  # fmt: skip
    rows = {name: "\n".join(f"{row}: {why}" for row, why in choice.reasons.items()) for name, choice in choice_of.items()}
    unsupported = NotSupported(runtime=Runtime.ONNXRUNTIME, precision=Precision.BF16, why="it has no bf16 convolution")
    rows["not supported"] = worded(unsupported, "onnxruntime-bf16")
    rows["not climbed"] = worded(NotClimbed(rung="int8", why="61 s spent of a budget of 60 s"), "onnxruntime-int8")
    return sections(rows)


def gates(_: Path) -> str:
    """One sentence a metric and a verdict."""
    latency = a_judged_latency(an_interval(30, 29, 31))
    short = a_judged_latency(an_interval(1.0), absent={"p90_ms": "a run has only 50 samples; it needs 100"})
    few = a_judged_latency(None, runs=3, reason="3 runs, seen 1.00 ms; an interval needs 7")
    unraced = a_judged_latency(None, runs=0, reason="not measured on jetson")
    classes = a_quality().classes
    gone = classes.model_copy(update={"classes": (classes.classes[0], a_class("Bag", images=0, drop_pp=None)), "widest": "Bag"})
    nan = {"measure": Failed(ref="logits-not-finite", what="logits of image 7 hold nan")}
    partly = a_residency(mac={"int8": 0.85, "unknown": 0.1, "fp32": 0.05}, time={"int8": 0.6, "fp32": 0.3, "unknown": 0.1})
    quality = an_accuracy(quality=a_quality())
    rows: tuple[tuple[str, float, str, dict[str, Any]], ...] = (
        ("drop_pp", 1, "max", {"test": an_accuracy(4, 4, 2000)}),
        ("drop_pp", 1, "max", {"test": an_accuracy(10, 7, 1000)}),
        ("drop_pp", 1, "max", {"test": an_accuracy(200, 10, 3000)}),
        ("drop_pp", 1, "max", {"test": an_accuracy(1, 1, 3000, fidelity=Fidelity.EMULATED)}),
        ("drop_pp", 1, "max", {"test": an_accuracy(drop_pp=None), "is_baseline": True}),
        ("drop_pp", 1, "max", {"test": None}),
        ("drop_pp", 1, "max", {"test": None, "outcomes": nan}),
        ("top1", 0.9, "min", {"test": an_accuracy(images=1000, right=905)}),
        ("top5", 0.9, "min", {"test": an_accuracy(quality=a_quality(top5=None, absent={"top5": "of 5 classes"}))}),
        ("ece", 0.02, "max", {"test": quality}),
        ("worst_class_drop_pp", 5, "max", {"test": quality}),
        ("worst_class_drop_pp", 5, "max", {"test": an_accuracy(quality=a_quality(classes=gone))}),
        ("p50_ms", 32, "max", {"latency": latency}),
        ("p50_ms", 20, "max", {"latency": latency.model_copy(update={"disturbed": BUSY})}),
        ("p90_ms", 20, "max", {"latency": short}),
        ("p50_ms", 20, "max", {"latency": few}),
        ("p50_ms", 20, "max", {"latency": unraced}),
        ("size_mib", 5, "max", {"size_mib": 5.01}),
        ("energy_mj", 5, "max", {"energy": an_energy()}),
        ("int8_mac_share", 0.9, "min", {"residency": partly}),
        ("int8_time_share", 0.9, "min", {"residency": partly}),
        ("int8_bytes_share", 0.5, "min", {"residency": partly}),
        ("int8_mac_share", 0.9, "min", {"residency": a_residency("planned", {"int8": 0.99})}),
    )
    judged = [judge(a_gate(metric, bound, side=side), facts(**fields)) for metric, bound, side, fields in rows]
    return "\n".join(f"{verdict.gate.metric} {verdict.verdict.value}: {verdict.reason}" for verdict in judged)


def build_notices(folder: Path) -> str:
    """What a report says before its table is believed."""
    photos = summary().model_copy(update={"origin": "folder"})
    grouping = Grouping(by="person[0-9]+", groups=41, largest="person7", largest_images=90, alone=1, off=("test has 31%",))
    balanced = {"train": {"balance": "sampling", "epochs": 1, "learning_rate": 0.1}, "quantize": {"images": 200}}
    lacking = Unavailable(why="openvino is not installed", command='pip install "edgecnn[openvino]"')

    def staged(name: str, **changes: Any) -> Staging:
        return Staging(folder / name, **{"data": photos, **changes})

    silent = WeightsAnswer(choice="auto", kind="none", asked=True, why="the network was silent")
    scenes: dict[str, Staging] = {
        "groups": staged("a", data=photos.model_copy(update={"grouping": grouping})),
        "not pretrained": staged("b", weights=silent),
        "never asked": staged("c", weights=silent.model_copy(update={"asked": False})),
        "demo": staged("d", data=summary()),
        "balance": staged("e", recipe=Recipe.model_validate(balanced)),
        "skipped": staged("f", data=photos.model_copy(update={"skipped": ("a: no image", "b: torn", "c: empty", "d: torn")})),
        "not built": staged("g", unavailable=dict.fromkeys(("openvino-fp32", "openvino-int8"), lacking)),
        "away": staged("h", attachment=ELSEWHERE),
        "twin": staged("i", candidates=(BASELINE, TRT_FP16)),
        "half precision": staged("j", candidates=(BASELINE, _half("openvino")), attachment=ELSEWHERE),
        "trained": staged("k"),
        "kept a later epoch": staged("m"),
    }
    scenes["away"].answered(BASELINE.id, 900)
    scenes["twin"].answered(TRT_FP16.id, 900)
    twin = scenes["twin"].seen
    twin.answering[TRT_FP16.id] = twin.kits[TRT_FP16.id].model_copy(update={"stands_for": "d" * 64})
    scenes["half precision"].answered("openvino-fp16", 900)
    scenes["half precision"].resides("openvino-fp16", "executed", fp32=0.1, bf16=0.36, unknown=0.54)
    kept = {
        "trained": ({"phase": "head", "epoch": 3, "validation_top1": 0.875}, 0.75),
        "kept a later epoch": ({"phase": "finetune", "epoch": 1, "validation_top1": 0.85}, 0.9),
    }
    for name, (best, top1) in kept.items():
        of_head = [{"epoch": 3, "validation_top1": 0.875}]
        finetuned = [{"epoch": 0, "validation_top1": top1}, {"epoch": 1, "validation_top1": top1 - 0.05}]
        phases = [{"name": "head", "epochs": of_head}, {"name": "finetune", "precision": "bf16", "epochs": finetuned}]
        history = {"phases": phases, "best": best, "stopped": "all epochs done", "initial": {"kind": "pretrained"}}
        trained = an_artifact("train", folder / name)
        (trained.folder / "history.json").write_text(json.dumps(history), encoding="utf-8")
        scenes[name].execution.artifacts["train"] = trained
    texts = {name: "\n".join(notices(scene.seen, anew="ANEW", execution=scene.execution)) for name, scene in scenes.items()}
    engine = staged("l", candidates=(BASELINE, TRT_FP16))
    engine.kit(TRT_FP16.id)
    return sections(
        {**texts, "not executed": "\n".join(unexecuted_engine_notices(engine.seen, engine.execution, (TRT_FP16.id,)))}
    )


def _half(runtime: str) -> Candidate:
    return Candidate(id=f"{runtime}-fp16", runtime=Runtime(runtime), precision=Precision.FP16)


def data_notices(_: Path) -> str:
    """Of classes, of calibration images, of groups and folds."""
    lost = a_class("Shirt", lost=130, gained=10, regression="shown")
    many = tuple(a_class(f"class {n}", lost=10 * n + 10, gained=10, regression="shown") for n in range(10, 27))
    small = tuple(a_class(name, images=3, lost=1, gained=0, regression="too few images") for name in ("Bag", "Boot"))

    def losing(*classes: Any, **changes: Any) -> str:
        report = ClassReport(classes=classes, compared=len(classes), lost_to_show=8)
        return "\n".join(class_notices([facts("openvino-int8", test=an_accuracy(quality=a_quality(classes=report), **changes))]))

    calibration: Mapping[str, Any] = {"images": 300, "classes": 10, "classes_of": 10, "compared": True}
    shift = {"channel": "red", "statistic": "level", "calibration": 110.0, "validation": 70.0, "spreads": 0.9}
    changes: tuple[dict[str, Any], ...] = ({"images": 1, "classes": 1, "compared": False}, {"classes": 1}, {"shifts": (shift,)})
    calibrated = [CalibrationFacts.model_validate({**calibration, **change}) for change in changes]
    scratch = WeightsAnswer(choice="none", kind="none", why="asked")
    groups = Groups(groups=40, independent=40.0, top1_effect=1.5, drop_effect=1.5)
    tests = {"groups": an_accuracy(images=600, groups=groups), "folds": folds_of(an_accuracy())}
    by_test = {
        name: "\n".join(fold_notices([facts("onnxruntime-fp32", is_baseline=True, test=test)], scratch))
        for name, test in tests.items()
    }
    return sections(
        {
            "class": losing(lost),
            "class, emulated": losing(lost, fidelity=Fidelity.EMULATED),
            "many classes": losing(*many),
            "small classes": losing(*small),
            "calibration": "\n".join(line for known in calibrated for line in calibration_notices(known)),
            **by_test,
        }
    )


def board_findings(_: Path) -> str:
    """Every finding once, with what fixes it."""
    heat = {"sys/class/thermal/thermal_zone0/temp": "84000\n", "proc/meminfo": "MemTotal: 1048576 kB\nMemAvailable: 204800 kB\n"}
    rails = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in1_input"
    closed = {"sys/class/powercap/intel-rapl:0/energy_uj": "Permission denied", rails: "Permission denied"}
    saving = {"sys/firmware/acpi/platform_profile": "low-power\n"}
    pi, jetson = (needs_of(device_named(name)) for name in ("raspberry-pi-5", "jetson-orin-nano"))
    plain = needs_of(None)
    old = {"commands": {"jetpack": ""}, "python": {"packages": {"tensorrt": "9.0"}}}
    findings = (
        (recorded(RASPBERRY_PI_5, READY), pi),
        (recorded(RASPBERRY_PI_5, {"python": {"ensurepip": False}}), plain),
        (recorded({"python": {"managed": False, "packages": {}}}), plain),
        *((recorded(RASPBERRY_PI_5, {"python": python}), plain) for python in _PYTHONS),
        (recorded(RASPBERRY_PI_5, {"disk": {"free_mib": 300, "noexec": True}}), plain),
        (recorded(machine="riscv64"), plain),
        (recorded(RASPBERRY_PI_5, READY, page_bytes=16384), plain),
        (recorded(RASPBERRY_PI_5, READY, {"commands": {"get_throttled": "throttled=0x50005"}}), plain),
        (recorded(RASPBERRY_PI_5, READY, {"commands": {"get_throttled": "throttled=0x80000"}}), plain),
        (recorded(RASPBERRY_PI_5, READY, {"files": heat}), plain),
        (recorded(JETSON_ORIN_NANO), jetson),
        (recorded(JETSON_ORIN_NANO, JETPACK_7, old), jetson),
        (recorded(JETSON_ORIN_NANO, {"files": {"usr/local/cuda/version.json": "no json"}}), jetson),
        (recorded(READY, {"nodes": {"dev/dri/renderD128": False}, "refused": closed}), plain),
        (recorded(READY, {"files": saving}, machine="x86_64"), plain),
        (recorded({"python": {"glibc": "2.31"}}), Needs({Runtime.OPENVINO: ">=2026.2,<2027"})),
    )
    lines = {
        f"[{finding.ref}] {finding.weight.value}: {finding.what}\n    {finding.remedy}"
        for recording, needs in findings
        for finding in findings_on(facts_of(recording), needs)
    }
    return "\n".join(sorted(lines))


_PYTHONS: tuple[dict[str, Any], ...] = (
    {"version": [3, 6, 9]}, {"version": [3, 15, 0]}, {"implementation": "PyPy"}, {"glibc": "2.24"}, {"glibc": ""}, {"bits": 32},
)  # fmt: skip


SURFACES: dict[str, Surface] = {
    "sentence/choices": choices,
    "sentence/gates": gates,
    "sentence/build-notices": build_notices,
    "sentence/data-notices": data_notices,
    "sentence/board-findings": board_findings,
}

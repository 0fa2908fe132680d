"""Bundles around the runner tests' real kits: small enough to be raced in a test, and raced as any other."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from edgecnn.bundle.publishing import staged_bundle
from edgecnn.results.folder import REPORT, report_text
from edgecnn.values.figures import ClassReport
from tests.judging.made import a_class, a_quality, an_accuracy
from tests.render.reports import a_report, a_row
from tests.runner.kits import make_kit


def make_bundle(folder: Path, *, chosen: str | None = "onnxruntime-fp32", **kit: int) -> Path:
    """A bundle of one kit in ``folder``.

    Args:
        folder: made here.
        chosen: what ``choice.json`` says is used; the kit is always ``onnxruntime-fp32``.
        kit: ``width``, ``depth``, ``side`` of its network.
    """
    (folder / "kits").mkdir(parents=True)
    made = make_kit(folder / "kits", name="onnxruntime-fp32", **kit)
    digest = hashlib.sha256((made / "kit.json").read_bytes()).hexdigest()
    write_choice(folder, chosen, {"onnxruntime-fp32": {"folder": "kits/onnxruntime-fp32", "sha256": digest}})
    return folder


def publish_bundle(*given: Any) -> None:
    """Publish a bundle of a report without testing its kits; arguments as of ``staged_bundle``."""
    with staged_bundle(*given) as bundle:
        bundle.publish()


def built_at_chance_level(folder: Path) -> Path:
    """The folder of a build whose report has 11.7 % top-1 on ten classes; its bundle is of one kit."""
    kit = hashlib.sha256((make_bundle(folder / "bundle") / "kits/onnxruntime-fp32/kit.json").read_bytes()).hexdigest()
    classes = ClassReport(classes=tuple(a_class(f"c{number}", images=100) for number in range(10)))
    row = a_row("onnxruntime-fp32", kit=kit, test=an_accuracy(right=117, quality=a_quality(classes=classes)), chosen=True)
    (folder / REPORT).write_text(report_text(a_report(row)), encoding="utf-8")
    return folder


def built_for(device: str, folder: Path, **kit: int) -> Path:
    """The folder of a build for a device; its bundle is of one kit. ``kit``: as of ``make_bundle``."""
    bundle = make_bundle(folder / "bundle", **kit)
    digest = hashlib.sha256((bundle / "kits/onnxruntime-fp32/kit.json").read_bytes()).hexdigest()
    report = a_report(a_row("onnxruntime-fp32", kit=digest, chosen=True))
    report = report.model_copy(update={"build": report.build.model_copy(update={"device": device})})
    (folder / REPORT).write_text(report_text(report), encoding="utf-8")
    return folder


def write_choice(folder: Path, chosen: str | None, kits: dict[str, dict[str, str]]) -> None:
    state = "settled" if chosen else "none"
    choice = {"state": state, "candidate": chosen, "why": "", "settle_command": None, "carried": list(kits)}
    (folder / "choice.json").write_text(json.dumps({"schema": "edgecnn.choice/1", "choice": choice, "kits": kits}))


def reseal(folder: Path) -> None:
    """Write ``choice.json`` for the kit as it now is."""
    digest = hashlib.sha256((folder / "kits/onnxruntime-fp32/kit.json").read_bytes()).hexdigest()
    write_choice(folder, "onnxruntime-fp32", {"onnxruntime-fp32": {"folder": "kits/onnxruntime-fp32", "sha256": digest}})

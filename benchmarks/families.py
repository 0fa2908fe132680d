"""The least network of every family through a whole build, in both CPU runtimes: a row each, from its report.

    python -m benchmarks.families FOLDER [--epochs 2] [--side 64] [--out builds/families] [--target cpu] [--only NAME,…]

FOLDER has a sub-folder a class. The weights start at random and learn for so few epochs that accuracies are low; what the table
shows is that each network passes every stage, how often its INT8 answers and its fp32 ones differ in being right, and what ran in
INT8. A build of that size and length that is there already, of whatever photographs, is read and not made again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from edgecnn.models.catalogue import all_archs
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Failed
from edgecnn.values.report import BuildReport, CandidateFacts

RUNTIMES = {"ONNX Runtime": "onnxruntime", "OpenVINO": "openvino"}
SAMPLES = 200
"""Of a run of the race: enough for a median."""


def least_of_each_family() -> list[ArchSpec]:
    """By multiply-adds."""
    least: dict[str, ArchSpec] = {}
    for spec in all_archs():
        held = least.setdefault(spec.family, spec)
        if (spec.macs or 0) < (held.macs or 0):
            least[spec.family] = spec
    return list(least.values())


def built(spec: ArchSpec, options: argparse.Namespace) -> BuildReport | str:
    """What its build reports, or the last line of why there is none."""
    side = max(spec.least_px, min(options.side, spec.resolution_px.short_px))
    out = Path(options.out, f"{spec.name}-{options.target}-{side}px-{options.epochs}-epochs")
    if not (out / "report.json").is_file():
        values = {
            "model.resolution_px": side, "train.epochs": options.epochs, "race.samples": SAMPLES, "data.test_share": 0.3,
        }  # fmt: skip
        command = [sys.executable, "-m", "edgecnn", "build", "--arch", spec.name, "--target", options.target, "--weights", "none"]
        command += ["--data", str(options.folder), "--out", str(out)]
        for key, value in values.items():
            command += ["--set", f"{key}={value}"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if not (out / "report.json").is_file():
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            return lines[-1].replace("|", "/")
    return BuildReport.model_validate_json((out / "report.json").read_text("utf-8"))


def row(spec: ArchSpec, report: BuildReport) -> list[str]:
    facts_by_id = {facts.candidate.id: facts for facts in report.candidates}
    cells = [spec.family, spec.name, str(report.build.resolution_px), f"{report.build.parameters / 1e6:.2f}"]
    for runtime in RUNTIMES.values():
        int8 = facts_by_id.get(f"{runtime}-int8")
        cells += [accuracy(facts_by_id.get(f"{runtime}-fp32")), same(int8), share(int8)]
    chosen = report.choice.candidate or "none"
    return [*cells, chosen, latency(facts_by_id.get(chosen)), report.verdict.value, f"{report.seconds:.0f}"]


def accuracy(facts: CandidateFacts | None) -> str:
    return f"{facts.test.top1.estimate:.1%}" if facts and facts.test else "–"


def latency(facts: CandidateFacts | None) -> str:
    return f"{facts.latency.p50_ms.estimate:.2f}" if facts and facts.latency and facts.latency.p50_ms else "–"


def same(facts: CandidateFacts | None) -> str:
    """Images that fp32 alone is right on, and INT8 alone, of all; else why there is no such kit."""
    failed = [] if facts is None else [outcome.ref for outcome in facts.outcomes.values() if isinstance(outcome, Failed)]
    if failed:
        return failed[0]
    if facts is None or facts.test is None or facts.test.drop_pp is None:
        return "–"
    return f"{facts.test.lost}/{facts.test.gained} of {facts.test.images}"


def share(facts: CandidateFacts | None) -> str:
    return f"{facts.residency.mac_share.get('int8', 0.0):.1%}" if facts and facts.residency else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("builds/families"))
    parser.add_argument("--target", default="cpu", help="one that is not here has no latencies, and takes a third of the time")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    heads = ["family", "network", "px", "parameters, millions"]
    for runtime in RUNTIMES:
        heads += [f"{runtime}: fp32 top-1", "INT8 lost/gained", "multiply-adds that ran in INT8"]
    heads += ["ships", "p50 ms", "verdict", "build s"]
    print("| " + " | ".join(heads) + " |\n" + "| --- " * len(heads) + "|", flush=True)
    for spec in least_of_each_family():
        if not options.only or spec.name in options.only.split(","):
            report = built(spec, options)
            cells = [spec.family, spec.name, report] if isinstance(report, str) else row(spec, report)
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

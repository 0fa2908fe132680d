"""The least network of every family through a whole build, in both CPU runtimes: a row each, from its report.

    python -m benchmarks.families FOLDER [--epochs 2] [--side 64] [--out builds/families] [--only NAME,…]

FOLDER has a sub-folder a class. The weights start at random and learn for so few epochs that accuracies are low; what the table
shows is that each network passes every stage, how far its INT8 answers are from its fp32 ones, and what ran in INT8. A build that
is there already is read and not made again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from edgecnn.models.catalogue import all_archs
from edgecnn.values.arch import ArchSpec
from edgecnn.values.report import BuildReport, CandidateFacts

RUNTIMES = {"ONNX Runtime": "onnxruntime", "OpenVINO": "openvino"}
ROUNDS = 4
"""Of a race: enough for a ratio's interval, and not for a close call."""


def least_of_each_family() -> list[ArchSpec]:
    """By multiply-adds."""
    least: dict[str, ArchSpec] = {}
    for spec in all_archs():
        held = least.setdefault(spec.family, spec)
        if (spec.macs or 0) < (held.macs or 0):
            least[spec.family] = spec
    return list(least.values())


def built(spec: ArchSpec, asked: argparse.Namespace) -> BuildReport | str:
    """What its build reports, or the last line of why there is none."""
    out = Path(asked.out, spec.name)
    if not (out / "report.json").is_file():
        side = max(spec.least_px, min(asked.side, spec.resolution_px))
        values = {
            "model.resolution_px": side, "train.epochs": asked.epochs, "race.rounds": ROUNDS, "data.report_share": 0.3,
        }  # fmt: skip
        command = [sys.executable, "-m", "edgecnn", "build", "--arch", spec.name, "--target", "cpu", "--weights", "none"]
        command += ["--data", str(asked.folder), "--out", str(out)]
        for key, value in values.items():
            command += ["--set", f"{key}={value}"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if not (out / "report.json").is_file():
            return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return BuildReport.model_validate_json((out / "report.json").read_text("utf-8"))


def row(spec: ArchSpec, report: BuildReport) -> list[str]:
    found = {facts.candidate.id: facts for facts in report.candidates}
    cells = [spec.family, spec.name, str(report.build.resolution_px), f"{report.build.parameters / 1e6:.2f}"]
    for runtime in RUNTIMES.values():
        cells += compared(found.get(f"{runtime}-fp32"), found.get(f"{runtime}-int8"))
    return [*cells, f"{report.seconds:.0f}"]


def compared(fp32: CandidateFacts | None, int8: CandidateFacts | None) -> list[str]:
    """Latency in fp32, how many times as fast INT8 is, the same answers, and the multiply-adds that ran in INT8."""
    return [latency(fp32), times(fp32, int8), same(int8), share(int8)]


def latency(facts: CandidateFacts | None) -> str:
    return f"{facts.latency.p50_ms.estimate:.2f}" if facts and facts.latency and facts.latency.p50_ms else "–"


def times(fp32: CandidateFacts | None, int8: CandidateFacts | None) -> str:
    if latency(fp32) == "–" or latency(int8) == "–":
        return "–"
    return f"{fp32.latency.p50_ms.estimate / int8.latency.p50_ms.estimate:.2f}"  # type: ignore[union-attr]


def same(facts: CandidateFacts | None) -> str:
    """Images on which INT8 is right and fp32 wrong or the other way, of all."""
    if facts is None or facts.report is None or facts.report.drop_pp is None:
        return "–"
    return f"{facts.report.lost}/{facts.report.gained} of {facts.report.images}"


def share(facts: CandidateFacts | None) -> str:
    return f"{facts.residency.mac_share.get('int8', 0.0):.1%}" if facts and facts.residency else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("builds/families"))
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    heads = ["family", "network", "px", "parameters, millions"]
    for runtime in RUNTIMES:
        heads += [f"{runtime} fp32 p50 ms", "INT8 times as fast", "INT8 lost/gained", "multiply-adds that ran in INT8"]
    print("| " + " | ".join([*heads, "build s"]) + " |\n" + "| --- " * (len(heads) + 1) + "|", flush=True)
    for spec in least_of_each_family():
        if not asked.only or spec.name in asked.only.split(","):
            report = built(spec, asked)
            cells = [spec.family, spec.name, report] if isinstance(report, str) else row(spec, report)
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

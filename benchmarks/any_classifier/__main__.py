"""Makes other tools' files, builds with each of them and with what else people bring, checks the bundles, and prints a row each.

    python -m benchmarks.any_classifier PHOTOGRAPHS [--work any] [--keras PYTHON] [--olive PYTHON] [--optimum PYTHON]
        [--tools PYTHON] [--only NAME,…]

PHOTOGRAPHS has ``train/`` and ``validation/`` with a sub-folder a class, pants, shoes and t-shirt among them. A file that is
there is not made again, and a build that is there is read. Each maker runs in the Python that has its library; see README.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.any_classifier.images import written
from edgecnn.results.folder import read_report
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Interval

MAKERS = Path(__file__).parent / "makers"
OLIVE = Path(__file__).parents[1] / "ladder/olive_pass.py"
HEADS = (
    "build",
    "fp32 top-1 or mAP",
    "ships",
    "INT8 drop, pp: ONNX Runtime; OpenVINO",
    "verdict",
    "kits that pass their self-test",
    "s",
)


class Made(NamedTuple):
    """A build, and what makes its file; ``python`` names the option whose interpreter does."""

    name: str
    title: str
    images: str
    words: tuple[str, ...] = ()
    maker: str = ""
    python: str = "tools"


SQUARE = "model.resolution_px=128"
FEW = ("--arch", "efficientnet-lite0", "--transfer", "head", "--set", SQUARE)
LABELS = ("--arch", "mobilenet-v3-small", "--weights", "none", "--group-by", "pool", "--max", "map_drop_pp=1")
BUILDS = (
    Made("keras", "Keras by tf2onnx, grey, channels last", "grey", maker="keras_file.py", python="keras"),
    Made("sklearn", "scikit-learn's scaler and perceptron by skl2onnx", "grey", maker="sklearn_file.py"),
    Made("scaler", "scikit-learn's scaler before a network of torch", "grey", maker="torch_files.py"),
    Made("torchscript-exporter", "torchvision by torch, `dynamo=False`", "photographs", maker="torch_files.py"),
    Made("dynamo-exporter", "the same, `dynamo=True`", "photographs", maker="torch_files.py"),
    Made("optimum", "transformers by optimum, all sizes open", "photographs", ("--set", SQUARE), "torch_files.py", "optimum"),
    Made("timm", "timm by torch, open batch", "photographs", maker="torch_files.py"),
    Made("olive", "the same, quantized by Olive", "photographs", maker="olive", python="olive"),
    Made("orientation", "PaddleOCR's text orientation, 3 × 48 × 192", "lines",
         ("--set", "model.resolution_px=48x192"), maker="packaged_file.py"),
    Made("labels", "three labels an image, 64 × 192, groups whole", "composed.csv",
         (*LABELS, "--set", "model.resolution_px=64x192", "--set", "train.epochs=30")),
    Made("few", "400 photographs, one split", "few", FEW),
    Made("folds", "the same, five folds", "few", (*FEW, "--set", "train.folds=5")),
)  # fmt: skip


def file_of(build: Made, work: Path, python: str) -> Path:
    """Of the network, made if need be."""
    file = work / f"{build.name}.onnx"
    if not file.is_file():
        command = [python, str(MAKERS / build.maker), build.name, str(work)]
        if build.maker == "olive":
            command = [python, str(OLIVE), str(work / "timm.onnx"), str(work / "timm-calibration.npy"), str(file)]
        with (work / f"{build.name}.maker.log").open("w") as log:
            subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    return file


def built(build: Made, work: Path, python: str) -> str:
    """Its row, or why there is none."""
    out = work / "builds" / build.name
    words = ["--data", str(work / build.images), "--target", "cpu", "--out", str(out), *build.words]
    if build.maker:
        words += ["--model", str(file_of(build, work, python))]
    if not (out / "report.json").is_file():
        with (work / f"{build.name}.log").open("w") as log:
            done = subprocess.run([sys.executable, "-m", "edgecnn", "build", *words], stdout=log, stderr=subprocess.STDOUT)
        if done.returncode not in (0, 1, 3, 4):
            return f"| {build.title} | exit status {done.returncode}: see {build.name}.log |"
    return row(build, read_report(out), checked(out))


def checked(out: Path) -> str:
    """The bundle is verified, and each of its kits that can answers its golden images."""
    verified = subprocess.run([sys.executable, "-m", "edgecnn", "verify", str(out)], capture_output=True)
    kits = sorted(path.parent for path in out.glob("bundle/kits/*/kit.json"))
    runs = [subprocess.run([sys.executable, "-B", "-m", "runner", "selftest"], cwd=kit, capture_output=True) for kit in kits]
    shown = f"{sum(run.returncode == 0 for run in runs)} of {len(kits)}"
    return shown if verified.returncode == 0 else f"{shown}, but verify: {verified.returncode}"


def row(build: Made, report: BuildReport, passed: str) -> str:
    facts_by_id = {facts.candidate.id: facts for facts in report.candidates}
    first = (
        next((candidate.answered for candidate in report.candidates if candidate.is_baseline), None)
        or report.candidates[0].answered
    )
    drops = "; ".join(drop(facts_by_id.get(f"{runtime}-int8")) for runtime in ("onnxruntime", "openvino"))
    share = "–" if first is None else f"{spread(first.share, 100)} % of {first.images}"
    ships = f"{report.choice.candidate} ({report.choice.state})"
    return f"| {' | '.join((build.title, share, ships, drops, report.verdict.value, passed, f'{report.seconds:.0f}'))} |"


def drop(facts: CandidateFacts | None) -> str:
    answered = facts.answered if facts else None
    return "–" if answered is None or answered.drop_pp is None else spread(answered.drop_pp, 1, "+", 2)


def spread(interval: Interval, times: float, sign: str = "", places: int = 1) -> str:
    low, high = ("–" if bound is None else f"{bound * times:{sign}.{places}f}" for bound in (interval.low, interval.high))
    return f"{interval.estimate * times:{sign}.{places}f} [{low}, {high}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--work", type=Path, default=Path("any"))
    for library in ("keras", "olive", "optimum", "tools"):
        parser.add_argument(f"--{library}", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    work = options.work.resolve()
    written(options.photographs, work)
    print(f"| {' | '.join(HEADS)} |\n{'| --- ' * len(HEADS)}|", flush=True)
    for build in BUILDS:
        if not options.only or build.name in options.only.split(","):
            print(built(build, work, getattr(options, build.python)), flush=True)


if __name__ == "__main__":
    main()

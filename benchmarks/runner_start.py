"""What the runner adds to its runtime's import, and a first answer through it to one by hand: the bound is 0.3 s.

Fresh processes of both kinds, in an order drawn anew each round. *Import* is NumPy, Pillow and the runtime in both; ours has
every module of ``Classifier`` too. *First answer* goes on to the labels of the kit's golden photograph: ours compares every file
of the kit with its digest on the way. Run from the checkout:

    python -m benchmarks.runner_start KIT [ROUNDS]

KIT is the folder of a kit for ONNX Runtime or OpenVINO.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
from pathlib import Path

from edgecnn.runner.runs.processes import clean_environment

LIBRARIES = {"onnxruntime_cpu": "onnxruntime", "openvino_cpu": "openvino"}
BARE_IMPORT = "import numpy, PIL.Image, {library}"
OUR_IMPORT = "import numpy, PIL.Image, {library}\nfrom runner.classifier import Classifier\nimport runner.sessions.{module}"
ANSWER = "\nClassifier({kit!r}).predict({photo!r})"
BARE_ANSWERS = {
    "onnxruntime": "\nfrom benchmarks.bare_classifier import OnnxRuntimeScript as Script\nScript({kit!r}).predict({photo!r})",
    "openvino": "\nfrom benchmarks.bare_classifier import OpenVinoScript as Script\nScript({kit!r}).predict({photo!r})",
}
TIMED = "import time\nbegan = time.perf_counter()\n{script}\nprint(time.perf_counter() - began)"


def seconds_of(script: str, kit: Path) -> float:
    """Of the script, in a process of its own, without the interpreter's start."""
    environment = clean_environment(kit)
    environment["PYTHONPATH"] += f":{Path(__file__).parents[1]}"
    command = [sys.executable, "-c", TIMED.format(script=script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=kit, env=environment)
    return float(done.stdout.split()[-1])


def scripts(kit: Path) -> dict[str, str]:
    """Name to what a process does."""
    module = json.loads((kit / "kit.json").read_text())["session"]["module"]
    library = LIBRARIES[module]
    named = {"library": library, "module": module, "kit": str(kit), "photo": str(kit / "golden" / "photo.jpg")}
    bare, ours = BARE_IMPORT.format(**named), OUR_IMPORT.format(**named)
    answer = BARE_ANSWERS[library]
    return {
        "import, bare": bare,
        "import, ours": ours,
        "first answer, bare": bare + answer.format(**named),
        "first answer, ours": ours + ANSWER.format(**named),
    }


def spread_ms(seconds: list[float]) -> str:
    """Median, least and most, in milliseconds."""
    return f"median {1000 * statistics.median(seconds):.0f} ms, {1000 * min(seconds):.0f} to {1000 * max(seconds):.0f}"


def main(kit: str, rounds: str = "20") -> None:
    folder = Path(kit).resolve()
    wanted = scripts(folder)
    took: dict[str, list[float]] = {name: [] for name in wanted}
    for _ in range(int(rounds)):
        for name in random.sample(list(wanted), len(wanted)):
            took[name].append(seconds_of(wanted[name], folder))
    for name, seconds in took.items():
        print(
            f"{name}: median {1000 * statistics.median(seconds):.0f} ms, {1000 * min(seconds):.0f} to {1000 * max(seconds):.0f}"
        )
    for what in ("import", "first answer"):
        added = [ours - bare for ours, bare in zip(took[f"{what}, ours"], took[f"{what}, bare"], strict=True)]
        print(f"{what}: ours adds {spread_ms(added)}")


if __name__ == "__main__":
    main(*sys.argv[1:])

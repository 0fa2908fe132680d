"""Our latency beside OpenVINO's own ``benchmark_app``, on the same IR in interleaved fresh processes: within 3 % is the target.

    python -m benchmarks.cross_check.openvino [NETWORK ...] [--rounds 10] [--threads 1] [--work FOLDER]

``benchmark_app`` reads the time of an infer request inside OpenVINO; ours stands around the Python call, so that handing over
the feed and copying the logits out are in it. Both compute in fp32 with the same threads; both feed float32.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.cross_check.kits import SAMPLES, SIDE, asked_for, compare, exported, harness_ms, kit_with, show
from edgecnn.runtimes.openvino import convert_trunk, save_ir

APP = "import sys; sys.modules['openvino_telemetry'] = None; from openvino.tools.benchmark.main import main; sys.exit(main())"
"""What the program ``benchmark_app`` runs, reporting to nobody; see ``edgecnn.runtimes.openvino``."""


def intermediate(onnx: Path) -> Path:
    """The IR beside the ONNX file, for one image."""
    path = onnx.with_suffix(".xml")
    if not path.is_file():
        model = convert_trunk(onnx)
        model.reshape([1, 3, SIDE, SIDE])
        save_ir(model, path)
    return path


def benchmark_app_ms(model: Path, threads: int) -> float:
    """The median that it prints, in hundredths of a millisecond."""
    command = [
        sys.executable, "-c", APP, "-m", str(model), "-d", "CPU", "-hint", "none", "-nstreams", "1", "-api", "sync",
        "-nthreads", str(threads), "-niter", str(SAMPLES), "-infer_precision", "f32", "-ip", "f32",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    match = re.search(r"Median:\s+([\d.]+) ms", done.stdout)
    if match is None:
        raise SystemExit(f"benchmark_app said no median:\n{done.stdout}")
    return float(match[1])


def main() -> None:
    options = asked_for(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        work = options.work or scratch
        work.mkdir(parents=True, exist_ok=True)
        compared = []
        for arch in options.networks:
            model = intermediate(exported(arch, work))
            ours = partial(harness_ms, kit_with(scratch, "openvino", options.threads, model, model.with_suffix(".bin")), scratch)
            compared.append(compare(arch, ours, partial(benchmark_app_ms, model, options.threads), options.rounds))
        show(compared, "benchmark_app", "openvino", options.threads)


if __name__ == "__main__":
    main()

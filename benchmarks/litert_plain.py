"""A LiteRT kit beside what its own tools make of the same network: onnx2tf's file as it comes, and LiteRT's INT8 of that.

    python -m benchmarks.litert_plain --python ENV/bin/python [--networks mobilenet-v2 …] [--rounds 9]

Both files of a pair are called in one loop of the plain interpreter, a call of each in turns, in fresh processes; a process gives
the ratio of its medians, plain time by ours. The interval is the signed-rank one of these ratios; its lower end is to stay at
0.97 or more.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.runtimes import CLASSES, DEVICE, NETWORKS, SIDE_PX
from edgecnn.building.untrained_kits import KitMaker
from edgecnn.devices.check.board import BoardUse
from edgecnn.devices.files import device_named
from edgecnn.devices.machine import machine_for
from edgecnn.judging.intervals import ratio_interval
from edgecnn.planning.candidates import candidates_of
from edgecnn.render.progress import PlainLines
from edgecnn.store.store import Store
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.fit import Probe
from edgecnn.values.recipe import Recipe

PLAIN = """
import sys, onnx, onnx2tf
from litert_quantizer import quantizer, recipe
from ai_edge_litert.interpreter import Interpreter
import numpy as np
source, folder, feed = sys.argv[1:]
onnx2tf.convert(input_onnx_file_path=source, output_folder_path=folder, non_verbose=True, verbosity="error")
whole = folder + "/model_float32.tflite"
pictures = np.load(feed)
(key, ends), *_ = Interpreter(whole).get_signature_list().items()
work = quantizer.Quantizer(whole)
work.load_quantization_recipe(recipe.static_wi8_ai8())
work.quantize(work.calibrate({key: [{ends["inputs"][0]: each[None]} for each in pictures]})).export_model(folder + "/int8.tflite")
"""
TIMED = """
import sys, time, json, statistics
import numpy as np
from ai_edge_litert.interpreter import Interpreter
def opened(path, threads):
    network = Interpreter(path, num_threads=threads)
    (given,) = network.get_input_details()
    if given["shape"][0] != 1: network.resize_tensor_input(given["index"], [1, *given["shape"][1:]])
    network.allocate_tensors()
    network.set_tensor(given["index"], np.zeros([1, *given["shape"][1:]], given["dtype"]))
    return network
networks = [opened(path, int(sys.argv[1])) for path in sys.argv[2:]]
spent = [[] for _ in networks]
end = time.perf_counter() + 3
while time.perf_counter() < end:
    for network, times in zip(networks, spent):
        begin = time.perf_counter(); network.invoke(); times.append(time.perf_counter() - begin)
print(json.dumps([statistics.median(each[len(each) // 4:]) * 1000 for each in spent]))
"""


def main() -> None:
    """A line for each network and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--python", required=True, help="a Python that has onnx2tf, litert-quantizer and ai-edge-litert")
    options = parser.parse_args()
    tell, device, python = PlainLines(), device_named(DEVICE), options.python
    recipe = Recipe.model_validate({"target": {"device": DEVICE, "runtime": Runtime.LITERT}})
    with (
        machine_for(None, BoardUse(device, "benchmarks.litert_plain"), tell) as machine,
        tempfile.TemporaryDirectory() as scratch,
    ):
        lab, kinds = machine.lab(Store.open(), tell, device.name), candidates_of(device, recipe, machine.facts)[0]
        maker = KitMaker(lab.store, tell, lab.environment.conditions)
        for name in options.networks:
            probe = Probe(arch=name, resolution_px=SIDE_PX, classes=CLASSES)
            made, trunk = maker.kits(probe, kinds).made, maker._probe_artifact(probe).folder
            feed, place = Path(scratch, f"{name}.npy"), Path(scratch, name)
            pixels = np.load(trunk / "calibration.pixels.npy")
            np.save(feed, (pixels.astype(np.float32) / 255 - 0.45) / 0.225)
            completed = subprocess.run(
                [python, "-c", PLAIN, str(trunk / "model.onnx"), str(place), str(feed)],
                check=False,
                capture_output=True,
                text=True,
            )
            failed = "" if completed.returncode == 0 else completed.stderr.strip().rpartition("\n")[2]
            plain = {Precision.FP32: str(place / "model_float32.tflite"), Precision.INT8: str(place / "int8.tflite")}
            for candidate in (kind for kind in kinds if kind.id in made and kind.runtime is Runtime.LITERT):
                pair = [plain[candidate.precision], str(made[candidate.id].folder / "model.tflite")]
                ratio = raced(python, pair, options.rounds) if Path(pair[0]).is_file() else f"plain: none is made: {failed}"
                print(f"{name:20} {candidate.id:12} {ratio}", flush=True)


def raced(python: str, pair: list[str], rounds: int) -> str:
    """Medians in ms, and how much faster ours is."""
    command = [python, "-c", TIMED, "2", *pair]
    times = [json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(rounds)]
    theirs, ours = zip(*times, strict=True)
    ratio = ratio_interval(theirs, ours)
    text = "too few rounds for an interval" if ratio is None else f"{ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
    return f"plain {statistics.median(theirs):.2f} ms, ours {statistics.median(ours):.2f} ms, plain / ours {text}"


if __name__ == "__main__":
    main()

"""Whether what must not pass is caught: a network that lost 2 points, one that lost a class, and INT8 that runs in FP32.

    python -m benchmarks.injected_faults builds/x

BUILD is a finished one on this machine with ``onnxruntime-fp32`` and ``onnxruntime-int8``. Each fault is put into a copy of a
real kit: noise on the last layer's weights until so many points are lost, a smaller bias of one class until that class loses a
fifth of its images, and ONNX Runtime told to leave Q/DQ pairs as they are. Each kit then answers, or is traced, by the runner
inside it, and is judged as any other.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgecnn.bench.subject import subject_of
from edgecnn.devices.machine import local_lab
from edgecnn.devices.this_machine import local_facts
from edgecnn.judging.accuracy import Answers, accuracy
from edgecnn.judging.gates import Circumstances, StatedBounds, gates_for, judge, parse_bounds
from edgecnn.judging.quality import quality
from edgecnn.measure.evaluate import PixelSet, evaluate, logits_of
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.residency import traced_residency
from edgecnn.render.progress import Quiet
from edgecnn.results.finished import finished_build
from edgecnn.results.origin import whole_kit
from edgecnn.store.store import Store
from edgecnn.values.report import CandidateFacts

LOST_PP = 2.0
"""Of the average, by noise."""
CLASS_LOST_PP = 20.0
"""Of one class, by its bias."""
STEPS = 14
"""Of bisection towards them."""
Change = Callable[[NDArray[Any], NDArray[Any]], None]
"""Edits the last layer's weights (classes, features) and bias (classes,) in place."""


class Bench:
    """A finished build, and its images."""

    def __init__(self, folder: Path, lab: Lab, work: Path) -> None:
        self.lab, self.work, self.made = lab, work, 0
        finished = finished_build(folder)
        subject = subject_of(finished, lab, local_facts(), builder=None)
        self.fp32 = subject.kits["onnxruntime-fp32"]
        row = next(row for row in finished.report.candidates if row.candidate.id == "onnxruntime-int8")
        int8 = whole_kit(lab.store, row.kit or "")
        if int8 is None:
            raise SystemExit("the store no longer holds the INT8 kit of this build")
        self.int8 = KitRef.of(row.candidate, int8)
        macs, place = subject.macs(self.fp32.candidate), subject.prepared
        if macs is None or place is None:
            raise SystemExit("the store no longer holds the network and the images of this build")
        self.macs = macs
        self.labels: NDArray[Any] = np.load(place / "test.labels.npy", allow_pickle=False)
        self.pixels = PixelSet(
            split="test", file=place / "test.pixels.npy", images=len(self.labels),
            sha256=json.loads((place / "pixels.json").read_text())["test"],
        )  # fmt: skip
        self.names = tuple(self.fp32.manifest["labels"])
        self.baseline = self.answers(self.fp32)

    def copy(self, kit: KitRef) -> Path:
        """A kit of its own, to be broken."""
        self.made += 1
        return Path(shutil.copytree(kit.folder, self.work / str(self.made), ignore=shutil.ignore_patterns("__pycache__")))

    def answers(self, kit: KitRef) -> Answers:
        """As its runner gives them."""
        stored = evaluate(kit, self.pixels, self.lab)
        return Answers(
            candidate=kit.candidate.id, logits=np.asarray(logits_of(stored)), pixels=self.pixels.sha256, machine=self.lab.machine
        )

    def damaged(self, change: Change) -> tuple[CandidateFacts, NDArray[Any]]:
        """A copy with another last layer: what is known of it, and points lost by class."""
        place = self.copy(self.fp32)
        path = place / self.fp32.manifest["model"]["entry"]
        model = onnx.load(path)
        layer = next(node for node in reversed(model.graph.node) if node.op_type == "Gemm")
        tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        weights, bias = (numpy_helper.to_array(tensors[name]).copy() for name in layer.input[1:3])
        change(weights if len(weights) == len(self.names) else weights.T, bias)
        for name, value in zip(layer.input[1:3], (weights, bias), strict=True):
            tensors[name].CopyFrom(numpy_helper.from_array(value, name))
        onnx.save(model, path)
        answers = self.answers(resealed(place, str(path.relative_to(place))))
        drop = accuracy(answers, self.labels, "test", self.baseline)
        beyond = quality(answers, self.labels, self.names, self.baseline)
        right = answers.logits.argmax(axis=1) == self.labels
        was = self.baseline.logits.argmax(axis=1) == self.labels
        lost = [
            100 * float(was[self.labels == label].mean() - right[self.labels == label].mean()) for label in range(len(self.names))
        ]
        facts = CandidateFacts(candidate=self.fp32.candidate, test=drop.model_copy(update={"quality": beyond}))
        return facts, np.asarray(lost)


def resealed(place: Path, *edited: str) -> KitRef:
    """The edited kit as its packager would have closed it."""
    manifest = json.loads((place / "kit.json").read_text())
    for name in edited:
        content = (place / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (place / "kit.json").write_text(json.dumps(manifest))
    return KitRef.at(place)


def bisected(lost_at: Callable[[float], tuple[CandidateFacts, float]], wanted: float, high: float) -> CandidateFacts:
    """The facts where about so much was lost; the loss grows with the size of the fault.

    Raises:
        SystemExit: it was not found, so that nothing could be said of a loss of this size.
    """
    low = 0.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        facts, lost = lost_at(middle)
        if abs(lost - wanted) < 0.05 * wanted:
            return facts
        low, high = (middle, high) if lost < wanted else (low, middle)
    raise SystemExit(f"no fault was found that loses {wanted:g} pp: the last one lost {lost:.2f}")


def noisy(bench: Bench) -> CandidateFacts:
    """2 points lost, spread over all classes."""

    def lost_at(size: float) -> tuple[CandidateFacts, float]:
        def change(weights: NDArray[Any], bias: NDArray[Any]) -> None:
            noise = np.random.default_rng(0).standard_normal(weights.shape)  # the same every time, so that only its size changes
            weights += (size * weights.std() * noise).astype(weights.dtype)

        facts, _ = bench.damaged(change)
        assert facts.test is not None and facts.test.drop_pp is not None
        return facts, facts.test.drop_pp.estimate

    return bisected(lost_at, LOST_PP, high=64.0)


def one_class(bench: Bench, which: int = 0) -> CandidateFacts:
    """A fifth of one class lost, most of it out of sight in the average."""

    def lost_at(size: float) -> tuple[CandidateFacts, float]:
        def change(weights: NDArray[Any], bias: NDArray[Any]) -> None:
            bias[which] -= size

        facts, lost = bench.damaged(change)
        return facts, float(lost[which])

    return bisected(lost_at, CLASS_LOST_PP, high=16.0)


def fallen_back(bench: Bench) -> CandidateFacts:
    """INT8 by name: the runtime was told not to fuse what stands between Q and DQ."""
    place = bench.copy(bench.int8)
    manifest = json.loads((place / "kit.json").read_text())
    manifest["session"]["options"]["session.disable_quant_qdq"] = "1"
    (place / "kit.json").write_text(json.dumps(manifest))
    residency = traced_residency(resealed(place), bench.macs, bench.lab).residency
    return CandidateFacts(candidate=bench.int8.candidate, residency=residency)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    options = parser.parse_args()
    print("| fault | gate | verdict | reason |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(options.build, local_lab(Store.open(), Quiet()), Path(work))
        intact = traced_residency(bench.int8, bench.macs, bench.lab).residency
        as_it_ships = CandidateFacts(candidate=bench.int8.candidate, residency=intact)
        share = parse_bounds((), ("int8_mac_share=0.95",))
        rows = (
            ("2 points lost", noisy(bench), parse_bounds(("drop_pp=1",), ())),
            ("a fifth of one class lost", one_class(bench), parse_bounds(("drop_pp=4", "worst_class_drop_pp=10"), ())),
            ("none: INT8 as it ships", as_it_ships, share),
            ("INT8 falls back to fp32", fallen_back(bench), share),
        )
        for fault, facts, bounds in rows:
            for gate in gates_for(StatedBounds(bounds), Circumstances()):
                verdict = judge(gate, facts)
                bound = f"{gate.metric} {'≤' if gate.side == 'max' else '≥'} {gate.bound:g}"
                print(f"| {fault} | {bound} | {verdict.verdict.value} | {verdict.reason} |", flush=True)
            named = facts.test.quality.classes.shown() if facts.test is not None and facts.test.quality is not None else ()
            for name in named:
                print(f"| {fault} | classes | named | {name.name}: {name.drop_pp.estimate if name.drop_pp else 0:.1f} pp |")


if __name__ == "__main__":
    main()

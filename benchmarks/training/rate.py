"""Images a second that training learns from, beside torchvision's reference loop on the same network and photographs.

    python -m benchmarks.training.rate [FOLDER] [--arch efficientnet-lite0] [--side 224] [--batch 32] [--images 256] [--rounds 12]
    python -m benchmarks.training.rate --only decode,phase1

Each way is a process of its own, which keeps its network and its memory, and learns from one epoch when it is its turn; in each
round every way has one turn, in an order drawn anew. Ratios are of a round's rates, with the signed-rank interval that reports
use: ours / reference, to stay at 0.97 or more; ours on photographs / ours on one batch that lies ready, to stay at 0.95 or more.
What is timed of ours is the epoch of ``training/loop.py``: batches from the kept squares, crops, mirror images, the step and the
running average. Beside it stand the step alone by memory order and precision, ways of decoding, and the first phase of
fine-tuning (features and head of 3,000 photographs, to take 60 s at most). Without FOLDER it draws photographs of 256 px.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch

from benchmarks.decode_rate import Quiet
from benchmarks.training import reference
from benchmarks.training.parts import PHASE1_IMAGES, decode, phase1
from benchmarks.training.scene import AUGMENT, CLASSES, Scene, drawn
from edgecnn.data.manifest import summarize
from edgecnn.judging.intervals import ratio_interval
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import head_of
from edgecnn.training import batches, loop
from edgecnn.training.batches import Batch
from edgecnn.training.checkpoint import TrainingState
from edgecnn.training.material import Material
from edgecnn.training.process import repeatable
from edgecnn.training.schedule import Phase
from edgecnn.training.settings import training_threads
from edgecnn.values.recipe import DataChoice

PARTS = ("ways", "steps", "decode", "phase1")


def ours(scene: Scene, *, ready: bool) -> Callable[[], int]:
    """An epoch of ``training/loop.py``; ``ready``: of one batch, again and again, in place of what the loader makes."""
    options, network = scene.options, scene.network().to(memory_format=torch.channels_last)
    phase = Phase(
        name="rate", sizes_px=(options.side,), shipped_px=options.side + 1, batch_size=options.batch, peak_rate=0.01,
        warmup_share=0.1, weight_decay=1e-4, label_smoothing=0.1, augment=AUGMENT, average_decay=0.98,
        frozen_statistics=False, patience=5, seed=0,
        optimizer="sgd",
    )  # fmt: skip # another shipped size: such epochs, which progressive training has, are not judged
    optimizer = loop._optimizer(network, head_of(network, arch_named(options.arch)), phase)
    moving = TrainingState(network, copy.deepcopy(network), optimizer)
    material = Material(scene.squares(), scene.validation(), scene.folder, Quiet(), max(CLASSES, len(scene.source.classes)))
    batch = scene.one_batch()

    def turn() -> int:
        with repeatable(training_threads()), stand_in(batch if ready else None):
            loop._epoch(moving, phase, material, 0, 0)
        return len(material.decoded)

    return turn


@contextmanager
def stand_in(batch: Batch | None) -> Iterator[None]:
    if batch is None:
        yield
        return
    with mock.patch.object(batches, "shown", lambda material, what, draw, frame: Batch(*(t[: len(what[0])] for t in batch))):
        yield


def theirs(scene: Scene, *, ready: bool) -> Callable[[], int]:
    """torchvision's loop; ``ready``: on one batch."""
    options, network = scene.options, scene.network()
    torch.set_num_threads(training_threads())
    optimizer = reference.sgd(network)
    photographs = reference.Photographs(scene.files, [entry.label for entry in scene.entries], options.side)
    batches = reference.batches_of(photographs, options.batch, workers=training_threads())
    one = scene.one_batch()
    repeated = [(one.images.contiguous(), one.labels)] * (len(scene.entries) // options.batch)
    return lambda: reference.train_one_epoch(network, optimizer, repeated if ready else batches)


WAYS: dict[str, Callable[[Scene], Callable[[], int]]] = {
    "ours": lambda scene: ours(scene, ready=False),
    "ours, batch ready": lambda scene: ours(scene, ready=True),
    "reference": lambda scene: theirs(scene, ready=False),
    "reference, batch ready": lambda scene: theirs(scene, ready=True),
}
HELD = (("ours", "reference", 0.97), ("ours", "ours, batch ready", 0.95), ("ours, batch ready", "reference, batch ready", 0.97))


def serve(way: str, options: argparse.Namespace) -> None:
    """A line in, an epoch, and its images a second out."""
    turn = WAYS[way](Scene(options))
    turn()
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        images = turn()
        print(images / (time.perf_counter() - began), flush=True)


def race(options: argparse.Namespace) -> None:
    encoded = json.dumps(vars(options))
    opened = {}
    for name in WAYS:
        command = [sys.executable, "-m", "benchmarks.training.rate", "--serve", name, "--given", encoded]
        opened[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for name, process in opened.items():
        assert process.stdout is not None and process.stdout.readline() == "ready\n", name
        print(f"{name} is ready", file=sys.stderr)
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        for name in random.sample(list(WAYS), len(WAYS)):
            rates[name].append(rate_of(opened[name]))
    for process in opened.values():
        process.communicate()
    for name, rate in rates.items():
        print(f"{name:24} {statistics.median(rate):8.1f} images/s")
    for first, second, least in HELD:
        ratio = ratio_interval(rates[first], rates[second])
        text = f"{ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] (98 %)" if ratio else "too few rounds for an interval"
        print(f"{first} / {second}: {text}, to stay at {least} or more")


def rate_of(process: subprocess.Popen[str]) -> float:
    """Images a second of one more epoch."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def steps(options: argparse.Namespace) -> None:
    """The step alone, in the process settings that training has."""
    scene = Scene(options)
    one, count = scene.one_batch(), max(1, options.images // options.batch)
    kinds = [(order, bf16) for order in (torch.contiguous_format, torch.channels_last) for bf16 in (False, True)]
    network = scene.network()
    rates: dict[tuple[torch.memory_format, bool], list[float]] = {kind: [] for kind in kinds}
    with repeatable(training_threads()):
        for number in range(options.rounds + 1):
            for order, bf16 in random.sample(kinds, len(kinds)):
                held = network.to(memory_format=order), one.images.contiguous(memory_format=order), one.labels
                seconds = reference.step_seconds(*held, count if number else 1, bf16=bf16)
                rates[order, bf16] += [count * options.batch / seconds] if number else []
    for (order, bf16), rate in rates.items():
        ratio = ratio_interval(rate, rates[kinds[0]])
        beside = f", {ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] of the first" if ratio else ""
        name = f"{'bf16' if bf16 else 'fp32'}, {str(order).removeprefix('torch.').removesuffix('_format').replace('_', '-')}"
        print(f"step in {name:24} {statistics.median(rate):8.1f} images/s{beside}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--arch", default="efficientnet-lite0")
    for name, value in (("side", 224), ("batch", 32), ("images", 256), ("rounds", 12)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--only", default=",".join(PARTS), help="some of " + ", ".join(PARTS))
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--given", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, argparse.Namespace(**json.loads(options.given)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        only = options.only.split(",")
        folder = options.folder or drawn(Path(scratch), max(options.images, PHASE1_IMAGES if "phase1" in only else 0) * 2)
        summary = summarize(DataChoice(path=str(folder)), Path(scratch) / "store", Quiet())
        options.scratch, options.manifest, options.root, options.folder = (
            scratch,
            summary.manifest_path,
            str(summary.root),
            str(folder),
        )
        for name, part in (("ways", race), ("steps", steps), ("decode", decode), ("phase1", phase1)):
            if name in only:
                part(options)


if __name__ == "__main__":
    main()

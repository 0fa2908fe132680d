"""What is said of images and machines that were looked at: roles, oddities, unusable files, what the doctor found."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from edgecnn.data.inspection import inspect
from edgecnn.data.manifest import summarize
from edgecnn.devices.check.board import ReachedBoard, check_machine
from edgecnn.devices.check.reading import facts_of
from edgecnn.devices.desktop_gpu import REFERENCE, VARIANTS, cuda_gap, describe_candidate
from edgecnn.devices.doctor.examine import device_facts, gpu_fact
from edgecnn.devices.doctor.facts import State
from edgecnn.values.dataset import DataInspection
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, draw, fill, write
from tests.data.test_group_roles import assigned as of_groups
from tests.data.test_group_roles import grouping, people, pictured
from tests.data.test_near_duplicates import encoded, scene
from tests.data.test_splits import assigned, images, many_classes
from tests.devices.check.recorded import RASPBERRY_PI_5, recorded
from tests.devices.doctor.test_attached import H200, machine, parts
from tests.surfaces.pinned import Surface, sections

TWO = {"cat": 8, "dog": 8}


def roles(folder: Path) -> str:
    """Which folder became which role, and what groups did to the shares."""
    split = images("train", (1100, 1100, 1100)) + images("validation", (5, 5, 5), 10_000) + images("test", (4, 4, 4), 20_000)
    shown = {
        "split folders": assigned(split).sentence({"train": "train", "validation": "val", "test": "test"}, 30),
        "no split folders": assigned(images("train", (20, 20, 20))).sentence({}, 400),
        "too few for every role": many_classes([1] * 100).sentence({}, 30),
        "groups": grouping(of_groups([*people(10), *pictured(None, [1, 0, 0], start=500)])).sentence,
    }
    photos = fill(folder / "photos", {"train/cat": 8, "train/dog": 8})
    draw(photos / "test" / "1.png", 99)
    shown["not used"] = summarize(DataChoice(path=str(photos)), folder / "store", Heard()).splits_from
    return sections(shown)


def oddities(folder: Path) -> str:
    """Every kind of finding of an inspection once."""
    made: Mapping[str, Path] = {name: fill(folder / name, TWO) for name in ("alike", "files", "stored", "skipped")}
    write(made["alike"] / "cat/x.jpg", encoded(scene(5)))
    write(made["alike"] / "dog/y.jpg", encoded(scene(5), quality=40))
    shutil.copy2(made["alike"] / "cat/000.png", made["alike"] / "cat/copy.png")
    shutil.copy2(made["alike"] / "cat/001.png", made["alike"] / "dog/cat.png")
    write(made["files"] / "cat/notes.txt", b"buy film")
    write(made["files"] / "cat/none.jpg", b"")
    write(made["files"] / "dog/half.jpg", encoded(scene(6))[:-200])
    write(made["files"] / "cat/pointer.jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    (made["files"] / "dog/self.png").symlink_to("self.png")
    shutil.copy(made["files"] / "cat/000.png", os.fsencode(made["files"] / "cat") + b"/caf\xe9.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    write(made["stored"] / "cat/turned.jpg", encoded(scene(1), exif=exif))
    write(made["stored"] / "dog/clear.png", encoded(Image.new("RGBA", (9, 9), (1, 2, 3, 40)), "PNG"))
    write(made["stored"] / "dog/moving.gif", encoded(scene(6), "GIF", save_all=True, append_images=[scene(7)]))
    wide = Image.fromarray(np.linspace(0, 3999, 900).reshape(30, 30).astype(np.uint16))
    write(made["stored"] / "dog/wide.png", encoded(wide, "PNG"))
    draw(made["stored"] / "cat/dot.png", 99, (1, 1))
    for name in (".NET shirt/1.png", "cat/@eaDir/1.png/THUMB.jpg", "dog/@eaDir/2.png/THUMB.jpg", "stray.png"):
        draw(made["skipped"] / name, len(name))
    small = fill(folder / "small", {"cat": 9, "dog": 9, "dogs": 1})
    leaking = fill(folder / "leaking", {"train/cat": 6, "train/dog": 6, "test/cat": 2, "test/dog": 2})
    write(leaking / "train/cat/x.jpg", encoded(scene(5)))
    write(leaking / "test/cat/y.jpg", encoded(scene(5), quality=40))
    marked = fill(folder / "marked", {"dog": 8, "fox": 8})
    for number in range(8):
        draw(marked / f"cat/{number}.jpg", 100 + number)
    shown = {**made, "small": small, "leaking": leaking, "marked": marked}
    store = folder / "store"
    facts = {name: inspect(DataChoice(path=str(path)), store, Heard()).facts for name, path in shown.items()}
    return sections({name: _findings(fact) for name, fact in facts.items()})


def _findings(facts: DataInspection) -> str:
    lines = [f"{finding.kind}: {finding.sentence}" for finding in facts.findings]
    return "\n".join([*lines, *(f"unusable: {problem.path}: {problem.why}" for problem in facts.unreadable)])


def doctor_findings(_: Path) -> str:
    """A GPU and devices as the doctor finds them, and how a desktop GPU runs a network."""
    ran, failed = {"model": H200, "why": None}, {"model": H200, "why": "CUDA error: out of memory"}
    gpus = (
        gpu_fact((), (), parts(train=State.WORKS)), gpu_fact((), (), parts()),
        gpu_fact((H200,), (ran,), parts(train=State.WORKS)),
        gpu_fact((H200,), (failed,), parts(train=State.WORKS)), gpu_fact((H200,), (), parts(tensorrt=State.WORKS)),
        gpu_fact((H200,), (), parts()),
    )  # fmt: skip
    names = ("cpu", "intel-cpu-avx2", "jetson-nano", "jetson-orin-nano", "jetson-xavier-nx", "raspberry-pi-5", "rtx-4090")
    facts = device_facts(machine(cpu_vendor="GenuineIntel"), parts(openvino=State.WORKS), gpus[1])
    devices = [f"{fact.name}: {fact.state.value}: {fact.found} ({fact.hint})" for fact in facts if fact.name in names]
    return sections(
        {
            "gpu": "\n".join(f"{fact.state.value}: {fact.found} ({fact.hint})" for fact in gpus),
            "devices": "\n".join(devices),
            "desktop GPU": "\n".join(f"{variant.id}: {describe_candidate(variant)}" for variant in (REFERENCE, *VARIANTS)),
            "driver": f"{cuda_gap('13.0', (12, 4))}\n{cuda_gap('', (13, 0))}",
        }
    )


def another_machine(_: Path) -> str:
    """What a device file says otherwise than the machine: a Raspberry Pi 4 under the file of a Raspberry Pi 5."""
    from edgecnn.devices.files import device_named

    model = {"files": {"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0", "proc/meminfo": "MemTotal: 3884000 kB\n"}}
    board = ReachedBoard("pi@board", facts_of(recorded(RASPBERRY_PI_5, model, cores=2)), None, "python3")
    return "\n".join(check_machine(board, device_named("raspberry-pi-5")).differences)


SURFACES: dict[str, Surface] = {
    "sentence/data-roles": roles,
    "sentence/data-findings": oddities,
    "sentence/doctor-findings": doctor_findings,
    "sentence/device-differences": another_machine,
}

"""The other screens and pages, each from facts that a test of its room makes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from unittest import mock

from typer.testing import CliRunner

from edgecnn.building.build import PlannedBuild, PlannedStep
from edgecnn.cli.main import app
from edgecnn.data.inspection import inspect
from edgecnn.devices.check.board import ReachedBoard, check_machine
from edgecnn.devices.check.reading import facts_of
from edgecnn.devices.files import device_named
from edgecnn.judging.gates import EffectiveGates
from edgecnn.planning.plan import plan
from edgecnn.planning.recipe_settings import Differing, RecipeDifference, RecipeSettings, Setting
from edgecnn.render.progress import PlainLines
from edgecnn.render.screens.machines import board_lines, show_doctor
from edgecnn.render.screens.planning import (
    FirstChoices,
    division_lines,
    preview_lines,
    recipe_text,
    settings_lines,
    show_difference,
    show_inspection,
    show_plan,
)
from edgecnn.render.screens.stored import show_collected, show_listing, show_verified, transfer_lines
from edgecnn.runner.messages import note, progress
from edgecnn.store.gc import GcReport, Removal
from edgecnn.store.listing import ArchiveRow, DamagedEntry, VerifyReport
from edgecnn.store.transfer import Transferred
from edgecnn.values.augmentation import AugmentationPreview, DrawnRow, Flip, PreviewedPicture
from edgecnn.values.candidate import Precision, Runtime, Unsupported
from edgecnn.values.dataset import DataDivision, ImageEntry
from edgecnn.values.recipe import DataChoice
from edgecnn.values.resolved import Attachment
from edgecnn.values.stage import Key
from tests.building.resolutions import resolved, summary
from tests.data.folders import Heard, draw, fill, write
from tests.devices.check.recorded import RASPBERRY_PI_5, recorded
from tests.judging.made import a_gate
from tests.render.test_doctor import a_report as a_doctor_report
from tests.render.test_stored import EXPORTED, a_row
from tests.surfaces.pinned import Surface, printed, sections

KEY = Key("0" * 64)


def plan_screen(_: Path) -> str:
    """Of this machine, and of a board that is not attached."""
    here = plan(resolved())
    away = plan(
        resolved(
            device=device_named("raspberry-pi-5"),
            attachment=Attachment(attached=False, why="this machine is an x86_64"),
            unsupported=(Unsupported(runtime=Runtime.OPENVINO, precision=Precision.BF16, why="the CPU has no bf16"),),
        )
    )
    why, gates = (("never made",), None), EffectiveGates(gates=(a_gate(),))
    texts = {}
    for name, made in (("cpu", here), ("raspberry-pi-5", away)):
        steps = tuple(PlannedStep(step.id, KEY, why[place % 2]) for place, step in enumerate(made.steps))
        planned = PlannedBuild(
            plan=made, steps=steps, gates=gates, test_set="it resolves ± 0.5 pp", out=Path("out"), make_seconds=(40.0, 320.0)
        )
        texts[name] = printed(lambda planned=planned: show_plan(planned))  # type: ignore[misc]
    return sections(texts)


def recipe_screens(folder: Path) -> str:
    settings = (
        Setting(key="model.arch", value="resnet-18", origin="--arch"),
        Setting(key="train.epochs", value=5, origin="default"),
        Setting(key="train.patience", value=None, origin="default"),
    )
    differing = (Differing(key="train.epochs", before=3, before_origin="file a.toml", after=None, after_origin="default"),)
    difference = RecipeDifference(before="a.toml", after="b.toml", differing=differing, same=89)
    choices = FirstChoices(arch="resnet-18", onnx=None, device="cpu", drop_pp=1.0)
    images = [ImageEntry(path=f"{n}.png", label=n % 10, role="train", sha256=KEY) for n in range(20)]
    return sections(
        {
            "show": "\n".join(settings_lines(RecipeSettings(of="demo", settings=settings))),
            "diff": printed(lambda: show_difference(difference)),
            "init": recipe_text(choices, summary(), images, device_named("cpu"), folder / "mine.toml"),
        }
    )


def inspection(folder: Path) -> str:
    """Of a folder with most of what may be odd about one."""
    photos = fill(folder / "photos", {"train/cat": 12, "train/dog": 4, "test/cat": 3, "test/dog": 3})
    write(photos / "test/cat/copy.png", (photos / "train/cat/000.png").read_bytes())
    write(photos / "train/dog/same.png", (photos / "train/cat/001.png").read_bytes())
    write(photos / "train/cat/notes.txt", b"buy film")
    draw(photos / ".hidden/1.png", 7)
    draw(photos / "train/dog/dot.png", 99, (1, 1))
    return printed(lambda: show_inspection(inspect(DataChoice(path=str(photos)), folder / "store", Heard()).facts))


def data_screens(_: Path) -> str:
    division = DataDivision(
        version="0.1.0", root="photos", out="split", seed=3, content=KEY, images={"train": 80, "validation": 10, "test": 10},
        roles={"train": 80}, roles_from="drawn by class", linked=True, skipped=("notes.txt",), copies=("b.png",),
    )  # fmt: skip
    drawn = DrawnRow(kind="flip", applied=True, values={})
    pictures = tuple(PreviewedPicture(image="a.png", class_name="cat", row=1, column=n, drawn=(drawn,)) for n in (1, 2))
    preview = AugmentationPreview(
        data="photos", resolution_px=64, seed=0, augment=(Flip(),), sheet="sheet.png", pictures=pictures, composed_rows=(2, 3)
    )
    return sections({"split": "\n".join(division_lines(division)), "preview": "\n".join(preview_lines(preview))})


def doctor(_: Path) -> str:
    return printed(lambda: show_doctor(a_doctor_report()))


def board_check(_: Path) -> str:
    """Of a new Raspberry Pi 5, held against its own device file and against another's."""
    board = ReachedBoard("pi@board", facts_of(recorded(RASPBERRY_PI_5)), None, "/usr/bin/python3")
    return sections(
        {
            name: "\n".join(board_lines(check_machine(board, device_named(name))))
            for name in ("raspberry-pi-5", "jetson-orin-nano")
        }
    )


def listed(folder: Path) -> str:
    """Some rows: a network, a device or a pipeline more is no change of the screen. Runtimes are those of this machine."""
    rows = {"archs": "resnet-*", "devices": "raspberry-pi-*", "pipelines": "ci-gate"}
    environment = {"XDG_CONFIG_HOME": str(folder)}
    return sections({name: CliRunner().invoke(app, ["list", name, rows[name]], env=environment).stdout for name in rows})


def store_screens(_: Path) -> str:
    removed = (
        Removal(what="artifact", name="artifacts/train/1", bytes=2**30, why="not used for 40.0 days"),
        *(Removal(what="blob", name=f"blobs/ab/{n}", bytes=2**20, why="no entry names it") for n in range(3)),
    )
    collected = GcReport(dry_run=False, removed=removed, busy=("artifacts/prepare/2",), freed_bytes=2**30, kept_bytes=5 * 2**20)
    damaged = (DamagedEntry(name="artifacts/train/1", why="model.onnx is missing", moved_to_trash=False),)
    verified = VerifyReport(artifacts=1, profiles=2, bytes=2**20, damaged=damaged, strays=())
    sent = {"push": Transferred(entries=3, bytes=2**20, there=2, left=("artifacts/train/1: damaged",))}
    rows = [a_row(), a_row("export", EXPORTED, inputs={"weights": "1" * 64})]
    return sections(
        {
            "list": printed(lambda: show_listing("/store", rows, [ArchiveRow(name="a", bytes=1024, used_at=None)])),
            "gc": printed(lambda: show_collected(collected)),
            "gc of young entries": printed(
                lambda: show_collected(collected.model_copy(update={"removed": (), "busy": (), "freed_bytes": 0, "recent": 2}))
            ),
            "gc --dry-run": printed(lambda: show_collected(collected.model_copy(update={"dry_run": True}))),
            "verify": printed(lambda: show_verified(verified, repaired=False)),
            "push": "\n".join(transfer_lines(sent, "s3://bucket")),
        }
    )


def progress_lines(_: Path) -> str:
    """A log's lines of a step and of epochs, at fixed seconds."""
    stream, seconds = io.StringIO(), iter((0.0, 1.9, 2.0, 7.0, 10.0))
    lines = PlainLines(stream)
    with mock.patch("time.monotonic", lambda: 100.0 + next(seconds)):
        for done in (0, 19, 20, 70, 100):
            lines.step("train", done, 100, "images")
    lines.begin("train")
    for epoch, top1 in ((1, 0.8), (2, 0.9125), (3, 0.9)):
        lines.plot("finetune", epoch, {"validation_top1": top1, "train_loss": 0.4321, "learning_rate": 0.1})
    lines.begin("aware:onnxruntime-int8")
    lines.plot("aware", 1, {"validation_top1": 0.5, "validation_recall": 0.6, "train_loss": 1.0})
    lines.note("NOT PRETRAINED: the network was silent")
    return stream.getvalue()


def runner_lines(_: Path) -> str:
    """What the program inside a kit prints while it runs, beside its results."""

    def talk() -> None:
        progress("predicting", 1, 2, "pictures")
        note("a sentence for the record")

    return json.dumps([json.loads(line) for line in printed(talk).splitlines()], indent=1)


SURFACES: dict[str, Surface] = {
    "screen/plan": plan_screen,
    "screen/recipe": recipe_screens,
    "screen/data-inspect": inspection,
    "screen/data": data_screens,
    "screen/doctor": doctor,
    "screen/devices-check": board_check,
    "screen/list": listed,
    "screen/store": store_screens,
    "screen/progress": progress_lines,
    "screen/runner": runner_lines,
}

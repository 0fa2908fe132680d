"""A weak accuracy says how weak it is and which option helps, and the next command has this option."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.building.notices import remedy_for
from edgecnn.planning.candidates import BASELINE
from edgecnn.results.explain import next_step
from edgecnn.values.artifact import NetworkWithWeights, WeightsAnswer
from edgecnn.values.command import Command
from edgecnn.values.report import BuildReport
from edgecnn.values.verdict import Verdict
from tests.building.resolutions import resolved
from tests.building.scenes import CLASSES, IMAGES, Staging, a_report_of, a_request

LABELS = np.arange(IMAGES) % CLASSES
LITE = NetworkWithWeights(arch="efficientnet-lite0", top1=0.75, macs=385, instead_of_top1=0.7, instead_of_macs=300)
SILENT = WeightsAnswer(choice="auto", kind="none", why="the network was silent", alternative=LITE)
DECLINED = SILENT.model_copy(update={"choice": "none"})


def a_report_with(folder: Path, share: float, *, never: int = 0, **changes: object) -> BuildReport:
    """The report of a network that is right on this share, and never predicts its first ``never`` classes."""
    staged = Staging(folder, **changes)
    named = np.where(np.arange(IMAGES) < share * IMAGES, LABELS, (LABELS + 1) % CLASSES)
    named = np.where(named < never, CLASSES // 2, named)
    staged.answered(BASELINE.id, 0)
    staged.logits(BASELINE.id, np.eye(CLASSES, dtype=np.float32)[named])
    return a_report_of(staged, a_request(folder / "out", device=staged.resolved.device))


def notice(report: BuildReport) -> str | None:
    return next((line for line in report.notices if line.startswith("weak result: ")), None)


def test_weights_on_this_machine_are_named_with_the_option_that_takes_them(tmp_path: Path) -> None:
    report = a_report_with(tmp_path, 0.3, never=2, weights=SILENT)
    assert notice(report) == (
        "weak result: onnxruntime-fp32 has 24.0 % top-1; 2 of 10 classes are never recognised ('a'; 'b'); training started from "
        "random weights; pretrained weights of efficientnet-lite0 are on this machine: `--arch efficientnet-lite0`"
    )
    assert report.remedy is not None
    assert (report.remedy.cause, report.remedy.arch) == ("random-weights", "efficientnet-lite0")


@pytest.mark.parametrize("share", [0.3, 0.11])
def test_the_next_command_is_the_build_with_the_remedy(tmp_path: Path, share: float) -> None:
    """A weak network, and one at chance level."""
    parts = (("--arch", "lenet-5"), ("--target", "raspberry-pi-5"), ("--data", "photos"))
    report = a_report_with(tmp_path, share, weights=SILENT)
    report = report.model_copy(
        update={"build": report.build.model_copy(update={"called": Command(verb=("build",), parts=parts)})}
    )
    assert next_step(report) == (
        "improve",
        "edgecnn build --target raspberry-pi-5 --data photos --arch efficientnet-lite0",
    )


@pytest.mark.parametrize(
    ("changes", "cause", "options"),
    [
        ({"weights": DECLINED}, "random-weights", "--arch efficientnet-lite0 --weights auto"),
        (
            {"weights": DECLINED.model_copy(update={"alternative": LITE.model_copy(update={"arch": resolved().arch.name})})},
            "random-weights",
            "--weights imagenet",
        ),
        ({}, "short-training", "--set train.epochs=4"),
        ({"mode": "finetune"}, "short-training", "--set train.epochs=4"),
        ({"mode": "custom"}, "custom-model", ""),
        ({"mode": "kept"}, "kept-head", ""),
        ({"weights": WeightsAnswer(choice="auto", kind="package", why="installed")}, "weights-not-used", "--transfer all"),
    ],
)
def test_the_remedy_follows_from_how_the_network_began(changes: dict[str, object], cause: str, options: str) -> None:
    remedy = remedy_for(resolved().model_copy(update=changes))
    assert (remedy.cause, " ".join(word for option in remedy.options for word in option)) == (cause, options)


def test_a_remedy_replaces_the_option_that_it_changes() -> None:
    remedy = remedy_for(resolved().model_copy(update={"weights": DECLINED}))
    command = Command(verb=("build",), parts=(("--arch", "lenet-5"), ("--weights", "none"), ("--set", "train.epochs=1")))
    assert str(remedy.applied_to(command)) == "edgecnn build --set train.epochs=1 --arch efficientnet-lite0 --weights auto"
    assert remedy_for(resolved().model_copy(update={"mode": "custom"})).applied_to(command) is None


def test_of_a_good_result_nothing_is_said(tmp_path: Path) -> None:
    report = a_report_with(tmp_path, 0.9)
    assert (notice(report), report.remedy) == (None, None)


def test_at_chance_level_the_verdict_is_open_and_its_gate_stands_first(tmp_path: Path) -> None:
    staged = Staging(tmp_path)
    staged.answered(BASELINE.id, 117)
    found = a_report_of(staged, a_request(tmp_path / "out", device=staged.resolved.device))
    assert found.verdict is Verdict.UNSURE
    assert [(each.gate.metric, each.gate.stated_by, each.verdict) for each in found.gates] == [
        ("top1", "chance", Verdict.UNSURE),
        ("drop_pp", "default", Verdict.PASS),
    ]

"""What a report says of training: the weights that it began with, the parameters that came of it, and the epoch that is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgecnn.render.bundle import bundle_licences
from edgecnn.stages.trunk import NETWORK
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.layers import MacTable
from edgecnn.values.report import BuildReport
from tests.building.report.test_report import report, staged_with
from tests.building.scenes import an_artifact

FETCHED = "9" * 64
MATRIX = "transfer auto is scratch: 5,000 images a class, and a linear probe on frozen features is right on 20.0%"


def trained(tmp_path: Path, initial: str, transfer: str | None, *phases: dict[str, object], **more: object) -> BuildReport:
    """Of a build for which ImageNet's weights were fetched, whatever training then did with them."""
    why = "training starts from ImageNet-1k weights, out of torch's own cache"
    staged = staged_with(tmp_path, mode="finetune", weights=WeightsAnswer(choice="auto", kind="cached", why=why))
    history = {"phases": phases, "initial": {"kind": initial}, **more, **({} if transfer is None else {"transfer": transfer})}
    facts = {"fetch": ("weights.json", {"sha256": FETCHED}), "train": ("history.json", history)}
    for kind, (name, said) in facts.items():
        staged.execution.artifacts[kind] = an_artifact(kind, tmp_path / kind, {name: json.dumps(said)})
    macs = MacTable(resolution_px=8, layers=()).model_dump_json()
    exported = {NETWORK: '{"parameters": 41}', "macs.json": macs}
    staged.execution.artifacts["export"] = an_artifact("export", tmp_path / "export", exported)
    return report(staged)


def test_where_nothing_is_exported_parameters_are_those_that_learned(tmp_path: Path) -> None:
    staged = staged_with(tmp_path, mode="scratch")
    staged.execution.artifacts["train"] = an_artifact(
        "train", tmp_path / "train", {"history.json": '{"phases": [], "initial": {"kind": "random"}}'}
    )
    learned = {
        "body": np.ones((4, 5), np.float32),
        "norm.running_mean": np.ones(5, np.float32),
        "head": np.ones((3, 7), np.float32),
    }
    save_file(learned, staged.execution.artifacts["train"].folder / "weights.safetensors")
    assert report(staged).build.parameters == 4 * 5 + 3 * 7


def test_parameters_are_those_of_what_ships_and_not_those_of_the_catalogue_s_row(tmp_path: Path) -> None:
    assert trained(tmp_path, "pretrained", None).build.parameters == 41


def test_weights_that_were_fetched_and_not_begun_with_are_claimed_nowhere(tmp_path: Path) -> None:
    said = trained(tmp_path, "random", MATRIX)
    assert (said.build.weights, said.build.weights_sha256) == (f"random weights; {MATRIX}", None)
    assert MATRIX in said.notices, "with the figures that it was decided by"
    assert "Training began from random weights" in bundle_licences(said)


@pytest.mark.parametrize("transfer", [None, "transfer auto is head: 5 images a class"])
def test_weights_that_training_began_with_are_named(tmp_path: Path, transfer: str | None) -> None:
    said = trained(tmp_path, "pretrained", transfer)
    assert said.build.weights == "training starts from ImageNet-1k weights, out of torch's own cache"
    assert said.build.weights_sha256 == FETCHED
    assert [each for each in said.notices if each.startswith("transfer")] == ([] if transfer is None else [transfer])


HEAD = {"name": "head", "epochs": [{"epoch": 3, "validation_top1": 0.875}]}


def kept_note(report: BuildReport) -> str:
    (note,) = (notice for notice in report.notices if notice.startswith("trained: "))
    return note


def test_what_training_kept_and_why_it_ended_is_said(tmp_path: Path) -> None:
    whole = {"name": "finetune", "epochs": [{"epoch": 0, "validation_top1": 0.75}, {"epoch": 1, "validation_top1": None}]}
    best = {"phase": "head", "epoch": 3, "validation_top1": 0.875}
    note = kept_note(trained(tmp_path, "pretrained", None, HEAD, whole, best=best, stopped="in 5"))
    assert "epoch 4 of phase head" in note and "phase finetune has 75.0%" in note and note.endswith("in 5")
    none = kept_note(trained(tmp_path / "none", "pretrained", None, HEAD, {**whole, "epochs": []}, best=best, stopped="done"))
    assert "epoch 4 of phase head" in none and "finetune" not in none


def test_better_epochs_than_the_kept_one_are_said(tmp_path: Path) -> None:
    whole = {"name": "finetune", "epochs": [{"epoch": 0, "validation_top1": 0.9}, {"epoch": 1, "validation_top1": 0.85}]}
    best = {"phase": "finetune", "epoch": 1, "validation_top1": 0.85}
    note = kept_note(trained(tmp_path, "pretrained", None, HEAD, whole, best=best, stopped="all epochs done"))
    assert "epoch 2 of phase finetune, with top-1 85.0%" in note
    assert "epoch 4 of phase head has 87.5% and epoch 1 of phase finetune has 90.0%" in note


@pytest.mark.parametrize(("figure", "name"), [("validation_recall", "mean recall 50.0%"), ("validation_map", "mAP 50.0%")])
def test_the_figure_that_ranked_the_epochs_is_said(figure: str, name: str, tmp_path: Path) -> None:
    best = {"phase": "head", "epoch": 0, "validation_top1": 0.9, figure: 0.5}
    head = {"name": "head", "epochs": [{"epoch": 0, "validation_top1": 0.9, figure: 0.5}]}
    assert name in kept_note(trained(tmp_path, "pretrained", None, head, best=best, stopped="done"))


def test_a_head_that_was_fitted_in_one_step_has_no_epoch(tmp_path: Path) -> None:
    best = {"phase": "ridge", "epoch": 0, "validation_top1": 0.875}
    said = trained(tmp_path, "pretrained", None, {"name": "ridge", "epochs": []}, best=best, stopped="fitted").notices
    assert [each for each in said if "ridge" in each and "87.5%" in each and "epoch" not in each]


def test_that_steps_were_rounded_is_said_where_some_were(tmp_path: Path) -> None:
    head, all_of_it = {"name": "head", "epochs": []}, {"name": "finetune", "precision": "bf16", "epochs": []}
    assert [each for each in trained(tmp_path / "all", "pretrained", None, head, all_of_it).notices if "bf16" in each]
    alone = trained(tmp_path / "head", "pretrained", "transfer auto is head: 5 images a class", head)
    assert not [each for each in alone.notices if "bf16" in each]

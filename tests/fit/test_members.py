"""What a member's build asks, and the command that anybody would ask it with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn.devices.files import device_named
from edgecnn.fit import members
from edgecnn.fit.choose import choose_member, exit_code
from edgecnn.fit.members import Course, MemberBuilder
from edgecnn.fit.request import FitRequest
from edgecnn.models.catalogue import arch_named
from edgecnn.planning.candidates import BASELINE
from edgecnn.planning.recipe import apply_overrides
from edgecnn.render.progress import Quiet
from edgecnn.store.entry import FILES
from edgecnn.store.store import Store
from edgecnn.values.command import Command
from edgecnn.values.fit import Member
from edgecnn.values.recipe import FitChoice, GateChoice, Recipe
from edgecnn.values.training import AS_IT_IS, Form
from edgecnn.values.verdict import Verdict
from tests.building.scenes import Staging, a_report_of, a_request
from tests.fit.made import report as fit_report

FIRST = "depth=1,width=1,resolution=64"
TEACHER = Course(teacher=Path("builds/first"))


def builder(monkeypatch: pytest.MonkeyPatch, epochs: int = 12) -> MemberBuilder:
    """Of a search in which every network would be trained for so many epochs."""
    found = SimpleNamespace(recipe=SimpleNamespace(train=SimpleNamespace(epochs=epochs), surgery=SimpleNamespace(epochs=epochs)))
    monkeypatch.setattr(members, "resolve", lambda *_: found)
    choice = FitChoice(family="efficientnet", within={"p50_ms": 3.0})
    asked = FitRequest(
        choice=choice,
        recipe=Recipe(),
        device=device_named("cpu"),
        out=Path("out"),
        build=Command(verb=("fit",), parts=(("--target", "cpu"), ("--out", "x"))),
    )
    store: Any = None
    return MemberBuilder(asked, arch_named("efficientnet-b0"), store, Quiet(), FIRST)


def member(scale: str = FIRST, form: Form = AS_IT_IS) -> Member:
    name = " ".join(filter(None, (scale, form.suffix)))
    return Member(name=name, scale=scale, form=form, resolution_px=64, parameters=1, macs=1, standin=1.0)


def test_a_scaled_member_learns_the_teachers_answers_and_meets_the_budgets_as_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = builder(monkeypatch).request(member("depth=0.5,width=1,resolution=64"), TEACHER, Path("out"))
    assert (asked.recipe.model.arch, asked.recipe.model.scale) == ("efficientnet-b0", "depth=0.5,width=1,resolution=64")
    assert asked.recipe.train.teacher == "builds/first"
    assert asked.gates.max == {"p50_ms": 3.0}
    assert not asked.recipe.surgery.instead
    words = "edgecnn build --arch efficientnet-b0 --scale depth=0.5,width=1,resolution=64 --target cpu --teacher builds/first"
    assert str(asked.command) == f"{words} --max p50_ms=3 --out out"


def test_energy_is_read_of_every_member_by_the_meter_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    making = builder(monkeypatch)
    metered = replace(making, fit_request=making.fit_request.model_copy(update={"meter": Path("watts.csv")}))
    assert metered.request(member(), Course(), Path("out")).meter == Path("watts.csv")


def test_a_pruned_member_begins_from_the_first_networks_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    pruned, making = member(form=Form(pruned=0.3)), builder(monkeypatch)
    asked = making.request(pruned, making.course(pruned, TEACHER.teacher), Path("out"))
    assert asked.recipe.train == Recipe().train, "its weights are the first's, by the same key"
    assert Form.of(asked.recipe.surgery) == Form(pruned=0.3)
    assert asked.recipe.surgery.instead
    words = asked.command.words
    assert "--teacher" not in words
    assert "surgery.pruned=0.3" in words
    assert "surgery.instead=true" in words


def test_a_scaled_and_changed_member_is_taught_first_and_changed_then(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = member("depth=0.5,width=1,resolution=64", Form(squeeze_excite="remove"))
    making = builder(monkeypatch)
    asked = making.request(changed, making.course(changed, TEACHER.teacher), Path("out"))
    assert asked.recipe.train.teacher == "builds/first"
    assert asked.recipe.surgery.squeeze_excite == "remove"


@pytest.mark.parametrize(("whole", "short"), [(40, 10), (12, 4), (3, 3), (0, None)])
def test_a_short_training_has_a_quarter_of_the_members_own_epochs_and_four_where_there_are_as_many(
    whole: int, short: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = Course(short=True)
    asked = builder(monkeypatch, whole)._request(member("depth=0.5,width=1,resolution=64"), course, "train")
    assert asked.recipe.train.epochs == short
    assert (f"--set train.epochs={short}" in str(asked.command)) is (short is not None)
    assert asked.out == Path("out/members/depth-0.5-width-1-resolution-64-short-labels")


def test_a_short_training_of_a_pruned_member_is_a_quarter_of_its_surgery(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = builder(monkeypatch)._request(member(form=Form(pruned=0.3)), Course(short=True), "export")
    assert asked.recipe.train.epochs is None
    assert asked.recipe.surgery.epochs == 12 // 4


def test_other_scales_learn_for_longer_than_the_first_unless_epochs_are_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    patient, other = replace(builder(monkeypatch), epochs=16), member("depth=0.5,width=1,resolution=64")
    assert patient.request(member(), Course(), Path("out")).recipe.train.epochs is None
    assert patient.request(member(form=Form(pruned=0.3)), Course(), Path("out")).recipe.train.epochs is None, (
        "its key is the first's"
    )
    for course in (TEACHER, Course()):
        asked = patient.request(other, course, Path("out"))
        assert asked.recipe.train.epochs == 16
        assert "--set train.epochs=16" in str(asked.command)
    stated = patient.fit_request.model_copy(update={"recipe": apply_overrides(Recipe(), ["train.epochs=3"])})
    assert replace(patient, fit_request=stated).request(other, TEACHER, Path("out")).recipe.train.epochs == 3


@pytest.mark.parametrize(("scale", "epochs"), [(FIRST, 4), ("depth=0.5,width=1,resolution=64", 20)])
def test_epochs_before_surgery_are_a_members_own_where_they_are_not_the_firsts(
    scale: str, epochs: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    layout = Store.open(tmp_path).layout
    learned = {"phases": [{"name": "whole", "epochs": [{}] * 16}], "best": {"validation_top1": 0.8}}
    for kind, name, facts in (
        ("train", "history", learned),
        ("surgery", "surgery", {"epochs": [{}] * 4, "after": {"validation_top1": 0.7}}),
    ):
        files = layout.entry(kind, kind) / FILES
        files.mkdir(parents=True)
        (files / f"{name}.json").write_text(json.dumps(facts))
    ran = SimpleNamespace(keys={"train": "train", "export": "surgery"}, outcomes={})
    monkeypatch.setattr(members, "run_build", lambda *_: ran)
    making = replace(builder(monkeypatch), store=SimpleNamespace(layout=layout))
    trained = making.train(member(scale, Form(squeeze_excite="remove")), Course())
    assert (trained.epochs, trained.validation_top1) == (epochs, 0.7)


def test_what_a_member_s_build_says_of_chance_keeps_the_search_from_being_settled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    staged = Staging(tmp_path)
    staged.answered(BASELINE.id, 117)
    staged.raced("report", {BASELINE.id: 1.0}, rounds=16)
    asked = a_request(tmp_path, device=staged.resolved.device, gates=GateChoice(max={"p50_ms": 3.0}))
    report = a_report_of(staged, asked)
    monkeypatch.setattr(members, "run_build", lambda *_: report)
    built = replace(builder(monkeypatch), store=Store.open(tmp_path / "store")).build(member(), Course())
    assert built.inside is Verdict.PASS, "its latency is"
    chosen = choose_member([built], {"p50_ms": 3.0}, None)
    assert (chosen.name, chosen.state) == (built.name, "provisional")
    assert exit_code(fit_report(built, shipped=built.name, state=chosen.state)) == 4


def test_a_budget_in_images_a_second_bounds_the_p50_of_members_and_replaces_the_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    making = builder(monkeypatch)
    recipe = Recipe(gates=GateChoice(min={"images_per_s": 20.0}))
    choice = making.fit_request.choice.model_copy(update={"within": {"images_per_s": 400.0}})
    making = replace(making, fit_request=making.fit_request.model_copy(update={"choice": choice, "recipe": recipe}))
    assert making.fit_request.within == {"p50_ms": 2.5}
    gates = making.request(member(), Course(), Path("out")).gates
    assert gates is not None and (gates.max, gates.min) == ({}, {"images_per_s": 400.0})

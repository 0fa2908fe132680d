from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import ExitCode
from edgecnn.errors.fit import (
    FamilyMissing,
    FitBudgetInvalid,
    NoTable,
    NoTableBeside,
    NothingPredictedInside,
    NothingTimed,
    NothingToMeet,
    NotInASearch,
    TableElsewhere,
    TableNeedsFile,
    TableOfAnother,
    TableTooShort,
    TableUnreadable,
    TableUnwritable,
    UnlikeTable,
)


def test_networks_unlike_a_table_say_in_what() -> None:
    error = UnlikeTable(family="resnet", table="cpu.json", features=["shuffle_count", "total_mmac"], device="cpu")
    assert error.line() == (
        "every network of resnet that was looked at is unlike those of the latency table cpu.json: "
        "the table has nothing like them in shuffle_count and total_mmac — "
        "`edgecnn devices measure cpu` goes on with what is left of its plan; or search another family [unlike-table]"
    )
    assert error.exit_code == ExitCode.MISSING


def test_a_budget_that_is_none_is_answered_with_those_that_are() -> None:
    error = FitBudgetInvalid(text="p50=5", because="'p50' is no budget, the nearest is p50_ms")
    assert error.line() == (
        "'p50=5' is no budget of a search: 'p50' is no budget, the nearest is p50_ms — "
        "--within p50_ms=5 or images_per_s=200, and once more each for energy_mj, peak_memory_mib and size_mib; "
        "--accuracy top1=0.85 [fit-budget-invalid]"
    )
    assert error.exit_code == ExitCode.BAD_INPUT


def test_a_budget_that_nothing_is_predicted_to_meet_names_the_nearest() -> None:
    nearest = "depth=0.3,width=0.25,resolution=32, at 0.31 ms"
    error = NothingPredictedInside(family="resnet", budgets="p50_ms ≤ 0.1", nearest=nearest)
    assert error.line() == (
        "no network of resnet is predicted inside p50_ms ≤ 0.1: the nearest of those searched is "
        "depth=0.3,width=0.25,resolution=32, at 0.31 ms — allow more, or search another family [nothing-predicted-inside]"
    )
    timed = NothingPredictedInside(family="resnet", budgets="p50_ms ≤ 0.1", nearest=nearest, timed=True)
    assert timed.what == "no network of resnet is timed inside p50_ms ≤ 0.1"
    assert error.exit_code == ExitCode.GATE_FAILED


def test_a_device_that_is_not_at_hand_and_has_no_table_is_measured_over_ssh() -> None:
    assert NoTable(device="raspberry-pi-5").line() == (
        "there is no latency table of raspberry-pi-5: it is not at hand, no table of it was measured before, "
        "and no public table supports a forecast — edgecnn devices measure raspberry-pi-5 --host USER@BOARD; "
        "or --table FILE, of another board of its kind or of an "
        "emulated machine [no-table]"
    )
    assert "edgecnn devices measure arm64-emulated --host emulated; or" in NoTable(device="arm64-emulated").line()


def test_a_device_that_is_asked_about_too_has_a_table_or_is_measured() -> None:
    assert NoTableBeside(device="cpu").line() == (
        "there is no latency table of cpu: it is asked about beside the device that is searched for, and only a table says what "
        "networks take there — edgecnn devices measure cpu [no-table-beside]"
    )


def test_a_table_of_too_few_networks_says_how_many_there_are_and_goes_on() -> None:
    assert TableTooShort(path=Path("t.json"), device="cpu", most=4, needed=12).line() == (
        "the latency table t.json holds too few networks: 4 of any one runtime and precision, of which 12 are needed — "
        "edgecnn devices measure cpu --out t.json, which goes on where it was [table-too-short]"
    )


def test_a_table_that_could_not_be_written_is_refused_before_it_is_measured() -> None:
    assert TableUnwritable(path=Path("tables"), because="it is a folder").line() == (
        "tables cannot hold the table: it is a folder — choose another file with --out FILE [table-unwritable]"
    )


def test_a_table_of_another_machine_names_what_differs() -> None:
    error = TableOfAnother(path=Path("t.json"), difference="kernel: then 6.1, now 6.8", device="cpu")
    assert error.line() == (
        "the latency table t.json says nothing of what is searched for: kernel: then 6.1, now 6.8 — "
        "edgecnn devices measure cpu [table-of-another]"
    )


def test_what_is_no_table_says_what_is_wrong_with_it() -> None:
    error = TableUnreadable(path=Path("t.json"), problems=["device: Field required"])
    assert error.line() == (
        "t.json is no latency table, with 1 problem: device: Field required — `edgecnn devices measure NAME --out FILE` writes "
        "one; docs/schemas/latency-table.json lists every key [table-unreadable]"
    )


def test_a_name_that_is_any_machines_keeps_its_table() -> None:
    assert TableNeedsFile(device="cpu").line() == (
        "cpu is whichever machine is asked, and its table is this machine's — --out FILE keeps that of another one; or name a "
        "device of its own, which `edgecnn devices add` writes [table-needs-file]"
    )


def test_a_device_that_this_machine_is_not_is_measured_where_it_is() -> None:
    error = TableElsewhere(device="jetson-orin-nano", why="this machine is x86_64 with 2 cores, which is not a Jetson Orin Nano")
    assert error.line() == (
        "jetson-orin-nano is not at hand to be measured: this machine is x86_64 with 2 cores, which is not a Jetson Orin Nano — "
        "edgecnn devices measure jetson-orin-nano --host USER@BOARD [table-elsewhere]"
    )
    assert error.exit_code == ExitCode.MISSING


def test_a_device_on_which_nothing_could_be_timed_says_why_of_the_first() -> None:
    error = NothingTimed(device="cpu", reasons={"resnet-18@64x10": "the disk is full"})
    assert error.line() == (
        "no network could be timed on cpu: resnet-18@64x10: the disk is full — "
        "`edgecnn doctor` says what does not work here; --minutes gives more time [nothing-timed]"
    )


def test_a_search_of_no_family_is_answered_with_those_that_can_be_searched() -> None:
    assert FamilyMissing(families=("efficientnet", "resnet")).line() == (
        "no family says what is searched: neither --family nor the recipe's fit.family names one — "
        "--family with one of efficientnet, resnet [family-missing]"
    )


def test_a_search_without_a_budget_says_how_to_state_one() -> None:
    assert NothingToMeet().line() == (
        "nothing says what the network has to meet: neither --within nor --accuracy is given, and the recipe's [fit] states none "
        "— --within p50_ms=5, or the other way round --accuracy top1=0.85 [nothing-to-meet]"
    )


def test_what_a_search_decides_itself_is_left_to_it() -> None:
    said = NotInASearch(asked="model.scale", because="depth, width and resolution are what it searches", hint="leave it out")
    assert said.line() == (
        "model.scale does not go with `edgecnn fit`: depth, width and resolution are what it searches — leave it out "
        "[not-in-a-search]"
    )

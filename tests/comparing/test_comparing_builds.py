"""Two finished builds, and a recorded baseline, on a small real network with real runtimes, as a user calls it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.building.builds import Place
from tests.building.bundles import make_bundle

ENOUGH = ("--rounds", "8", "--json")


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode in (0, 1, 4), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_a_build_is_compared_with_one_of_another_recipe_and_says_what_changed(built: Place) -> None:
    head = built.folder / "head"
    done = built.run("build", "--set", "quantize.images=7", "--out", str(head))
    assert done.returncode in (0, 1), done.stderr
    said = told(built.plain("judge", head, "--against", built.out, "--max", "drop_pp=100", *ENOUGH))
    assert said["how"] == "paired"
    assert said["ratio"]["low"] <= said["ratio"]["estimate"] <= said["ratio"]["high"]
    assert (said["head"]["arch"], said["head"]["device"], said["rounds"]) == ("lenet-5", "cpu", 8)
    assert "recipe quantize.images: 24 → 7" in said["changed"]
    assert not [line for line in said["changed"] if not line.startswith(("recipe quantize.images", "candidate "))]
    ratio, drop = said["gates"]
    assert (ratio["gate"]["metric"], drop["gate"]["metric"], drop["verdict"]) == ("latency_ratio", "drop_pp", "PASS")
    assert said["drop_pp"]["low"] <= said["drop_pp"]["high"]


def test_a_build_against_itself_loses_nothing_and_is_not_raced(built: Place) -> None:
    bounds = ("--max", "drop_pp=0", "--max", "latency_ratio=1")
    done = built.plain("judge", built.out, "--against", built.out / "bundle", *bounds, *ENOUGH)
    said = told(done)
    assert (done.returncode, said["verdict"], said["rounds"], said["changed"]) == (0, "PASS", 0, [])
    assert {gate["fidelity"] for gate in said["gates"]} == {"by-definition"}


def test_an_edited_kit_is_refused_and_no_verdict(built: Place) -> None:
    choice = json.loads((built.out / "bundle/choice.json").read_text())
    kit = built.out / "bundle" / choice["kits"][choice["choice"]["candidate"]]["folder"]
    with (kit / "model.onnx").open("ab") as stream:
        stream.write(b"\0")
    done = built.plain("judge", built.out, "--against", built.out, *ENOUGH)
    assert done.returncode == 2
    assert "model.onnx: not the file that was packaged" in done.stderr


def test_a_build_s_last_race_is_recorded_and_the_same_kit_passes_against_it(built: Place) -> None:
    board = built.folder / "board.json"
    made = built.plain("baseline", "record", built.out, "--out", board)
    assert made.returncode == 0, made.stderr
    facts = json.loads(board.read_text())
    report = built.report()
    row = next(row for row in report["candidates"] if row["chosen"])
    assert (len(facts["runs"]), facts["observed_at"]) == (8, row["latency"]["observed_at"])
    assert facts["shipped"]["kit"] == row["kit"]
    said = told(built.plain("baseline", "compare", built.out, board, "--max", "latency_ratio=1", "--rounds", "8", "--json"))
    assert (said["how"], said["rounds"], said["changed"], said["verdict"]) == ("unpaired", 0, [], "PASS")


@pytest.mark.parametrize("edit", [lambda facts: facts["environment"]["conditions"].update(governor="performance")])
def test_an_edited_baseline_is_bad_input(built: Place, edit: Any) -> None:
    board = built.folder / "board.json"
    built.plain("baseline", "record", built.out, "--out", board)
    facts = json.loads(board.read_text())
    edit(facts)
    board.write_text(json.dumps(facts))
    done = built.plain("baseline", "compare", built.out, board)
    assert (done.returncode, "[latency-baseline-unreadable]" in done.stderr) == (2, True)


@pytest.mark.slow  # trains and races two networks
def test_a_slower_network_fails(built: Place, tmp_path: Path) -> None:
    """Real processes: five times the work is found on any machine that is not far busier for one of the two."""
    base, head = make_bundle(tmp_path / "base"), make_bundle(tmp_path / "head", depth=5)
    slower = told(built.plain("judge", head, "--against", base, *ENOUGH))
    assert slower["ratio"]["low"] > 1.5
    assert slower["verdict"] in ("FAIL", "UNSURE")

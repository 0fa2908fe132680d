"""`edgecnn judge BUILD` on a small real build: what ships, judged as it was built."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

from tests.building.builds import Place
from tests.house.schemas import FOLDER

SHARES = ("--min", "int8_mac_share=0.95", "--min", "int8_time_share=0.05")  # of time: one traced run of a tiny network


def facts_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    Draft202012Validator(json.loads((FOLDER / "report.json").read_text(encoding="utf-8"))).validate(found)
    return found


def verdicts(report: Mapping[str, Any]) -> dict[str, str]:
    return {each["gate"]["metric"]: each["verdict"] for each in report["gates"]}


def latencies(report: Mapping[str, Any]) -> dict[str, Any]:
    return {row["candidate"]["id"]: row["latency"] for row in report["candidates"]}


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_ships_is_judged_from_what_is_stored_and_nothing_is_written(built: Place) -> None:
    before = bytes_of(built.out)
    shutil.rmtree(built.photos)
    done = built.plain("judge", "out", "--max", "drop_pp=60", "--max", "size_mib=16", *SHARES, "--json", "--junit", "gates.xml")
    assert done.returncode == 0, done.stdout + done.stderr
    found = facts_of(done.stdout)
    assert verdicts(found) == dict.fromkeys(("drop_pp", "size_mib", "int8_mac_share", "int8_time_share"), "PASS")
    assert bytes_of(built.out) == before
    recorded = {row["candidate"]["id"]: row for row in built.report()["candidates"]}
    (ships,) = [row for row in found["candidates"] if row["chosen"]]
    for figure in ("test", "size_mib", "residency", "latency"):
        assert ships[figure] == recorded["onnxruntime-int8"][figure], figure
    assert [note for note in found["notices"] if note.startswith("final race: reused from ")]
    cases = ElementTree.parse(built.folder / "gates.xml").getroot().iter("testcase")
    assert {case.get("name") for case in cases} == {
        "drop_pp ≤ 60", "size_mib ≤ 16", "int8_mac_share ≥ 0.95", "int8_time_share ≥ 0.05",
    }  # fmt: skip


def test_error_rates_and_the_margin_stand_with_the_verdicts(built: Place, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    done = built.plain(
        "judge", "out", "--verbose", "--max", "drop_pp=60", "--max", "size_mib=0.01",
        GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary),
    )  # fmt: skip
    assert done.returncode == 1
    assert "one-sided tests: drop_pp: error rate (α) 5 %, margin 60 pp; size_mib: exact" in done.stdout
    assert "one-sided tests: drop_pp: error rate (α) 5 %, margin 60 pp; size_mib: exact" in summary.read_text()
    assert "::error" in done.stderr


def test_energy_that_no_meter_reads_is_missing_at_once_and_no_race_is_run_for_it(built: Place) -> None:
    done = built.plain("judge", "out", "--max", "energy_mj=5", "--json")
    (gate,) = facts_of(done.stdout)["gates"]
    if gate["verdict"] != "MISSING":
        pytest.skip("this machine has a meter")
    assert done.returncode == 3 and "race" not in done.stderr
    assert gate["reason"].startswith("no meter can be read here: ")


def test_the_gates_of_its_own_recipe_hold_unless_bounds_are_given(built: Place) -> None:
    plan = json.loads((built.out / "plan.json").read_text())
    plan["resolved"]["recipe"]["gates"] = {"max": {"size_mib": 0.01}, "min": {}, "require_measured": False}
    (built.out / "plan.json").write_text(json.dumps(plan))
    by_recipe = built.plain("judge", "out")
    assert by_recipe.returncode == 1
    assert "gate max size_mib 0.01: FAIL" in by_recipe.stdout
    assert built.plain("judge", "./out", "--max", "size_mib=100").returncode == 0


def origins(report: Mapping[str, Any]) -> dict[str, str]:
    return {result["gate"]["metric"]: result["gate"]["stated_by"] for result in report["gates"]}


def test_a_gate_of_the_build_s_command_line_holds_in_every_later_call(built: Place) -> None:
    assert built.run("build", "--max", "size_mib=0.01", "--max", "drop_pp=60").returncode == 1
    assert origins(built.report()) == {"drop_pp": "command line", "size_mib": "command line"}

    judged = built.plain("judge", "out", "--json")
    assert (judged.returncode, origins(facts_of(judged.stdout))) == (1, {"drop_pp": "build", "size_mib": "build"})

    replaced = built.plain("judge", "out", "--max", "size_mib=100", "--json")
    (gate,) = [result["gate"] for result in facts_of(replaced.stdout)["gates"] if result["gate"]["metric"] == "size_mib"]
    assert (replaced.returncode, gate["replaces"]) == (
        0,
        {"side": "max", "metric": "size_mib", "bound": 0.01, "stated_by": "build"},
    )

    by_recipe = built.run("judge", "--min", "top1=0.1")
    assert by_recipe.returncode == 1
    assert origins(built.report()) == {"drop_pp": "build", "size_mib": "build", "top1": "command line"}

    assert built.plain("bench", "out", "--json").returncode == 1
    assert origins(built.report()) == {"drop_pp": "build", "size_mib": "build", "top1": "build"}

    compared = json.loads(built.plain("judge", "out", "--against", "out", "--json").stdout)
    assert {gate["metric"] for gate in compared["not_judged"]} == {"drop_pp", "size_mib", "top1"}

    assert built.run("build", "--max", "drop_pp=50").returncode == 0
    dropped = built.report()["gates_dropped"]
    assert (list(dropped["max"]), list(dropped["min"]), dropped["require_measured"]) == (["size_mib"], ["top1"], False)


def test_a_new_build_names_a_requirement_that_it_drops_and_a_report_that_it_cannot_read(built: Place) -> None:
    assert built.run("build", "--max", "drop_pp=60", "--require-measured").returncode == 0
    assert built.report()["require_measured"]
    again = built.run("build", "--max", "drop_pp=60")
    assert built.report()["gates_dropped"] == {"max": {}, "min": {}, "require_measured": True}
    assert "no longer judged: --require-measured, from an earlier command line" in again.stdout

    (built.out / "report.json").write_text("{}")
    unreadable = built.run("build")
    assert unreadable.returncode == 0
    assert "gates that its command line stated are neither judged nor named" in unreadable.stderr


def test_without_its_store_the_bundle_answers_what_it_can_and_the_rest_says_what_mends_it(built: Place) -> None:
    elsewhere = str(built.folder / "another-store")
    done = built.plain("judge", "out", "--max", "drop_pp=1", "--max", "size_mib=16", *SHARES, "--json", EDGECNN_STORE=elsewhere)
    assert done.returncode == 3, done.stderr
    found = facts_of(done.stdout)
    missing, there = ("drop_pp", "int8_mac_share"), ("size_mib", "int8_time_share")
    assert verdicts(found) == {**dict.fromkeys(missing, "MISSING"), **dict.fromkeys(there, "PASS")}
    command = built.report()["build"]["command"]
    reasons = {each["gate"]["metric"]: each["reason"] for each in found["gates"]}
    assert reasons["drop_pp"] == (f"the store {elsewhere} no longer holds the images that this build was evaluated on; {command}")
    assert elsewhere in reasons["int8_mac_share"] and reasons["int8_mac_share"].endswith(f"; {command}")


@pytest.mark.slow  # races both kits anew
def test_a_gate_on_latency_races_anew(built: Place) -> None:
    done = built.plain("judge", "out", "--max", "p50_ms=10000", "--json")
    assert done.returncode == 0, done.stderr
    then, now = latencies(built.report()), latencies(facts_of(done.stdout))
    chosen = built.report()["choice"]["candidate"]
    assert now[chosen]["observed_at"] > then[chosen]["observed_at"]
    allowed = built.plain("judge", "out", "--max", "p50_ms=10000", "--allow-stored", "--json", CI="true")
    served = latencies(facts_of(allowed.stdout))
    assert served[chosen]["observed_at"] == now[chosen]["observed_at"]


def test_a_changed_kit_a_parted_plan_and_a_folder_without_a_report_are_errors(built: Place) -> None:
    plan = (built.out / "plan.json").read_text()
    other = json.loads(plan)
    other["steps"][1]["key"] = "0" * 64
    (built.out / "plan.json").write_text(json.dumps(other))
    parted = built.plain("judge", "out")
    assert (parted.returncode, "[plan-of-another-build]" in parted.stderr) == (2, True)
    (built.out / "plan.json").write_text("{")
    assert "[bundle-unreadable]" in built.plain("judge", "out").stderr
    (built.out / "plan.json").write_text(plan)
    model = next(path for path in (built.out / "bundle" / "kits").glob("*/*") if path.name.startswith("model.onnx"))
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    changed = built.plain("judge", "out")
    assert (changed.returncode, "[build-damaged]" in changed.stderr) == (2, True)
    (built.out / "report.json").write_text("{}")
    assert "[report-unreadable]" in built.plain("judge", "out").stderr
    (built.out / "report.json").unlink()
    for name in ("out", "out/bundle", "photos"):
        done = built.plain("judge", name)
        assert (done.returncode, "[no-build-to-judge]" in done.stderr) == (2, True), name


def test_a_folder_and_a_pipeline_of_one_name_are_never_confused(built: Place) -> None:
    shutil.copytree(built.out, built.folder / "ci-gate")
    both = built.plain("judge", "ci-gate")
    assert (both.returncode, "[folder-or-pipeline]" in both.stderr) == (2, True)
    assert built.plain("judge", "./ci-gate", "--max", "size_mib=100").returncode == 0
    shutil.move(built.folder / "ci-gate", built.folder / "odd.toml")
    assert built.plain("judge", "odd.toml", "--max", "size_mib=100").returncode == 0


@pytest.mark.parametrize(
    ("words", "ref"),
    [
        (("out", "--arch", "resnet-18"), "options-not-with-build"),
        (("out", "--set", "train.epochs=3", "--out", "x"), "options-not-with-build"),
        (("out", "--max", "p99=20"), "unknown-metric"),
        (("out", "--max", "p99_ms"), "bound-missing"),
        (("out", "--max", "latency_ratio=1.1"), "bound-of-two-builds"),
        (("out", "--until", "x"), "share-misread"),
        (("nowhere/at/all",), "no-build-to-judge"),
        (("nowhere",), "unknown-pipeline"),
    ],
)
def test_what_makes_no_sense_of_a_finished_build_is_refused(built_once: Place, words: tuple[str, ...], ref: str) -> None:
    done = built_once.plain("judge", *words)
    assert done.returncode == 2
    assert done.stderr.endswith(f"[{ref}]\n"), done.stderr

"""What a user of ``edgecnn build`` notices, on a small real network with real runtimes."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from edgecnn.building.build import run_build
from edgecnn.devices.files import device_named
from edgecnn.planning.request import BuildRequest
from edgecnn.store.gc import GcPolicy, collect
from edgecnn.store.store import Store
from edgecnn.values.recipe import Recipe
from edgecnn.values.report import BuildReport
from tests.building.builds import SAID, Place, place_with_photos
from tests.store.toys import Ear, wait_until


def test_the_report_says_what_was_measured_on_which_split(built_once: Place) -> None:
    report = BuildReport.model_validate(built_once.report())
    rows = {facts.candidate.id: facts for facts in report.candidates}
    assert set(rows) == {"onnxruntime-fp32", "onnxruntime-int8"}
    for facts in rows.values():
        assert facts.test is not None
        assert facts.test.images == report.build.splits["test"]
        assert facts.test.fidelity.value == "measured"
        assert facts.residency is not None
    assert rows["onnxruntime-fp32"].test.top1.estimate > 0.5  # type: ignore[union-attr]
    assert sum(facts.chosen for facts in rows.values()) == 1
    assert report.choice.state == "settled"


def test_the_classes_are_named_before_anything_is_made(built_once: Place) -> None:
    assert "edgecnn: data: 3 classes (bag, boot, shirt); by content, no split folders: " in (built_once.folder / SAID).read_text()


def test_every_step_that_took_a_while_was_told_on_stderr_by_lines(built_once: Place) -> None:
    said = (built_once.folder / SAID).read_text()
    told = {"prepare": "decoding images", "train": "train", "export": "export to ONNX"}
    took = {step: seconds for step, seconds in built_once.report()["timings_s"].items() if seconds > 4}  # imports included
    if not took:
        pytest.skip("nothing took four seconds on this machine")
    wanted = {step: told.get(step, step.replace("quantize:", "make ")) for step in took}
    assert {step: text for step, text in wanted.items() if f"edgecnn: {text}: " not in said} == {}, said
    assert "train" not in took or re.search(r"^edgecnn: train: \d+ of \d+ images, \d+ images/s", said, re.MULTILINE), said
    assert "\r" not in said and "\x1b" not in said


def test_the_winner_s_latency_comes_from_runs_that_were_kept(built_once: Place) -> None:
    report = BuildReport.model_validate(built_once.report())
    chosen = next(facts for facts in report.candidates if facts.chosen)
    assert chosen.latency is not None
    assert chosen.latency.p50_ms is not None
    assert chosen.latency.runs == 8
    assert chosen.latency.p99_ms is None, "100 samples a run do not carry a p99"


def test_the_bundle_tests_itself_without_edgecnn(built_once: Place) -> None:
    import subprocess
    import sys

    choice = json.loads((built_once.out / "bundle" / "choice.json").read_text())
    kit = built_once.out / "bundle" / choice["kits"][choice["choice"]["candidate"]]["folder"]
    done = subprocess.run(
        [sys.executable, "-m", "runner", "selftest", "--json"],
        cwd=kit,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout.splitlines()[-1])["ok"] is True, done.stdout


def test_an_unchanged_build_makes_nothing_and_loads_no_torch(built: Place) -> None:
    built.run("build")  # the data index and the race know the copied folder after this
    done = built.plain(*built.words("build"), PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0, done.stderr
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "edgecnn.cli.main" in imported and not {"torch", "onnxruntime", "openvino"} & imported
    assert {outcome["outcome"] for outcome in built.report()["outcomes"].values()} == {"cached"}
    assert built.report()["seconds"] < 5
    assert any(notice.startswith("final race: reused from") for notice in built.report()["notices"])


def test_one_changed_field_makes_again_only_what_depends_on_it(built: Place) -> None:
    built.run("package", "--set", "quantize.images=10")
    ran = {name for name, outcome in built.progress().items() if outcome["outcome"] == "ran"}
    assert ran == {"quantize:onnxruntime-int8", "package:onnxruntime-int8"}
    why = built.progress()["quantize:onnxruntime-int8"]["why"]
    assert any(line.startswith("quantize.images: ") and line.endswith("→ 10") for line in why), why


def test_a_damaged_entry_is_noticed_made_again_and_said(built: Place) -> None:
    model = next((built.store / "artifacts" / "export").glob("*/files/model.onnx"))
    model.write_bytes(model.read_bytes()[:-100])
    done = built.run("package")
    assert done.returncode == 0, done.stderr
    outcomes = built.progress()
    assert outcomes["export"]["outcome"] == "ran"
    assert "stored entry is damaged" in outcomes["export"]["why"][0]
    assert outcomes["quantize:onnxruntime-int8"]["outcome"] == "cached", "the same bytes came out, so nothing below is made again"


@pytest.mark.slow  # two whole builds at once
def test_two_builds_at_once_agree_and_make_each_thing_once(tmp_path: Path) -> None:
    place = place_with_photos(tmp_path)
    with place.start("export") as one, place.start("export") as other:
        for process in (one, other):
            _, talk = process.communicate()
            assert process.returncode == 0, talk
    assert len(list((place.store / "artifacts" / "train").iterdir())) == 1


@pytest.mark.slow  # two builds
def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(tmp_path: Path) -> None:
    place = place_with_photos(tmp_path)
    with place.start("train") as process:
        wait_until(lambda: any(place.store.glob("artifacts/prepare/*")), seconds=120)
        os.killpg(process.pid, signal.SIGINT)
        _, talk = process.communicate(timeout=60)
    assert process.returncode == 130, talk
    assert "interrupted" in talk
    done = place.run("train")
    assert done.returncode == 0, done.stderr
    assert place.progress()["prepare"]["outcome"] == "cached"


def test_a_page_is_worded_before_anything_is_replaced_so_that_its_fault_costs_no_results(
    built: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in built.environment.items():
        monkeypatch.setenv(name, value)
    recipe = Recipe.model_validate({
        "model": {"arch": "lenet-5", "weights": "none", "resolution_px": 32}, "data": {"path": str(built.photos)},
        "target": {"device": "cpu", "runtime": "onnxruntime"}, "train": {"epochs": 40, "batch_size": 16},
        "race": {"samples": 100, "rounds": 8}, "choice": {"objective": "size"},
    })  # fmt: skip
    request = BuildRequest(recipe=recipe, device=device_named("cpu"), out=built.out)
    before = built.report()

    def page(report: BuildReport) -> str:
        assert built.report() == before
        return report.made_at

    report = run_build(request, Store.open(), Ear(), {"page.txt": page})
    assert (built.out / "page.txt").read_text() == report.made_at == built.report()["made_at"] != before["made_at"]


@pytest.mark.slow  # a whole build
def test_gc_beside_a_running_build_takes_nothing_that_it_has_in_hand(tmp_path: Path) -> None:
    """Without the hour of grace, as if the build had been running for longer than that."""
    place = place_with_photos(tmp_path)
    with place.start("train") as process:
        wait_until(lambda: process.poll() is not None or any(place.store.glob("work/train/*")), seconds=120)
        beside = collect(Store.open(place.store), GcPolicy(max_bytes=0, grace_s=0))
        _, talk = process.communicate(timeout=120)
    assert process.returncode == 0, talk
    assert [name.split("/")[1] for name in beside.busy] == ["prepare"]
    afterwards = collect(Store.open(place.store), GcPolicy(max_bytes=0, grace_s=0))
    assert {removal.name.split("/")[1] for removal in afterwards.removed} == {"prepare", "train"}


def test_judging_what_was_built_trains_nothing_and_agrees(built: Place) -> None:
    done = built.run("judge", "--allow-stored")
    assert done.returncode == 0, done.stderr
    assert {outcome["outcome"] for outcome in built.report()["outcomes"].values()} == {"cached"}


def test_judging_what_was_never_built_is_an_error_and_no_training(tmp_path: Path) -> None:
    place = place_with_photos(tmp_path)
    done = place.run("judge")
    assert done.returncode == 3
    assert "nothing can be judged yet, because the store lacks prepare, train, export" in done.stderr
    assert not (place.store / "artifacts").exists()

"""A bundle measured on the device by its own runner: every kit timed, and energy where a meter can be read."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.building.bundles import write_choice
from tests.runner.kits import make_kit, rewrite_manifest
from tests.runner.meters.recorded import CHIP, ORIN_NANO
from tests.runner.processes import edit, runner
from tests.runner.trees import tree

QUICK = ("--rounds", "2", "--samples", "20")


@pytest.fixture(scope="module")
def kits_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kits")
    for width, name in ((4, "onnxruntime-fp32"), (3, "onnxruntime-int8")):
        make_kit(folder, name=name, width=width)
    return folder


def a_bundle(folder: Path, kits: Path, machine: Path | None) -> Path:
    """Both kits; their runner finds the meters of this machine, or of the recorded one."""
    bundle = folder / "bundle"
    shutil.copytree(kits, bundle / "kits")
    carried = {}
    for kit in sorted((bundle / "kits").iterdir()):
        if machine is not None:
            edit(kit, "runner/machine/procfs.py", 'ROOT = Path("/")', f'ROOT = Path("{machine}")')
        edit(kit, "runner/runs/worker.py", "WINDOW_S = 4.0", "WINDOW_S = 0.6")
        digest = hashlib.sha256((kit / "kit.json").read_bytes()).hexdigest()
        carried[kit.name] = {"folder": f"kits/{kit.name}", "sha256": digest}
    write_choice(bundle, "onnxruntime-fp32", carried)
    return bundle


def runs_in(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("run-*.json"))]


@pytest.fixture
def jetson(tmp_path: Path) -> Path:
    return tree(tmp_path / "jetson", ORIN_NANO)


@pytest.mark.slow  # eight processes of several seconds each; a run with its log is in tests/measure
def test_where_a_meter_can_be_read_every_kit_has_energy_runs_of_its_own(tmp_path: Path, kits_once: Path, jetson: Path) -> None:
    bundle = a_bundle(tmp_path, kits_once, jetson)
    status, last = runner(bundle / "kits/onnxruntime-fp32", "measure", "../..", *QUICK)
    assert status == 0, last
    measured = bundle / "measured"
    energy = last["bench"]["energy"]
    assert (energy["meters"], energy["items"], energy["failed"], energy["absent"]) == (["ina3221"], 4, [], {})
    noted = json.loads((measured / "bench.json").read_text())["sha256"]
    assert noted == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in measured.glob("run-*.json")}
    assert [run["energy"] for run in runs_in(measured) if "energy" in run] == [], "what is timed opens no meter"
    runs = runs_in(measured / "energy")
    assert sorted((run["round"], Path(run["folder"]).name) for run in runs) == [
        (number, name) for number in (0, 1) for name in ("onnxruntime-fp32", "onnxruntime-int8")
    ]
    for run in runs:
        (reading,) = run["energy"]["readings"]
        assert (run["samples_ns"], reading["meter"]) == ([], "ina3221")
        assert reading["idle_j"] / reading["idle_s"] == pytest.approx(5.064)
        assert run["energy"]["images"] > 0


def test_without_a_meter_latencies_are_measured_and_the_reason_is_kept(tmp_path: Path, kits_once: Path, jetson: Path) -> None:
    nothing = tree(tmp_path / "nothing", {"proc/cpuinfo": "processor : 0\nflags : hypervisor\n"})
    bundle = a_bundle(tmp_path, kits_once, nothing)
    status, last = runner(bundle / "kits/onnxruntime-fp32", "measure", "../..", *QUICK)
    assert status == 0, last
    reason = last["bench"]["energy"]["absent"]
    assert set(reason) == {"onnxruntime-fp32", "onnxruntime-int8"}
    assert "this is a virtual machine, which cannot read the processor's counters" in reason["onnxruntime-fp32"]
    measured = bundle / "measured"
    kept = json.loads((measured / "machine.json").read_text())["observed"]
    assert kept["energy_absent"] == reason["onnxruntime-fp32"]
    assert (len(runs_in(measured)), (measured / "energy").exists()) == (4, False)


def test_a_kit_that_fails_while_it_is_measured_is_an_error_and_the_other_runs_are_kept(tmp_path: Path, kits_once: Path) -> None:
    bundle = a_bundle(tmp_path, kits_once, tree(tmp_path / "nothing", {"proc/cpuinfo": "processor : 0\nflags : hypervisor\n"}))
    rewrite_manifest(bundle / "kits/onnxruntime-int8", lambda manifest: manifest["model"]["input"].update(name="picture"))
    status, last = runner(bundle / "kits/onnxruntime-fp32", "measure", "../..", *QUICK)
    assert (status, last["ok"], last["error"]["ref"]) == (1, False, "runs-failed")
    assert last["error"]["what"] == "2 of 4 runs failed"
    assert "the model takes image, but the feed has picture" in last["error"]["because"]
    assert (last["bench"]["items"], len(last["bench"]["failed"])) == (4, 2)
    assert [run["kit"] for run in runs_in(bundle / "measured") if "error" not in run] != []


def test_a_kit_whose_package_is_not_here_is_left_out_by_name_and_the_others_are_measured(tmp_path: Path, kits_once: Path) -> None:
    bundle = a_bundle(tmp_path, kits_once, tree(tmp_path / "nothing", {"proc/cpuinfo": "processor : 0\nflags : hypervisor\n"}))
    rewrite_manifest(
        bundle / "kits/onnxruntime-int8", lambda manifest: manifest["requirements"]["packages"].update({"no-such-runtime": ">=1"})
    )
    status, last = runner(bundle / "kits/onnxruntime-fp32", "measure", "../..", *QUICK)
    assert (status, last["ok"], last["bench"]["items"]) == (0, True, 2)
    assert last["bench"]["left_out"] == {"onnxruntime-int8": "this kit needs no-such-runtime>=1, which is not installed"}
    rewrite_manifest(
        bundle / "kits/onnxruntime-fp32", lambda manifest: manifest["requirements"]["packages"].update({"no-such-runtime": ">=1"})
    )
    status, last = runner(bundle / "kits/onnxruntime-fp32", "measure", "../..", *QUICK)
    assert (status != 0, last["error"]["ref"]) == (True, "missing-package")


@pytest.mark.slow  # measures two kits twice, with energy runs of seconds
def test_a_meter_that_becomes_readable_adds_energy_and_times_nothing_again(tmp_path: Path, kits_once: Path, jetson: Path) -> None:
    rail = jetson / f"{CHIP}/in1_input"
    kept = rail.read_text()
    rail.unlink()
    bundle = a_bundle(tmp_path, kits_once, jetson)
    kit = bundle / "kits/onnxruntime-fp32"
    _, first = runner(kit, "measure", "../..", *QUICK)
    assert (first["bench"]["ran_now"], "items" in first["bench"]["energy"]) == (4, False)
    rail.write_text(kept)
    status, second = runner(kit, "measure", "../..", *QUICK)
    assert (status, second["bench"]["ran_now"], second["bench"]["energy"]["ran_now"]) == (0, 0, 4)

"""What a user takes away appears whole or not at all, and nothing that edgecnn did not write is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread

import pytest

from edgecnn.building.build import check_output, publish_plan, publish_progress, publish_report
from edgecnn.bundle.manifest import recorded_in
from edgecnn.bundle.publishing import STAMPS
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import OUTPUT_HOLDS_OTHER_FILES
from edgecnn.measure.kits import KitRef
from edgecnn.planning.candidates import BASELINE
from edgecnn.planning.plan import plan
from edgecnn.results.folder import output_lock
from edgecnn.values.recipe import GateChoice
from edgecnn.values.verdict import Fidelity, Gate, GateResult, Verdict
from tests.building.bundles import publish_bundle
from tests.building.resolutions import INT8, resolved
from tests.building.scenes import a_choice, a_kit, a_report
from tests.store.toys import files_in

BOTH = a_report(choice=a_choice("onnxruntime-int8", "onnxruntime-fp32", state="provisional"))


@pytest.fixture
def kits(tmp_path: Path) -> dict[str, KitRef]:
    return {each.id: a_kit(tmp_path / "made" / each.id, each, each.id.encode() * 50) for each in (BASELINE, INT8)}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def times_of(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in [folder, *sorted(folder.rglob("*"))]}


def test_a_bundle_holds_the_carried_kits_file_for_file_and_no_other(kits: dict[str, KitRef], out: Path) -> None:
    publish_bundle(a_report(choice=a_choice("onnxruntime-int8")), kits, out)
    assert [path.name for path in (out / "bundle" / "kits").iterdir()] == ["onnxruntime-int8"]
    assert files_in(out / "bundle" / "kits" / "onnxruntime-int8") == files_in(kits["onnxruntime-int8"].folder)


def test_the_choice_keeps_the_gates_of_the_build_and_how_its_device_identifies_itself(kits: dict[str, KitRef], out: Path) -> None:
    gate = Gate(metric="p50_ms", side="max", bound=50.0, images_per_s=20.0, required="when-measured", stated_by="command line")
    result = GateResult(
        gate=gate,
        candidate="onnxruntime-int8",
        verdict=Verdict.MISSING,
        figure=None,
        fidelity=Fidelity.MISSING,
        reason="the device is away",
    )
    stated = BOTH.model_copy(
        update={
            "gates": (result,),
            "require_measured": True,
            "build": BOTH.build.model_copy(update={"device": "raspberry-pi-5"}),
        }
    )
    publish_bundle(stated, kits, out)
    written = json.loads((out / "bundle" / "choice.json").read_text())
    assert written["built_for"] == {"architecture": "aarch64", "model_contains": "Raspberry Pi 5"}
    recorded = recorded_in(out / "bundle")
    assert recorded.gates == GateChoice(min={"images_per_s": 20.0}, require_measured=True)


def test_the_choice_names_its_kits_by_the_sha256_of_their_manifests(kits: dict[str, KitRef], out: Path) -> None:
    publish_bundle(BOTH, kits, out)
    said = json.loads((out / "bundle" / "choice.json").read_text())
    assert said["schema"] == "edgecnn.choice/1"
    assert said["choice"]["candidate"] == "onnxruntime-int8"
    assert said["kits"] == {name: {"folder": f"kits/{name}", "sha256": kit.digest} for name, kit in kits.items()}


def test_a_bundle_in_the_current_folder_is_named_after_network_and_device(kits: dict[str, KitRef], out: Path) -> None:
    publish_bundle(BOTH.model_copy(update={"build": BOTH.build.model_copy(update={"name": ""})}), kits, out)
    assert json.loads((out / "bundle" / "bundle.json").read_text())["name"] == "resnet-18-cpu"


def test_an_unchanged_bundle_is_left_alone(kits: dict[str, KitRef], out: Path) -> None:
    publish_bundle(BOTH, kits, out)
    before = times_of(out / "bundle")
    publish_bundle(BOTH, kits, out)
    assert times_of(out / "bundle") == before


def test_another_choice_replaces_the_bundle(kits: dict[str, KitRef], out: Path) -> None:
    publish_bundle(BOTH, kits, out)
    publish_bundle(a_report(choice=a_choice("onnxruntime-fp32")), kits, out)
    assert [path.name for path in (out / "bundle" / "kits").iterdir()] == ["onnxruntime-fp32"]
    assert json.loads((out / "bundle" / "choice.json").read_text())["choice"]["candidate"] == "onnxruntime-fp32"


@pytest.mark.parametrize(
    "damage",
    [Path.unlink, lambda path: os.truncate(path, 10)],
    ids=["lost", "truncated"],
)
@pytest.mark.parametrize("file", ["model.onnx", "kit.json"])
def test_a_damaged_kit_file_is_repaired(kits: dict[str, KitRef], out: Path, file: str, damage: Callable[[Path], None]) -> None:
    publish_bundle(BOTH, kits, out)
    damage(out / "bundle" / "kits" / "onnxruntime-int8" / file)
    publish_bundle(BOTH, kits, out)
    assert files_in(out / "bundle" / "kits" / "onnxruntime-int8") == files_in(kits["onnxruntime-int8"].folder)


@pytest.mark.parametrize("dated", [False, True], ids=["edited", "edited and dated back"])
def test_a_kit_file_with_other_bytes_of_the_same_size_is_repaired(kits: dict[str, KitRef], out: Path, dated: bool) -> None:
    publish_bundle(BOTH, kits, out)
    model = out / "bundle" / "kits" / "onnxruntime-int8" / "model.onnx"
    before = model.stat()
    model.write_bytes(bytes(before.st_size))
    if dated:
        os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    publish_bundle(BOTH, kits, out)
    assert files_in(model.parent) == files_in(kits["onnxruntime-int8"].folder)


def test_what_running_a_kit_leaves_in_it_is_no_change(kits: dict[str, KitRef], out: Path) -> None:
    publish_bundle(BOTH, kits, out)
    (out / "bundle" / "kits" / "onnxruntime-int8" / "__pycache__").mkdir()
    (out / "bundle" / "kits" / "onnxruntime-int8" / "__pycache__" / "kit.pyc").write_bytes(b"x")
    before = times_of(out / "bundle")
    publish_bundle(BOTH, kits, out)
    assert times_of(out / "bundle") == before


def test_what_a_device_measured_stays_when_the_bundle_is_replaced(kits: dict[str, KitRef], out: Path) -> None:
    publish_bundle(BOTH, kits, out)
    (out / "bundle" / "measured").mkdir()
    (out / "bundle" / "measured" / "run-1.json").write_text("{}")
    publish_bundle(a_report(choice=a_choice("onnxruntime-fp32")), kits, out)
    assert files_in(out / "bundle" / "measured") == {"run-1.json": b"{}"}


def version_of(out: Path) -> int:
    return int(json.loads((out / "bundle" / "bundle.json").read_text())["version"])


def test_versions_that_begin_anew_because_the_manifest_cannot_be_read_are_told(kits: dict[str, KitRef], out: Path) -> None:
    notes: list[str] = []
    publish_bundle(BOTH, kits, out, None, notes.append)
    publish_bundle(a_report(choice=a_choice("onnxruntime-fp32")), kits, out, None, notes.append)
    assert (version_of(out), notes) == (2, [])
    manifest = out / "bundle" / "bundle.json"
    manifest.write_text("{")
    publish_bundle(BOTH, kits, out, None, notes.append)
    assert version_of(out) == 1
    assert notes == [
        f"{manifest} cannot be read (it is not valid JSON (JSONDecodeError)); the bundle's versions begin at 1 again"
    ]
    manifest.unlink()
    publish_bundle(BOTH, kits, out, None, notes.append)
    assert (version_of(out), len(notes)) == (1, 1), "a bundle from before there were manifests has no versions"


def test_a_signature_that_goes_is_told_and_one_that_stays_is_not(kits: dict[str, KitRef], out: Path) -> None:
    notes: list[str] = []
    publish_bundle(BOTH, kits, out, None, notes.append)
    (out / "bundle" / "bundle.json.sig").write_text("a signature")
    publish_bundle(BOTH, kits, out, None, notes.append)
    assert notes == []
    publish_bundle(BOTH, kits, out, {"README.md": "another latency"}, notes.append)
    assert notes == [
        f"the bundle changed to version 2 and is no longer signed; sign it again: edgecnn bundle sign {out} --key KEY"
    ]
    assert not (out / "bundle" / "bundle.json.sig").exists()
    publish_bundle(BOTH, kits, out, {"README.md": "another"}, notes.append)
    assert len(notes) == 1


def test_nothing_temporary_is_left_beside_the_bundle(kits: dict[str, KitRef], out: Path) -> None:
    publish_bundle(BOTH, kits, out)
    assert sorted(path.name for path in out.iterdir()) == [STAMPS, "bundle"]


def test_an_interrupted_publication_leaves_the_old_bundle(
    kits: dict[str, KitRef], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_bundle(BOTH, kits, out)
    before = files_in(out)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        publish_bundle(a_report(choice=a_choice("onnxruntime-fp32")), kits, out)
    assert files_in(out) == before


def test_two_publishers_at_once_leave_one_whole_bundle(kits: dict[str, KitRef], out: Path) -> None:
    reports = (BOTH, a_report(choice=a_choice("onnxruntime-fp32")))
    start, failures = Barrier(len(reports)), []

    def publisher(number: int) -> None:
        start.wait()
        try:
            for _ in range(10):
                with output_lock(out):
                    publish_bundle(reports[number], kits, out)
        except BaseException as error:  # noqa: BLE001 - a thread's failure is the test's
            failures.append(error)

    threads = [Thread(target=publisher, args=(number,)) for number in range(len(reports))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    said = json.loads((out / "bundle" / "choice.json").read_text())
    assert sorted(path.name for path in (out / "bundle" / "kits").iterdir()) == sorted(said["kits"])
    for name in said["kits"]:
        assert files_in(out / "bundle" / "kits" / name) == files_in(kits[name].folder)
    assert {path.name for path in out.iterdir()} - {".edgecnn.lock"} == {STAMPS, "bundle"}


def test_the_output_lock_is_held_against_another_process(out: Path) -> None:
    probe = (
        "import sys\n"
        "from filelock import FileLock, Timeout\n"
        "try:\n"
        "    FileLock(sys.argv[1]).acquire(timeout=0)\n"
        "except Timeout:\n"
        "    sys.exit(9)\n"
    )
    with output_lock(out):
        done = subprocess.run([sys.executable, "-c", probe, str(out / ".edgecnn.lock")], check=False)
    assert done.returncode == 9


def test_a_bundle_of_ours_is_accepted(kits: dict[str, KitRef], out: Path) -> None:
    publish_bundle(BOTH, kits, out)
    check_output(out, "demo")


def test_a_folder_named_bundle_that_is_not_ours_is_refused_and_untouched(out: Path) -> None:
    (out / "bundle").mkdir()
    (out / "bundle" / "thesis.txt").write_text("three years")
    with pytest.raises(EdgecnnError, check=OUTPUT_HOLDS_OTHER_FILES.made) as caught:
        check_output(out, "demo")
    assert caught.value.line() == (
        f"{out}/bundle was not written by edgecnn and would be replaced: "
        "edgecnn replaces only a bundle, which contains a choice.json"
        " — choose another folder with --out FOLDER [output-holds-other-files]"
    )
    assert files_in(out) == {"bundle/thesis.txt": b"three years"}


def test_a_verb_that_stops_earlier_leaves_the_report_of_a_finished_build_alone(out: Path) -> None:
    publish_report(BOTH, out)
    before = (out / "report.json").read_bytes()
    publish_progress(a_report(outcomes={"train": {"outcome": "cached"}}), "train", out)
    assert (out / "report.json").read_bytes() == before
    assert json.loads((out / "progress.json").read_text()) == {
        "schema": "edgecnn.progress/1",
        "goal": "train",
        "outcomes": {"train": {"outcome": "cached"}},
        "timings_s": {},
    }


def test_a_published_plan_shows_what_was_asked_beside_what_it_became(out: Path) -> None:
    publish_plan(plan(resolved()), out)
    said = json.loads((out / "plan.json").read_text())
    assert {"asked", "recipe"} <= set(said["resolved"])
    assert [step["id"] for step in said["steps"]][:2] == ["prepare", "train"]


def test_what_a_device_measured_survives_an_interruption_at_the_worst_moment(
    kits: dict[str, KitRef], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_bundle(BOTH, kits, out)
    (out / "bundle" / "measured").mkdir()
    (out / "bundle" / "measured" / "run-1.json").write_text("{}")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            publish_bundle(a_report(choice=a_choice("onnxruntime-fp32")), kits, out)
    assert list(out.rglob("run-1.json")) != []

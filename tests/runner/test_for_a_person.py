"""A person who runs the runner reads text; a program that passes --json, or the lease of any version, reads JSON lines."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgecnn.runner.choice import StatedGate
from edgecnn.runner.classifier import Classifier, RunnerError
from edgecnn.runner.measured import is_device, judged_gates
from edgecnn.runner.runs.figures import KitRuns, median_rank
from edgecnn.runner.text import _gate_line, visible
from tests.building.bundles import write_choice
from tests.runner.conftest import CopyKit
from tests.runner.kits import make_kit

KIT = "kits/onnxruntime-fp32"


def run(kit: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "-m", "runner", *words]
    return subprocess.run(command, cwd=kit, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    make_kit(folder / "kits", name="onnxruntime-fp32") if (folder / "kits").mkdir() is None else None
    digest = hashlib.sha256((folder / KIT / "kit.json").read_bytes()).hexdigest()
    entry = {"folder": KIT, "sha256": digest, "unlearned": {"metric": "top1", "accuracy": 0.07, "chance": 0.1}}
    write_choice(folder, "onnxruntime-fp32", {"onnxruntime-fp32": entry})
    choice = json.loads((folder / "choice.json").read_text())
    choice["gates"] = [{"metric": "p50_ms", "side": "max", "bound": 5000.0, "runs": 2}]
    (folder / "choice.json").write_text(json.dumps(choice))
    return folder


def is_json(text: str) -> bool:
    return any(line.startswith("{") for line in text.splitlines())


@pytest.mark.parametrize("words", [("selftest",), ("predict", "golden/photo.jpg"), ("info",)])
def test_text_is_for_a_person_and_json_for_a_program(onnx_kit: Path, words: tuple[str, ...]) -> None:
    shown, parsed = run(onnx_kit, *words), run(onnx_kit, *words, "--json")
    assert (shown.returncode, is_json(shown.stdout), shown.stderr) == (0, False, "")
    assert json.loads(parsed.stdout.splitlines()[-1])["ok"] is True


def test_a_lease_is_answered_in_json_as_every_version_did(onnx_kit: Path) -> None:
    """A host of any version passes a lease, and no host of an earlier version knows ``--json``."""
    command = [sys.executable, "-B", "-m", "runner", "--lease-s", "60", "info"]
    with subprocess.Popen(command, cwd=onnx_kit, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last = [line for line in process.stdout if line.strip()][-1]
    assert json.loads(last)["ok"] is True


def test_measure_shows_the_speed_the_gate_and_a_network_that_learned_nothing(bundle: Path, tmp_path: Path) -> None:
    out = ("--out", str(tmp_path / "out"), "--samples", "20", "--rounds", "2")
    shown = run(bundle / KIT, "measure", *out)
    assert shown.returncode == 0, shown.stderr
    assert not is_json(shown.stdout)
    for word in ("p50 ms", "p99 ms", "images/s", "onnxruntime-fp32", "gate p50_ms at most 5000", "not shown to have learned"):
        assert word in shown.stdout
    kept = json.loads(run(bundle / KIT, "measure", *out, "--json").stdout.splitlines()[-1])["bench"]
    (kit,) = kept["kits"]
    assert (kit["runs"], kit["chosen"], kit["p99_ms"], kept["ran_now"]) == (2, True, None, 0)
    assert kit["p50_ms"]["middle"] > 0 and kit["p50_ms"]["low"] is None, "two runs have no interval"
    assert kept["gates"][0]["outcome"] == "open"
    assert kit["unlearned"] == {"metric": "top1", "accuracy": 0.07, "chance": 0.1}


def test_predict_warns_on_stderr_about_a_network_that_learned_nothing(bundle: Path) -> None:
    shown = run(bundle / KIT, "predict", "golden/photo.jpg")
    assert (shown.returncode, "not shown to have learned" in shown.stderr) == (0, True)
    assert "warning" not in shown.stdout
    last = json.loads(run(bundle / KIT, "predict", "golden/photo.jpg", "--json").stdout.splitlines()[-1])
    assert last["unlearned"] == {"metric": "top1", "accuracy": 0.07, "chance": 0.1}


def runs_of(*medians_ms: float) -> KitRuns:
    return KitRuns([{"samples_ns": [ms * 1e6] * 1000, "round": index} for index, ms in enumerate(medians_ms)])


@pytest.mark.parametrize(
    ("metric", "bound", "runs", "outcome"),
    [
        ("p50_ms", 12.0, 16, "met"),
        ("p50_ms", 9.0, 16, "broken"),
        ("p50_ms", 10.05, 16, "open"),
        ("p50_ms", 12.0, 18, "open"),  # edgecnn judges the gate with 18 runs, and there are 17
        ("p99_ms", 12.0, 17, "met"),
        ("size_mib", 12.0, 0, None),  # not a latency
    ],
)
def test_a_gate_is_met_or_broken_only_by_the_whole_interval(metric: str, bound: float, runs: int, outcome: str | None) -> None:
    timed = runs_of(*(10.0 + 0.01 * index for index in range(17)))
    rows: list[dict[str, Any]] = [{"name": "a", "chosen": True, "p50_ms": {"middle": 10.0}}]
    gates = judged_gates([StatedGate(metric, "max", bound, runs)], rows, {"a": timed})
    assert [gate["outcome"] for gate in gates] == ([] if outcome is None else [outcome])


def test_another_machine_decides_no_gate_of_the_device() -> None:
    rows: list[dict[str, Any]] = [{"name": "a", "chosen": True, "p50_ms": {"middle": 10.0}}]
    timed = runs_of(*(10.0 + 0.01 * index for index in range(17)))
    gates = judged_gates([StatedGate("p50_ms", "max", 12.0, 16)], rows, {"a": timed}, on_device=False)
    assert [gate["outcome"] for gate in gates] == ["elsewhere"]


PI_5 = {"architecture": "aarch64", "model_contains": "Raspberry Pi 5"}
LAPTOP = {"architecture": "x86_64", "model_contains": "Intel"}


@pytest.mark.parametrize(
    ("device", "observed", "is_there"),
    [
        (PI_5, {"architecture": "aarch64", "model": "Raspberry Pi 5 Model B Rev 1.0"}, True),
        (PI_5, {"architecture": "aarch64", "model": "Raspberry Pi 4 Model B Rev 1.5"}, False),
        (PI_5, {"architecture": "aarch64"}, True),  # a container may hide the name of the board
        (PI_5, {"architecture": "x86_64"}, False),
        (LAPTOP, {"architecture": "AMD64"}, True),  # Windows
        ({}, {"architecture": "riscv64", "model": "a board"}, True),
    ],
)
def test_a_machine_is_the_device_unless_its_own_name_is_another(
    device: dict[str, str], observed: dict[str, str], is_there: bool
) -> None:
    assert is_device(device, {"observed": observed, "conditions": {}}) is is_there


@pytest.mark.parametrize(("observed", "outcome"), [({"others_percent": "40"}, "disturbed"), ({"others_percent": "1"}, "broken")])
def test_a_busy_machine_breaks_no_gate(observed: dict[str, str], outcome: str) -> None:
    runs = [{"samples_ns": [1e7] * 1000, "round": index, "environment": {"observed": observed}} for index in range(17)]
    rows: list[dict[str, Any]] = [{"name": "a", "chosen": True, "p50_ms": {"middle": 10.0}}]
    (gate,) = judged_gates([StatedGate("p50_ms", "max", 5.0, 16)], rows, {"a": KitRuns(runs)})
    assert gate["outcome"] == outcome


def test_a_chosen_kit_without_runs_leaves_its_gate_open() -> None:
    rows: list[dict[str, Any]] = [
        {"name": "a", "chosen": True, "p50_ms": None},
        {"name": "b", "chosen": False, "p50_ms": {"middle": 10.0}},
    ]
    (gate,) = judged_gates([StatedGate("p50_ms", "max", 12.0, 16)], rows, {"b": runs_of(*[10.0] * 17)})
    assert (gate["kit"], gate["outcome"], gate["measured_runs"]) == ("a", "open", 0)


@pytest.mark.parametrize(("runs", "is_advised"), [(18, True), (16, False)])
def test_an_open_gate_asks_for_more_runs_only_if_there_are_too_few(runs: int, is_advised: bool) -> None:
    gate = {"metric": "p50_ms", "bound": 10.05, "runs": runs, "measured_runs": 17, "kit": "a", "outcome": "open"}
    assert (f"--rounds {runs}" in _gate_line(gate)) is is_advised


def test_the_interval_is_that_of_edgecnn() -> None:
    rank = median_rank(8)
    assert rank is not None and (rank.rank, round(rank.confidence, 3)) == (1, 0.992)
    assert median_rank(6) is None


ABSENT = "absent.jpg"


def damaged(folder: Path) -> Path:
    path = folder / "damaged.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    return path


def error_of(folder: Path, image: Path | None = None) -> RunnerError:
    with pytest.raises(RunnerError) as caught:
        classifier = Classifier(folder)
        classifier.predict(image)
    return caught.value


def test_every_error_of_a_program_names_the_file_the_cause_and_the_fix(copy_kit: CopyKit, bundle: Path, tmp_path: Path) -> None:
    kit = copy_kit()
    broken = copy_kit("broken")
    (broken / "model.onnx").unlink()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    lacking = copy_kit("lacking")
    manifest = json.loads((lacking / "kit.json").read_text())
    manifest["requirements"]["packages"]["no-such-runtime"] = ">=1"
    (lacking / "kit.json").write_text(json.dumps(manifest))
    cases = [
        (error_of(kit, tmp_path / ABSENT), "unreadable-image", ABSENT),
        (error_of(kit, damaged(tmp_path)), "unreadable-image", "damaged.jpg"),
        (error_of(kit, tmp_path), "unreadable-image", str(tmp_path)),
        (error_of(lacking), "missing-package", "no-such-runtime"),
        (error_of(foreign), "no-kit", "foreign"),
        (error_of(bundle), "no-kit", str(bundle / KIT)),  # the fix names the kit
        (error_of(broken), "kit-file-missing", "model.onnx"),
    ]
    for error, ref, name in cases:
        assert error.ref == ref
        assert name in str(error) and error.hint and error.hint in str(error) and "\n" not in str(error)
        assert "Errno" not in str(error)


def test_a_person_reads_an_error_on_one_line_of_stderr(onnx_kit: Path) -> None:
    done = run(onnx_kit, "predict", ABSENT)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert ABSENT in done.stderr and "[unreadable-image]" in done.stderr


def test_a_folder_that_is_no_bundle_is_named(onnx_kit: Path, tmp_path: Path) -> None:
    shutil.copytree(onnx_kit, tmp_path / "alone/kit")
    done = run(tmp_path / "alone/kit", "measure", "..")
    assert (done.returncode, "[no-bundle]" in done.stderr, str(tmp_path / "alone") in done.stderr) == (1, True, True)


def test_a_label_cannot_control_the_terminal() -> None:
    assert visible("cat\x1b[2J") == "cat\\x1b[2J"

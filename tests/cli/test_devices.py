from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import warm

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*words: str, python: str = sys.executable, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        environment = {**kept, "XDG_CONFIG_HOME": str(tmp_path / "config"), "EDGECNN_STORE": str(tmp_path / "store"), **variables}
        if python == sys.executable:
            return warm.edgecnn(words, env=environment)
        return subprocess.run([python, "-m", "edgecnn", *words], env=environment, capture_output=True, text=True, check=False)

    return run


def test_a_machine_becomes_a_device_that_a_target_names(run: Run, tmp_path: Path) -> None:
    added = run("devices", "add", "kitchen")
    file = tmp_path / "config/edgecnn/devices/kitchen.toml"
    assert added.returncode == 0 and f"wrote {file}" in added.stdout, added.stderr
    held = run("devices", "check", "kitchen")
    assert held.returncode == 0 and "the device file kitchen matches the board" in held.stdout, held.stderr
    planned = run("plan", "--arch", "resnet-18", "--weights", "none", "--target", "kitchen")
    assert planned.returncode == 0, planned.stderr


def test_devices_of_ones_own_are_listed_and_recognised_and_a_damaged_file_stops_nothing(run: Run, tmp_path: Path) -> None:
    assert run("devices", "add", "kitchen").returncode == 0
    broken = tmp_path / "config/edgecnn/devices/attic.toml"
    broken.write_text("name = 'attic'\n[")
    listed = run("list", "devices", "--json")
    assert listed.returncode == 0, listed.stderr
    rows = {row["name"]: row for row in json.loads(listed.stdout)}
    assert list(rows)[:2] == ["attic", "kitchen"] and "raspberry-pi-5" in rows
    assert rows["kitchen"]["build_with"][0] == "kitchen" and rows["attic"]["build_with"] == []
    assert rows["attic"]["title"].startswith("cannot be used: ") and str(broken) in rows["attic"]["title"]
    assert "kitchen" in run("list", "devices").stdout
    document = json.loads(run("devices", "check", "--json").stdout)
    assert {"kitchen", "cpu"} <= set(document["recognised_as"])


def test_what_was_found_is_json_too(run: Run) -> None:
    document = json.loads(run("devices", "check", "--json").stdout)
    assert document["schema"] == "edgecnn.board/1" and "cpu" in document["recognised_as"]
    assert document["device"] is None and document["differences"] == []


def test_a_file_of_another_board_disagrees(run: Run) -> None:
    held = run("devices", "check", "jetson-orin-nano")
    assert held.returncode == 2 and held.stderr.rstrip().endswith("[device-file-disagrees]")
    assert "the device file jetson-orin-nano does not match the board:" in held.stdout


def test_a_file_of_ones_own_that_is_broken_is_named_by_its_path(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config/edgecnn/devices").mkdir(parents=True)
    file = tmp_path / "config/edgecnn/devices/kitchen.toml"
    file.write_text("name = 'kitchen'\n[")
    done = run("plan", "--arch", "resnet-18", "--target", "kitchen")
    assert done.returncode == 2 and str(file) in done.stderr and done.stderr.count("\n") == 1


def test_a_board_that_is_not_there_is_one_line(run: Run) -> None:
    done = run("devices", "check", "--host", "nobody@127.0.0.1", EDGECNN_SSH="ssh -p 1 -F none")
    assert done.returncode in (2, 3) and done.stderr.count("\n") == 1 and "127.0.0.1" in done.stderr


def test_the_table_of_another_machine_takes_no_place_of_this_ones(run: Run) -> None:
    done = run("devices", "measure", "cpu", "--host", "emulated")
    assert done.returncode == 2 and done.stderr.rstrip().endswith("[table-needs-file]")


def test_packages_are_not_carried_to_where_they_come_from(run: Run) -> None:
    assert run("devices", "check", "--carry-wheels").stderr.rstrip().endswith("[carry-without-host]")


@pytest.mark.parametrize("words", [("add", "kitchen"), ("check",), ("check", "--host", "emulated")])
def test_a_python_of_no_board_is_refused(run: Run, words: tuple[str, ...]) -> None:
    done = run("devices", *words, "--python", "python3.12")
    assert (done.returncode, done.stdout) == (2, "")
    assert "[host-option-without-host]" in done.stderr

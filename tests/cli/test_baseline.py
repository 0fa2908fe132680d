"""`edgecnn baseline`: a file that is made, shown, and judged by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgecnn.cli.main import app
from edgecnn.comparing.baseline_file import read_baseline
from tests.building.races import RacingHost, last_days, measured_on_a_device, on_days, racing_lab, two_bundles


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RacingHost:
    host = RacingHost(head=2.4, base=2.0)
    monkeypatch.setattr("edgecnn.devices.machine.local_lab", lambda store, tell: racing_lab(host, tmp_path))
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return host


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_board_s_runs_become_a_file_and_a_later_build_is_judged_by_it(host: RacingHost, tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    runs, file = measured_on_a_device(host, base, tmp_path / "measured"), tmp_path / "board.json"
    made = run("baseline", "import", base, runs, "--out", file)
    assert made.exit_code == 0, made.output
    assert made.stdout.splitlines()[0] == "onnxruntime-fp32 of base on AMD EPYC, 2026-11-20T09:00:00+00:00"
    assert "  energy: unknown: there are no energy runs, and no machine.json with the reason" in made.stdout
    assert run("baseline", "show", file).stdout == made.stdout
    shown = json.loads(run("baseline", "show", file, "--json").stdout)
    assert (shown["runs"], shown["latency"]["p50_ms"]["estimate"]) == (8, 2.0)
    assert run("baseline", "compare", head, file).exit_code == 4
    days = on_days(read_baseline(file), tmp_path)
    judged = run("baseline", "compare", head, *days, "--verbose", "--junit", tmp_path / "gates.xml")
    assert judged.exit_code == 1, judged.output
    assert "latency 1.200 × BASE" in judged.stdout
    assert f"  note: unpaired: BASE ran on {last_days(3)[0]}" in judged.stdout
    assert 'failures="1"' in (tmp_path / "gates.xml").read_text()


def test_another_machine_is_refused_unless_told(host: RacingHost, tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    runs, file = measured_on_a_device(host, base, tmp_path / "measured"), tmp_path / "board.json"
    run("baseline", "import", base, runs, "--out", file)
    days = on_days(read_baseline(file), tmp_path)
    host.conditions["governor"] = "powersave"
    refused = run("baseline", "compare", head, file)
    assert (refused.exit_code, "[baseline-elsewhere]" in refused.stderr) == (2, True)
    assert run("baseline", "compare", head, *days, "--allow-different", "governor").exit_code == 1


def test_a_build_that_was_never_raced_has_nothing_to_record(host: RacingHost, tmp_path: Path) -> None:
    _, base = two_bundles(tmp_path)
    done = run("baseline", "record", base, "--out", tmp_path / "board.json")
    assert done.exit_code == 3
    assert "edgecnn baseline import BUILD RUNS --out FILE [no-recorded-race]" in done.stderr
    assert not (tmp_path / "board.json").exists()


def test_rounds_of_a_race_here_beside_runs_of_a_device_are_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["baseline", "compare", "build", "board.json", "--runs", "measured", "--rounds", "9"])
    assert done.exit_code == 2
    assert "[rounds-with-runs]" in done.stderr

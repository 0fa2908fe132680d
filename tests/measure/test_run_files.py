"""Runs that came from a device are believed only where they are whole, of the kit, and of one machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors.measuring import RunsUnusable
from edgecnn.judging.latency import disturbed
from edgecnn.measure.kits import KitRef
from edgecnn.measure.run_files import profile_of_runs
from tests.measure.labs import FakeHost, a_kit
from tests.store.toys import Ear


@pytest.fixture
def measured(tmp_path: Path) -> tuple[Path, KitRef]:
    """A folder in which a device left runs of two kits."""
    host, out = FakeHost(), tmp_path / "measured"
    kits = [a_kit(tmp_path / "kits", name) for name in ("mine", "other")]
    timing = {"samples": 50, "warmup_s": 0.3, "max_s": 5.0, "knobs": {}, "trace": False}
    items = [{"kit": str(kit.folder), "round": k, "position": p, **timing} for k in range(8) for p, kit in enumerate(kits)]
    out.mkdir()
    (tmp_path / "asked.json").write_text(json.dumps({"schema": "edgecnn.schedule/1", "timeout_s": 60.0, "items": items}))
    argv = ["bench", "--schedule", str(tmp_path / "asked.json"), "--out", str(out)]
    host.run(kits[0].folder, argv, lease_s=60, tell=Ear())
    return out, kits[0]


def edited(folder: Path, change: Callable[[dict[str, Any]], object], index: int = 0) -> None:
    path = folder / f"run-{index:05d}.json"
    run = json.loads(path.read_text())
    change(run)
    path.write_text(json.dumps(run))


def test_the_runs_of_one_kit_become_its_profile(measured: tuple[Path, KitRef]) -> None:
    folder, kit = measured
    profile = profile_of_runs(folder, kit, "raspberry-pi-5")
    assert (profile.subject, profile.device, profile.host) == (kit.digest, "raspberry-pi-5", "AMD EPYC")
    assert [run.samples_ns[0] for run in profile.runs] == [1000 + 2 * k for k in range(8)]


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (lambda run: run.update(schema="edgecnn.run/2"), "run-00000.json is no edgecnn.run/1"),
        (lambda run: run.update(error={"what": "it crashed"}), "a run of mine ended in an error: it crashed"),
        (lambda run: run.pop("samples_ns"), "a run file lacks what a run has"),
        (lambda run: run.pop("environment"), "a run file lacks what a run has: 'environment'"),
        (lambda run: run["environment"]["conditions"].update(cpu="Cortex-A76"), "the machine changed between its runs: cpu"),
        (lambda run: run.update(round=1), "two runs of this kit are of the same round"),
        (lambda run: run["samples_ns"].__setitem__(3, -5), "a time is not above 0: the clock stepped, or the file was edited"),
        (lambda run: run.update(load_ns=-5), "a time is not above 0"),
        (lambda run: run.update(first_ns=0), "a time is not above 0"),
        (lambda run: run.update(process_ns=-1), "a time is not above 0"),
        (lambda run: run.update(error="x"), "run-00000.json: error: "),
        (lambda run: run.update(error={}), "run-00000.json: error.what: Field required"),
        (lambda run: run.update(environment=[]), "run-00000.json: environment: "),
        (lambda run: run["environment"].pop("observed"), "run-00000.json: environment.observed: Field required"),
        (lambda run: run["environment"]["observed"].update(others_percent="nan"), "others_percent is 'nan', no share"),
        (lambda run: run["environment"]["observed"].update(others_percent="-80"), "others_percent is '-80', no share"),
        (lambda run: run["environment"]["observed"].update(steal_percent="much"), "steal_percent is 'much', no share"),
        (lambda run: run["environment"]["observed"].update(temperature_c="inf"), "temperature_c is 'inf', no number"),
    ],
)
def test_what_is_not_whole_is_refused(
    measured: tuple[Path, KitRef], change: Callable[[dict[str, Any]], object], because: str
) -> None:
    folder, kit = measured
    edited(folder, change)
    with pytest.raises(RunsUnusable) as refused:
        profile_of_runs(folder, kit, "raspberry-pi-5")
    assert because in refused.value.line()


def test_throttling_is_what_the_runs_say_of_it_and_no_share_that_a_file_claims(measured: tuple[Path, KitRef]) -> None:
    folder, kit = measured
    edited(folder, lambda run: run["environment"]["observed"].update(throttled_percent="90"))
    environment = profile_of_runs(folder, kit, "raspberry-pi-5").environment
    assert "throttled_percent" not in environment.observed
    assert disturbed(environment) is None


def test_half_a_file_is_refused(measured: tuple[Path, KitRef]) -> None:
    folder, kit = measured
    (folder / "run-00002.json").write_text('{"schema": "edgecnn')
    with pytest.raises(RunsUnusable, match="run-00002.json cannot be read"):
        profile_of_runs(folder, kit, "raspberry-pi-5")


def test_runs_of_other_kits_alone_are_none(measured: tuple[Path, KitRef], tmp_path: Path) -> None:
    folder, _ = measured
    with pytest.raises(RunsUnusable, match="16 runs of other kits are there"):
        profile_of_runs(folder, a_kit(tmp_path / "kits", "third"), "raspberry-pi-5")
    with pytest.raises(RunsUnusable, match=r"there is no run-\*.json"):
        profile_of_runs(tmp_path / "kits", a_kit(tmp_path / "kits", "fourth"), "raspberry-pi-5")

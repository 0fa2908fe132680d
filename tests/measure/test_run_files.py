"""Runs that came from a device are believed only where they are whole, of the kit, and of one machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors.measuring import RunsUnusable
from edgecnn.hosts.protocol import Schedule, Task
from edgecnn.judging.latency import disturbed, latency
from edgecnn.measure.device_runs import energy_of_runs, profile_of_runs
from edgecnn.measure.kits import KitRef
from edgecnn.runner.files import sha256_of
from edgecnn.values.verdict import Fidelity
from tests.measure.labs import FakeHost, a_kit
from tests.store.toys import Ear


@pytest.fixture
def measured(tmp_path: Path) -> tuple[Path, KitRef]:
    """A folder in which a device left runs of two kits."""
    host, out = FakeHost(), tmp_path / "measured"
    kits = [a_kit(tmp_path / "kits", name) for name in ("mine", "other")]
    bench(host, kits, out, samples=50)
    return out, kits[0]


def bench(host: FakeHost, kits: Sequence[KitRef], out: Path, **settings: Any) -> None:
    timing = {"samples": 1, "warmup_s": 0.3, "max_s": 5.0, "knobs": {}, "trace": False, **settings}
    items = [{"kit": str(kit.folder), "round": k, "position": p, **timing} for k in range(8) for p, kit in enumerate(kits)]
    out.mkdir()
    host.run(Task(kits[0].folder, "bench", out=out, schedule=Schedule(tuple(items), 60.0)), lease_s=60, tell=Ear())


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


def test_runs_of_an_emulated_processor_are_emulated(tmp_path: Path) -> None:
    host, kit = FakeHost(), a_kit(tmp_path / "kits", "mine")
    host.conditions["emulator"] = "QEMU user mode, cortex-a76"
    bench(host, [kit], tmp_path / "measured", samples=50)
    profile = profile_of_runs(tmp_path / "measured", kit, "arm64-emulated")
    assert profile.fidelity is latency(profile, fp32=None, machine="here").fidelity is Fidelity.EMULATED


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (lambda run: run.update(schema="edgecnn.run/2"), "run-00000.json is not edgecnn.run/1"),
        (lambda run: run.update(error={"what": "it crashed"}), "a run of mine ended in an error: it crashed"),
        (lambda run: run.pop("samples_ns"), "run-00000.json: samples_ns: Field required"),
        (lambda run: run.pop("environment"), "run-00000.json: environment: Field required"),
        (lambda run: run["environment"]["conditions"].update(cpu="Cortex-A76"), "the machine changed between its runs: cpu"),
        (lambda run: run.update(started_at="yesterday"), "run-00000.json: 'yesterday' is not a date"),
        (lambda run: run.update(round=1), "two runs of this kit have the same round"),
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


def test_a_run_that_was_edited_after_it_was_measured_is_refused(measured: tuple[Path, KitRef]) -> None:
    folder, kit = measured
    runs = sorted(folder.glob("run-*.json"))
    (folder / "bench.json").write_text(json.dumps({"sha256": {path.name: sha256_of(path) for path in runs}}))
    assert len(profile_of_runs(folder, kit, "cpu").runs) == 8
    edited(folder, lambda run: run["samples_ns"].__setitem__(3, 900), index=2)
    with pytest.raises(RunsUnusable, match=r"run-00002.json differs from what its runner wrote \(bench.json\): it was edited"):
        profile_of_runs(folder, kit, "cpu")


def test_throttling_is_what_the_runs_say_of_it_and_no_share_that_a_file_claims(measured: tuple[Path, KitRef]) -> None:
    folder, kit = measured
    edited(folder, lambda run: run["environment"]["observed"].update(throttled_percent="90"))
    profile = profile_of_runs(folder, kit, "raspberry-pi-5")
    assert "throttled_percent" not in profile.environment.observed
    assert "throttled" not in (disturbed([profile]) or "")


def test_half_a_file_is_refused(measured: tuple[Path, KitRef]) -> None:
    folder, kit = measured
    (folder / "run-00002.json").write_text('{"schema": "edgecnn')
    with pytest.raises(RunsUnusable, match="run-00002.json cannot be read"):
        profile_of_runs(folder, kit, "raspberry-pi-5")


def test_runs_of_other_kits_alone_are_none(measured: tuple[Path, KitRef], tmp_path: Path) -> None:
    folder, _ = measured
    with pytest.raises(RunsUnusable, match="it has 16 runs of other kits"):
        profile_of_runs(folder, a_kit(tmp_path / "kits", "third"), "raspberry-pi-5")
    with pytest.raises(RunsUnusable, match=r"there is no run-\*.json"):
        profile_of_runs(tmp_path / "kits", a_kit(tmp_path / "kits", "fourth"), "raspberry-pi-5")


def test_a_device_whose_clock_is_ahead_dates_nothing_into_the_future(measured: tuple[Path, KitRef]) -> None:
    folder, kit = measured
    edited(folder, lambda run: run.update(started_at="2106-02-07T06:28:15+00:00"), index=4)
    observed_at = datetime.fromisoformat(profile_of_runs(folder, kit, "raspberry-pi-5").observed_at)
    assert datetime.now(UTC) - timedelta(minutes=1) < observed_at <= datetime.now(UTC)


@pytest.fixture
def metered(measured: tuple[Path, KitRef]) -> tuple[Path, KitRef]:
    """The same, and beside it energy runs of the one kit."""
    folder, kit = measured
    host = FakeHost()
    host.meters = "ina3221"
    bench(host, [kit], folder / "energy", energy=True)
    return folder, kit


def test_energy_runs_beside_the_others_are_read_back(metered: tuple[Path, KitRef]) -> None:
    folder, kit = metered
    timed = profile_of_runs(folder, kit, "jetson-orin-nano")
    assert len(timed.runs) == 8 and all(run.energy is None for run in timed.runs)
    found = energy_of_runs(folder, kit, timed)
    assert (len(found.runs), found.absent) == (8, None)
    assert [run.energy.readings[0].meter for run in found.runs if run.energy] == ["ina3221"] * 8


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        (lambda run: run.pop("energy"), "a run in energy measured no energy"),
        (lambda run: run.update(error={"what": "it crashed"}), "a run of mine ended in an error: it crashed"),
        (lambda run: run["environment"]["conditions"].update(cpu="x"), "the machine changed between its runs: cpu"),
        (lambda run: run["energy"].update(images="many"), "run-00000.json: energy.images: Input should be a valid integer"),
    ],
)
def test_energy_that_is_amiss_is_absent_with_the_reason_and_costs_no_latency(
    metered: tuple[Path, KitRef], change: Callable[[dict[str, Any]], object], absent: str
) -> None:
    folder, kit = metered
    edited(folder / "energy", change)
    found = energy_of_runs(folder, kit, profile_of_runs(folder, kit, "jetson-orin-nano"))
    assert found.runs == ()
    assert found.absent is not None and absent in found.absent


def test_without_energy_runs_the_device_s_own_reason_is_read(measured: tuple[Path, KitRef]) -> None:
    folder, kit = measured
    timed = profile_of_runs(folder, kit, "cpu")
    assert energy_of_runs(folder, kit, timed).absent == "there are no energy runs, and no machine.json with the reason"
    said = {"conditions": {}, "observed": {"energy_absent": "rapl: may not be read by this user"}}
    (folder / "machine.json").write_text(json.dumps(said))
    absent = "no meter could be read there: rapl: may not be read by this user"
    assert energy_of_runs(folder, kit, timed).absent == absent
    (folder / "machine.json").write_text("{")
    assert energy_of_runs(folder, kit, timed).absent == "there are no energy runs, and no machine.json with the reason"

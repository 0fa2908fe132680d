"""A reference is of a machine like the build's: where a device file is of many processors, of the same one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgecnn.building.dated_records import dated_records, dated_references
from edgecnn.devices.files import device_named
from edgecnn.measure.race import RaceResult
from edgecnn.planning.candidates import BASELINE
from edgecnn.store.disk import sha256_of
from edgecnn.values.profile import Environment
from tests.building.report.test_dated_records import PI, folder, staged
from tests.building.resolutions import INT8
from tests.building.scenes import HERE, a_race_profile
from tests.bundle.evidence_records import a_network, an_evidence, an_evidence_kit, written
from tests.judging.made import a_candidate

__all__ = ["folder"]
KNOWN = {"cpu": "a cpu", "cores": "4"}
MANY = ("cpu", "intel-cpu", "intel-cpu-avx2", "intel-core-ultra", "arm64-server", "arm64-server-i8mm")


def of(conditions: Mapping[str, str]) -> Environment:
    return Environment(conditions=conditions, observed={})


def shown(tmp_path: Path, here: Mapping[str, str], **changes: Any) -> set[str]:
    seen = staged(tmp_path, **changes).seen
    seen.lab = replace(seen.lab, environment=of(here))
    return {each.machine for each in dated_references(seen, dated_records(seen.resolved.device.name).evidence)}


@pytest.mark.parametrize("device", MANY)
def test_of_a_device_file_for_many_processors_the_same_one_is_wanted(tmp_path: Path, folder: Path, device: str) -> None:
    there = {"same": KNOWN, "other cpu": {**KNOWN, "cpu": "x"}, "more": {**KNOWN, "cores": "16"}, "unread": {"cores": "4"}}
    for name, conditions in there.items():
        environment = of({**conditions, "machine": name})
        written(folder / f"{name}.json", an_evidence(device=device, machine=name, environment=environment))
    assert shown(tmp_path / "a", KNOWN, device=device_named(device)) == {"same, a cpu"}
    assert shown(tmp_path / "b", {"cores": "4"}, device=device_named(device)) == set(), "two that nobody read are not the same"


def test_of_a_board_s_file_a_variant_with_fewer_cores_is_another_machine(tmp_path: Path, folder: Path) -> None:
    for cores in ("4", "2"):
        environment = of({**HERE.conditions, "machine": cores, "cores": cores})
        written(folder / f"{cores}.json", an_evidence(machine=f"one of {cores}", environment=environment))
    assert shown(tmp_path, HERE.conditions) == {"one of 4, a cpu"}


def test_two_people_s_devices_of_one_name_are_two(tmp_path: Path, folder: Path) -> None:
    mine = tmp_path / "my-board.toml"
    mine.write_text("x")
    device = PI.model_copy(update={"name": "my-board"})
    for name, digest in (("mine", sha256_of(mine)), ("theirs", "e" * 64)):
        environment = of({**HERE.conditions, "machine": name})
        record = an_evidence(device="my-board", machine=name, device_sha256=digest, environment=environment)
        written(folder / f"{name}.json", record)
    assert shown(tmp_path / "a", HERE.conditions, device=device, device_file=str(mine)) == {"mine, a cpu"}
    mine.unlink()
    assert shown(tmp_path / "b", HERE.conditions, device=device, device_file=str(mine)) == set()


def test_a_webgpu_figure_is_of_the_adapter_that_runs_here(tmp_path: Path, folder: Path) -> None:
    webgpu, browser = a_candidate("webgpu-fp32"), device_named("browser")
    for adapter in ("intel", "nvidia", None):
        conditions = {**KNOWN, "machine": str(adapter), **({"webgpu_adapter": adapter} if adapter else {})}
        kit = an_evidence_kit(candidate=webgpu, environment=of(conditions))
        record = an_evidence(a_network(kit), device="browser", environment=of({**KNOWN, "machine": str(adapter)}))
        written(folder / f"{adapter}.json", record)
    seen = staged(tmp_path, device=browser, candidates=(BASELINE, INT8, webgpu)).seen
    seen.lab = replace(seen.lab, environment=of(KNOWN))
    evidence = dated_records("browser").evidence
    assert dated_references(seen, evidence) == ()
    ran = a_race_profile("k", 1.0, purpose="report", environment=of({**KNOWN, "webgpu_adapter": "intel"}))
    seen.races["report"] = RaceResult(race="r", observed_at=ran.observed_at, profiles={"k": ran}, failed={}, reused=False)
    assert [each.machine for each in dated_references(seen, evidence)] == ["a board, a cpu, intel"]

"""A latency baseline holds every run and what they are of, and is believed only as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from edgecnn.comparing.baseline_file import (
    energy_figures_of,
    figures_of,
    imported_baseline,
    read_baseline,
    recorded_baseline,
    write_record,
)
from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.comparing import LATENCY_BASELINE_UNREADABLE, NO_RECORDED_RACE, TOO_FEW_RUNS, KitNotCarried
from edgecnn.errors.measuring import RunsUnusable
from edgecnn.errors.usage import RESULT_FILE_UNWRITABLE
from edgecnn.store.store import Store
from edgecnn.values.report import sealed_digest
from edgecnn.values.stage import digest_of
from tests.building.bundles import make_bundle
from tests.building.races import RacingHost, measured_on_a_device
from tests.house.schemas import FOLDER


@pytest.fixture
def board(tmp_path: Path) -> tuple[Path, Path]:
    """A bundle, and what a board measured of it."""
    bundle = make_bundle(tmp_path / "base")
    return bundle, measured_on_a_device(RacingHost(base=2.0), bundle, bundle / "measured")


def test_what_a_board_measured_becomes_a_file_and_comes_back_whole(board: tuple[Path, Path], tmp_path: Path) -> None:
    made = imported_baseline(*board)
    write_record(made, tmp_path / "board.json")
    read = read_baseline(tmp_path / "board.json")
    assert read == made
    assert (len(read.runs), len(read.runs[0].samples_ns)) == (8, 50)
    assert read.environment.conditions["cpu"] == "AMD EPYC"
    figures = figures_of(read)
    assert figures.p50_ms is not None
    assert figures.p50_ms.estimate == pytest.approx(2.0, rel=0.05)


def test_energy_runs_come_back_with_their_figure(board: tuple[Path, Path], tmp_path: Path) -> None:
    bundle, runs = board
    host = RacingHost(base=2.0)
    host.meters = "ina3221"
    measured_on_a_device(host, bundle, runs / "energy", energy=True, max_s=4.0)
    made = imported_baseline(bundle, runs)
    write_record(made, tmp_path / "board.json")
    read = read_baseline(tmp_path / "board.json")
    assert (len(read.runs), len(read.energy_runs)) == (8, 8)
    figures = energy_figures_of(read)
    assert figures.total_mj is not None and figures.above_idle_mj is not None and figures.meter == "ina3221"
    assert (figures.total_mj.estimate, figures.above_idle_mj.estimate) == pytest.approx((400.0, 320.0))


def test_a_baseline_without_energy_says_why(board: tuple[Path, Path]) -> None:
    figures = energy_figures_of(imported_baseline(*board))
    assert (figures.runs, figures.total_mj) == (0, None)
    assert figures.reason == "there are no energy runs, and no machine.json with the reason"


def test_a_file_of_before_energy_was_read_back_is_still_what_its_digest_says(board: tuple[Path, Path], tmp_path: Path) -> None:
    plain = imported_baseline(*board).model_copy(update={"energy_absent": None, "sha256": ""})
    old = plain.model_dump(mode="json", by_alias=True, exclude={"energy_runs", "energy_absent", "sha256"})
    path = tmp_path / "board.json"
    path.write_text(json.dumps({**old, "sha256": digest_of(old)}))
    assert energy_figures_of(read_baseline(path)).reason == "the file holds no energy runs"


def test_too_few_processes_are_refused_with_the_command_that_times_enough(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "base")
    few = measured_on_a_device(RacingHost(base=2.0), bundle, tmp_path / "few", rounds=3)
    with pytest.raises(EdgecnnError, check=TOO_FEW_RUNS.made) as refused:
        imported_baseline(bundle, few)
    assert (refused.value.fields["timed"], refused.value.fields["needed"], refused.value.exit_code) == (3, 7, 3)


def test_the_file_is_what_its_schema_publishes(board: tuple[Path, Path], tmp_path: Path) -> None:
    write_record(imported_baseline(*board), tmp_path / "board.json")
    schema = json.loads((FOLDER / "latency-baseline.json").read_text(encoding="utf-8"))
    facts = json.loads((tmp_path / "board.json").read_text())
    Draft202012Validator(schema).validate(facts)
    assert facts["schema"] == "edgecnn.latency-baseline/1"


def test_an_edited_time_is_noticed(board: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    write_record(imported_baseline(*board), path)
    facts = json.loads(path.read_text())
    facts["runs"][0]["samples_ns"][0] += 1
    path.write_text(json.dumps(facts))
    with pytest.raises(EdgecnnError, match="it was edited", check=LATENCY_BASELINE_UNREADABLE.made):
        read_baseline(path)


@pytest.mark.parametrize(
    ("load_ns", "observed_at", "because"),
    [
        (10**400, None, "load_ns"),
        (2**63, None, "load_ns"),
        (-1, None, "a time is not above 0"),
        (1, "yesterday", "is not a date"),
        (1, "2026-11-20T09:00:00", "has no offset from UTC"),
        (1, "9998-01-01T00:00:00Z", "in the future"),
    ],
)
def test_a_time_that_no_clock_shows_is_refused_whoever_sealed_it(
    load_ns: int, observed_at: str | None, because: str, board: tuple[Path, Path], tmp_path: Path
) -> None:
    path = tmp_path / "board.json"
    write_record(imported_baseline(*board), path)
    facts = json.loads(path.read_text())
    facts["runs"][0]["load_ns"] = load_ns
    facts["observed_at"] = observed_at or facts["observed_at"]
    path.write_text(json.dumps({**facts, "sha256": sealed_digest(facts)}))
    with pytest.raises(EdgecnnError, match=because, check=LATENCY_BASELINE_UNREADABLE.made):
        read_baseline(path)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("{", "Invalid JSON"),
        (
            '{"schema": "edgecnn.baseline/1"}',
            "its schema is edgecnn.baseline/1, and this version reads edgecnn.latency-baseline/1",
        ),
        (None, "no such file or directory"),
    ],
)
def test_what_is_no_latency_baseline_is_refused(tmp_path: Path, text: str | None, because: str) -> None:
    path = tmp_path / "board.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(EdgecnnError, match=because, check=LATENCY_BASELINE_UNREADABLE.made):
        read_baseline(path)


def test_too_few_runs_make_no_baseline(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "base")
    for rounds in (5, 1):
        runs = measured_on_a_device(RacingHost(base=2.0), bundle, tmp_path / f"measured-{rounds}", rounds=rounds)
        with pytest.raises(EdgecnnError, match="--rounds 8", check=TOO_FEW_RUNS.made) as refused:
            imported_baseline(bundle, runs)
        assert (refused.value.fields["timed"], refused.value.fields["rounds"]) == (rounds, 8)


PI = {"architecture": "aarch64", "model": "Raspberry Pi 5 Model B Rev 1.0"}


@pytest.mark.parametrize(
    ("device", "observed", "named"),
    [
        ("raspberry-pi-5", {"architecture": "x86_64"}, ("x86_64", "raspberry-pi-5", "aarch64")),
        ("jetson-orin-nano", PI, (PI["model"], "jetson-orin-nano", "Jetson Orin Nano")),
        (
            "intel-cpu",
            {"architecture": "x86_64", "cpu_vendor": "AuthenticAMD"},
            ("AuthenticAMD", "intel-cpu", "GenuineIntel"),
        ),
        ("raspberry-pi-5", PI, ()),
        ("raspberry-pi-5", {"architecture": "aarch64"}, ()),
        ("cpu", PI, ()),
    ],
)
def test_runs_of_another_device_are_not_taken_for_this_one_s(
    board: tuple[Path, Path], device: str, observed: dict[str, str], named: tuple[str, ...]
) -> None:
    bundle, _ = board
    whole = bundle.rename(bundle.with_name("bundle"))
    build = whole.parent
    (build / "report.json").write_text("{}")
    facts = device_named(device).model_dump(mode="json", by_alias=True)
    (build / "plan.json").write_text(json.dumps({"resolved": {"device": facts}}))
    for path in (whole / "measured").glob("run-*.json"):
        run = json.loads(path.read_text())
        run["environment"]["observed"].update(observed)
        path.write_text(json.dumps(run))
    if not named:
        assert imported_baseline(build, whole / "measured").shipped.device is None, "report.json says nothing here"
        return
    with pytest.raises(RunsUnusable) as refused:
        imported_baseline(build, whole / "measured")
    assert all(fact in refused.value.fields["because"] for fact in named)


def test_a_bundle_alone_has_no_report_to_record_from(board: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=NO_RECORDED_RACE.made) as refused:
        recorded_baseline(board[0], Store.open(tmp_path / "store"))
    assert refused.value.exit_code == 3


def test_a_candidate_that_is_not_carried_is_named_with_those_that_are(board: tuple[Path, Path]) -> None:
    with pytest.raises(KitNotCarried):
        imported_baseline(*board, candidate="openvino-int8")


def test_a_file_that_cannot_be_written_is_bad_input(board: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=RESULT_FILE_UNWRITABLE.made):
        write_record(imported_baseline(*board), tmp_path / "absent" / "board.json")


def test_a_pinned_build_s_record_is_no_latency_baseline_and_its_reader_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a base.json"
    file.write_text('{"schema": "edgecnn.pinned-build/2"}')
    with pytest.raises(EdgecnnError, check=LATENCY_BASELINE_UNREADABLE.made) as refused:
        read_baseline(file)
    assert refused.value.line() == (
        f"{file} cannot be read as a latency baseline: it is the record of a pinned build, which has no runs"
        f" — edgecnn judge HEAD --against '{file}' races a build against it [latency-baseline-unreadable]"
    )


def test_a_baseline_of_another_version_names_both_schemas_and_the_command_that_writes_one(tmp_path: Path) -> None:
    file = tmp_path / "board.json"
    file.write_text('{"schema": "edgecnn.latency-baseline/9"}')
    with pytest.raises(EdgecnnError, check=LATENCY_BASELINE_UNREADABLE.made) as refused:
        read_baseline(file)
    assert refused.value.line() == (
        f"{file} cannot be read as a latency baseline: its schema is edgecnn.latency-baseline/9, and this version reads "
        "edgecnn.latency-baseline/1 — edgecnn baseline record BUILD --out FILE writes one [latency-baseline-unreadable]"
    )

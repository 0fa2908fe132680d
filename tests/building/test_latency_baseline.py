"""A latency baseline holds every run and what they are of, and is believed only as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from edgecnn.building.devices import device_named
from edgecnn.building.latency_baseline import figures_of, imported, read_baseline, recorded, write_baseline
from edgecnn.errors.ci import ResultFileUnwritable
from edgecnn.errors.comparing import KitNotCarried, LatencyBaselineUnreadable, NoRecordedRace
from edgecnn.errors.measuring import RunsUnusable
from edgecnn.store.store import Store
from tests.building.bundles import make_bundle
from tests.building.races import RacingHost, measured_on_a_device
from tests.house.schemas import FOLDER


@pytest.fixture
def board(tmp_path: Path) -> tuple[Path, Path]:
    """A bundle, and what a board measured of it."""
    bundle = make_bundle(tmp_path / "base")
    return bundle, measured_on_a_device(RacingHost(base=2.0), bundle, bundle / "measured")


def test_what_a_board_measured_becomes_a_file_and_comes_back_whole(board: tuple[Path, Path], tmp_path: Path) -> None:
    made = imported(*board)
    write_baseline(made, tmp_path / "board.json")
    read = read_baseline(tmp_path / "board.json")
    assert read == made
    assert (len(read.runs), len(read.runs[0].samples_ns)) == (8, 50)
    assert read.environment.conditions["cpu"] == "AMD EPYC"
    figures = figures_of(read)
    assert figures.p50_ms is not None
    assert figures.p50_ms.estimate == pytest.approx(2.0, rel=0.05)


def test_too_few_processes_are_refused_with_the_command_that_times_enough(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "base")
    few = measured_on_a_device(RacingHost(base=2.0), bundle, tmp_path / "few", rounds=3)
    with pytest.raises(NoRecordedRace) as refused:
        imported(bundle, few)
    assert refused.value.line() == (
        "there are no runs of onnxruntime-fp32 to record: 3 processes were timed, and an interval needs 7"
        " — time more of them: python3 -m runner measure ../.. --rounds 8 on the device, or, of a build here,"
        " the same build command with --set race.rounds=8 [no-recorded-race]"
    )


def test_the_file_is_what_its_schema_publishes(board: tuple[Path, Path], tmp_path: Path) -> None:
    write_baseline(imported(*board), tmp_path / "board.json")
    schema = json.loads((FOLDER / "latency-baseline.json").read_text(encoding="utf-8"))
    facts = json.loads((tmp_path / "board.json").read_text())
    Draft202012Validator(schema).validate(facts)
    assert facts["schema"] == "edgecnn.latency-baseline/1"


def test_an_edited_time_is_noticed(board: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    write_baseline(imported(*board), path)
    facts = json.loads(path.read_text())
    facts["runs"][0]["samples_ns"][0] += 1
    path.write_text(json.dumps(facts))
    with pytest.raises(LatencyBaselineUnreadable, match="it was edited"):
        read_baseline(path)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("{", "Invalid JSON"),
        ('{"schema": "edgecnn.baseline/1"}', "schema: Input should be 'edgecnn.latency-baseline/1'"),
        (None, "No such file or directory"),
    ],
)
def test_what_is_no_latency_baseline_is_refused(tmp_path: Path, text: str | None, because: str) -> None:
    path = tmp_path / "board.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(LatencyBaselineUnreadable, match=because):
        read_baseline(path)


def test_too_few_runs_make_no_baseline(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "base")
    runs = measured_on_a_device(RacingHost(base=2.0), bundle, tmp_path / "measured", rounds=5)
    with pytest.raises(NoRecordedRace, match="5 processes were timed, and an interval needs 7"):
        imported(bundle, runs)


def test_runs_of_another_architecture_are_not_taken_for_the_device_s(board: tuple[Path, Path]) -> None:
    bundle, _ = board
    whole = bundle.rename(bundle.with_name("bundle"))
    build = whole.parent
    (build / "report.json").write_text("{}")
    facts = device_named("raspberry-pi-5").model_dump(mode="json", by_alias=True)
    (build / "plan.json").write_text(json.dumps({"resolved": {"device": facts}}))
    for path in (whole / "measured").glob("run-*.json"):
        run = json.loads(path.read_text())
        run["environment"]["observed"]["architecture"] = "x86_64"
        path.write_text(json.dumps(run))
    with pytest.raises(RunsUnusable, match="they were made on x86_64, and raspberry-pi-5 is aarch64"):
        imported(build, whole / "measured")


def test_a_bundle_alone_has_no_report_to_record_from(board: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(NoRecordedRace) as refused:
        recorded(board[0], Store.open(tmp_path / "store"))
    assert refused.value.exit_code == 3


def test_a_candidate_that_is_not_carried_is_named_with_those_that_are(board: tuple[Path, Path]) -> None:
    with pytest.raises(KitNotCarried, match="carries no kit of openvino-int8: it carries onnxruntime-fp32"):
        imported(*board, candidate="openvino-int8")


def test_a_file_that_cannot_be_written_is_bad_input(board: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ResultFileUnwritable):
        write_baseline(imported(*board), tmp_path / "absent" / "board.json")

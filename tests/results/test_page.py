from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors.building import NoReport, ReportUnreadable
from edgecnn.results.folder import read_report, report_text
from edgecnn.results.page import page_facts
from tests.building.scenes import a_report
from tests.building.stored_builds import HISTORY, StoredBuild, history_of
from tests.judging.made import a_latency, an_interval, facts

GONE = "is not in the store {store}; repeat the build command"


@pytest.fixture
def stored(tmp_path: Path) -> StoredBuild:
    """A build of which the store has everything."""
    build = StoredBuild(tmp_path)
    build.answered("onnxruntime-fp32", 4)
    build.answered("onnxruntime-int8", 6)
    build.raced("onnxruntime-fp32", 2.0)
    build.raced("onnxruntime-int8", 1.0)
    return build


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    report = a_report()
    (tmp_path / "report.json").write_text(report.model_dump_json(by_alias=True))
    assert read_report(tmp_path) == report


@pytest.mark.parametrize("kind", ["slower", "fewer-images", "more-energy", "alike"])
def test_an_older_report_states_no_level_of_the_race_for_the_choice(tmp_path: Path, kind: str) -> None:
    """Its ratio was an interval of a fixed sample, of a race that ended when its figures said so."""
    level = an_interval(0.82, 0.75, 0.89, 0.98)
    figures = {
        "slower": {"ms": 4.0, "against_ms": 3.3},
        "fewer-images": {"images_per_s": 9.0, "against_images_per_s": 11.0, "batch": 1, "against_batch": 1},
        "more-energy": {"energy_mj": 2.0, "against_energy_mj": 1.6, "meter": "RAPL"},
        "alike": {},
    }[kind]
    machine = {} if kind == "alike" else {"machine": "AMD EPYC"}
    fact = {"kind": kind, "against": "onnxruntime-int8", "ratio": level.model_dump(), **figures, **machine}
    document = json.loads(a_report(candidates=(facts(),)).model_dump_json(by_alias=True))
    document["candidates"][0] |= {"because": fact, "reason": "slower: 0.82 × the speed [0.75, 0.89] at 98.0 %"}
    latency = a_latency(level, ratio=level, selecting=True)
    document["candidates"][0]["latency"] = latency.model_dump(mode="json")
    (tmp_path / "report.json").write_text(json.dumps(document))
    row = read_report(tmp_path).candidates[0]
    assert "in the first race" in row.reason and " at 98" not in row.reason and "0.89]" not in row.reason
    assert row.latency is not None and row.latency.p50_ms == row.latency.ratio_to_fp32 == level.alone


def test_a_folder_without_a_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoReport, match="holds no report.json"):
        read_report(tmp_path)
    with pytest.raises(NoReport, match="holds no report.json"):
        read_report(tmp_path / "absent")


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ('{"schema": "edgecnn.report/2", "vers', "Invalid JSON: EOF while parsing a string"),
        ("{}", "version: Field required"),
        ('{"schema": "edgecnn.report/9"}', "its schema is edgecnn.report/9, and this version reads edgecnn.report/2"),
    ],
)
def test_a_report_that_is_truncated_edited_or_anothers_says_where_it_breaks(tmp_path: Path, text: str, because: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ReportUnreadable) as caught:
        read_report(tmp_path)
    assert (caught.value.because or "").startswith(because)


def test_a_figure_that_is_no_number_is_refused_before_anything_is_drawn_of_it(stored: StoredBuild, tmp_path: Path) -> None:
    facts = json.loads(report_text(stored.report))
    (tmp_path / "report.json").write_text(json.dumps(facts))
    assert read_report(tmp_path) == stored.report
    (tmp_path / "report.json").write_text(json.dumps({**facts, "seconds": float("nan")}))
    with pytest.raises(ReportUnreadable, match="a figure in it is NaN or infinite"):
        read_report(tmp_path)


@pytest.mark.parametrize("made_at", ["yesterday", "2026-11-20T09:00:00"])
def test_a_report_without_a_date_is_refused_before_a_tracker_or_a_page_needs_it(
    stored: StoredBuild, tmp_path: Path, made_at: str
) -> None:
    facts = json.loads(report_text(stored.report))
    (tmp_path / "report.json").write_text(json.dumps({**facts, "made_at": made_at}))
    with pytest.raises(ReportUnreadable) as caught:
        read_report(tmp_path)
    assert (caught.value.because or "").startswith("made_at: ") and made_at in (caught.value.because or "")


def test_a_report_of_an_earlier_version_names_the_command_that_makes_the_build_again(tmp_path: Path) -> None:
    said = "its schema is edgecnn.report/1, and this version reads edgecnn.report/2"
    for build, command in (
        ({"command": "edgecnn build demo"}, "edgecnn build demo"),
        ({}, "rerun the build command to write it again"),
    ):
        (tmp_path / "report.json").write_text(json.dumps({"schema": "edgecnn.report/1", "build": build}))
        with pytest.raises(ReportUnreadable) as caught:
            read_report(tmp_path)
        where = f"{tmp_path / 'report.json'} cannot be read as a report"
        assert caught.value.line() == f"{where}: {said} — {command} [report-unreadable]"


def test_all_that_the_store_has_of_a_report_comes_with_it(stored: StoredBuild) -> None:
    found = page_facts(stored.report, stored.store)
    assert found.missing == {}
    assert [(each.candidate, len(each.runs), each.runs[0].at_ms[0]) for each in found.raced] == [
        ("onnxruntime-fp32", 8, 2.0),
        ("onnxruntime-int8", 8, 1.0),
    ]
    assert found.mistakes is not None
    assert (found.mistakes.candidate, found.mistakes.wrong, found.mistakes.images) == ("onnxruntime-int8", 6, 40)
    assert found.history == history_of(HISTORY)


def test_nothing_in_the_store_is_said_part_by_part_and_is_no_failure(tmp_path: Path, stored: StoredBuild) -> None:
    shutil.rmtree(stored.store.root)
    found = page_facts(stored.report, stored.store)
    gone = GONE.format(store=stored.store.root)
    assert found.missing == {
        "latency": f"the races' samples are not in the store {stored.store.root}",
        "mistakes": f"the prepare artifact of onnxruntime-int8 {gone}",
        "training": f"the train artifact of onnxruntime-int8 {gone}",
    }
    assert (found.raced, found.mistakes, found.history) == ((), None, None)


def test_what_was_made_anew_since_is_not_taken_for_what_was_measured(stored: StoredBuild) -> None:
    """The prepare artifact under that key is another one now: the kit was not made from it."""
    entry = stored.store.layout.entry("prepare", stored.prepared.key)
    np.save(entry / "files" / "test.labels.npy", np.zeros(40, dtype=np.int64))
    found = page_facts(stored.report, stored.store)
    assert found.missing == {"mistakes": f"the prepare artifact of onnxruntime-int8 {GONE.format(store=stored.store.root)}"}


def test_answers_that_do_not_give_the_reported_accuracy_are_passed_over(tmp_path: Path) -> None:
    build = StoredBuild(tmp_path)
    build.answered("onnxruntime-fp32", 4)
    build.answered("onnxruntime-int8", 6)
    build.answered("onnxruntime-int8", 9, observed_at="2026-11-21T09:00:00+00:00")
    found = page_facts(build.report, build.store).mistakes
    assert found is not None
    assert found.wrong == 6


@pytest.mark.parametrize("wrong", [5, 7])
def test_where_no_stored_answers_agree_with_the_report_nothing_is_shown(tmp_path: Path, wrong: int) -> None:
    build = StoredBuild(tmp_path)
    build.answered("onnxruntime-fp32", 4)
    build.answered("onnxruntime-int8", wrong)
    build.answered("onnxruntime-int8", 6, pixels="6" * 64)
    found = page_facts(build.report, build.store)
    assert found.missing["mistakes"] == (
        "no stored predictions of onnxruntime-int8 agree with the report; repeat the build command"
    )


def test_pixels_of_another_split_are_refused(stored: StoredBuild) -> None:
    rows = tuple(
        row.model_copy(update={"test": row.test.model_copy(update={"pixels": "7" * 64})}) if row.test else row
        for row in stored.report.candidates
    )
    found = page_facts(stored.report.model_copy(update={"candidates": rows}), stored.store)
    assert found.missing == {"mistakes": "the stored pixels do not belong to the report"}


def test_where_no_device_was_attached_nothing_was_timed(stored: StoredBuild) -> None:
    build = stored.report.build.model_copy(update={"device_attached": False, "device": "jetson-orin-nano"})
    unmeasured = a_latency(None, runs=0, reason="not measured on jetson-orin-nano")
    rows = tuple(row.model_copy(update={"latency": unmeasured}) for row in stored.report.candidates)
    found = page_facts(stored.report.model_copy(update={"build": build, "candidates": rows}), stored.store)
    assert found.missing["latency"] == "no latency was measured: jetson-orin-nano was not attached"


def test_without_a_choice_the_baselines_mistakes_are_shown(stored: StoredBuild) -> None:
    rows = tuple(row.model_copy(update={"chosen": False}) for row in stored.report.candidates)
    found = page_facts(stored.report.model_copy(update={"candidates": rows}), stored.store).mistakes
    assert found is not None
    assert found.candidate == "onnxruntime-fp32"
    assert {each.baseline_answer for each in found.worst} == {None}


def test_a_history_that_cannot_be_read_is_no_failure(tmp_path: Path) -> None:
    found = page_facts(StoredBuild(tmp_path, history='{"phases"').report, StoredBuild(tmp_path, history='{"phases"').store)
    assert found.missing["training"].startswith("history.json cannot be read: ")


def test_a_class_name_that_no_text_can_hold_is_shown_with_a_question_mark(tmp_path: Path) -> None:
    build = StoredBuild(tmp_path, classes=("bag", "bo\ud800ot", "</script>"))
    build.answered("onnxruntime-fp32", 4)
    build.answered("onnxruntime-int8", 6)
    found = page_facts(build.report, build.store).mistakes
    assert found is not None
    assert [each.name for each in found.classes] == ["bag", "bo?ot", "</script>"]


def test_an_emulated_twin_s_answers_serve_where_it_answered_for_the_kit(tmp_path: Path) -> None:
    """The logits lie under the twin's digest, the lineage under the kit's."""
    build = StoredBuild(tmp_path)
    build.answered("onnxruntime-fp32", 4)
    build.answered("onnxruntime-fp32", 6)
    rows = tuple(
        row.model_copy(update={"evaluated_kit": build.digest("onnxruntime-fp32")}) if row.chosen else row
        for row in build.report.candidates
    )
    found = page_facts(build.report.model_copy(update={"candidates": rows}), build.store).mistakes
    assert found is not None
    assert found.wrong == 6


def test_the_value_survives_a_file(stored: StoredBuild) -> None:
    found = page_facts(stored.report, stored.store)
    assert type(found).model_validate(json.loads(found.model_dump_json(by_alias=True))) == found


def test_the_worst_mistakes_name_the_files_that_the_store_lists(tmp_path: Path) -> None:
    build = StoredBuild(tmp_path, first_source=7)
    for name, wrong in (("onnxruntime-fp32", 4), ("onnxruntime-int8", 6)):
        build.answered(name, wrong)
    mistakes = page_facts(build.report, build.store).mistakes
    assert mistakes is not None
    assert {(mistake.image, mistake.file) for mistake in mistakes.worst} == {(row, f"source-{7 + row}.png") for row in range(6)}

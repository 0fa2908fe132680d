"""The accuracy study: rows are paired by image, pooled without taking an image's answers for independent ones."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.accuracy.pairing import gain
from benchmarks.accuracy.results import RunResult
from benchmarks.accuracy.rivals import nearest_epochs
from benchmarks.accuracy.studies import DIVISIONS, RIVALS, SEEDS, STUDIES, runs
from benchmarks.accuracy.table import README, sections_of
from benchmarks.marked_sections import put
from edgecnn.judging.intervals import tango_drop_pp, wilson

IMAGES = 200


def run(study: str, wrong: Sequence[str], seed: int = 0, division: int | None = None, transfer: str = "all") -> RunResult:
    top1 = wilson(IMAGES - len(wrong), IMAGES)
    assert top1 is not None
    return RunResult(
        study=study,
        seed=seed,
        division=division,
        network="lenet-5",
        images={"test": IMAGES},
        resolution_px=32,
        epochs=8,
        weights="none",
        transfer=transfer,
        pixels=f"division {division}",
        top1=top1,
        wrong=tuple(sorted(wrong)),
        train_key="0",
        measured_at="2026-11-21T07:00:00+00:00",
        machine="a machine",
        versions={"torch": "2.15.0"},
    )


def test_every_row_is_run_with_every_seed_on_every_division_once() -> None:
    planned = list(runs())
    own = [study for study in STUDIES if study not in RIVALS]
    assert (
        len({planned_run.name for planned_run in planned})
        == len(planned)
        == sum(len(SEEDS) * len(study.divisions) for study in own)
    )
    assert {planned_run.division for planned_run in planned if planned_run.study.id == "divided-auto"} == set(DIVISIONS)


def test_a_gain_of_one_run_is_the_interval_that_reports_have() -> None:
    difference = gain([run("a", ["x", "y", "z", "u"])], [run("b", ["x", "v"])])
    assert difference is not None
    assert (difference.gained, difference.lost, difference.answers) == (3, 1, IMAGES)
    assert difference.by_answer == tango_drop_pp(3, 1, IMAGES, 0.95)
    assert difference.by_answer.estimate == pytest.approx(1.0)


def test_the_same_image_in_three_seeds_is_no_three_images() -> None:
    same = gain([run("a", ["x", "y", "z"], seed) for seed in range(3)], [run("b", [], seed) for seed in range(3)])
    others = gain([run("a", [f"{seed}{name}" for name in "xyz"], seed) for seed in range(3)], [run("b", [], s) for s in range(3)])
    assert same is not None
    assert others is not None
    assert same.by_answer == others.by_answer
    assert others.by_image.low == pytest.approx(1.5 - 1.96 * 100 * 9**0.5 / 600, abs=1e-3)
    assert same.by_image.low == pytest.approx(1.5 - 1.96 * 100 * 27**0.5 / 600, abs=1e-3)


def test_runs_on_other_images_are_not_paired() -> None:
    assert gain([run("a", [], seed=0)], [run("b", [], seed=1)]) is None
    with pytest.raises(ValueError, match="a and b, seed 0, division 1: other pixels"):
        gain([run("a", [], division=1)], [run("b", [], division=1).model_copy(update={"pixels": "others"})])


def test_another_tool_makes_its_own_pixels_of_the_same_images() -> None:
    rival = run("b", ["x"]).model_copy(update={"pixels": None})
    difference = gain([run("a", ["x", "y"])], [rival])
    assert difference is not None
    assert (difference.gained, difference.lost) == (1, 0)
    with pytest.raises(ValueError, match="other pixels"):
        gain([run("a", [])], [rival.model_copy(update={"images": {"test": IMAGES + 1}})])


@pytest.mark.parametrize(("seconds", "epochs"), [(300, 3), (590, 6), (610, 6), (660, 7), (95, 1), (5, 1)])
def test_a_rival_trains_for_the_number_of_epochs_nearest_to_the_time(seconds: float, epochs: int) -> None:
    assert nearest_epochs(seconds, first=300, second=600) == epochs


def test_the_tables_say_what_was_reached_and_what_not() -> None:
    results = [run("fashion-lenet-5", [f"{n}" for n in range(24 + seed)], seed) for seed in range(3)]
    results += [run(f"divided-{name}", ["x"] * (name == "head") * 20, 0, 0) for name in ("head", "last", "all")]
    results += [run("divided-auto", ["x"] * 30, 0, 0, "transfer auto is head: 20 images a class")]
    sections = sections_of(results)
    assert (
        "| fashion-mnist | LeNet-5, 32 px, 20 epochs | 3 | 200 | 87.50 ± 0.50 | 87.00 to 88.00 | – | ≥ 89: MISSED |"
        in sections["accuracy"]
    )
    assert "The best forced choice is `last`; auto is -15.00 pp" in sections["auto"]
    assert sections["auto"].endswith("it does NOT hold. It said: transfer auto is head.")
    text = README.read_text(encoding="utf-8")
    for name, section in sections.items():
        assert section in put(text, name, section)

"""Curves are there while a training goes on, one point an epoch, and change nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from edgecnn import installed
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import OUTPUT_UNWRITABLE
from edgecnn.errors.weights import MissingPackage
from edgecnn.render.progress import Curves
from edgecnn.store.artifacts import NoteTaker
from tests.data.folders import Heard
from tests.training.made import files_of, make_given, stage


def points(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in EventAccumulator(str(folder)).Reload().Scalars(tag)]


def tags(folder: Path) -> set[str]:
    return set(EventAccumulator(str(folder)).Reload().Tags()["scalars"])


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_training_draws_each_epoch_and_leaves_the_same_bytes(
    processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    given = make_given(tmp_path, train=48, validation=16)
    asked = stage(epochs=3, batch_size=16, processes=processes)
    made = []
    for curves in (None, Curves(tmp_path / "curves", Heard())):
        out = tmp_path / f"out-{curves is None}"
        out.mkdir()
        if curves is not None:
            curves.begin("train:teacher")
        asked.make(given.roles(), out, Heard() if curves is None else NoteTaker(curves))
        if curves is not None:
            curves.close()
        made.append(files_of(out))
    assert made[0] == made[1]
    drawn = tmp_path / "curves" / "train-teacher"
    names = ("train_loss", "validation_top1", "validation_loss", "learning_rate", "resolution_px")
    assert tags(drawn) == {f"scratch/{name}" for name in names}
    assert [epoch for epoch, _ in points(drawn, "scratch/train_loss")] == [1, 2, 3]
    assert len(points(drawn, "scratch/validation_top1")) == 3


def test_what_a_resumed_training_says_again_is_drawn_once(tmp_path: Path) -> None:
    for epochs in ((0, 1), (0, 1, 2, 2)):
        curves = Curves(tmp_path, Heard())
        curves.begin("train")
        for epoch in epochs:
            curves.plot("scratch", epoch, {"train_loss": epoch + 0.5})
        curves.close()
    assert points(tmp_path / "train", "scratch/train_loss") == [(0, 0.5), (1, 1.5), (2, 2.5)]


def test_a_place_that_cannot_be_written_ends_the_drawing_alone(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("a file")
    heard = Heard()
    curves = Curves(tmp_path, heard)
    curves.begin("train")
    for epoch in range(3):
        curves.plot("scratch", epoch, {"train_loss": 1.0})
    curves.close()
    assert len(heard.notes) == 1 and "no further curves are drawn" in heard.notes[0]


def test_without_the_package_the_pip_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "installed_version", lambda _: None)
    with pytest.raises(MissingPackage, match=r'pip install "edgecnn\[tensorboard\]"'):
        Curves(tmp_path / "curves", Heard())
    assert not (tmp_path / "curves").exists()


def test_a_folder_that_cannot_be_made_is_named_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgecnnError, match="file/curves", check=OUTPUT_UNWRITABLE.made):
        Curves(tmp_path / "file" / "curves", Heard())

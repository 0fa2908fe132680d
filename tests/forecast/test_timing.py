"""Networks timed with ncnn on this computer."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.forecast import timing
from edgecnn.forecast.matrix import Column
from edgecnn.forecast.networks import subject_of_arch
from edgecnn.runner.pixel_recipe import ImageSize

A, B = Column("a", ImageSize.square(224)), Column("b", ImageSize.square(224))


def test_a_run_with_more_threads_counts_where_it_is_faster() -> None:
    assert timing.undisturbed([{A: 2.0, B: 4.0}, {A: 1.0, B: 2.5}]) == ({A: 2.0, B: 4.0}, {A: 1.0, B: 2.5})
    assert timing.undisturbed([{A: 2.0, B: 4.0}, {A: 3.0, B: 9.0}]) == ({A: 2.0, B: 4.0},)
    assert timing.undisturbed([{}, {}]) == ()


def test_a_network_is_timed_without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ncnn")
    monkeypatch.setattr(timing, "REFERENCES", ("mobilenet-v3-large",))
    monkeypatch.setattr(timing, "SECONDS", 0.01)
    runs, timed = timing.times_here((subject_of_arch("mobilenet-v3-large"),), lambda done, of: None)
    assert timed == ("mobilenet-v3-large",)
    assert 0 < runs[0][Column("mobilenet-v3-large", ImageSize.square(224))] < 5000


def test_a_file_that_ncnn_cannot_read_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ncnn")
    (tmp_path / "broken.param").write_text("7767517\n0 0\n")
    monkeypatch.setattr(timing, "REFERENCES", ())
    monkeypatch.setattr(timing, "param_of", lambda subject, work: None)
    assert timing.times_here((subject_of_arch("resnet-18"),), lambda done, of: None) == ((), ())

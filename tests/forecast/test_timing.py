"""Networks timed with ncnn on this computer."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.forecast import timing
from edgecnn.forecast.networks import subject_of_arch
from edgecnn.forecast.structure import Column
from edgecnn.runner.pixel_recipe import ImageSize

SIZE = ImageSize.square(224)


def test_more_threads_count_where_they_are_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "REFERENCES", ("mobilenet-v1", "resnet-18"))
    monkeypatch.setattr(timing.os, "sched_getaffinity", lambda _: range(4))
    monkeypatch.setattr(timing, "_shortest_ms", lambda param, subject, count: 10.0 / count)
    runs, _, _ = timing.times_here((), lambda done, of: None)
    assert [run[Column("resnet-18", SIZE)] for run in runs] == [10.0, 2.5]
    monkeypatch.setattr(timing, "_shortest_ms", lambda param, subject, count: 10.0 * count)
    runs, _, _ = timing.times_here((), lambda done, of: None)
    assert [list(run.values()) for run in runs] == [[10.0, 10.0]]


def test_one_network_that_is_slower_on_more_threads_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "REFERENCES", ("mobilenet-v1", "resnet-18", "resnet-50"))
    monkeypatch.setattr(timing.os, "sched_getaffinity", lambda _: range(4))
    monkeypatch.setattr(
        timing, "_shortest_ms", lambda param, subject, count: 10.0 * count if subject.name == "resnet-18" else 10.0 / count
    )
    runs = timing.times_here((), lambda done, of: None).runs
    assert [len(run) for run in runs] == [3, 3]
    assert runs[1][Column("resnet-50", SIZE)] == 2.5


def test_a_network_of_the_user_runs_in_a_process_with_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ncnn")
    subject = subject_of_arch("mobilenet-v3-large")
    param = timing.param_of(subject, tmp_path)
    assert isinstance(param, Path)
    own = subject._replace(arch=None, file=tmp_path / "own.onnx")
    monkeypatch.setattr(timing, "_shortest_ms_here", None)
    monkeypatch.setattr(timing, "SECONDS", 0.01)
    assert 0 < (timing._shortest_ms(param, own, 1) or 0) < 5000
    monkeypatch.setattr(timing, "LIMIT_S", 0.01)
    assert timing._shortest_ms(param, own, 1) is None
    monkeypatch.setattr(timing, "LIMIT_S", 30.0)
    monkeypatch.setattr(timing.sys, "executable", _crashing(tmp_path))
    assert timing._shortest_ms(param, own, 1) is None


def test_a_network_is_timed_without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ncnn")
    monkeypatch.setattr(timing, "REFERENCES", ("mobilenet-v3-large",))
    monkeypatch.setattr(timing, "SECONDS", 0.01)
    runs, timed, _ = timing.times_here((subject_of_arch("mobilenet-v3-large"),), lambda done, of: None)
    assert timed == ("mobilenet-v3-large",)
    assert 0 < runs[0][Column("mobilenet-v3-large", ImageSize.square(224))] < 5000


def test_each_network_that_is_not_timed_has_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ncnn")
    (tmp_path / "broken.param").write_text("7767517\n0 0\n")
    monkeypatch.setattr(timing, "REFERENCES", ())
    subjects = (subject_of_arch("vgg-16"), subject_of_arch("mobilenet-v3-small"))
    shipped, broken = timing.param_of, tmp_path / "broken.param"
    monkeypatch.setattr(
        timing,
        "param_of",
        lambda subject, work: shipped(subject, work) if subject.name == "vgg-16" else broken,
    )
    monkeypatch.setattr(timing, "_shortest_ms", lambda param, subject, count: None)
    taken = timing.times_here(subjects, lambda done, of: None)
    assert (taken.runs, taken.timed, taken.not_timed.keys()) == ((), (), {"vgg-16", "mobilenet-v3-small"})
    assert "ships no file" in taken.not_timed["vgg-16"]
    assert "cannot read or run broken.param" in taken.not_timed["mobilenet-v3-small"]
    monkeypatch.setattr(timing, "can_time", lambda: False)
    assert set(timing.times_here(subjects, lambda done, of: None).not_timed.values()) == {"ncnn is not installed"}


def _crashing(folder: Path) -> str:
    program = folder / "crash"
    program.write_text("#!/bin/sh\necho 1.0\nkill -SEGV $$\n")
    program.chmod(0o755)
    return str(program)

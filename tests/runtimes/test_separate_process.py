"""A converter or a runtime in a separate process: what it says when it fails is the error of one candidate."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.devices import CONVERTER_FAILED
from edgecnn.runner.packages import DROPPED_PATH
from edgecnn.runtimes.separate_process import run_separately


@pytest.mark.parametrize(
    ("program", "why"),
    [("raise SystemExit('it broke')", "it broke"), ("import absent_package", f"'absent_package' | {DROPPED_PATH}")],
)
def test_a_converter_that_fails_blames_pythonpath_only_for_a_failed_import(
    program: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/opt/packages")
    (tmp_path / "program.py").write_text(program)
    with pytest.raises(EdgecnnError, check=CONVERTER_FAILED.made) as caught:
        run_separately("ncnn", [str(tmp_path / "program.py")], tmp_path / "model.bin", "ncnn-fp32")
    assert (caught.value.because or "").endswith(why)


def test_a_converter_that_leaves_nothing_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("pass")
    with pytest.raises(EdgecnnError, check=CONVERTER_FAILED.made) as caught:
        run_separately("litert", [str(tmp_path / "program.py")], tmp_path / "model.tflite", "litert-int8")
    assert caught.value.because == "exit status 0"

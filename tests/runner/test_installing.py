from __future__ import annotations

import pytest

from edgecnn.runner.packages import DROPPED_PATH, PATH_NOT_PASSED, dropped_path_in, install_command_for, lacking


@pytest.mark.parametrize(
    ("path", "marker", "because"), [("/opt/packages", "", None), ("", "1", DROPPED_PATH), ("/opt/packages", "1", DROPPED_PATH)]
)
def test_a_process_blames_pythonpath_only_if_it_was_started_without_it(
    path: str, marker: str, because: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv(PATH_NOT_PASSED, marker)
    error = lacking("the runner needs numpy, which is not installed", "numpy")
    assert error.because == because and (".pth" in (error.hint or "")) is (because is not None)


@pytest.mark.parametrize(
    ("path", "output", "clause"),
    [
        ("/opt/packages", "ModuleNotFoundError: No module named 'numpy'", DROPPED_PATH),
        ("/opt/packages", "Traceback\nImportError: cannot import name 'x'\nretrying", DROPPED_PATH),
        ("/opt/packages", "Segmentation fault", None),
        ("/opt/packages", "", None),
        ("", "ModuleNotFoundError: No module named 'numpy'", None),
    ],
)
def test_a_crash_is_laid_to_pythonpath_only_if_an_import_failed(
    path: str, output: str, clause: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PATH_NOT_PASSED, raising=False)
    monkeypatch.setenv("PYTHONPATH", path)
    assert dropped_path_in(output) == clause


def test_where_pip_may_install_it_is_asked_to() -> None:
    assert install_command_for(["onnxruntime>=1.19,<2"], managed=False, python="python3") == "pip install 'onnxruntime>=1.19,<2'"


def test_where_the_system_keeps_pip_out_an_environment_is_made_that_still_sees_the_systems_packages() -> None:
    assert install_command_for(["numpy", "pillow"], managed=True, python="python3") == (
        "python3 -m venv --system-site-packages ~/edgecnn-env && ~/edgecnn-env/bin/pip install numpy pillow, "
        "then run it with ~/edgecnn-env/bin/python"
    )

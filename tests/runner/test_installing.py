from __future__ import annotations

from edgecnn.runner.installing import command_for


def test_where_pip_may_install_it_is_asked_to() -> None:
    assert command_for(["onnxruntime>=1.19,<2"], managed=False, python="python3") == "pip install 'onnxruntime>=1.19,<2'"


def test_where_the_system_keeps_pip_out_an_environment_is_made_that_still_sees_the_systems_packages() -> None:
    assert command_for(["numpy", "pillow"], managed=True, python="python3") == (
        "python3 -m venv --system-site-packages ~/edgecnn-env && ~/edgecnn-env/bin/pip install numpy pillow, "
        "then run it with ~/edgecnn-env/bin/python"
    )

"""What a lab says of the machine behind its host."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Host
from edgecnn.measure.lab import Lab
from edgecnn.runner.interpreters import variable_of
from edgecnn.store.store import Store
from tests.building.scenes import HERE, NoHost
from tests.store.toys import Ear


def lab_of(host: Host, folder: Path) -> Lab:
    return Lab(host=host, store=Store.open(folder), tell=Ear(), device="cpu", machine="a machine", environment=HERE)


def test_a_runtime_s_own_python_here_is_none_of_a_board_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable_of("ncnn"), sys.executable)
    monkeypatch.delenv(variable_of("openvino"), raising=False)
    assert lab_of(LocalHost(), tmp_path).own_python("ncnn") == sys.version.split()[0]
    assert lab_of(LocalHost(), tmp_path).own_python("openvino") is None
    assert lab_of(NoHost(), tmp_path).own_python("ncnn") is None

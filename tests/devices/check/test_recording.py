from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

from edgecnn.devices.check import recorder
from edgecnn.devices.check.reading import facts_of, record_here, recording_of, unfold
from edgecnn.errors.hosts import AnswerUnusable, RecordingUnusable
from edgecnn.hosts.ssh.link import shell_path
from edgecnn.runner.meters.kinds import KINDS, MeterKind
from edgecnn.runner.packages import DISTRIBUTIONS
from edgecnn.values.candidate import Runtime
from tests.devices.check.recorded import RASPBERRY_PI_5, recorded
from tests.runner.trees import tree


def test_this_machine_is_recorded_as_it_is() -> None:
    said = record_here()
    assert (said.machine, said.kernel) == (platform.machine(), platform.release())
    assert said.python.version == sys.version_info[:3] and said.python.executable == sys.executable
    assert said.page_bytes == os.sysconf("SC_PAGE_SIZE")
    assert "numpy" in said.python.packages and "MemTotal" in said.files["proc/meminfo"]


@pytest.mark.parametrize("runtime", [runtime for runtime in Runtime if runtime.ships and not runtime.runs_in_browser])
def test_the_recorder_looks_for_every_distribution_of_a_runtime(runtime: Runtime) -> None:
    assert set(DISTRIBUTIONS[runtime.value]) <= set(recorder.PACKAGES)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_recorder_copies_the_files_of_every_meter(kind: MeterKind) -> None:
    assert set(kind.files) <= set(recorder.FILES)


def test_a_serial_number_is_left_out(tmp_path: Path) -> None:
    tree(tmp_path, {"proc/cpuinfo": "processor\t: 0\nSerial\t\t: 10000000deadbeef\nModel\t: Raspberry Pi 5\n"})
    said = recorder.files(str(tmp_path), ["proc/cpuinfo", "proc/absent"])
    assert said["files"] == {"proc/cpuinfo": "processor\t: 0\nModel\t: Raspberry Pi 5\n"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told_from_what_is_absent(tmp_path: Path) -> None:
    (tree(tmp_path, {"energy_uj": "1"}) / "energy_uj").chmod(0)
    assert recorder.files(str(tmp_path), ["*_uj"]) == {"files": {}, "refused": {"energy_uj": "Permission denied"}}


def test_a_recorded_tree_is_laid_out_and_nothing_of_it_leaves_the_folder(tmp_path: Path) -> None:
    hostile = {"../escaped": "x", "/etc/escaped": "x", "a/../../escaped": "x"}
    root = tmp_path / "root"
    root.mkdir()
    unfold(recorded(RASPBERRY_PI_5, {"files": hostile}), root)
    assert (root / "proc/device-tree/model").read_text() == "Raspberry Pi 5 Model B Rev 1.0\0"
    assert (root / "sys/devices/platform/soc/soc:firmware/get_throttled").read_text() == "0x0"
    assert list(tmp_path.iterdir()) == [root] and not any("escaped" in path.name for path in root.rglob("*"))


@pytest.mark.parametrize("said", ["", "Welcome to the board\n", '{"machine": "aarch64"}', "[]"])
def test_an_answer_that_is_none_is_one_line(said: str) -> None:
    with pytest.raises(RecordingUnusable):
        recording_of("pi@board", said.encode(), "sh: 1: exec: python3: not found")


def test_words_before_the_answer_do_not_matter() -> None:
    text = recorded().model_dump_json()
    for before, after in (("Welcome!\n", "\n"), ("\x1b]0;pi@board: ~\x07", "\n"), ("Hi {you} ", "\n\x1b]0;~\x07"), ("", "\nbye")):
        assert recording_of("pi@board", (before + text + after).encode(), "").machine == "aarch64"


def test_a_path_in_the_home_folder_there() -> None:
    assert shell_path("~/my env/bin/python") == "\"$HOME\"/'my env/bin/python'"
    assert shell_path("/opt/a b/python3") == "'/opt/a b/python3'"


HOSTILE = [
    {"files": {"a": "x", "a/b": "x"}},
    {"files": {"n" * 300: "x"}},
    {"files": {"\ud800": "x"}},
    {"python": {"glibc": "²"}},
    {"commands": {"nvidia-smi": "GPU, 8.7, ²"}},
    {"commands": {"nvidia-smi": "GPU, 8.7, " + "9" * 5000}},
    {"files": {"usr/local/cuda/version.json": "[" * 100_000}},
]


@pytest.mark.parametrize("change", HOSTILE, ids=range(len(HOSTILE)))
def test_a_recording_of_no_machine_is_one_line(change: dict[str, Any]) -> None:
    with pytest.raises(AnswerUnusable) as caught:
        facts_of(recorded(RASPBERRY_PI_5, change), "pi@board")
    assert caught.value.line().startswith("the answer of pi@board to its recording cannot be used: ")
    assert "\n" not in caught.value.line() and len(caught.value.line()) < 700


_OF_A_KERNEL = [name for name in RASPBERRY_PI_5["files"] if name != "etc/os-release"]


@pytest.mark.parametrize(
    "text", ["", "-1", "nan", "1e400", "9" * 5000, "²", "\x1b[2J", "[" * 1000, "MemTotal: x kB\n", ":::\n::"]
)
def test_whatever_its_files_say_a_board_is_read_or_refused(text: str) -> None:
    for name in _OF_A_KERNEL:
        try:
            facts_of(recorded(RASPBERRY_PI_5, {"files": {name: text}, "commands": {"get_throttled": text}}), "pi@board")
        except AnswerUnusable:
            continue


@pytest.mark.parametrize("change", [{"cores": -4}, {"page_bytes": 0}, {"cores": 10**30}, {"machine": 5}])
def test_a_recording_with_numbers_of_no_machine_is_refused(change: dict[str, Any]) -> None:
    text = json.dumps({**json.loads(recorded().model_dump_json()), **change})
    with pytest.raises(RecordingUnusable):
        recording_of("pi@board", text.encode(), "")
    with pytest.raises(RecordingUnusable):
        recording_of("pi@board", b"[" * 100_000, "")

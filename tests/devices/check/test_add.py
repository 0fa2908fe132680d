from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.devices.check.board import ReachedBoard
from edgecnn.devices.check.device_file import add_device, check_name
from edgecnn.devices.check.findings import findings_on, needs_of
from edgecnn.devices.check.reading import facts_of
from edgecnn.devices.files import device_named, file_of, own_file, own_folder, own_names
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.devices import DEVICE_FILE_THERE, DEVICE_NAME_BAD, UnknownDevice
from edgecnn.errors.hosts import BOARD_NOT_READY
from edgecnn.values.board import Recording
from tests.devices.check.recorded import RASPBERRY_PI_5, READY, recorded


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "edgecnn/devices"


def add(name: str, recording: Recording, force: bool = False) -> Path:
    path = check_name(name, force)
    facts = facts_of(recording)
    add_device(path, ReachedBoard("pi@board", facts, None, "python3"), findings_on(facts, needs_of(None)))
    return path


def test_a_board_is_written_where_its_name_finds_it(own: Path) -> None:
    path = add("kitchen", recorded(RASPBERRY_PI_5, READY))
    assert path == own / "kitchen.toml" == own_file("kitchen") and own_names() == ("kitchen",)
    device = device_named("kitchen")
    assert device.name == "kitchen" and file_of("kitchen:onnxruntime", device) == path
    assert list(own.iterdir()) == [path], "no half of a file stays"


def test_nothing_is_overwritten_unless_it_is_asked(own: Path) -> None:
    path = add("kitchen", recorded(RASPBERRY_PI_5, READY))
    with pytest.raises(EdgecnnError, check=DEVICE_FILE_THERE.made):
        add("kitchen", recorded(READY))
    assert "Raspberry" in path.read_text()
    add("kitchen", recorded(READY), force=True)
    assert "Raspberry" not in path.read_text()


@pytest.mark.parametrize("name", ["My Board", "../escaped", "-", "", "a--b", "x/y"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(EdgecnnError, check=DEVICE_NAME_BAD.made):
        check_name(name, force=True)
    assert own_file(name) is None


@pytest.mark.parametrize("name", ["jetson", "raspberry-pi-5"])
def test_a_shipped_name_stays_the_shipped_devices(name: str) -> None:
    with pytest.raises(EdgecnnError, check=DEVICE_FILE_THERE.made):
        check_name(name, force=True)


def test_for_32_bit_programs_no_device_is_written(own: Path) -> None:
    with pytest.raises(EdgecnnError, match="no runtime has packages for 32-bit programs", check=BOARD_NOT_READY.made):
        add("old-pi", recorded(RASPBERRY_PI_5, machine="armv7l"))
    assert not own.exists()


def test_a_near_name_of_ones_own_is_suggested() -> None:
    add("kitchen", recorded(RASPBERRY_PI_5, READY))
    with pytest.raises(UnknownDevice, match="did you mean kitchen"):
        device_named("kitchn")


def test_a_relative_folder_of_settings_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "here")
    assert own_folder() == Path("~/.config/edgecnn/devices").expanduser()

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.devices.doctor.examine import disk_fact, disk_facts, store_fact
from edgecnn.devices.doctor.facts import State
from edgecnn.store.store import Store
from tests.house.source_tree import ROOT
from tests.store.test_failures import as_nobody, open_folder  # noqa: F401 - a fixture
from tests.store.toys import Ear, Quantize, Train, obtain


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


def test_a_store_that_was_never_used_works_and_is_not_made(place: Path) -> None:
    fact = store_fact(Ear())
    assert (fact.state, fact.artifacts) == (State.WORKS, 0)
    disk_facts()
    assert not place.exists()


def test_a_whole_store_is_counted(place: Path) -> None:
    obtain(Store.open(), Train())
    obtain(Store.open(), Quantize())
    fact = store_fact(Ear())
    assert (fact.state, fact.artifacts, fact.damaged) == (State.WORKS, 2, ())
    assert fact.found == "no damage; `edgecnn store verify` reads every byte"


@pytest.mark.parametrize("damage", ["overwritten", "gone", "record"])
def test_a_damaged_entry_is_found_and_left_where_it_is(place: Path, damage: str) -> None:
    made, _ = obtain(Store.open(), Quantize())
    obtain(Store.open(), Train())
    file = made.folder / "model.onnx"
    if damage == "overwritten":
        file.write_bytes(b"x" * file.stat().st_size)
    elif damage == "gone":
        file.unlink()
    else:
        (made.folder.parent / "record.json").write_text("{")
    fact = store_fact(Ear())
    why = {
        "overwritten": "model.onnx changed after it was stored",
        "gone": "model.onnx is missing",
        "record": "record.json is truncated or not a record",
    }[damage]
    assert fact.damaged == (f"artifacts/quantize/{made.key}: {why}",)
    assert (fact.state, fact.hint) == (State.BROKEN, "edgecnn store verify --repair")
    assert (place / "artifacts" / "quantize" / made.key).is_dir()


def test_a_store_that_is_a_file_is_broken_and_says_what_mends_it(place: Path) -> None:
    place.write_text("not a folder")
    fact = store_fact(Ear())
    assert (fact.state, fact.found) == (State.BROKEN, f"{place} is not a folder")
    assert fact.hint == "set EDGECNN_STORE=FOLDER to a folder that you can read and write"
    assert disk_fact("store", place).state is State.BROKEN


def test_a_store_that_may_not_be_read_is_broken(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    closed = open_folder / "closed"
    closed.mkdir()
    closed.chmod(0)
    monkeypatch.setenv("EDGECNN_STORE", str(closed))
    assert as_nobody(lambda: store_fact(Ear()).found) == f"permission denied: {closed}"
    assert as_nobody(lambda: disk_fact("store", closed).found) == "files cannot be written: permission denied"
    closed.chmod(0o755)


def test_writing_leaves_nothing_behind(tmp_path: Path) -> None:
    fact = disk_fact("temporary", tmp_path)
    assert (fact.state, fact.hint) == (State.WORKS, None)
    assert fact.free_mib > 0 and fact.total_mib > fact.free_mib
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_found_on_a_real_one(tmp_path: Path) -> None:
    """A file system of 256 KiB, mounted in a name space of its own."""
    unshare = shutil.which("unshare")
    mounted = f"mount -t tmpfs -o size=256k none {tmp_path} && exec {sys.executable} -c"
    code = (
        "from pathlib import Path; from edgecnn.devices.doctor.examine import disk_fact;"
        f"print(disk_fact('store', Path('{tmp_path}') / 'store').model_dump_json())"
    )
    if unshare is None or subprocess.run([unshare, "-Urm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount in a name space of their own")
    words = [unshare, "-Urm", "sh", "-c", f'{mounted} "{code}"']
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    fact = json.loads(done.stdout)
    assert fact["found"] == "1 MiB could not be written: no space left on device"
    assert (fact["state"], fact["total_mib"]) == ("broken", 0.2)
    assert fact["hint"] == "run `edgecnn store gc`, or set EDGECNN_STORE=FOLDER to a folder on another disk"


def test_a_limit_on_file_sizes_is_found(tmp_path: Path) -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536));"
        "from pathlib import Path; from edgecnn.devices.doctor.examine import disk_fact;"
        f"print(disk_fact('results', Path('{tmp_path}')).model_dump_json())"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["found"] == "files cannot be written: file too large"

"""`edgecnn store` as a process, on a store with real entries."""

from __future__ import annotations

import json
import os
import subprocess
import time
from datetime import datetime
from pathlib import Path

import pytest

from edgecnn.store.store import Store
from tests import warm
from tests.store.test_gc import made_days_ago
from tests.store.toys import Quantize, Train, obtain


@pytest.fixture
def place(tmp_path: Path) -> Path:
    store = Store.open(tmp_path / "store")
    obtain(store, Train())
    made_days_ago(store, Quantize(), 40)
    return store.root


def run(place: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return warm.edgecnn(["store", *words], env={**os.environ, "EDGECNN_STORE": str(place), **environment})


def test_the_list_is_for_people_and_its_json_has_raw_numbers_and_iso_dates(place: Path) -> None:
    shown = run(place, "list")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(f"{place}: 2 ") and "4.2 KiB" in shown.stdout
    assert "40 days ago" in shown.stdout and "just now" in shown.stdout
    document = json.loads(run(place, "list", "--json").stdout)
    assert document["root"] == str(place)
    entry = next(row for row in document["entries"] if row["kind"] == "quantize")
    assert entry["bytes"] == 4202
    assert len(entry["key"]) == 64
    assert entry["settings"]["images"] == 256
    assert datetime.fromisoformat(entry["made_at"]) > datetime.fromisoformat(entry["used_at"])
    assert entry["unused_s"] > 39 * 86400 > entry["age_s"] >= 0


def test_a_stdout_that_knows_only_ascii_is_no_fault_of_ours(place: Path) -> None:
    shown = run(place, "list", PYTHONIOENCODING="ascii")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "quantize" in shown.stdout


def test_a_collection_says_in_people_s_units_what_it_freed(place: Path) -> None:
    assert "4.1 KiB" in run(place, "gc", "--dry-run").stdout.splitlines()[-1]
    gone = run(place, "gc").stdout.splitlines()
    assert "40.0 days" in gone[0]
    assert "4.1 KiB" in gone[-1] and "70 B" in gone[-1]
    assert json.loads(run(place, "gc", "--json").stdout)["kept_bytes"] == 70


def test_a_damaged_store_is_exit_3_until_it_is_repaired(place: Path) -> None:
    next(place.glob("artifacts/quantize/*/files/model.onnx")).write_text("x")
    result = run(place, "verify", "--quiet")
    assert result.returncode == 3
    assert result.stdout.startswith("2 artifacts and 0 profiles, ")
    assert run(place, "verify", "--quiet", "--repair").returncode == 0
    assert run(place, "verify", "--quiet").returncode == 0


def test_room_is_made_afar_only_where_that_is_asked_for(place: Path, tmp_path: Path) -> None:
    url = str(tmp_path / "afar")
    assert run(place, "push", url).returncode == 0
    old = time.time() - 40 * 86400
    for path in Path(url).rglob("*"):
        os.utime(path, (old, old))
    assert run(place, "gc", EDGECNN_STORE_REMOTE=url).stdout.splitlines()[-1] == "freed 4.1 KiB, kept 70 B"
    there = sum(path.stat().st_size for path in Path(url, "blobs").rglob("*/*"))
    assert json.loads(run(place, "gc", "--remote", url, "--json").stdout)["kept_bytes"] == there
    lines = run(place, "gc", "--remote", url, "--days", "30", "--dry-run").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["would", "remove"]] * 3 + [["would", "free"]]
    assert lines[0].endswith(".json: sent 40.0 days ago") and lines[2].startswith("would remove 14 files that no entry names, ")
    assert len(list(Path(url, "entries").rglob("*.json"))) == 2
    assert run(place, "gc", "--remote", url, "--days", "30").stdout.splitlines()[-1].endswith(" KiB, kept 0 B")
    assert not [path for path in Path(url).rglob("*") if path.is_file()]
    both = run(place, "gc", "--remote", url, "--max-mib", "1")
    assert (both.returncode, "'1' is not a valid value of --max-mib" in both.stderr) == (2, True)
    unset = run(place, "gc", "--remote", "")
    assert (unset.returncode, "'' is not a valid value of --remote" in unset.stderr) == (2, True)

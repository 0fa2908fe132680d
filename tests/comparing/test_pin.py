"""A pinned build: the record that is committed, and a later build held against it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgecnn.comparing.baseline_file import write_record
from edgecnn.comparing.pin import base_named, base_of, pin_of, read_pin, rebuild_command
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.comparing import PIN_UNREADABLE, PINNED_KIT_MISSING
from edgecnn.store.store import Store
from edgecnn.values.report import PinnedBuild
from tests.building.builds import Place
from tests.comparing.test_git_file import git


@pytest.fixture
def pin(built_once: Place, tmp_path: Path) -> PinnedBuild:
    return pin_of(built_once.out, tmp_path / "base.json")


def written(pin: PinnedBuild, folder: Path, **changes: Any) -> Path:
    """A record's file, its fields changed after it was sealed."""
    file = folder / "base.json"
    write_record(pin, file)
    if changes:
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return file


def test_a_build_of_the_pinned_kit_passes_against_the_record_as_it_stood_at_a_revision(built: Place) -> None:
    repository = built.folder / "repo"
    repository.mkdir()
    git(built.folder, "init", "-q", str(repository))
    done = built.plain("baseline", "pin", built.out, "--out", "base.json", folder=repository)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(", no runs")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "pin")
    (repository / "base.json").write_text("edited since")
    bounds = ("--max", "latency_ratio=1", "--max", "drop_pp=0", "--rounds", "8")
    judged = built.plain("judge", built.out, "--against", "git:HEAD:base.json", *bounds, "--json", folder=repository)
    assert judged.returncode == 0, judged.stderr
    found = json.loads(judged.stdout)
    assert (found["rounds"], found["identical"]) == (0, True)
    assert found["base"]["kit"] == found["head"]["kit"]
    assert found["notices"][0] == "BASE is the kit that git:HEAD:base.json pins, from the store"
    refused = built.plain("judge", built.out, "--against", "base.json", folder=repository)
    assert (refused.returncode, "[pin-unreadable]" in refused.stderr) == (2, True)


def test_the_record_is_small_and_names_no_place_of_this_machine_and_no_run(
    built_once: Place, pin: PinnedBuild, tmp_path: Path
) -> None:
    text = written(pin, tmp_path).read_text()
    assert len(text) < 20_000
    assert str(built_once.folder) not in text
    assert "samples_ns" not in text
    plan = json.loads((built_once.out / "plan.json").read_text())
    keys = {step["id"]: step["key"] for step in plan["steps"]}
    chosen = pin.shipped.candidate.id
    assert pin.keys == {name: keys[name] for name in ("prepare", "train", "export", f"quantize:{chosen}", f"package:{chosen}")}
    (ships,) = [row for row in built_once.report()["candidates"] if row["chosen"]]
    assert pin.shipped.kit == ships["kit"]
    assert {"torch", "onnxruntime"} <= pin.tools.keys()


def test_where_the_store_lacks_the_kit_the_command_builds_the_very_same_keys(
    built: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "base.json"
    write_record(pin_of(built.out, file), file)
    done = built.plain("judge", "out", "--against", file, EDGECNN_STORE=str(tmp_path / "empty"))
    assert done.returncode == 3
    said = re.search(r"does not hold it — (edgecnn build .*) \[pinned-kit-missing\]\n$", done.stderr)
    assert said is not None, done.stderr
    words = shlex.split(said[1])
    assert words[-2:] == ["--out", "builds/base"]
    planned = built.plain("plan", *words[2:], "--json", "-q")
    assert planned.returncode == 0, planned.stderr
    keys = {step["id"]: step["key"] for step in json.loads(planned.stdout)["steps"]}
    pin = read_pin(file.read_bytes(), "base.json")
    assert {name: keys[name] for name in pin.keys} == dict(pin.keys)


def test_a_damaged_kit_of_the_store_is_not_raced(built: Place, tmp_path: Path) -> None:
    file = tmp_path / "base.json"
    pin = pin_of(built.out, file)
    write_record(pin, file)
    store = Store.open(built.store)
    shipped = base_of(base_named(file), store)
    assert (shipped.kit.digest, shipped.facts, shipped.origin) == (pin.shipped.kit, pin.shipped, pin.origin)
    model = next(path for path in shipped.kit.folder.glob("model.*") if path.stat().st_size > 1000)
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    with pytest.raises(EdgecnnError, match="holds it damaged", check=PINNED_KIT_MISSING.made):
        base_of(base_named(file), store)
    shutil.rmtree(built.store)
    with pytest.raises(EdgecnnError, match="does not hold it", check=PINNED_KIT_MISSING.made):
        base_of(base_named(file), store)


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"evaluated_kit": "0" * 64}, "it was edited: its content does not match its sha256"),
        (
            {"schema": "edgecnn.pinned-build/3"},
            "its schema is edgecnn.pinned-build/3, and this version reads edgecnn.pinned-build/2",
        ),
        ({"schema": "edgecnn.latency-baseline/1"}, "holds runs — edgecnn baseline compare HEAD"),
        ({"keys": 3}, "keys: Input should be an object"),
    ],
)
def test_a_record_that_is_none_is_refused(pin: PinnedBuild, tmp_path: Path, changes: dict[str, Any], because: str) -> None:
    file = written(pin, tmp_path, **changes)
    with pytest.raises(EdgecnnError, check=PIN_UNREADABLE.made) as refused:
        base_named(file)
    assert because in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"{" * 5000, b'{"schema": 1}'])
def test_no_bytes_crash_the_reading_of_a_record(content: bytes) -> None:
    with pytest.raises(EdgecnnError, check=PIN_UNREADABLE.made):
        read_pin(content, "base.json")


def test_the_command_s_paths_count_from_where_the_reader_stands(
    built_once: Place, pin: PinnedBuild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built_once.folder)
    words = shlex.split(rebuild_command(pin, tmp_path))
    assert words[words.index("--data") + 1] == "photos"
    assert words[words.index("--target") + 1] == "cpu:onnxruntime"
    assert words[words.index("--weights") + 1] == "none"


def test_a_user_s_own_device_file_is_pinned_by_its_path_from_the_record(
    built_once: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, board = tmp_path / "out", tmp_path / "boards" / "mine.toml"
    shutil.copytree(built_once.out, copied, symlinks=True)
    plan = json.loads((copied / "plan.json").read_text())
    plan["resolved"]["device_file"] = str(board)
    (copied / "plan.json").write_text(json.dumps(plan))
    pin = pin_of(copied, tmp_path / "gates" / "base.json")
    assert pin.recipe.target.device == "../boards/mine.toml"
    monkeypatch.chdir(tmp_path)
    words = shlex.split(rebuild_command(pin, tmp_path / "gates"))
    assert words[words.index("--target") + 1] == "boards/mine.toml:onnxruntime"


def test_a_published_set_is_pinned_by_its_name_and_by_no_folder_of_the_store(built_once: Place, tmp_path: Path) -> None:
    copied = tmp_path / "out"
    shutil.copytree(built_once.out, copied, symlinks=True)
    plan = json.loads((copied / "plan.json").read_text())
    plan["resolved"]["recipe"]["data"]["path"] = plan["resolved"]["data"]["root"] = "torchvision:FashionMNIST"
    (copied / "plan.json").write_text(json.dumps(plan))
    pin = pin_of(copied, tmp_path / "base.json")
    assert pin.recipe.data.path == "torchvision:FashionMNIST"
    words = shlex.split(rebuild_command(pin, tmp_path))
    assert words[words.index("--data") + 1] == "torchvision:FashionMNIST"


def test_what_is_no_finished_build_is_not_pinned(built_once: Place, tmp_path: Path) -> None:
    done = built_once.plain("baseline", "pin", "out/bundle", "--out", str(tmp_path / "base.json"))
    assert (done.returncode, "[no-build-to-judge]" in done.stderr) == (2, True)
    unwritable = built_once.plain("baseline", "pin", "out", "--out", str(tmp_path / "no/where.json"))
    assert (unwritable.returncode, "[result-file-unwritable]" in unwritable.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []

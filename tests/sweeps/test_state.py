import os
import time
from pathlib import Path

import pytest
from PIL import Image

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.sweeps import NOT_A_SWEEP_FOLDER, SWEEP_IS_RUNNING
from edgecnn.judging.gates import parse_bounds
from edgecnn.planning.complete import tool_versions
from edgecnn.render.progress import Quiet
from edgecnn.store.store import Store
from edgecnn.sweeps.file import cells_of, read_sweep
from edgecnn.sweeps.plan import request_of
from edgecnn.sweeps.state import (
    STATE,
    CellOutcome,
    SweepState,
    changed_since,
    fingerprints,
    is_running,
    read_state,
    sweep_lock,
    write_state,
)
from edgecnn.sweeps.sweep import OpenSweep, open_sweep
from edgecnn.values.recipe import GateChoice
from tests.data.folders import fill
from tests.sweeps.written import TWO_BY_TWO, cells, written


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    return Store.open()


def an_outcome(name: str, asked: str, **changes: object) -> CellOutcome:
    known = {"exit_code": 0, "reported": True, "seconds": 3.0, "ended_at": "2026-11-26T10:00:00+00:00"}
    return CellOutcome.model_validate({"name": name, "asked": asked, **known, **changes})


def test_what_is_asked_changes_with_recipe_images_weights_and_device_file(tmp_path: Path, store: Store) -> None:
    photos = tmp_path / "photos"
    for label in ("cat", "dog"):
        (photos / label).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(photos / label / "1.png")
    (tmp_path / "own.safetensors").write_bytes(b"1")
    text = """
    [set]
    data.path = "photos"
    [grid]
    model.arch = ["lenet-5"]
    model.weights = ["none", "own.safetensors"]
    """

    def asked(of: str) -> list[str]:
        return list(fingerprints(cells(tmp_path, of), store, Quiet()).values())

    none, own = asked(text)
    assert asked(text) == [none, own]
    assert asked(text + "train.epochs = [3]")[0] != none
    (tmp_path / "own.safetensors").write_bytes(b"22")
    assert asked(text)[0] == none and asked(text)[1] != own
    own, facts = asked(text)[1], (tmp_path / "own.safetensors").stat()
    time.sleep(0.02)  # more than a tick of the kernel's clock for files
    (tmp_path / "own.safetensors").write_bytes(b"23")
    os.utime(tmp_path / "own.safetensors", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert asked(text)[1] != own, "edited in place, with its time set back"
    Image.new("RGB", (8, 8), "red").save(photos / "cat" / "2.png")
    assert asked(text)[0] != none


def test_permissions_and_dates_ask_no_build_again(tmp_path: Path, store: Store) -> None:
    fill(tmp_path / "photos", {"cat": 2, "dog": 2})
    (tmp_path / "own.safetensors").write_bytes(b"1")
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    text = """
    [set]
    data.path = "photos"
    data.classes = "names.txt"
    [grid]
    model.arch = ["lenet-5"]
    model.weights = ["own.safetensors"]
    """
    before = fingerprints(cells(tmp_path, text), store, Quiet())
    for path in (tmp_path / "own.safetensors", tmp_path / "names.txt", *(tmp_path / "photos").rglob("*")):
        path.chmod(0o700)
        os.utime(path)
    assert fingerprints(cells(tmp_path, text), store, Quiet()) == before


def test_labels_and_groups_of_a_list_count_and_so_does_which_split_a_folder_is(tmp_path: Path, store: Store) -> None:
    for number in range(4):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    for label in ("train/cat", "train/dog", "val/cat", "val/dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / label / "1.png")

    def asked(path: str, text: str = "") -> str:
        (tmp_path / "list.csv").write_text(text)
        grid = f'[set]\ndata.path = "{path}"\ndata.group_by = "scene"\n[grid]\nmodel.arch = ["lenet-5"]'
        (found,) = fingerprints(cells(tmp_path, grid), store, Quiet()).values()
        return found

    several = "path,labels,scene\n0.png,{},{}\n1.png,{},b\n2.png,cat|dog,c\n3.png,,c\n"
    one = "path,label,split,scene\n0.png,{},{},a\n1.png,{},{},b\n2.png,cat,val,{}\n3.png,dog,val,d\n"
    lists = [
        several.format("cat", "a", "dog"), several.format("dog", "a", "cat"), several.format("cat", "b", "dog"),
        one.format("cat", "train", "dog", "train", "c"), one.format("dog", "train", "cat", "train", "c"),
        one.format("cat", "train", "dog", "train", "d"), one.format("cat", "test", "dog", "train", "c"),
    ]  # fmt: skip
    seen = [asked("list.csv", each) for each in lists]
    assert len(set(seen)) == len(lists) and asked("list.csv", lists[1]) == seen[1]
    as_validation = asked("photos")
    (tmp_path / "photos" / "val").rename(tmp_path / "photos" / "test")
    assert asked("photos") != as_validation


def test_images_without_labels_count_too(tmp_path: Path, store: Store) -> None:
    (tmp_path / "heap").mkdir()
    text = '[set]\ndata.path = "heap"\nmodel.onnx = "own.onnx"\n[grid]\ntarget.device = ["cpu"]'
    seen = set[str]()
    for colour in ("red", "blue", "white"):
        Image.new("RGB", (8, 8), colour).save(tmp_path / "heap" / "1.png")
        seen |= set(fingerprints(cells(tmp_path, text), store, Quiet()).values())
    assert len(seen) == 3


def test_what_is_composed_and_who_teaches_count_too_and_where_a_value_stands_does_not(tmp_path: Path, store: Store) -> None:
    for each in ("cutouts/cat", "backgrounds", "teacher"):
        (tmp_path / each).mkdir(parents=True)
    text = """
    [set]
    train.teacher = "./teacher"
    synthesis = { cutouts = "cutouts", backgrounds = "backgrounds" }
    [grid]
    model.arch = ["lenet-5"]
    """

    def asked(of: str) -> str:
        (found,) = fingerprints(cells(tmp_path, of), store, Quiet()).values()
        return found

    seen = [asked(text)]
    for file in ("cutouts/cat/1.png", "backgrounds/1.png", "teacher/report.json"):
        (tmp_path / file).write_bytes(b"1")
        seen.append(asked(text))
    assert len(set(seen)) == 4
    assert asked("[set]\ntrain.epochs = 3\n[grid]\nmodel.arch = ['lenet-5']") == asked(
        "[grid]\nmodel.arch = ['lenet-5']\ntrain.epochs = [3]"
    )


def test_bounds_of_a_run_are_words_of_its_builds_and_others_open_them_again(tmp_path: Path, store: Store) -> None:
    path, out = written(tmp_path), tmp_path / "out"

    def opened(gates: GateChoice | None) -> OpenSweep:
        return open_sweep(path, out, store, Quiet(), gates)

    strict = parse_bounds(["p99_ms=20"], ["top1=0.125"], require_measured=True)
    usual, bounded = opened(GateChoice()), opened(strict)
    assert usual.fingerprints == opened(None).fingerprints
    assert not set(usual.fingerprints.values()) & set(bounded.fingerprints.values())
    bounds = ("--max", "p99_ms=20", "--min", "top1=0.125", "--require-measured")
    assert [cell.words[-5:] for cell in bounded.cells] == [bounds] * 4
    assert request_of(bounded.cells[0], out).gates == strict
    out.mkdir()
    write_state(out, bounded.state)
    assert opened(None).fingerprints == bounded.fingerprints, "status and judge speak of the builds of the last run"
    assert opened(GateChoice()).fingerprints == usual.fingerprints
    assert opened(None).report.command == f"edgecnn sweep run {path} {' '.join(bounds)} --out {out}"


def test_images_that_cannot_be_listed_are_their_builds_failure_and_not_the_sweep_s(tmp_path: Path, store: Store) -> None:
    found = fingerprints(cells(tmp_path, '[set]\ndata.path = "nowhere"\n' + TWO_BY_TWO), store, Quiet())
    assert len(found) == 4


def test_what_differs_from_the_last_run_is_said() -> None:
    state = SweepState(sweep="s.toml", cells={"a": "1", "b": "1", "gone": "1"})
    lines = changed_since(state, {"a": "1", "b": "2", "new": "1"})
    assert [line.partition(":")[0] for line in lines] == ["new", "gone", "b"]
    assert changed_since(SweepState(sweep="s.toml"), {"a": "1"}) == []


def test_another_version_of_a_tool_opens_every_build_and_is_said(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> dict[str, str]:
        return fingerprints(cells(tmp_path), store, Quiet())

    before = SweepState(sweep="s.toml", cells=asked(), tools=tool_versions())
    assert asked() == before.cells and changed_since(before, asked()) == []
    newer = {**tool_versions(), "onnxruntime": "9.9", "openvino": "absent"}
    monkeypatch.setattr("edgecnn.sweeps.state.tool_versions", lambda: newer)
    assert not set(asked().values()) & set(before.cells.values())
    was = f"onnxruntime {before.tools['onnxruntime']} → 9.9; openvino {before.tools['openvino']} → absent"
    assert changed_since(before, asked())[0].startswith(f"{was}: ")
    assert len(changed_since(SweepState(sweep="s.toml", cells=before.cells), asked())) == 1, "what an older state does not know"


def test_a_state_comes_back_and_a_damaged_or_later_one_is_refused(tmp_path: Path) -> None:
    state = SweepState(sweep="s.toml", cells={"a": "1"}).with_outcome(an_outcome("a", "1"))
    write_state(tmp_path, state)
    assert read_state(tmp_path, Path("s.toml")) == state
    (tmp_path / STATE).write_text('{"schema": "edgecnn.sweep-state/2"}')
    with pytest.raises(
        EdgecnnError, match=r"its schema is edgecnn.sweep-state/2, and .* — choose another", check=NOT_A_SWEEP_FOLDER.made
    ):
        read_state(tmp_path, Path("s.toml"))
    (tmp_path / STATE).write_bytes(b"\xff{")
    with pytest.raises(EdgecnnError, check=NOT_A_SWEEP_FOLDER.made):
        read_state(tmp_path, Path("s.toml"))


def test_one_folder_is_one_sweep_s_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert not is_running(out)
    with sweep_lock(out), pytest.raises(EdgecnnError, check=SWEEP_IS_RUNNING.made) as caught, sweep_lock(out):
        pass
    with sweep_lock(out):
        assert is_running(out)
    assert not is_running(out)
    assert caught.value.ref == "sweep-is-running"


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    with pytest.raises(EdgecnnError, match="choose another folder with --out", check=NOT_A_SWEEP_FOLDER.made), sweep_lock(path):
        pass
    assert cells_of(read_sweep(path))

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.store import STAGE_LEFT_NO_FILE, STAGE_UNFINISHED
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact, Cached, FileFact, InputFact, Miss, Ran
from edgecnn.values.stage import Progress, Role
from tests.store.toys import ENVIRONMENT, VERSIONS, Ear, Prepare, Quantize, Train, files_in, obtain, source


def no_maker(given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
    raise AssertionError("made again")


def test_the_first_call_runs_and_the_second_is_cached(store: Store) -> None:
    made, ran = obtain(store, Quantize())
    found, cached = obtain(store, Quantize(), maker=no_maker)
    assert isinstance(ran, Ran)
    assert ran.why == ()
    assert cached == Cached()
    assert found == made
    assert made.folder == store.root / "artifacts" / "quantize" / Quantize().key(VERSIONS) / "files"
    assert sorted(files_in(made.folder)) == ["model.onnx", "sub/facts.json"]


def test_the_record_says_what_was_asked_from_what_with_what_and_what_came_out(store: Store, tmp_path: Path) -> None:
    images = source(tmp_path / "images.json", "these images")
    stage = Quantize(inputs={"images": images.key})
    made, ran = obtain(store, stage, inputs={"images": images})
    record = made.record
    model = (made.folder / "model.onnx").read_bytes()
    assert record.key == stage.key(VERSIONS)
    assert record.payload == json.loads(json.dumps(stage.payload(VERSIONS)))
    assert record.payload["tools"] == {"onnxruntime": "1.30"}
    assert record.inputs == {"images": InputFact(key=images.key, content=images.content)}
    assert record.files["model.onnx"] == FileFact(sha256=hashlib.sha256(model).hexdigest(), bytes=len(model))
    assert record.environment == ENVIRONMENT
    assert record.notes == ("calibrated on 256 images",)
    assert isinstance(ran, Ran)
    assert record.seconds == ran.seconds >= 0
    on_disk = json.loads((made.folder.parent / "record.json").read_text())
    assert on_disk["schema"] == "edgecnn.record/1"
    assert on_disk["files"]["model.onnx"]["bytes"] == len(model)


def test_progress_and_notes_reach_the_listener(store: Store) -> None:
    ear = Ear()
    obtain(store, Quantize(), tell=ear)
    assert ear.steps == [("quantize", 1, 1, "")]
    assert ear.notes == ["calibrated on 256 images"]


def test_looking_leaves_no_trace(store: Store) -> None:
    assert store.artifacts.find(Quantize(), VERSIONS, {}) == Miss(why=())
    assert not store.root.exists()


def test_only_what_depends_on_a_changed_setting_is_made_again(store: Store) -> None:
    obtain(store, Quantize(images=256))
    _, outcome = obtain(store, Quantize(images=512))
    assert isinstance(outcome, Ran)
    assert outcome.why == ("quantize.images: 256 → 512",)
    assert obtain(store, Quantize(images=256))[1] == Cached()


def test_an_input_with_the_same_key_and_other_bytes_is_a_miss_and_said(store: Store, tmp_path: Path) -> None:
    given = {"weights": source(tmp_path / "w", "first"), "model": source(tmp_path / "m", "model")}
    stage = Train(inputs={role: found.key for role, found in given.items()})
    first, _ = obtain(store, stage, inputs=given)
    given["weights"] = given["weights"].model_copy(update={"content": "0" * 64})
    assert store.artifacts.find(stage, {}, given) == Miss(why=("train: weights were made again with other bytes",))
    assert isinstance(store.artifacts.find(stage, {}, {"model": given["model"]}), Artifact)
    again, outcome = obtain(store, stage, inputs=given)
    assert isinstance(outcome, Ran)
    assert again.record.inputs["weights"].content == "0" * 64
    assert again.folder == first.folder
    assert obtain(store, stage, inputs=given)[1] == Cached()
    given["model"] = given["model"].model_copy(update={"content": "1" * 64})
    assert store.artifacts.find(stage, {}, given) == Miss(why=("train: model was made again with other bytes",))


def test_an_entry_made_from_other_bytes_stays_until_its_successor_is_finished(store: Store, tmp_path: Path) -> None:
    weights = source(tmp_path / "w", "first")
    stage = Prepare(inputs={"weights": weights.key})
    obtain(store, stage, inputs={"weights": weights})
    with pytest.raises(AssertionError, match="made again"):
        obtain(store, stage, inputs={"weights": weights.model_copy(update={"content": "0" * 64})}, maker=no_maker)
    assert obtain(store, stage, inputs={"weights": weights})[1] == Cached()


def test_a_failing_maker_leaves_nothing_and_its_own_error_comes_through(store: Store) -> None:
    class OwnError(Exception):
        pass

    def fails(given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        (out / "half.bin").write_bytes(b"half")
        raise OwnError

    with pytest.raises(OwnError):
        obtain(store, Quantize(), maker=fails)
    assert list(store.artifacts.entries()) == []
    assert list((store.root / "work" / "quantize").iterdir()) == []
    assert isinstance(obtain(store, Quantize())[1], Ran)


@pytest.mark.parametrize(("stage", "kept"), [(Train(), True), (Prepare(), False)], ids=["resumable", "not resumable"])
def test_ctrl_c_keeps_only_work_that_can_be_resumed(store: Store, stage: Train, kept: bool) -> None:
    def interrupt(done: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        obtain(store, stage, tell=Ear(interrupt))
    assert store.layout.work(stage.kind, stage.key({})).exists() is kept
    made, _ = obtain(store, stage)
    assert made.record.notes == (tuple(f"epoch {epoch} was there" for epoch in range(4)) if kept else ())
    assert sorted(files_in(made.folder)) == [f"epoch-{epoch}.txt" for epoch in range(10)]


def test_nothing_is_resumed_from_work_that_began_with_other_inputs(store: Store, tmp_path: Path) -> None:
    weights = source(tmp_path / "w", "first")
    stage = Train(inputs={"weights": weights.key})

    def interrupt(done: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        obtain(store, stage, inputs={"weights": weights}, tell=Ear(interrupt))
    made, _ = obtain(store, stage, inputs={"weights": weights.model_copy(update={"content": "0" * 64})})
    assert made.record.notes == ()


@pytest.mark.parametrize("stage", [Train(), Prepare()], ids=["resumable", "not resumable"])
def test_work_that_was_killed_just_before_its_publication_is_published_and_not_made_again(store: Store, stage: Train) -> None:
    made, _ = obtain(store, stage)
    work = store.layout.work(stage.kind, made.key)
    made.folder.parent.rename(work)
    (work / "started.json").write_text("{}")
    (work / "files" / ".checkpoint").write_text("not yet removed")
    again, outcome = obtain(store, stage, maker=no_maker)
    assert isinstance(outcome, Ran)
    assert again == made
    assert sorted(path.name for path in made.folder.parent.iterdir()) == ["files", "record.json"]
    assert ".checkpoint" not in files_in(made.folder)


def test_finished_work_with_a_damaged_file_is_made_again(store: Store) -> None:
    made, _ = obtain(store, Prepare())
    made.folder.parent.rename(store.layout.work("prepare", made.key))
    os.truncate(store.layout.work("prepare", made.key) / "files" / "epoch-3.txt", 1)
    assert obtain(store, Prepare())[0].content == made.content


def test_a_stage_that_leaves_nothing_or_a_link_is_our_own_fault(store: Store, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=STAGE_UNFINISHED.made) as empty:
        obtain(store, Quantize(), maker=lambda given, out, tell: None)
    assert empty.value.line() == (
        "quantize returned without a result: its folder is empty — nothing was stored; please report this [stage-unfinished]"
    )
    with pytest.raises(EdgecnnError, match="model is not a regular file", check=STAGE_LEFT_NO_FILE.made):
        obtain(store, Quantize(), maker=lambda given, out, tell: (out / "model").symlink_to(tmp_path))
    assert list(store.artifacts.entries()) == []


def test_a_stages_own_notes_and_byte_code_are_not_published(store: Store) -> None:
    def untidy(given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        (out / ".resume").mkdir()
        (out / ".resume" / "state").write_text("x")
        (out / "runner" / "__pycache__").mkdir(parents=True)
        (out / "runner" / "__pycache__" / "kit.pyc").write_text("x")
        (out / "runner" / "kit.py").write_text("x")

    made, _ = obtain(store, Quantize(), maker=untidy)
    assert list(files_in(made.folder)) == ["runner/kit.py"]


def test_where_another_published_first_its_entry_stays_and_ours_is_dropped(store: Store, tmp_path: Path) -> None:
    """As when a finished entry is pulled from elsewhere while it is being made here."""
    theirs, _ = obtain(Store.open(tmp_path / "other"), Quantize())

    def overtaken(given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        Quantize().make(given, out, tell)
        shutil.copytree(theirs.folder.parent, store.layout.entry("quantize", theirs.key))

    made, _ = obtain(store, Quantize(), maker=overtaken)
    assert made.record == theirs.record
    assert list((store.root / "work" / "quantize").iterdir()) == []
    assert not (store.root / "trash").exists()


def test_where_what_was_published_first_is_damaged_ours_takes_its_place(store: Store) -> None:
    def overtaken(given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        Quantize().make(given, out, tell)
        half = store.layout.entry("quantize", Quantize().key(VERSIONS))
        half.mkdir(parents=True)
        (half / "record.json").write_text("{")

    made, _ = obtain(store, Quantize(), maker=overtaken)
    assert store.artifacts.find(Quantize(), VERSIONS, {}) == made


def test_inputs_that_do_not_belong_to_the_stage_are_refused(store: Store, tmp_path: Path) -> None:
    weights = source(tmp_path / "w", "weights")
    with pytest.raises(ValueError, match=r"train: missing inputs: weights"):
        obtain(store, Train(inputs={"weights": weights.key}))
    with pytest.raises(ValueError, match=r"train: sources\['weights'\] has key"):
        obtain(store, Train(), inputs={"weights": weights})


def test_an_artifact_is_an_input_by_its_key_and_content(store: Store) -> None:
    made, _ = obtain(store, Quantize())
    assert made.stage_input.path == made.folder
    assert (made.stage_input.key, made.stage_input.content) == (made.key, made.record.content)


def test_finding_an_entry_of_thirty_files_takes_under_two_milliseconds(store: Store) -> None:
    def thirty(given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        for number in range(30):
            (out / f"{number}.bin").write_bytes(bytes(1000))

    obtain(store, Quantize(), maker=thirty)
    seconds = []
    for _ in range(20):
        before = time.perf_counter()
        assert isinstance(store.artifacts.find(Quantize(), VERSIONS, {}), Artifact)
        seconds.append(time.perf_counter() - before)
    assert min(seconds) < 0.002


def test_what_another_call_dates_just_now_is_waited_for(store: Store) -> None:
    made, _ = obtain(store, Quantize())
    key = Quantize().key(VERSIONS)
    with ThreadPoolExecutor(1) as pool:
        with store.locks.held("quantize", key, Ear()):
            found = pool.submit(store.artifacts.retrieve, "quantize", key, Ear())
            time.sleep(0.2)
            assert not found.done()
        assert found.result(30) == made

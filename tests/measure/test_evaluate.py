"""Accuracy is asked once: the same kit on the same pixels under the same conditions is never run again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.measuring import PIXELS_CHANGED
from edgecnn.measure.evaluate import PixelSet, evaluate, stored_evaluation
from edgecnn.runner.files import sha256_of
from edgecnn.runner.pixels import pixels_sha256
from edgecnn.store.store import Store
from edgecnn.values.verdict import Fidelity
from tests.measure.labs import CHUNK, FakeHost, a_kit, lab_at, logits_of
from tests.store.toys import Ear

IMAGES = 2 * CHUNK + 2


def pixels_at(folder: Path, name: str = "validation", first: int = 0) -> PixelSet:
    path = folder / f"{name}.pixels.npy"
    np.save(path, (np.arange(IMAGES * 12, dtype=np.uint8) + first).reshape(IMAGES, 2, 2, 3))
    return PixelSet(split="validation", file=path, sha256=sha256_of(path), images=IMAGES)


def test_the_logits_of_all_chunks_are_joined_in_order(host: FakeHost, store: Store, tmp_path: Path) -> None:
    kit, pixels = a_kit(tmp_path, "kit"), pixels_at(tmp_path)
    stored = evaluate(kit, pixels, lab_at(host, store))
    assert stored.profile.logits_file is not None
    logits = np.load(stored.file(stored.profile.logits_file))
    assert host.ran == [0, 1, 2]
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, logits_of(np.load(pixels.file)))


def test_the_profile_says_what_was_shown_where_and_when(host: FakeHost, store: Store, tmp_path: Path) -> None:
    kit, pixels = a_kit(tmp_path, "kit"), pixels_at(tmp_path)
    profile = evaluate(kit, pixels, lab_at(host, store)).profile
    assert (profile.what, profile.subject, profile.pixels, profile.images) == ("evaluation", kit.digest, pixels.sha256, IMAGES)
    assert (profile.device, profile.host, profile.fidelity) == ("cpu", "AMD x86_64 with 2 cores", Fidelity.MEASURED)
    assert profile.environment.conditions["runtime_version"] == host.versions["onnxruntime"]
    assert profile.observed_at.endswith("+00:00")


def test_the_same_question_under_the_same_conditions_is_not_run_again(host: FakeHost, store: Store, tmp_path: Path) -> None:
    kit, pixels = a_kit(tmp_path, "kit"), pixels_at(tmp_path)
    first = evaluate(kit, pixels, lab_at(host, store))
    ear = Ear()
    assert evaluate(kit, pixels, lab_at(host, store, ear)) == first
    assert (len(host.calls), ear.notes) == (1, [])


def test_other_pixels_are_run_again(host: FakeHost, store: Store, tmp_path: Path) -> None:
    kit = a_kit(tmp_path, "kit")
    evaluate(kit, pixels_at(tmp_path), lab_at(host, store))
    evaluate(kit, pixels_at(tmp_path, "other", first=1), lab_at(host, store))
    assert len(host.calls) == 2


def test_the_same_pixels_in_another_folder_are_the_same_pixels(host: FakeHost, store: Store, tmp_path: Path) -> None:
    kit, pixels = a_kit(tmp_path, "kit"), pixels_at(tmp_path)
    evaluate(kit, pixels, lab_at(host, store))
    evaluate(kit, pixels.model_copy(update={"file": Path("/nowhere.npy"), "split": "test"}), lab_at(host, store))
    assert len(host.calls) == 1


def test_another_runtime_version_is_run_again_and_both_are_kept(host: FakeHost, store: Store, tmp_path: Path) -> None:
    kit, pixels = a_kit(tmp_path, "kit"), pixels_at(tmp_path)
    old = evaluate(kit, pixels, lab_at(host, store))
    host.versions["onnxruntime"] = "1.32.0"
    assert stored_evaluation(kit, pixels, lab_at(host, store)) is None
    evaluate(kit, pixels, lab_at(host, store))
    assert len(store.profiles.of(kit.digest, "evaluation")) == 2
    host.versions["onnxruntime"] = "1.31.1"
    assert stored_evaluation(kit, pixels, lab_at(host, store)) == old


def test_another_kit_is_run_again(host: FakeHost, store: Store, tmp_path: Path) -> None:
    pixels = pixels_at(tmp_path)
    for name in ("one", "two"):
        evaluate(a_kit(tmp_path, name), pixels, lab_at(host, store))
    assert len(host.calls) == 2


def test_an_interrupted_evaluation_keeps_the_chunks_that_it_finished(host: FakeHost, store: Store, tmp_path: Path) -> None:
    kit, pixels = a_kit(tmp_path, "kit"), pixels_at(tmp_path)
    host.stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        evaluate(kit, pixels, lab_at(host, store))
    assert stored_evaluation(kit, pixels, lab_at(host, store)) is None
    host.stop_after = None
    stored = evaluate(kit, pixels, lab_at(host, store))
    assert host.ran == [0, 1, 2]
    np.testing.assert_array_equal(np.load(stored.file("logits.npy")), logits_of(np.load(pixels.file)))
    assert list(store.root.rglob("logits-*.npy")) == []


def test_a_twins_accuracy_is_emulated(host: FakeHost, store: Store, tmp_path: Path) -> None:
    twin = a_kit(tmp_path, "twin", stands_for="e" * 64)
    assert evaluate(twin, pixels_at(tmp_path), lab_at(host, store)).profile.fidelity is Fidelity.EMULATED


def test_what_is_evaluated_is_said_once(host: FakeHost, store: Store, tmp_path: Path) -> None:
    ear = Ear()
    evaluate(a_kit(tmp_path, "int8"), pixels_at(tmp_path), lab_at(host, store, ear))
    assert ear.notes == [f"evaluate int8 on validation: {IMAGES} images"]


def test_pixels_that_are_not_those_that_were_prepared_are_never_filed(host: FakeHost, store: Store, tmp_path: Path) -> None:
    kit, pixels = a_kit(tmp_path, "kit"), pixels_at(tmp_path)
    np.save(pixels.file, np.load(pixels.file)[..., ::-1])
    with pytest.raises(EdgecnnError, check=PIXELS_CHANGED.made):
        evaluate(kit, pixels, lab_at(host, store))
    assert stored_evaluation(kit, pixels, lab_at(host, store)) is None


def test_a_host_far_away_is_given_parts_and_answers_all_the_same(host: FakeHost, store: Store, tmp_path: Path) -> None:
    kit, pixels = a_kit(tmp_path, "kit"), in_truth(pixels_at(tmp_path))
    host.part_bytes = 5 * 12  # five images
    stored = evaluate(kit, pixels, lab_at(host, store))
    assert stored.profile.logits_file is not None
    np.testing.assert_array_equal(np.load(stored.file(stored.profile.logits_file)), logits_of(np.load(pixels.file)))
    assert len(host.calls) == -(-IMAGES // 5)


def test_parts_that_an_interrupted_call_finished_are_not_evaluated_again(host: FakeHost, store: Store, tmp_path: Path) -> None:
    kit, pixels = a_kit(tmp_path, "kit"), in_truth(pixels_at(tmp_path))
    host.part_bytes, host.stop_after = CHUNK * 12, 2
    with pytest.raises(KeyboardInterrupt):
        evaluate(kit, pixels, lab_at(host, store))
    host.stop_after = None
    evaluate(kit, pixels, lab_at(host, store))
    assert len(host.ran) == -(-IMAGES // CHUNK)


def test_pixels_that_changed_on_the_way_are_noticed_in_parts_too(host: FakeHost, store: Store, tmp_path: Path) -> None:
    host.part_bytes = 12
    with pytest.raises(EdgecnnError, check=PIXELS_CHANGED.made):
        evaluate(a_kit(tmp_path, "kit"), pixels_at(tmp_path), lab_at(host, store))


def in_truth(pixels: PixelSet) -> PixelSet:
    """With the digest that the runner takes of an array, and not of its file."""
    return pixels.model_copy(update={"sha256": pixels_sha256(np.load(pixels.file))})

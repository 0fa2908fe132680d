"""A build with folds is judged from the store: if an entry of another fold is gone, the judgement says what it counts."""

from __future__ import annotations

from pathlib import Path

from edgecnn.bench.subject import read_folds
from edgecnn.measure.kits import KitRef
from edgecnn.measure.subject import Subject
from edgecnn.results.finished import KeptStep
from edgecnn.store.profiles import StoredProfile
from edgecnn.store.store import Store
from edgecnn.values.artifact import Failed
from tests.building.resolutions import resolved
from tests.measure.labs import FakeHost, lab_at


def never_asked(seen: Subject, name: str, kit: KitRef, pixels: object) -> StoredProfile | Failed:
    raise AssertionError(f"{name} was asked although the images of the fold are gone")


def test_without_the_images_of_another_fold_accuracy_is_of_the_first_fold(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    seen = Subject.from_build(resolved(), lab_at(FakeHost(), store))
    read_folds([{"prepare": KeptStep("prepare", "0" * 64)}], seen, never_asked)
    (note,) = seen.notes
    assert "fold 2" in note and str(store.root) in note and not seen.folds

"""What was verified is what runs: a bundle that is exchanged after its verification has no effect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecnn.bundle.opening import FolderForm, ZipForm
from edgecnn.bundle.predicting import predict_photos
from edgecnn.errors.base import EdgecnnError
from tests.bundle.sealed import KIT, KIT_FOLDER, copied, reseal, verified, with_kit, zipped
from tests.runner.kits import CLASSES, rewrite_manifest
from tests.store.toys import Ear

FORGED = [f"forged {index}" for index in range(CLASSES)]


def forged(bundle: Path, folder: Path) -> Path:
    """A bundle with other labels, sealed."""
    return with_kit(copied(bundle, folder), lambda kit: rewrite_manifest(kit, lambda facts: facts.update(labels=FORGED)))


def labels_of(bundle: Path, checked: object) -> set[str]:
    predictions = predict_photos(checked, [bundle / KIT_FOLDER / "golden/card.png"], None, CLASSES, Ear())  # type: ignore[arg-type]
    kit = json.loads((bundle / "choice.json").read_text())["kits"][KIT]["sha256"]
    assert (predictions.sha256, predictions.kit) == (checked.facts.sha256, kit)  # type: ignore[attr-defined]
    return {label.label for prediction in predictions.predictions for label in prediction.labels}


def test_the_folder_that_was_verified_is_read_whatever_takes_its_name(bundle: Path, tmp_path: Path) -> None:
    other, checked = forged(bundle, tmp_path / "other"), verified(bundle)
    bundle.rename(tmp_path / "verified")
    other.rename(bundle)
    assert not labels_of(tmp_path / "verified", checked) & set(FORGED)


def test_a_kit_that_is_exchanged_is_refused(bundle: Path, tmp_path: Path) -> None:
    other, checked = forged(bundle, tmp_path / "other"), verified(bundle)
    (bundle / KIT_FOLDER).rename(tmp_path / "kit")
    (other / KIT_FOLDER).rename(bundle / KIT_FOLDER)
    with pytest.raises(EdgecnnError) as refused:
        predict_photos(checked, [tmp_path / "kit/golden/card.png"], None, 1, Ear())
    assert refused.value.ref == "bundle-file-changed"


def test_a_folder_that_became_a_link_is_not_followed(bundle: Path, tmp_path: Path) -> None:
    opened = FolderForm(bundle)
    (bundle / KIT_FOLDER).rename(tmp_path / "kit")
    (bundle / KIT_FOLDER).symlink_to(tmp_path / "kit")
    with pytest.raises(EdgecnnError) as refused:
        opened.open(f"{KIT_FOLDER}/kit.json")
    assert refused.value.ref == "bundle-entry-refused"


def test_a_zip_is_opened_once(bundle: Path, tmp_path: Path) -> None:
    archive, kit = zipped(bundle, tmp_path / "a.zip"), (bundle / KIT_FOLDER / "kit.json").read_bytes()
    opened = ZipForm(archive)
    (tmp_path / "b.zip").write_bytes(b"another file")
    (tmp_path / "b.zip").replace(archive)
    with opened.open(f"{KIT_FOLDER}/kit.json") as stream:
        assert stream.read() == kit


def test_a_listed_engine_is_code_and_refused(bundle: Path) -> None:
    def with_engine(kit: Path) -> None:
        (kit / "build").mkdir()
        (kit / "build/engine.plan").write_bytes(b"code of a GPU")

    with_engine(bundle / KIT_FOLDER)
    reseal(bundle)
    with pytest.raises(EdgecnnError) as refused:
        verified(bundle)
    assert refused.value.ref == "bundle-entry-refused" and "engine.plan" in refused.value.line()

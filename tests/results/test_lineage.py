from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgecnn.results.origin import ancestor, kit_artifact
from tests.building.stored_builds import StoredBuild


@pytest.fixture
def build(tmp_path: Path) -> StoredBuild:
    return StoredBuild(tmp_path)


def test_a_kit_is_found_by_the_digest_that_a_report_names(build: StoredBuild) -> None:
    found = kit_artifact(build.store, build.digest("onnxruntime-int8"))
    assert found is not None
    assert found.key == build.kits["onnxruntime-int8"].key
    assert kit_artifact(build.store, "0" * 64) is None


@pytest.mark.parametrize("kind", ["prepare", "train"])
def test_what_a_kit_was_made_from_is_found_along_its_records(build: StoredBuild, kind: str) -> None:
    found = ancestor(build.store, build.kits["onnxruntime-int8"], kind)
    assert found is not None
    assert found.key == {"prepare": build.prepared, "train": build.trained}[kind].key


def test_an_ancestor_that_is_gone_or_damaged_is_none(build: StoredBuild) -> None:
    kit = build.kits["onnxruntime-int8"]
    (build.trained.folder / "history.json").write_text("edited")
    assert ancestor(build.store, kit, "train") is None
    shutil.rmtree(build.store.layout.entry("prepare", build.prepared.key))
    assert ancestor(build.store, kit, "prepare") is None


def test_an_artifact_whose_bytes_are_not_those_that_went_in_is_no_ancestor(build: StoredBuild) -> None:
    """The export was made again under its key, from the same request and to other bytes."""
    entry = next((build.store.layout.artifacts / "export").iterdir())
    record = (entry / "record.json").read_text()
    sha256 = next(iter(build.store.artifacts.entries())).record.files["model.onnx"].sha256
    (entry / "record.json").write_text(record.replace(sha256, "0" * 64))
    assert ancestor(build.store, build.kits["onnxruntime-int8"], "train") is None

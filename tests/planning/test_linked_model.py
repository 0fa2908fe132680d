"""A model that is a link, as in the cache of Hugging Face: the files next to the link state its preprocessing."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from tests.graph.custom_files import CLASSES, classifier, photo_folder
from tests.planning.test_own_order import resolved

PROCESSOR = {"do_rescale": True, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}


@pytest.mark.parametrize("beside_the_link", [True, False])
def test_files_next_to_a_link_or_to_its_target_are_read(
    beside_the_link: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    onnx.save(classifier("half"), blobs / "b1")
    (snapshot / "model.onnx").symlink_to("../blobs/b1")
    for name, content in (("preprocessor_config.json", PROCESSOR), ("config.json", {"id2label": dict(enumerate(CLASSES))})):
        place = blobs / f"of_{name}" if beside_the_link else blobs / name
        place.write_text(json.dumps(content))
        if beside_the_link:
            (snapshot / name).symlink_to(place)
    found = resolved(snapshot / "model.onnx", photo_folder(tmp_path / "photos", 10))
    assert found.custom_model is not None
    assert (found.custom_model.stated_by, found.custom_model.source) == ("file", "preprocessor_config.json")
    assert "config.json" in found.weights.why

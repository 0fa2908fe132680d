"""The published schemas are current, and what is shipped satisfies them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from edgecnn.installed import resource_folder
from tests.house.schemas import FOLDER, PUBLISHED, generated


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_schema_is_the_one_its_value_has_now(name: str) -> None:
    published = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert published == generated(name), "python -m tests.house.schemas --write"


@pytest.mark.parametrize("folder, name", [("devices", "device"), ("pipelines", "recipe")])
def test_every_shipped_file_satisfies_its_schema(folder: str, name: str) -> None:
    for path in sorted(resource_folder(folder).glob("*.toml")):  # type: ignore[arg-type]
        validator(name).validate(tomllib.loads(path.read_text(encoding="utf-8")))


def manifest(**changes: Any) -> dict[str, Any]:
    sha = "0" * 64
    return {
        "schema": "edgecnn.kit/1",
        "name": "resnet-18--onnxruntime-int8",
        "candidate": {"id": "onnxruntime-int8", "runtime": "onnxruntime", "precision": "int8", "method": "post-training"},
        "session": {"module": "onnxruntime_cpu", "options": {}},
        "model": {
            "entry": "model.onnx", "files": ["model.onnx"], "input": {"name": "image", "dtype": "float32", "layout": "NCHW"},
            "output": {"name": "logits", "classes": 2}, "batch_max": 64,
        },
        "preprocessing": {
            "pixels": {"resize_px": 64, "crop_px": 64, "interpolation": "bicubic"},
            "normalization": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
        },
        "labels": ["a", "b"],
        "golden": {
            "png": [{"file": "golden/card.png", "pixels_sha256": sha}], "feed_sha256": sha,
            "logits": "golden/logits.npy", "logits_tolerance": 0.15,
            "jpeg": {"file": "golden/photo.jpg", "pixels": "golden/photo.pixels.png", "max_levels": 2},
        },
        "requirements": {"python": ">=3.8", "packages": {"onnxruntime": ">=1.19,<2"}, "machines": ["x86_64"]},
        "stands_for": None,
        "engine": None,
        "files": {"model.onnx": {"sha256": sha, "bytes": 1}},
        **changes,
    }  # fmt: skip


def test_a_kit_s_manifest_satisfies_its_schema() -> None:
    validator("kit").validate(manifest())
    validator("kit").validate(manifest(activation="sigmoid", thresholds={"cat": 0.5}))


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": 1},
        {"schema": "edgecnn.kit/2"},
        {"files": {"../model.onnx": {"sha256": "0" * 64, "bytes": 1}}},
        {"labels": []},
        {"activation": "softmax"},
        {"thresholds": {"cat": 2}},
    ],
)
def test_a_manifest_that_says_something_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        validator("kit").validate(manifest(**changes))


def test_every_schema_is_written_for_the_folder_that_the_errors_name() -> None:
    assert sorted(path.stem for path in Path(FOLDER).glob("*.json")) == sorted([*PUBLISHED, "kit"])

from __future__ import annotations

import json
from pathlib import Path

from edgecnn.measure.kits import KitRef
from edgecnn.values.artifact import Artifact, FileFact, Record
from edgecnn.values.stage import Key
from tests.measure.labs import a_candidate


def packaged(folder: Path, module: str = "onnxruntime_cpu", stands_for: dict[str, str] | None = None) -> Artifact:
    files = {"model.xml": 10, "model.bin": 300, "runner/kit.py": 7000}
    manifest = {
        "session": {"module": module},
        "stands_for": stands_for,
        "model": {"files": ["model.xml", "model.bin"]},
        "files": {name: {"sha256": "0" * 64, "bytes": size} for name, size in files.items()},
    }
    (folder / "kit.json").write_text(json.dumps(manifest))
    facts = {"kit.json": FileFact(sha256="a" * 64, bytes=1)}
    record = Record(
        key=Key("k" * 64), payload={}, inputs={}, files=facts, environment={}, made_at="2026-11-20T09:00:00+00:00", seconds=1.0
    )
    return Artifact(kind="package", key=record.key, folder=folder, record=record)


def test_a_kits_digest_is_that_of_its_manifest_as_it_was_recorded(tmp_path: Path) -> None:
    assert KitRef.of(a_candidate("fp32"), packaged(tmp_path)).digest == "a" * 64


def test_a_kits_runtime_is_that_which_its_session_opens_and_not_its_candidates(tmp_path: Path) -> None:
    twin = KitRef.of(a_candidate("tensorrt-fp16", "tensorrt"), packaged(tmp_path, stands_for={"kit": "d" * 64, "why": "no GPU"}))
    assert (twin.runtime, twin.stands_for, twin.on_gpu) == ("onnxruntime", "d" * 64, False)
    (tmp_path / "engine").mkdir()
    engine = KitRef.of(a_candidate("tensorrt-fp16", "tensorrt"), packaged(tmp_path / "engine", module="tensorrt_gpu"))
    assert (engine.runtime, engine.on_gpu) == ("tensorrt", True)


def test_a_models_size_is_that_of_its_own_files(tmp_path: Path) -> None:
    assert KitRef.of(a_candidate("fp32"), packaged(tmp_path)).size_mib == 310 / 1024**2

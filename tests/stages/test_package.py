"""A kit is whole, the same bytes wherever it was made, and another kit under any other setting."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import RUNNER_SOURCE_CHANGED, SELF_TEST_FAILED
from edgecnn.errors.labels import THRESHOLDS_OF_ANOTHER_MODEL
from edgecnn.runner.golden import golden_pixels
from edgecnn.runner.kit import Kit
from edgecnn.runner.runs.processes import clean_environment
from edgecnn.stages.candidate import PackageStage, runner_digest, runner_source
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.model_file import EngineSpec, ModelFile, ModelOutput, ModelRequirements, ModelSpec, SessionSpec
from edgecnn.values.preprocessing import Normalization, PixelRecipe, Preprocessing
from edgecnn.values.stage import Key
from tests.runner.kits import CLASSES, MEAN, SIDE, STD, make_kit
from tests.store.toys import Ear, files_in

CANDIDATE = Candidate(id="onnxruntime-fp32", runtime=Runtime.ONNXRUNTIME, precision=Precision.FP32)
ENGINE = Candidate(id="tensorrt-fp16", runtime=Runtime.TENSORRT, precision=Precision.FP16, needs_engine=True)
MEANS, STDS = (MEAN[0], MEAN[1], MEAN[2]), (STD[0], STD[1], STD[2])
PREPROCESSING = Preprocessing(
    pixels=PixelRecipe(resize_px=SIDE + 4, crop_px=SIDE, interpolation="bicubic"),
    normalization=Normalization(mean=MEANS, std=STDS),
)


class Made(NamedTuple):
    """What quantize and prepare left."""

    model: Path
    pixels: Path

    def given(self, **more: Path) -> dict[str, Path]:
        return {"model": self.model, "pixels": self.pixels, **more}


def described(module: str = "onnxruntime_cpu", engine: EngineSpec | None = None) -> str:
    return ModelFile(
        session=SessionSpec(module=module, options={"threads": "1"}),
        model=ModelSpec(entry="model.onnx", files=("model.onnx",), output=ModelOutput(classes=CLASSES)),
        requirements=ModelRequirements(packages={"onnxruntime": ">=1.19,<2"}),
        logits_tolerance=0.01,
        engine=engine,
    ).to_json()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The two folders, taken from a kit that works."""
    folder = tmp_path_factory.mktemp("made")
    kit = make_kit(folder)
    made = Made(folder / "quantize", folder / "prepare")
    (made.model / "twin").mkdir(parents=True)
    (made.pixels / "golden").mkdir(parents=True)
    for place in (made.model, made.model / "twin"):
        shutil.copy(kit / "model.onnx", place)
        (place / "model.json").write_text(described())
    shutil.copy(kit / "golden/logits.npy", made.model / "golden_logits.npy")
    (made.model / "quantize.json").write_text("{}")
    manifest = json.loads((kit / "kit.json").read_text())
    for name in ("card.png", "0.png", "photo.jpg", "photo.pixels.png"):
        shutil.copy(kit / "golden" / name, made.pixels / "golden")
    golden = {name: manifest["golden"][name] for name in ("png", "jpeg")}
    (made.pixels / "golden/golden.json").write_text(json.dumps(golden))
    (made.pixels / "labels.json").write_text(json.dumps(manifest["labels"]))
    np.save(made.pixels / "golden/pixels.npy", golden_pixels(Kit.open(kit)))
    return made


def stage(**changes: Any) -> PackageStage:
    known = {
        "inputs": {"model": Key("a" * 64), "pixels": Key("b" * 64)},
        "name": "flowers-onnxruntime-fp32",
        "candidate": CANDIDATE,
        "preprocessing": PREPROCESSING,
        "runner_sha256": runner_digest(),
    }
    return PackageStage(**{**known, **changes})


def packaged(made: Made, out: Path, **changes: Any) -> Path:
    out.mkdir(parents=True)
    stage(**changes).make(made.given(), out, Ear())
    return out


def kit_in(out: Path, made: Made, **more: Path) -> Path:
    """With more inputs than every kit has."""
    out.mkdir(parents=True)
    stage().make(made.given(**more), out, Ear())
    return out


def manifest_of(kit: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((kit / "kit.json").read_text())
    return found


def test_every_file_of_a_kit_is_in_its_manifest_with_its_digest_and_size(made: Made, tmp_path: Path) -> None:
    kit = packaged(made, tmp_path / "kit")
    files = files_in(kit)
    files.pop("kit.json")
    facts = {name: {"sha256": hashlib.sha256(held).hexdigest(), "bytes": len(held)} for name, held in files.items()}
    assert manifest_of(kit)["files"] == facts
    assert {"model.onnx", "golden/logits.npy", "golden/card.png", "golden/photo.jpg", "runner/__main__.py"} <= set(files)
    assert "model.json" not in files and "quantize.json" not in files


def test_the_runner_in_a_kit_is_this_one_to_the_byte(made: Made, tmp_path: Path) -> None:
    kit = packaged(made, tmp_path / "kit")
    source = {name: held for name, held in files_in(runner_source()).items() if name.endswith(".py")}
    assert files_in(kit / "runner") == source


def test_the_manifest_says_how_the_model_is_opened_fed_and_judged(made: Made, tmp_path: Path) -> None:
    manifest = manifest_of(packaged(made, tmp_path / "kit"))
    assert (manifest["schema"], manifest["name"]) == ("edgecnn.kit/1", "flowers-onnxruntime-fp32")
    assert manifest["candidate"] == CANDIDATE.model_dump(mode="json")
    assert manifest["preprocessing"] == PREPROCESSING.model_dump(mode="json")
    assert manifest["session"] == {"module": "onnxruntime_cpu", "options": {"threads": "1"}}
    assert manifest["requirements"]["python"] == ">=3.8"
    assert manifest["requirements"]["packages"] == {"onnxruntime": ">=1.19,<2"}
    assert (manifest["golden"]["logits"], manifest["golden"]["logits_tolerance"]) == ("golden/logits.npy", 0.01)
    assert (manifest["labels"], manifest["stands_for"], manifest["engine"]) == (
        ["class 0", "class 1", "class 2", "class 3"],
        None,
        None,
    )


def test_a_kit_passes_its_own_test_by_its_own_runner(made: Made, tmp_path: Path) -> None:
    kit = packaged(made, tmp_path / "kit")
    command = [sys.executable, "-m", "runner", "selftest", "--json"]
    done = subprocess.run(command, cwd=kit, env=clean_environment(kit), capture_output=True, text=True, check=False)
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["ok"] is True, done.stdout + done.stderr


def test_a_kit_that_fails_its_own_test_is_not_made(made: Made, tmp_path: Path) -> None:
    """What answers at random, or otherwise in the session that ships than where golden answers were recorded."""
    moved = Made(tmp_path / "m", made.pixels)
    shutil.copytree(made.model, moved.model)
    np.save(moved.model / "golden_logits.npy", 1 + np.load(made.model / "golden_logits.npy"))
    with pytest.raises(EdgecnnError, check=SELF_TEST_FAILED.made) as caught:
        packaged(moved, tmp_path / "kit")
    assert caught.value.what == "the kit of onnxruntime-fp32 fails its own self-test"
    assert "the model does not give the golden logits (they differ by up to 1" in (caught.value.because or "")


def test_a_kit_whose_runtime_this_machine_lacks_is_made_untested(made: Made, tmp_path: Path) -> None:
    moved = Made(tmp_path / "m", made.pixels)
    shutil.copytree(made.model, moved.model)
    described_otherwise = json.loads(described())
    described_otherwise["requirements"]["packages"] = {"no-such-runtime": ">=1"}
    (moved.model / "model.json").write_text(json.dumps(described_otherwise))
    assert (packaged(moved, tmp_path / "kit") / "kit.json").is_file()


def test_two_folders_give_byte_identical_kits(made: Made, tmp_path: Path) -> None:
    moved = Made(tmp_path / "elsewhere" / "m", tmp_path / "elsewhere" / "p")
    shutil.copytree(made.model, moved.model)
    shutil.copytree(made.pixels, moved.pixels)
    one, two = packaged(made, tmp_path / "one"), packaged(moved, tmp_path / "a" / "two")
    assert files_in(one) == files_in(two)
    assert str(tmp_path) not in (one / "kit.json").read_text()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "another"},
        {"candidate": CANDIDATE.model_copy(update={"session_options": {"threads": "2"}})},
        {"preprocessing": PREPROCESSING.model_copy(update={"normalization": Normalization(mean=(0, 0, 0), std=STDS)})},
        {"variant": "twin"},
        {"runner_sha256": "0" * 64},
        {"inputs": {"model": Key("c" * 64), "pixels": Key("b" * 64)}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_setting_makes_another_key(change: dict[str, Any]) -> None:
    assert stage(**change).key({}) != stage().key({})


def test_every_setting_is_tried_above() -> None:
    assert set(PackageStage.model_fields) == {"inputs", "name", "candidate", "preprocessing", "variant", "runner_sha256"}


def test_a_runner_that_changed_since_planning_is_refused_before_a_file_is_written(made: Made, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=RUNNER_SOURCE_CHANGED.made) as caught:
        packaged(made, tmp_path / "kit", runner_sha256="0" * 64)
    assert caught.value.ref == "runner-source-changed"
    assert list((tmp_path / "kit").iterdir()) == []


def test_a_changed_added_renamed_or_lost_module_is_another_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "runner"
    source.mkdir()
    (source / "kit.py").write_text("a")
    monkeypatch.setattr("edgecnn.stages.candidate.runner_source", lambda: source)
    seen = [runner_digest()]
    (source / "kit.py").write_text("b")
    seen.append(runner_digest())
    (source / "kit.py").rename(source / "kits.py")
    seen.append(runner_digest())
    (source / "more.py").write_text("")
    seen.append(runner_digest())
    assert len(set(seen)) == 4
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "kit.cpython-311.pyc").write_bytes(b"made by running")
    assert runner_digest() == seen[-1]


def test_a_twin_says_which_kit_it_stands_for_and_opens_another_runtime(made: Made, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(made.model, model)
    spec = EngineSpec(builder="tensorrt", onnx="model.onnx", min_version="10.3")
    (model / "model.json").write_text(described("tensorrt_gpu", spec))
    of_engine = Made(model, made.pixels)
    device = packaged(of_engine, tmp_path / "device", candidate=ENGINE)
    twin = tmp_path / "twin"
    twin.mkdir()
    stage(candidate=ENGINE, variant="twin").make(of_engine.given(kit=device), twin, Ear())
    assert manifest_of(device)["stands_for"] is None
    assert manifest_of(device)["engine"] == spec.model_dump(mode="json")
    assert manifest_of(device)["session"]["module"] == "tensorrt_gpu"
    assert manifest_of(twin)["stands_for"] == {
        "kit": hashlib.sha256((device / "kit.json").read_bytes()).hexdigest(),
        "why": "accuracy is emulated on a twin that rounds to fp16 in fp32 kernels, since the engine is built on the device",
    }
    assert manifest_of(twin)["engine"] is None
    assert manifest_of(twin)["session"]["module"] == "onnxruntime_cpu"
    Kit.open(twin).verify_files()


def kit_of_thresholds(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    (folder / "thresholds.json").write_text(json.dumps({name: 0.25 + 0.1 * place for place, name in enumerate(names)}))
    return folder


def test_a_kit_of_several_labels_says_so_and_one_of_a_class_an_image_has_no_word_of_it(made: Made, tmp_path: Path) -> None:
    plain = json.loads((kit_in(tmp_path / "plain", made) / "kit.json").read_text())
    assert not {"activation", "thresholds"} & set(plain)
    several = kit_in(tmp_path / "several", made, thresholds=kit_of_thresholds(tmp_path / "trunk", plain["labels"]))
    manifest = json.loads((several / "kit.json").read_text())
    assert {name: manifest[name] for name in set(manifest) - {"activation", "thresholds"}} == plain
    assert Kit.open(several).manifest.thresholds == pytest.approx([0.25, 0.35, 0.45, 0.55])


def test_thresholds_of_another_model_are_no_kit_s(made: Made, tmp_path: Path) -> None:
    trunk = kit_of_thresholds(tmp_path / "trunk", ["class 0", "class 1", "class 2", "owl"])
    with pytest.raises(EdgecnnError, check=THRESHOLDS_OF_ANOTHER_MODEL.made) as caught:
        kit_in(tmp_path / "several", made, thresholds=trunk)
    assert caught.value.ref == "thresholds-of-another-model"

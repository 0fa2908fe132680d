from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.comparing import BundleUnreadable, KitNotCarried
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.errors.measuring import NOTHING_TO_LOAD
from edgecnn.studies.loadgen import kit_to_measure
from tests.runner.kits import make_kit


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build whose bundle carries two kits and uses the second."""
    folder = tmp_path_factory.mktemp("build")
    (folder / "bundle" / "kits").mkdir(parents=True)
    kits = {}
    for name in ("onnxruntime-fp32", "onnxruntime-int8"):
        kit = make_kit(folder / "bundle" / "kits", name=name)
        kits[name] = {"folder": f"kits/{name}", "sha256": sha256((kit / "kit.json").read_bytes()).hexdigest()}
    choice = {"schema": "edgecnn.choice/1", "choice": {"candidate": "onnxruntime-int8"}, "kits": kits}
    (folder / "bundle" / "choice.json").write_text(json.dumps(choice))
    return folder


def test_of_a_build_or_its_bundle_the_kit_that_it_uses_is_meant(build: Path) -> None:
    assert kit_to_measure(build).manifest.name == "onnxruntime-int8"
    assert kit_to_measure(build / "bundle").manifest.name == "onnxruntime-int8"


def test_another_one_can_be_named(build: Path) -> None:
    assert kit_to_measure(build, "onnxruntime-fp32").manifest.name == "onnxruntime-fp32"
    assert kit_to_measure(build / "bundle" / "kits" / "onnxruntime-fp32").manifest.name == "onnxruntime-fp32"


def test_a_name_that_it_does_not_carry_is_refused_with_the_nearest(build: Path) -> None:
    with pytest.raises(KitNotCarried) as caught:
        kit_to_measure(build, "onnxruntime-int")
    assert "onnxruntime-fp32 and onnxruntime-int8 — did you mean onnxruntime-int8?" in caught.value.line()


def test_a_folder_that_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=NOTHING_TO_LOAD.made):
        kit_to_measure(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"kits": {}}', '{"kits": {}, "choice": {"candidate": null}}'])
def test_a_choice_that_names_no_kit_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "choice.json").write_text(text)
    with pytest.raises(BundleUnreadable):
        kit_to_measure(tmp_path)


def test_a_choice_that_leads_out_of_its_bundle_or_to_another_kit_is_refused(build: Path, tmp_path: Path) -> None:
    choice = json.loads((build / "bundle" / "choice.json").read_text())
    mine = choice["kits"]["onnxruntime-int8"]
    for changes in ({"folder": str(build / "bundle" / "kits" / "onnxruntime-int8")}, {"sha256": "0" * 64}):
        copy = tmp_path / next(iter(changes)) / "bundle"
        shutil.copytree(build / "bundle", copy)
        choice["kits"]["onnxruntime-int8"] = {**mine, **changes}
        (copy / "choice.json").write_text(json.dumps(choice))
        with pytest.raises(BundleUnreadable):
            kit_to_measure(copy)


def test_a_kit_of_another_version_is_refused_in_the_runners_words(tmp_path: Path) -> None:
    (tmp_path / "kit.json").write_text('{"schema": "edgecnn.kit/99"}')
    with pytest.raises(RunnerFailed, match=r"\[bad-manifest\]"):
        kit_to_measure(tmp_path)

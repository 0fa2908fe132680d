"""Bundles whose hashes are right and whose maker wishes no good: kits and choices are refused before anything is opened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bundle.sealed import KIT, KIT_FOLDER, reseal, verified, with_kit
from tests.bundle.test_opening import refusal
from tests.runner.kits import rewrite_manifest


def described(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    return lambda kit: rewrite_manifest(kit, change)


def renamed(name: str) -> Callable[[Path], None]:
    """The model under another name, which a runtime opens all the same."""

    def rename(kit: Path) -> None:
        (kit / "model.onnx").rename(kit / name)
        rewrite_manifest(kit, lambda facts: facts["model"].update(entry=name, files=[name]))

    return rename


GPU = {"module": "tensorrt_gpu", "options": {}}


@pytest.mark.parametrize(
    "change, because",
    [
        (renamed("model.ONNX"), "model.entry 'model.ONNX' must be a .onnx file for onnxruntime_cpu"),
        (renamed("model"), "model.entry 'model' must be a .onnx file for onnxruntime_cpu"),
        (
            described(lambda facts: facts["model"]["files"].append("golden/card.png")),
            "model.files has 'golden/card.png', and onnxruntime_cpu opens .onnx",
        ),
        (
            described(lambda facts: facts["session"].update(module="openvino_cpu")),
            "model.entry 'model.onnx' is no .xml, which is what openvino_cpu opens",
        ),
        (described(lambda facts: facts["session"].update(module="os")), "its session 'os' is not allowed in a bundle"),
        (
            described(lambda facts: facts.update(session=GPU, engine={"builder": "tensorrt", "onnx": "/tmp/x.onnx"})),
            "engine.onnx '/tmp/x.onnx' is not an .onnx file of the kit",
        ),
        (
            described(lambda facts: facts.update(session=GPU, engine={"builder": "evil", "onnx": "model.onnx"})),
            "engine.builder 'evil' is not tensorrt or tensorrt_rtx_bindings",
        ),
    ],
)
def test_a_kit_that_would_open_what_was_not_looked_into_is_refused(
    bundle: Path, change: Callable[[Path], None], because: str
) -> None:
    assert "[bundle-model-refused]" in refusal(with_kit(bundle, change))


def optioned(module: str, **options: str) -> Callable[[Path], None]:
    return described(lambda facts: facts.update(session={"module": module, "options": options}))


STATISTICS = "session.collect_node_memory_stats_to_file"


@pytest.mark.parametrize(
    "change, because",
    [
        (
            optioned("onnxruntime_cpu", **{STATISTICS: "../../../stats.csv"}),
            f"session option '{STATISTICS}' is not one that onnxruntime_cpu takes",
        ),
        (optioned("openvino_cpu", CACHE_DIR="/tmp/c"), "session option 'CACHE_DIR' is not one that openvino_cpu takes"),
        (optioned("openvino_cpu", WEIGHTS_PATH="/etc"), "session option 'WEIGHTS_PATH' is not one that openvino_cpu takes"),
        (optioned("openvino_cpu", threads="1000000"), "session option threads = '1000000' is not a whole number from 1 to 1024"),
        (optioned("tensorrt_gpu", engine="/tmp/x.plan"), "session option engine = '/tmp/x.plan' leaves the kit"),
        (optioned("tensorrt_gpu", engine="../x.plan"), "session option engine = '../x.plan' leaves the kit"),
    ],
)
def test_a_kit_whose_options_could_write_elsewhere_or_take_the_machine_is_refused(
    bundle: Path, change: Callable[[Path], None], because: str
) -> None:
    change(bundle / KIT_FOLDER)  # its own rewriting would refuse it
    reseal(bundle)
    said = refusal(bundle)
    assert said.startswith(f"{KIT_FOLDER}/kit.json does not match the rest of the bundle: {because}"), said


@pytest.mark.parametrize(
    "knobs, because",
    [
        ({STATISTICS: "/tmp/x"}, f"session option '{STATISTICS}' is not one that onnxruntime_cpu takes"),
        ({"threads": "99999"}, "session option threads = '99999' is not a whole number from 1 to 1024"),
    ],
)
def test_a_choice_whose_knobs_could_do_so_is_refused(bundle: Path, knobs: dict[str, str], because: str) -> None:
    choice = json.loads((bundle / "choice.json").read_text())
    choice["kits"][KIT]["knobs"] = knobs
    (bundle / "choice.json").write_text(json.dumps(choice))
    reseal(bundle)
    said = refusal(bundle)
    assert said.startswith(f"choice.json does not match the rest of the bundle: {because}"), said


def test_a_kit_of_a_gpu_s_engine_is_none_to_refuse(bundle: Path) -> None:
    engine = {"builder": "tensorrt", "onnx": "model.onnx", "min_version": "10.3"}
    assert verified(with_kit(bundle, described(lambda facts: facts.update(session=GPU, engine=engine)))).contents.kits


def choice(bundle: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    facts = json.loads((bundle / "choice.json").read_text())
    change(facts)
    (bundle / "choice.json").write_text(json.dumps(facts))
    _seal_files(bundle)
    return bundle


def _seal_files(bundle: Path) -> None:
    """``bundle.json`` alone: ``choice.json`` stays as the test wrote it."""
    kept = (bundle / "choice.json").read_text()
    (bundle / "choice.json").write_text('{"kits": {}}')
    reseal(bundle)
    (bundle / "choice.json").write_text(kept)
    facts = json.loads((bundle / "bundle.json").read_text())
    facts["files"]["choice.json"] = {"sha256": hashlib.sha256(kept.encode()).hexdigest(), "bytes": len(kept.encode())}
    (bundle / "bundle.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    "change, because",
    [
        (lambda facts: facts["choice"].update(candidate="other"), "it chooses 'other', which is not a kit of the bundle"),
        (lambda facts: facts["choice"].update(candidate=["x"]), "it chooses ['x'], which is not a kit of the bundle"),
        (lambda facts: facts.update(schema="edgecnn.choice/9"), "its schema is not edgecnn.choice/1"),
        (lambda facts: facts.pop("kits"), "it lacks 'kits'"),
        (lambda facts: facts["kits"].clear(), "its kits are not those in kits/"),
        (lambda facts: facts["kits"]["onnxruntime-fp32"].update(folder="/tmp/evil"), "its kits are not those in kits/"),
    ],
)
def test_a_choice_that_does_not_fit_its_kits_is_refused(
    bundle: Path, change: Callable[[dict[str, Any]], object], because: str
) -> None:
    assert "[bundle-inconsistent]" in refusal(choice(bundle, change))


def test_a_choice_that_names_another_kits_digest_is_refused(bundle: Path) -> None:
    said = refusal(choice(bundle, lambda facts: facts["kits"]["onnxruntime-fp32"].update(sha256="0" * 64)))
    assert said.startswith(
        f"{KIT_FOLDER}/kit.json does not match the rest of the bundle: its SHA-256 differs from that in choice.json"
    )


def test_a_kit_that_lists_other_files_than_the_bundle_is_refused(bundle: Path) -> None:
    (bundle / KIT_FOLDER / "numpy.py").write_text("import os")
    reseal(bundle)
    said = refusal(bundle)
    assert said.startswith(
        f"{KIT_FOLDER}/numpy.py does not match the rest of the bundle: {KIT_FOLDER}/kit.json and bundle.json disagree about it"
    )


def test_a_kit_whose_manifest_is_none_is_refused(bundle: Path) -> None:
    (bundle / KIT_FOLDER / "kit.json").write_text('{"schema": "edgecnn.kit/7"}')
    reseal(bundle)
    assert refusal(bundle).startswith(
        f"{KIT_FOLDER}/kit.json does not match the rest of the bundle: kit.json: schema is 'edgecnn.kit/7', but"
        " this runner reads 'edgecnn.kit/1'"
    )


def test_a_choice_of_a_hundred_megabytes_is_refused_unread(bundle: Path) -> None:
    choice = json.loads((bundle / "choice.json").read_text())
    (bundle / "choice.json").write_text(json.dumps({**choice, "padding": "x" * (17 << 20)}))
    reseal(bundle)
    assert "[bundle-inconsistent]" in refusal(bundle)

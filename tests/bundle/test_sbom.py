"""The SBOM of a bundle says what lies in it and what it needs, as CycloneDX's own schema has it, and invents nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from edgecnn.bundle.manifest import made_facts, recorded_facts
from edgecnn.bundle.sbom import sbom_of, write_sbom
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import NOT_OVERWRITTEN, OUTPUT_UNWRITABLE
from edgecnn.errors.bundle import BUNDLE_INCONSISTENT
from edgecnn.planning.candidates import BASELINE
from edgecnn.values.arch import PretrainedWeights
from edgecnn.values.candidate import Runtime
from edgecnn.values.report import CandidateFacts
from tests.building.scenes import a_report
from tests.bundle.sealed import KIT, KIT_FOLDER, copied, reseal, verified, with_kit, zipped
from tests.bundle.test_every_runtime import FILES, turned_into

SHA256 = "ab" * 32
TERMS = "BSD-3-Clause (torchvision); ImageNet's terms may apply"
WEIGHTS = PretrainedWeights(
    origin="torchvision", name="ResNet18_Weights.IMAGENET1K_V1", file="resnet18-abababab.pth", sha256_prefix="abababab",
    licence=TERMS, source="https://docs.pytorch.org/vision/stable/models.html",
)  # fmt: skip


def sbom(bundle: Path) -> dict[str, Any]:
    """The document, which CycloneDX's schema takes, with every reference in it leading to one component."""
    text = sbom_of(verified(bundle))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found: dict[str, Any] = json.loads(text)
    named = [each["bom-ref"] for each in (found["metadata"]["component"], *found["components"])]
    assert len(set(named)) == len(named)
    assert {each["ref"] for each in found["dependencies"]} == set(named)
    assert {ref for each in found["dependencies"] for ref in each.get("dependsOn", ())} == set(named[1:])
    return found


def of_name(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (each for each in document["components"] if each["name"] == name)
    return dict(found)


def properties(component: dict[str, Any]) -> dict[str, str]:
    return {each["name"].removeprefix("edgecnn:"): each["value"] for each in component.get("properties", ())}


def digests(component: dict[str, Any]) -> list[str]:
    return [each["content"] for each in component["hashes"] if each["alg"] == "SHA-256"]


def retold(bundle: Path, **facts: Any) -> Path:
    """The bundle with other facts in ``choice.json``."""
    choice = json.loads((bundle / "choice.json").read_text())
    choice["kits"][KIT].update(facts.pop("kit", {}))
    (bundle / "choice.json").write_text(json.dumps({**choice, **facts}))
    reseal(bundle)
    return bundle


def test_a_bundle_is_named_by_its_digest_and_its_model_by_its_own(whole: Path) -> None:
    found = sbom(whole)
    bundle, model = found["metadata"]["component"], of_name(found, KIT)
    assert (bundle["name"], bundle["version"]) == ("out", "1")
    assert digests(bundle) == [hashlib.sha256((whole / "bundle.json").read_bytes()).hexdigest()]
    assert model["type"] == "machine-learning-model"
    assert digests(model) == [hashlib.sha256((whole / KIT_FOLDER / "model.onnx").read_bytes()).hexdigest()]
    assert properties(model) == {"file": f"{KIT_FOLDER}/model.onnx", "precision": "fp32"}


def test_the_same_bundle_is_the_same_document_and_another_has_another_serial_number(whole: Path, tmp_path: Path) -> None:
    folder, archive = copied(whole, tmp_path / "elsewhere"), zipped(whole, tmp_path / "out.zip")
    assert sbom_of(verified(whole)) == sbom_of(verified(folder)) == sbom_of(verified(archive))
    another = sbom(retold(folder, device="another"))
    assert another["serialNumber"] != sbom(whole)["serialNumber"]


def test_what_the_bundle_does_not_say_is_left_out(whole: Path) -> None:
    found = sbom(whole)
    model, runtime = of_name(found, KIT), of_name(found, "onnxruntime")
    assert {"licenses", "pedigree", "version"} & set(model) == set()
    assert runtime["purl"] == "pkg:pypi/onnxruntime" and "version" not in runtime
    assert {name: of_name(found, name).get("licenses") for name in ("numpy", "pillow")} == {"numpy": None, "pillow": None}
    assert "timestamp" not in found["metadata"]


def test_a_bundle_of_before_it_said_who_made_it_has_an_sbom_too(bundle: Path) -> None:
    assert of_name(sbom(bundle), "edgecnn")["version"] == "1"
    assert "version" not in of_name(sbom(retold(bundle, made=None)), "edgecnn")


def test_published_weights_are_the_models_ancestor_and_their_licence_is_its(bundle: Path) -> None:
    report = a_report()
    build = report.build.model_copy(update={"weights_published": WEIGHTS, "weights_sha256": SHA256})
    model = of_name(sbom(retold(bundle, made=made_facts(report.model_copy(update={"build": build})))), KIT)
    (ancestor,) = model["pedigree"]["ancestors"]
    assert (ancestor["name"], digests(ancestor)) == (WEIGHTS.name, [SHA256])
    assert properties(ancestor) == {"licence": TERMS, "trained-on": "ImageNet-1k"}
    assert ancestor["externalReferences"][0]["url"] == WEIGHTS.source
    assert [each["license"]["id"] for each in model["licenses"]] == ["BSD-3-Clause"]


def test_a_licence_that_spdx_does_not_know_keeps_its_own_words(bundle: Path) -> None:
    weights = WEIGHTS.model_copy(update={"licence": "mobileone-license (Apple)"})
    made = {"edgecnn": "1", "weights": weights.model_dump(), "weights_sha256": SHA256}
    model = of_name(sbom(retold(bundle, made=made)), KIT)
    assert [each["license"]["name"] for each in model["licenses"]] == ["mobileone-license (Apple)"]


def test_weights_of_the_builders_own_are_an_ancestor_without_a_licence(bundle: Path) -> None:
    model = of_name(sbom(retold(bundle, made={"edgecnn": "1", "weights_sha256": SHA256})), KIT)
    (ancestor,) = model["pedigree"]["ancestors"]
    assert digests(ancestor) == [SHA256]
    assert "licenses" not in ancestor and "licenses" not in model


def test_a_runtime_has_the_version_that_answered_on_the_device_beside_the_range_that_the_kit_takes(bundle: Path) -> None:
    row = CandidateFacts(candidate=BASELINE, runtime_version="1.31.1")
    recorded = recorded_facts(a_report(candidates=(row,)), KIT)
    runtime = of_name(sbom(retold(bundle, kit=recorded)), "onnxruntime")
    assert (runtime["version"], runtime["purl"]) == ("1.31.1", "pkg:pypi/onnxruntime@1.31.1")
    wanted = json.loads((bundle / KIT_FOLDER / "kit.json").read_text())["requirements"]["packages"]["onnxruntime"]
    assert properties(runtime) == {"requirement": wanted, "version-is": "measured"}


@pytest.mark.parametrize("runtime", [each for each in Runtime if each.ships])
def test_every_runtimes_kit_has_all_files_of_its_model(bundle: Path, runtime: Runtime) -> None:
    model = of_name(sbom(with_kit(bundle, lambda kit: turned_into(kit, runtime))), KIT)
    files = [properties(model)["file"].rpartition("/")[2], *(each["name"] for each in model.get("components", ()))]
    assert sorted(files) == sorted(FILES[runtime])


@pytest.mark.parametrize("runtime", [Runtime.WASM, Runtime.WEBGPU])
def test_onnx_runtime_web_is_named_with_the_version_that_its_file_says(bundle: Path, runtime: Runtime) -> None:
    def browsers(kit: Path) -> None:
        turned_into(kit, runtime)
        (kit / f"ort.{runtime}.min.mjs").write_text("/*!\n * ONNX Runtime Web v1.30.0\n */\n")

    found = of_name(sbom(with_kit(bundle, browsers)), "onnxruntime-web")
    assert found["purl"] == "pkg:npm/onnxruntime-web@1.30.0"
    content = (bundle / KIT_FOLDER / f"ort.{runtime}.min.mjs").read_bytes()
    assert [digests(each) for each in found["components"]] == [[hashlib.sha256(content).hexdigest()]]


@pytest.mark.parametrize("made", [{"edgecnn": "1", "weights_sha256": "no digest"}, {"edgecnn": "1", "more": 1}, "1"])
def test_a_bundle_that_says_nonsense_of_who_made_it_has_none(bundle: Path, made: object) -> None:
    with pytest.raises(EdgecnnError, match=r"choice\.json .*its `made` is not valid", check=BUNDLE_INCONSISTENT.made):
        sbom_of(verified(retold(bundle, made=made)))


def test_a_file_is_replaced_where_it_is_an_sbom_and_nothing_else_is(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.cdx.json"
    assert write_sbom(verified(whole), out) == write_sbom(verified(whole), out) == out.read_text(encoding="utf-8")
    out.write_text("mine")
    with pytest.raises(EdgecnnError, match="it is not a CycloneDX SBOM", check=NOT_OVERWRITTEN.made):
        write_sbom(verified(whole), out)
    assert out.read_text() == "mine"
    with out.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(EdgecnnError, match="it is not a CycloneDX SBOM", check=NOT_OVERWRITTEN.made):
        write_sbom(verified(whole), out)


def test_it_is_not_written_into_the_bundle_which_would_be_whole_no_more(bundle: Path) -> None:
    with pytest.raises(
        EdgecnnError, match="it would be inside the bundle, whose manifest does not list it", check=OUTPUT_UNWRITABLE.made
    ):
        write_sbom(verified(bundle), bundle / "sbom.cdx.json")
    assert verified(bundle).facts.kits == (KIT,)

"""The SBOM of a bundle as CycloneDX: its models, their initial weights, and the packages that they need.

The document depends only on the bundle and on edgecnn's version. It contains no time, and its serial number follows from the
SHA-256 of ``bundle.json``. Facts that the bundle does not state are absent.
"""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any, Final

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType, Pedigree
from cyclonedx.model.license import DisjunctiveLicense, LicenseAcknowledgement
from cyclonedx.model.lifecycle import LifecyclePhase, PredefinedLifecycle
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.spdx import is_supported_id
from packageurl import PackageURL
from pydantic import ValidationError

from edgecnn import __version__
from edgecnn.bundle.manifest import Made
from edgecnn.bundle.opening import copy_verified
from edgecnn.bundle.verify import Verified
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import NOT_OVERWRITTEN, OUTPUT_UNWRITABLE
from edgecnn.errors.bundle import bundle_inconsistent
from edgecnn.results.folder import CHOICE
from edgecnn.runner.files import UnfitFile, bounded_content
from edgecnn.runner.manifest import Manifest, parse_manifest
from edgecnn.runner.packages import BROWSER, distribution_of, runtime_of
from edgecnn.runtimes.onnxruntime_web import DISTRIBUTION as WEB
from edgecnn.runtimes.registry import runtime_licences
from edgecnn.store.disk import DOCUMENT_BYTES_MAX, write_text_atomically

_SERIAL: Final = uuid.UUID("0d0a5f0e-7c0b-4b39-9a51-6d7f7d1a4c2e")
"""The namespace of serial numbers (RFC 9562, 5.5), drawn once."""
_RUNNER_PACKAGES: Final = ("numpy", "pillow")
_WEB: Final = ("ort.wasm.min.mjs", "ort.webgpu.min.mjs")
"""Files of ONNX Runtime Web whose first lines state its version."""


def sbom_of(bundle: Verified) -> str:
    """Return the CycloneDX 1.6 document of a verified bundle, as JSON.

    Raises BUNDLE_INCONSISTENT: ``made`` in ``choice.json`` is invalid. BUNDLE_FILE_CHANGED, BUNDLE_FILE_MISSING,
    BundleEntryRefused: a file differs from the verified one.
    """
    choice = json.loads(_verified_content(bundle, CHOICE))
    made = _recorded_made(bundle, choice)
    application, runner = _bundle_component(bundle, choice), _runner_component(made)
    needed_by_runner = [_package_component(name) for name in _RUNNER_PACKAGES]
    weights = _weights_component(made)
    bom = Bom(serial_number=uuid.uuid5(_SERIAL, f"{bundle.facts.sha256} {__version__}"), components=[runner, *needed_by_runner])
    bom.register_dependency(runner, needed_by_runner)
    models = []
    for name in bundle.contents.kits:
        kit = parse_manifest(json.loads(_verified_content(bundle, f"kits/{name}/kit.json")))
        models.append(_model_component(name, kit, weights))
        needed = [*_required_packages(kit, choice["kits"][name]), *_web_runtime_components(bundle, name, kit)]
        bom.components.update([models[-1], *needed])
        bom.register_dependency(models[-1], [runner, *needed])
    bom.metadata.timestamp = None  # type: ignore[assignment] # optional, and a time would make each document different
    bom.metadata.component = application
    bom.metadata.tools.components.add(Component(name="edgecnn", version=__version__, type=ComponentType.APPLICATION))
    bom.metadata.lifecycles.add(PredefinedLifecycle(LifecyclePhase.POST_BUILD))
    bom.register_dependency(application, models)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def write_sbom(bundle: Verified, out: Path) -> str:
    """Write the document to a file, replacing an earlier SBOM, and return it.

    Raises NOT_OVERWRITTEN: another file exists there. OUTPUT_UNWRITABLE: it cannot be written, or would be inside the bundle.
    Also raises the errors of ``sbom_of``.
    """
    text = sbom_of(bundle)
    if bundle.opened.path.resolve() in out.resolve().parents:
        raise OUTPUT_UNWRITABLE(path=out, because="it would be inside the bundle, whose manifest does not list it")
    try:
        if out.is_file() and not _is_sbom(out):
            raise NOT_OVERWRITTEN(path=out, because="it is not a CycloneDX SBOM")
        write_text_atomically(out, text)
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error
    return text


def _is_sbom(path: Path) -> bool:
    try:
        return b'"CycloneDX"' in bounded_content(path, DOCUMENT_BYTES_MAX)
    except UnfitFile:  # larger than any SBOM
        return False


def _verified_content(bundle: Verified, name: str) -> bytes:
    parts: list[bytes] = []
    copy_verified(bundle.opened, name, bundle.manifest.files[name].sha256, parts.append)
    return b"".join(parts)


def _recorded_made(bundle: Verified, choice: dict[str, Any]) -> Made | None:
    try:
        return None if choice.get("made") is None else Made.model_validate(choice["made"])
    except ValidationError as error:
        raise bundle_inconsistent(path=bundle.opened.path, file=CHOICE, because="its `made` is not valid") from error


def _bundle_component(bundle: Verified, choice: dict[str, Any]) -> Component:
    """The bundle as one component, with its identifying digest."""
    device = choice.get("device")
    facts = {"device": device if isinstance(device, str) else None, "chosen": bundle.contents.chosen}
    return Component(
        name=bundle.manifest.name,
        version=str(bundle.manifest.version),
        type=ComponentType.APPLICATION,
        bom_ref=f"bundle:{bundle.facts.sha256}",
        description="A bundle of edgecnn; the hash is that of bundle.json, which lists the hash of every file",
        hashes=[_sha256(bundle.facts.sha256)],
        properties=_properties(facts),
    )


def _runner_component(made: Made | None) -> Component:
    return Component(
        name="edgecnn",
        version=None if made is None else made.edgecnn,
        type=ComponentType.LIBRARY,
        bom_ref="runner",
        description="The runner in each kit",
        licenses=_licences("Apache-2.0"),
    )


def _weights_component(made: Made | None) -> Component | None:
    """The weights with which training began; None for random weights, or if the bundle does not state them."""
    if made is None or made.weights_sha256 is None:
        return None
    published = made.weights
    return Component(
        name="weights of the person who built this" if published is None else published.name,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"weights:{made.weights_sha256}",
        hashes=[_sha256(made.weights_sha256)],
        licenses=None if published is None else _licences(published.licence),
        external_references=[]
        if published is None
        else [ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(published.source))],
        properties=_properties({} if published is None else {"licence": published.licence, "trained-on": published.trained_on}),
    )


def _model_component(name: str, kit: Manifest, weights: Component | None) -> Component:
    """The model of a kit, under the licence of its initial weights, of which it is a derived work."""
    other_files = [_file_component(name, file, kit) for file in kit.model.files if file != kit.model.entry]
    facts = {"file": f"kits/{name}/{kit.model.entry}", **{key: kit.candidate.get(key) for key in ("precision", "method")}}
    return Component(
        name=kit.name,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:kits/{name}",
        hashes=[_sha256(kit.files[kit.model.entry].sha256)],
        licenses=None if weights is None else weights.licenses,
        pedigree=None if weights is None else Pedigree(ancestors=[weights]),
        components=other_files,
        properties=_properties(facts),
    )


def _required_packages(kit: Manifest, chosen: dict[str, Any]) -> list[Component]:
    """The packages that a kit requires, with the measured version of its runtime if there is one."""
    measured, runtime = chosen.get("runtime_version"), distribution_of(runtime_of(kit.session.module))
    version = measured if isinstance(measured, str) else None
    return [_package_component(name, versions, version if name == runtime else None) for name, versions in kit.packages.items()]


def _package_component(name: str, versions: str | None = None, version: str | None = None) -> Component:
    """A package that must be installed on the device."""
    browser = name == BROWSER
    purl = None if browser or not re.fullmatch(r"[\w.-]+", name) else PackageURL("pypi", None, name, version)
    return Component(
        name=name,
        version=version,
        type=ComponentType.APPLICATION if browser else ComponentType.LIBRARY,
        bom_ref=f"{name}@{version}{versions}" if purl is None else f"{purl.to_string()}#{versions or 'any'}",
        purl=purl,
        description="Installed on the device; not in the bundle",
        licenses=_licences(licence) if (licence := runtime_licences().get(name)) is not None else None,
        properties=_properties({"requirement": versions, "version-is": None if version is None else "measured"}),
    )


def _web_runtime_components(bundle: Verified, name: str, kit: Manifest) -> list[Component]:
    """ONNX Runtime Web, which is inside kits for browsers."""
    web = next((file for file in _WEB if file in kit.files), None)
    if web is None:
        return []
    files = [_file_component(name, file, kit) for file in kit.files if re.fullmatch(r"ort[\w.-]*\.(mjs|wasm)", file)]
    match = re.search(rb"ONNX Runtime Web v([\w.-]+)", _verified_content(bundle, f"kits/{name}/{web}")[:200])
    version = None if match is None else match[1].decode()
    purl = PackageURL("npm", None, WEB, version)
    return [
        Component(
            name=WEB,
            version=version,
            bom_ref=f"{purl.to_string()}#kits/{name}",
            purl=purl,
            licenses=_licences(runtime_licences()[WEB]),
            components=files,
        )
    ]


def _file_component(name: str, file: str, kit: Manifest) -> Component:
    digest = kit.files[file].sha256
    return Component(name=file, type=ComponentType.FILE, bom_ref=f"file:kits/{name}/{file}", hashes=[_sha256(digest)])


def _licences(words: str) -> list[DisjunctiveLicense]:
    """One licence: its SPDX identifier if the words begin with one, otherwise the words."""
    first = re.split(r"[\s;,(]", words, maxsplit=1)[0]
    named = {"id": first} if is_supported_id(first) else {"name": words}
    return [DisjunctiveLicense(**named, acknowledgement=LicenseAcknowledgement.DECLARED)]


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _properties(facts: dict[str, Any]) -> list[Property]:
    return [Property(name=f"edgecnn:{name}", value=value) for name, value in facts.items() if isinstance(value, str)]

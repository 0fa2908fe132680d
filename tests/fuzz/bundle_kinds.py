"""Bundles and what lies in and beside them, as a stranger may hand them over."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from onnx import ModelProto

from edgecnn.bundle.evidence import EvidenceTrust, verify_evidence
from edgecnn.bundle.manifest import MANIFEST
from edgecnn.bundle.predicting import predict_photos
from edgecnn.bundle.sbom import sbom_of
from edgecnn.render.progress import Quiet
from edgecnn.results.folder import CHOICE
from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.model_files import model_fault
from tests.bundle.evidence_records import written
from tests.bundle.sealed import KIT_FOLDER, copied, published, reseal, reseal_files, verified, zipped
from tests.bundle.test_signing import allow, signed
from tests.data.folders import fill
from tests.fuzz.kind import Kind
from tests.fuzz.mutations import of_bytes, of_entry, of_json, of_message, of_zip
from tests.runner.kits import make_kit
from tests.runner.model_files.test_onnx_files import weights_elsewhere

_KIT = f"{KIT_FOLDER}/kit.json"


class Accepted(AssertionError):
    """A changed file was taken for one that is as it was packed."""


def _zip_seeds(folder: Path) -> Sequence[bytes]:
    return [zipped(published(folder), folder / "b.zip").read_bytes()]


def _as_packed(path: Path) -> object:
    manifest, packed = verified(path).manifest, verified(Path.cwd() / "seeds" / "b.zip").manifest
    if manifest != packed:
        raise Accepted(f"{len(manifest.files)} of {len(packed.files)} files")
    return manifest


def _seeds_of(name: str, folder: Path) -> Sequence[bytes]:
    return [(published(folder) / name).read_bytes()]


def _with(name: str, path: Path) -> Path:
    """The bundle of the seeds with this file in it, in one place for all of them."""
    right, bundle = Path.cwd() / "seeds" / "bundle", Path.cwd() / "bundle"
    if not bundle.exists():
        copied(right, bundle)
        fill(_photo().parent, {"cat": 1})
    for each in (MANIFEST, CHOICE, _KIT):
        (bundle / each).write_bytes((path if each == name else right / each).read_bytes())
    return bundle


def _photo() -> Path:
    return Path.cwd() / "photographs" / "cat"


def _unsigned(path: Path) -> object:
    """Who changes its name or its version makes another bundle; what it carries stays."""
    found, packed = verified(_with(MANIFEST, path)), verified(Path.cwd() / "seeds" / "bundle")
    if found.manifest.files != packed.manifest.files:
        raise Accepted(f"{len(found.manifest.files)} of {len(packed.manifest.files)} files")
    return found


def _signed(path: Path) -> object:
    found = verified(_with(MANIFEST, path), signers=Path.cwd() / "seeds" / "one")
    if path.read_bytes() != (Path.cwd() / "seeds" / "bundle" / MANIFEST).read_bytes():
        raise Accepted(found.facts.signer or "")
    return found


def _sealed_again(name: str, path: Path) -> object:
    """As a hostile maker would: the changed file, with the right sums for it everywhere; what is verified is used too."""
    bundle = _with(name, path)
    (reseal if name == _KIT else reseal_files)(bundle)
    found = verified(bundle)
    return sbom_of(found), predict_photos(found, [_photo()], None, 2, Quiet())


def _kit_seeds(folder: Path) -> Sequence[bytes]:
    return [(make_kit(folder) / "kit.json").read_bytes()]


def _opened_kit(path: Path) -> object:
    kit = Kit.open(path.parent)
    return [kit.path(name) for name in kit.manifest.files]


def _checked_model(path: Path) -> object:
    """By the check that the runner and ``edgecnn bundle verify`` share."""
    content = path.read_bytes()
    fault = model_fault(path.name, content, {path.name: len(content), "model.bin": 1 << 20, "w": 16})
    if fault:
        raise RunnerError("model-refused", fault)
    return None


def _apart_seeds(_: Path) -> Sequence[bytes]:
    places = ("initializer", "attribute", "branch", "sparse", "function")
    return [weights_elsewhere(place, "w").SerializeToString() for place in places]


def _evidence_seeds(folder: Path) -> Sequence[bytes]:
    return [written(folder / "e.json").read_bytes()]


def _signed_seeds(folder: Path) -> Sequence[bytes]:
    _signer_seeds(folder)
    signed(folder / "bundle", folder / "ann")
    return [(folder / "bundle" / MANIFEST).read_bytes()]


def _signer_seeds(folder: Path) -> Sequence[bytes]:
    for name in ("ann", "bob"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    signed(published(folder), folder / "bob")
    keys = (folder / "ann.pub", folder / "bob.pub")
    one = allow(folder / "one", "ann@example.com", keys[0], options='namespaces="edgecnn-bundle" ').read_bytes()
    return [one, allow(folder / "both", "*@example.com,!bob@example.com", *keys).read_bytes()]


def _of_nobody(path: Path) -> object:
    """Bob's bundle, whom no file here allows: a change may let in whom it pleases, and is answered in a line."""
    return verified(Path.cwd() / "seeds" / "bundle", signers=path)


BUNDLES: dict[str, Kind] = {
    "bundle": Kind("bundle.zip", _zip_seeds, of_zip(of_entry), _as_packed),
    "bundle.json": Kind(MANIFEST, partial(_seeds_of, MANIFEST), of_json, _unsigned),
    "bundle.json, signed": Kind(MANIFEST, _signed_seeds, of_json, _signed),
    "choice.json, sealed again": Kind(CHOICE, partial(_seeds_of, CHOICE), of_json, partial(_sealed_again, CHOICE)),
    "kit.json, sealed again": Kind("kit.json", partial(_seeds_of, _KIT), of_json, partial(_sealed_again, _KIT)),
    "onnx, weights apart": Kind("model.onnx", _apart_seeds, of_message(ModelProto), _checked_model),
    "kit.json": Kind("kit.json", _kit_seeds, of_json, _opened_kit),
    "evidence": Kind("evidence.json", _evidence_seeds, of_json, lambda path: verify_evidence(path, EvidenceTrust(None))),
    "allowed signers": Kind("signers", _signer_seeds, of_bytes, _of_nobody),
}

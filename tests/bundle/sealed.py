"""Real small bundles, published as a build publishes them, and what a test may do to one."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgecnn.bundle.manifest import MANIFEST, manifest_text, parse_manifest
from edgecnn.bundle.publishing import write_zip
from edgecnn.bundle.verify import Trust, Verified, verify
from edgecnn.measure.kits import KitRef
from edgecnn.planning.candidates import BASELINE
from edgecnn.render.bundle import LICENCES, README, bundle_licences, bundle_readme
from edgecnn.render.progress import Quiet
from edgecnn.values.artifact import FileFact
from tests.building.bundles import publish_bundle
from tests.building.scenes import a_choice, a_report
from tests.runner.kits import make_kit, rewrite_manifest

KIT = "onnxruntime-fp32"
KIT_FOLDER = f"kits/{KIT}"


def published(folder: Path) -> Path:
    """``folder/bundle`` of one real kit, as ``build`` leaves it."""
    (folder / "made").mkdir(parents=True)
    kit = make_kit(folder / "made", name=KIT)
    publish(folder, kit)
    return folder / "bundle"


def publish(folder: Path, kit: Path) -> None:
    """Publish a kit once more into a build's folder."""
    digest = hashlib.sha256((kit / "kit.json").read_bytes()).hexdigest()
    reference = KitRef(candidate=BASELINE, folder=kit, digest=digest, runtime="onnxruntime")
    report = a_report(choice=a_choice(KIT))
    publish_bundle(report, {KIT: reference}, folder, {README: bundle_readme(report), LICENCES: bundle_licences(report)})


def verified(path: Path, **trust: Any) -> Verified:
    return verify(path, Trust(**trust), Quiet())


def zipped(bundle: Path, out: Path) -> Path:
    write_zip(verified(bundle), out)
    return out


def copied(bundle: Path, folder: Path) -> Path:
    return Path(shutil.copytree(bundle, folder, symlinks=True))


def reseal(bundle: Path) -> None:
    """Write ``choice.json`` and ``bundle.json`` for the files as they now are: what a hostile maker would do."""
    choice = json.loads((bundle / "choice.json").read_text())
    for entry in choice["kits"].values():
        entry["sha256"] = hashlib.sha256((bundle / entry["folder"] / "kit.json").read_bytes()).hexdigest()
    (bundle / "choice.json").write_text(json.dumps(choice))
    reseal_files(bundle)


def reseal_files(bundle: Path) -> None:
    """Write ``bundle.json`` alone for the files as they now are."""
    manifest = parse_manifest((bundle / MANIFEST).read_bytes(), MANIFEST)
    files = {}
    for path in sorted(bundle.rglob("*")):
        if path.is_file() and not path.name.startswith(MANIFEST):
            content = path.read_bytes()
            fact = FileFact(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
            files[path.relative_to(bundle).as_posix()] = fact
    (bundle / MANIFEST).write_text(manifest_text(manifest.model_copy(update={"files": files})))


def with_kit(bundle: Path, change: Callable[[Path], None]) -> Path:
    """The bundle after a change to its kit's files, sealed anew from the inside out."""
    change(bundle / KIT_FOLDER)
    rewrite_manifest(bundle / KIT_FOLDER, lambda _: None)
    reseal(bundle)
    return bundle

"""Signing a bundle's folder: its manifest, by whose hashes everything in it stands or falls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecnn.bundle.manifest import MANIFEST, SIGNATURE, BundleManifest, manifest_text
from edgecnn.bundle.ssh_keygen import check_readable, sign
from edgecnn.bundle.verify import Trust, bundle_at, verify
from edgecnn.errors.bundle import BundleOfAnotherBuild, NotAFolderToSign
from edgecnn.results.folder import BUNDLE, PLAN, REPORT, output_lock, report_text
from edgecnn.store.disk import write_text_atomically
from edgecnn.values.report import BuildReport
from edgecnn.values.stage import Progress


def sign_bundle(path: Path, key: Path, version: int | None, tell: Progress, of: BuildReport | None = None) -> BundleManifest:
    """Verify a bundle and sign it as it is; an earlier signature is replaced. What was signed.

    A build's folder is locked meanwhile: another build would put its own bundle in the place of the one that was verified.

    ``key``: a private key, or the ``.pub`` file of one that the agent holds. ``version``: that it is given; None: the one that
    it has. ``of``: the build whose bundle it must be; None: whichever lies there.

    Raises:
        NotAFolderToSign: it is a zip.
        BundleOfAnotherBuild: another build wrote there after ``of``.
        SshKeygenMissing, KeyUnusable: nothing was changed then.
        EdgecnnError: one of ``errors.bundle``, where it is not whole.
    """
    check_readable(key)
    with _undisturbed(path) as build:
        if of is not None and not _is_of(build, of):
            raise BundleOfAnotherBuild(folder=path)
        return _signed(path, key, version, tell)


def _signed(path: Path, key: Path, version: int | None, tell: Progress) -> BundleManifest:
    found = verify(path, Trust(made_here=True), tell)
    if found.opened.form == "zip":
        raise NotAFolderToSign(path=path)
    manifest = found.manifest if version is None else found.manifest.model_copy(update={"version": version})
    text = manifest_text(manifest)
    signature = sign(text.encode("utf-8"), key)
    folder = found.opened.path
    (folder / SIGNATURE).unlink(missing_ok=True)  # in this order, so that no signature ever lies beside another's manifest
    write_text_atomically(folder / MANIFEST, text)
    write_text_atomically(folder / SIGNATURE, signature)
    return manifest


@contextmanager
def _undisturbed(path: Path) -> Iterator[Path]:
    """The build's folder with its lock held; a bundle that lies elsewhere is nobody's to replace."""
    bundle = bundle_at(path).resolve()
    build = bundle.parent
    if bundle.name == BUNDLE and (build / PLAN).is_file():
        with output_lock(build):
            yield build
        return
    yield build


def _is_of(build: Path, report: BuildReport) -> bool:
    """A build writes its bundle and its report under one hold of the lock: where the report is its own, so is the bundle."""
    try:
        return (build / REPORT).read_text(encoding="utf-8") == report_text(report)
    except (OSError, ValueError):
        return False

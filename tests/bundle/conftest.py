"""One real bundle for all, a copy for whoever spoils it, and keys to sign it with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.bundle.sealed import copied, published, zipped


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published bundle that nobody changes."""
    return published(tmp_path_factory.mktemp("bundles") / "flowers")


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return copied(whole, tmp_path / "bundle")


@pytest.fixture
def archive(whole: Path, tmp_path: Path) -> Path:
    """Its zip, to be spoilt."""
    return zipped(whole, tmp_path / "flowers.zip")


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ann and bob, an EC and an RSA key; ``signers`` allows ann alone."""
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in (("ann", "ed25519"), ("bob", "ed25519"), ("ec", "ecdsa"), ("rsa", "rsa")):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(folder / name)], check=True)
    (folder / "signers").write_text(f"ann@example.com {(folder / 'ann.pub').read_text()}")
    return folder

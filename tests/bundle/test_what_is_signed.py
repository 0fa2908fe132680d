"""What is signed, and with which key: a build's own bundle, whole and in its folder; where that fails nothing is changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from edgecnn.building.build import publish_report
from edgecnn.bundle import publishing, ssh_keygen
from edgecnn.bundle.manifest import MANIFEST, SIGNATURE
from edgecnn.bundle.publishing import sign_bundle
from edgecnn.bundle.ssh_keygen import check_key, check_readable, sign
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.bundle import (
    BUNDLE_OF_ANOTHER_BUILD,
    KEY_UNUSABLE,
    NOT_A_FOLDER_TO_SIGN,
    SshKeygenMissing,
)
from edgecnn.render.progress import Quiet
from tests.building.scenes import a_choice, a_report
from tests.bundle.sealed import KIT, KIT_FOLDER, publish, published, verified, zipped
from tests.bundle.test_signing import needs_ssh_keygen, signed


def test_without_ssh_keygen_the_package_that_brings_it_is_named(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    before = (bundle / MANIFEST).read_bytes()
    with pytest.raises(SshKeygenMissing) as caught:
        signed(bundle, bundle / "README.md")
    assert caught.value.ref == "ssh-keygen-missing"
    assert caught.value.exit_code == 3
    (bundle / SIGNATURE).write_bytes(b"x")
    with pytest.raises(SshKeygenMissing):
        verified(bundle, signers=bundle / "README.md")
    assert (bundle / MANIFEST).read_bytes() == before


@needs_ssh_keygen
def test_a_key_that_is_none_is_named_and_nothing_is_changed(bundle: Path, tmp_path: Path, keys: Path) -> None:
    signed(bundle, keys / "ann")
    before = (bundle / MANIFEST).read_bytes(), (bundle / SIGNATURE).read_bytes()
    (tmp_path / "photo.jpg").write_bytes(b"no key")
    with pytest.raises(EdgecnnError, check=KEY_UNUSABLE.made) as caught:
        signed(bundle, tmp_path / "photo.jpg", version=9)
    assert caught.value.line().startswith(f"the key {tmp_path / 'photo.jpg'} cannot sign: ")
    assert caught.value.line().endswith(" — pass a private key, or the .pub file of a key in the agent [key-unusable]")
    with pytest.raises(EdgecnnError, check=KEY_UNUSABLE.made) as caught:
        signed(bundle, tmp_path / "absent")
    assert caught.value.because == "no such file or directory"
    assert ((bundle / MANIFEST).read_bytes(), (bundle / SIGNATURE).read_bytes()) == before


@needs_ssh_keygen
def test_a_key_is_tried_before_any_time_is_spent(tmp_path: Path, keys: Path) -> None:
    check_key(keys / "ann")
    assert not list(keys.glob("*.sig"))
    (tmp_path / "photo.jpg").write_bytes(b"no key")
    shutil.copyfile(keys / "ann", tmp_path / "open")
    (tmp_path / "open").chmod(0o644)
    shutil.copyfile(keys / "bob.pub", tmp_path / "lonely.pub")
    for name in ("photo.jpg", "open", "lonely.pub", "absent", "\0"):
        with pytest.raises(EdgecnnError, check=KEY_UNUSABLE.made):
            check_key(tmp_path / name)


@needs_ssh_keygen
def test_no_file_larger_than_any_key_reaches_ssh_keygen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_keygen, "_run", lambda *_, **__: pytest.fail("ssh-keygen reads a file to its end"))
    with (tmp_path / "huge").open("wb") as stream:
        stream.truncate(1 << 40)
    for check in (check_key, check_readable):
        with pytest.raises(EdgecnnError, check=KEY_UNUSABLE.made) as caught:
            check(tmp_path / "huge")
        assert caught.value.because == "it is larger than 1 MiB"


@needs_ssh_keygen
def test_a_probe_is_no_bundle_s_signature(bundle: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    run = ssh_keygen._run

    def watched(words: list[str], content: bytes, *, timeout_s: float | None) -> subprocess.CompletedProcess[bytes]:
        heard.append(words[words.index("-n") + 1])
        return run(words, content, timeout_s=timeout_s)

    monkeypatch.setattr(ssh_keygen, "_run", watched)
    check_key(keys / "ann")
    signed(bundle, keys / "ann")
    assert heard == ["edgecnn-probe", "edgecnn-bundle"]


@needs_ssh_keygen
def test_a_zip_is_not_signed_and_a_changed_bundle_is_not_either(whole: Path, bundle: Path, keys: Path, tmp_path: Path) -> None:
    path = zipped(whole, tmp_path / "x.zip")
    with pytest.raises(EdgecnnError, check=NOT_A_FOLDER_TO_SIGN.made) as caught:
        signed(path, keys / "ann")
    assert caught.value.ref == "not-a-folder-to-sign"
    (bundle / KIT_FOLDER / "runner" / "kit.py").write_text("import os")
    with pytest.raises(EdgecnnError):
        signed(bundle, keys / "ann")
    assert not (bundle / SIGNATURE).exists()


@needs_ssh_keygen
def test_no_build_replaces_a_bundle_between_its_verification_and_its_signature(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = published(tmp_path / "flowers")
    (bundle.parent / "plan.json").write_text("{}")
    locked: list[bool] = []

    def watched(content: bytes, key: Path) -> str:
        try:
            with FileLock(bundle.parent / ".edgecnn.lock", timeout=0):
                locked.append(False)
        except Timeout:
            locked.append(True)
        return sign(content, key)

    monkeypatch.setattr(publishing, "sign", watched)
    for path in (bundle, bundle.parent):
        signed(path, keys / "ann")
    assert locked == [True, True]
    with FileLock(bundle.parent / ".edgecnn.lock", timeout=0):
        pass


@needs_ssh_keygen
def test_a_bundle_that_lies_in_no_build_is_signed_and_nothing_is_left_beside_it(bundle: Path, keys: Path) -> None:
    before = sorted(bundle.parent.iterdir())
    signed(bundle, keys / "ann")
    assert sorted(bundle.parent.iterdir()) == before


@needs_ssh_keygen
def test_a_build_signs_its_own_bundle_and_not_that_of_a_later_one(tmp_path: Path, keys: Path) -> None:
    bundle = published(tmp_path / "flowers")
    mine = a_report(choice=a_choice(KIT))
    for wrote in (None, mine.model_copy(update={"version": "another"})):
        if wrote is not None:
            publish_report(wrote, bundle.parent)
        with pytest.raises(EdgecnnError, check=BUNDLE_OF_ANOTHER_BUILD.made) as caught:
            sign_bundle(bundle.parent, keys / "ann", None, Quiet(), mine)
        assert not (bundle / SIGNATURE).exists()
    assert caught.value.ref == "bundle-of-another-build"
    publish_report(mine, bundle.parent)
    sign_bundle(bundle.parent, keys / "ann", None, Quiet(), mine)
    assert verified(bundle, signers=keys / "signers").facts.signature == "good"


@needs_ssh_keygen
def test_building_the_same_again_keeps_the_signature_and_another_bundle_has_none(tmp_path: Path, keys: Path) -> None:
    build = tmp_path / "flowers"
    bundle = signed(published(build), keys / "ann", version=5)
    publish(build, build / "made" / KIT)
    assert verified(bundle, signers=keys / "signers").facts.version == 5
    os.truncate(bundle / KIT_FOLDER / "model.onnx", 10)
    publish(build, build / "made" / KIT)
    assert verified(bundle).facts.version == 6
    assert not (bundle / SIGNATURE).exists()

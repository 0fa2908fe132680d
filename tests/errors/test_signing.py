from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.bundle import (
    BundleManifestUnreadable,
    BundleOfAnotherBuild,
    BundleRolledBack,
    KeyUnusable,
    NotAFolderToSign,
    RecordUnusable,
    SignatureRefused,
    SignersUnreadable,
)

BUNDLE = Path("mine/bundle")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            BundleManifestUnreadable(path="mine/bundle/bundle.json", because="name: field required"),
            "mine/bundle/bundle.json cannot be read: name: field required"
            " — get it again from where it was built [bundle-manifest-unreadable]",
        ),
        (
            KeyUnusable(key=Path("photo.jpg"), because="invalid format"),
            "photo.jpg: cannot sign with it: invalid format"
            " — name a private key, or the .pub file of one in the agent [key-unusable]",
        ),
        (
            BundleOfAnotherBuild(folder=BUNDLE),
            "mine/bundle: not signed: another build has written there since this one ended"
            " — run the same build command again, with an --out of its own [bundle-of-another-build]",
        ),
        (
            SignersUnreadable(file=Path("signers"), because="No such file or directory"),
            "signers: cannot be read as a file of allowed signers: No such file or directory"
            ' — a line is: NAME namespaces="edgecnn-bundle" ssh-ed25519 AAAA… [signers-unreadable]',
        ),
        (
            SignatureRefused(path=BUNDLE, because="it is not over this manifest"),
            "mine/bundle: its signature is refused: it is not over this manifest"
            " — get it again from where it was built [signature-refused]",
        ),
        (
            BundleRolledBack(path=BUNDLE, name="flöwers", version=1, accepted=3),
            "mine/bundle: version 1 of 'fl\\xf6wers' is refused: version 3 was accepted here before"
            " — sign a later one: edgecnn bundle sign BUNDLE --key KEY --version N [bundle-rolled-back]",
        ),
        (
            BundleRolledBack(path=BUNDLE, name="flowers", version=3, accepted=3),
            "mine/bundle: version 3 of 'flowers' is refused: another bundle of this version was accepted here before"
            " — sign a later one: edgecnn bundle sign BUNDLE --key KEY --version N [bundle-rolled-back]",
        ),
        (
            RecordUnusable(path=Path("accepted/x.json"), because="it is damaged (no JSON)"),
            "accepted/x.json: the record of accepted versions cannot be used: it is damaged (no JSON) [record-unusable]",
        ),
        (
            NotAFolderToSign(path=Path("mine.zip")),
            "mine.zip: a zip is not signed: its signature lies in it — sign the folder, then zip it [not-a-folder-to-sign]",
        ),
    ],
)
def test_the_whole_line(error: EdgecnnError, line: str) -> None:
    assert (error.line(), error.exit_code) == (line, ExitCode.BAD_INPUT)

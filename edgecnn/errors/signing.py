"""Failures of signing a bundle, of who signed it, and of versions that go back."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode

_AGAIN = "get it again from where it was built"


class SshKeygenMissing(EdgecnnError):
    """Raised when OpenSSH's ``ssh-keygen``, which signs and verifies, is not installed."""

    ref = "ssh-keygen-missing"
    exit_code = ExitCode.MISSING

    def __init__(self) -> None:
        super().__init__(
            what="ssh-keygen is not installed",
            because="bundles are signed and verified with it",
            hint="apt-get install openssh-client",
        )


class KeyUnusable(EdgecnnError):
    """Raised when ``ssh-keygen`` cannot sign with a key."""

    ref = "key-unusable"

    def __init__(self, *, key: Path, because: str) -> None:
        super().__init__(
            what=f"{key}: cannot sign with it", because=because, hint="name a private key, or the .pub file of one in the agent"
        )


class BundleOfAnotherBuild(EdgecnnError):
    """Raised when a build's bundle was to be signed, and another build has written into its folder since."""

    ref = "bundle-of-another-build"

    def __init__(self, *, folder: Path) -> None:
        super().__init__(
            what=f"{folder}: not signed",
            because="another build has written there since this one ended",
            hint="run the same build command again, with an --out of its own",
        )


class SignersUnreadable(EdgecnnError):
    """Raised when the file of allowed signers cannot be read."""

    ref = "signers-unreadable"

    def __init__(self, *, file: Path, because: str) -> None:
        super().__init__(
            what=f"{file}: cannot be read as a file of allowed signers",
            because=because,
            hint='a line is: NAME namespaces="edgecnn-bundle" ssh-ed25519 AAAA…',
        )


class SignatureMissing(EdgecnnError):
    """Raised when a bundle is unsigned and must not be."""

    ref = "signature-missing"

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"{path}: is not signed",
            because="there is no bundle.json.sig",
            hint="where it was built: edgecnn sign BUNDLE --key KEY",
        )


class SignatureRefused(EdgecnnError):
    """Raised when a signature is not that of an allowed signer over this very manifest."""

    ref = "signature-refused"

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path}: its signature is refused", because=because, hint=_AGAIN)


class SignersNotNamed(EdgecnnError):
    """Raised when an option asks for a signature, and nothing says whose."""

    ref = "signers-not-named"

    def __init__(self, *, option: str) -> None:
        super().__init__(what=f"{option} needs to know whose signature is good", hint="--allowed-signers FILE")


class BundleRolledBack(EdgecnnError):
    """Raised when this machine accepted a later version, or another bundle of the same version."""

    ref = "bundle-rolled-back"

    def __init__(self, *, path: Path, name: str, version: int, accepted: int) -> None:
        same = "another bundle of this version" if version == accepted else f"version {accepted}"
        super().__init__(
            what=f"{path}: version {version} of {ascii(name)} is refused",
            because=f"{same} was accepted here before",
            hint="sign a later one: edgecnn sign BUNDLE --key KEY --version N",
        )


class RecordUnusable(EdgecnnError):
    """Raised when the record of accepted versions cannot be read or written: then nothing is accepted."""

    ref = "record-unusable"

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path}: the record of accepted versions cannot be used", because=because)


class NotAFolderToSign(EdgecnnError):
    """Raised when a zip is to be signed: the signature lies inside, so that the zip is made afterwards."""

    ref = "not-a-folder-to-sign"

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"{path}: a zip is not signed", because="its signature lies in it", hint="sign the folder, then zip it"
        )


class NothingToSign(EdgecnnError):
    """Raised when a verb that makes no bundle is told to sign one."""

    ref = "nothing-to-sign"

    def __init__(self, *, verb: str) -> None:
        super().__init__(
            what=f"--sign: `edgecnn {verb}` makes no bundle", hint="edgecnn build --sign KEY, or edgecnn sign BUNDLE --key KEY"
        )

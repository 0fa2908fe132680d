"""Failures of a bundle that came from somewhere: what is not as it was packed or signed, or not to be touched at all."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode

_AGAIN = "get it again from where it was built"


class NoBundleHere(EdgecnnError):
    """Raised when a path names neither a bundle, nor a build that has one."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path}: no bundle", because=because, hint="name a build's folder, its bundle/, or a zip of it")


class BundleManifestUnreadable(EdgecnnError):
    """Raised when ``bundle.json`` is not one."""

    def __init__(self, *, path: str, because: str) -> None:
        super().__init__(what=f"{path} cannot be read", because=because, hint=_AGAIN)


class BundleArchiveRefused(EdgecnnError):
    """Raised when a zip is not laid out as that of a bundle; nothing was taken out of it."""

    def __init__(self, *, path: Path, because: str, hint: str = _AGAIN) -> None:
        super().__init__(what=f"{path}: not a bundle's zip", because=because, hint=hint)


class BundleEntryRefused(EdgecnnError):
    """Raised when one entry of a bundle is of a kind that no bundle has; nothing was read. ``repacked``: by another zip tool."""

    def __init__(self, *, path: Path, entry: str, because: str, repacked: bool = False) -> None:
        hint = "unpack it and pass the folder; `edgecnn bundle zip` writes a zip that is accepted" if repacked else _AGAIN
        super().__init__(what=f"{path}: refused", because=f"{ascii(entry)[:200]} {because}", hint=hint)


class BundleFileMissing(EdgecnnError):
    """Raised when a file that the manifest lists is not there."""

    def __init__(self, *, path: Path, file: str) -> None:
        super().__init__(what=f"{path}: {ascii(file)[1:-1]} is missing", because="bundle.json lists it", hint=_AGAIN)


class BundleFileChanged(EdgecnnError):
    """Raised when a file is not the one that was packed. ``hint``: what helps where the cause is known."""

    def __init__(self, *, path: Path, file: str, because: str, hint: str = _AGAIN) -> None:
        super().__init__(what=f"{path}: {ascii(file)[1:-1]} was changed", because=because, hint=hint)


class BundleFileExtra(EdgecnnError):
    """Raised when there is a file that the manifest does not list."""

    def __init__(self, *, path: Path, file: str, made_here: bool, left: tuple[str, str] | None = None) -> None:
        """``made_here``: such files come into being when a bundle is used. ``left``: which tool left it, and what removes it."""
        why, hint = left or (None, "remove it, or --made-here where this machine made it itself" if made_here else _AGAIN)
        because = "bundle.json does not list it" + (f"; {why}" if why else "")
        super().__init__(what=f"{path}: {ascii(file)[1:-1]} is not of the bundle", because=because, hint=hint)


class BundleInconsistent(EdgecnnError):
    """Raised when a bundle's files are those of its manifest, and do not belong together."""

    def __init__(self, *, path: Path, file: str, because: str) -> None:
        super().__init__(what=f"{path}: {ascii(file)[1:-1]} does not fit", because=because, hint=_AGAIN)


class BundleModelRefused(EdgecnnError):
    """Raised before a runtime opens a model that says of its tensors what cannot be."""

    def __init__(self, *, path: Path, file: str, because: str) -> None:
        super().__init__(what=f"{path}: {ascii(file)[1:-1]} is not to be opened", because=because, hint=_AGAIN)


class BundleWithoutManifest(EdgecnnError):
    """Raised when a bundle is from before there were manifests of whole bundles."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"{path}: has no bundle.json", because="nothing says what belongs to it", hint="run the same build command again"
        )


class NoPhotos(EdgecnnError):
    """Raised when a folder that is named holds no file."""

    def __init__(self, *, folder: Path) -> None:
        super().__init__(what=f"{folder}: holds no photographs", hint="name files, or a folder of them")


class PhotoNotAFile(EdgecnnError):
    """Raised when an address, or ``-`` for standard input, is named in place of an image file."""

    def __init__(self, *, text: str) -> None:
        super().__init__(
            what=f"{text}: edgecnn predict takes image files and folders of them",
            because="it neither downloads images nor reads them from standard input",
            hint="save the image to a file and pass its path",
        )


class NoPhotoReadable(EdgecnnError):
    """Raised when not one of the files is a picture."""

    def __init__(self, *, count: int, file: str, because: str) -> None:
        none = "it cannot be read as a picture" if count == 1 else f"none of {count:,} files can be read as a picture"
        super().__init__(what=none, because=f"{file}: {because}")


class TwoOutputForms(EdgecnnError):
    """Raised when the answers are asked for in two forms at once."""

    ref = "two-forms-asked"

    def __init__(self) -> None:
        super().__init__(what="--csv and --json are two forms of one answer", hint="ask for one of them")


class SshKeygenMissing(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when OpenSSH's ``ssh-keygen``, which signs and verifies, is not installed."""

    def __init__(self) -> None:
        super().__init__(
            what="ssh-keygen is not installed",
            because="bundles and evidence are signed and verified with it",
            hint="apt-get install openssh-client",
        )


class KeyUnusable(EdgecnnError):
    """Raised when ``ssh-keygen`` cannot sign with a key."""

    def __init__(self, *, key: Path, because: str) -> None:
        super().__init__(
            what=f"{key}: cannot sign with it", because=because, hint="name a private key, or the .pub file of one in the agent"
        )


class BundleOfAnotherBuild(EdgecnnError):
    """Raised when a build's bundle was to be signed, and another build has written into its folder since."""

    def __init__(self, *, folder: Path) -> None:
        super().__init__(
            what=f"{folder}: not signed",
            because="another build has written there since this one ended",
            hint="run the same build command again, with an --out of its own",
        )


class SignersUnreadable(EdgecnnError):
    """Raised when the file of allowed signers cannot be read."""

    def __init__(self, *, file: Path, because: str, namespace: str = "edgecnn-bundle") -> None:
        super().__init__(
            what=f"{file}: cannot be read as a file of allowed signers",
            because=because,
            hint=f'a line is: NAME namespaces="{namespace}" ssh-ed25519 AAAA…',
        )


class SignatureMissing(EdgecnnError):
    """Raised when a bundle is unsigned and must not be."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"{path}: is not signed",
            because="there is no bundle.json.sig",
            hint="where it was built: edgecnn bundle sign BUNDLE --key KEY",
        )


class SignatureRefused(EdgecnnError):
    """Raised when a signature is not that of an allowed signer over this very manifest."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path}: its signature is refused", because=because, hint=_AGAIN)


class SignersNotNamed(EdgecnnError):
    """Raised when an option asks for a signature, and nothing says whose."""

    def __init__(self, *, option: str) -> None:
        super().__init__(what=f"{option} needs to know whose signature is good", hint="--allowed-signers FILE")


class BundleRolledBack(EdgecnnError):
    """Raised when this machine accepted a later version, or another bundle of the same version."""

    def __init__(self, *, path: Path, name: str, version: int, accepted: int) -> None:
        same = "another bundle of this version" if version == accepted else f"version {accepted}"
        super().__init__(
            what=f"{path}: version {version} of {ascii(name)} is refused",
            because=f"{same} was accepted here before",
            hint="sign a later one: edgecnn bundle sign BUNDLE --key KEY --version N",
        )


class RecordUnusable(EdgecnnError):
    """Raised when the record of accepted versions cannot be read or written: then nothing is accepted."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path}: the record of accepted versions cannot be used", because=because)


class NotAFolderToSign(EdgecnnError):
    """Raised when a zip is to be signed: the signature lies inside, so that the zip is made afterwards."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"{path}: a zip is not signed", because="its signature lies in it", hint="sign the folder, then zip it"
        )


class NothingToSign(EdgecnnError):
    """Raised when a verb that makes no bundle is told to sign one."""

    def __init__(self, *, verb: str) -> None:
        super().__init__(
            what=f"--sign: `edgecnn {verb}` makes no bundle",
            hint="edgecnn build --sign KEY, or edgecnn bundle sign BUNDLE --key KEY",
        )

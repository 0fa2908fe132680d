"""Failures of a bundle from another machine: changed since it was packed or signed, or not safe to open."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode
from edgecnn.errors.wording import file_fault, none_of

_AGAIN = "copy the bundle again from the machine that built it"


class BundleManifestUnreadable(EdgecnnError):
    """``bundle.json`` is not a manifest."""


class BundleEntryRefused(EdgecnnError):
    """An entry of a bundle is not allowed; nothing was read."""


class SshKeygenMissing(EdgecnnError):
    """OpenSSH's ``ssh-keygen``, which signs and verifies, is not installed."""


NO_BUNDLE_HERE = ErrorRow(
    "no-bundle-here", "{path} is not a bundle", "{because}", "pass the folder of a build, its bundle/, or a zip of the bundle"
)
BUNDLE_MANIFEST_UNREADABLE = ErrorRow(
    "bundle-manifest-unreadable", "{path} cannot be read", "{because}", _AGAIN, kind=BundleManifestUnreadable
)
BUNDLE_ARCHIVE_REFUSED = ErrorRow("bundle-archive-refused", "{path} is not the zip of a bundle", "{because}", "{hint}")
BUNDLE_ENTRY_REFUSED = ErrorRow(
    "bundle-entry-refused", "the bundle {path} is refused", "{entry} {because}", "{hint}", kind=BundleEntryRefused
)
BUNDLE_FILE_MISSING = ErrorRow("bundle-file-missing", "{file} is missing in {path}", "bundle.json lists it", _AGAIN)
BUNDLE_FILE_CHANGED = ErrorRow("bundle-file-changed", "{file} in {path} was changed", "{because}", "{hint}")
BUNDLE_FILE_EXTRA = ErrorRow(
    "bundle-file-extra", "{file} in {path} is not part of the bundle", "bundle.json does not list it{why}", "{hint}"
)
BUNDLE_INCONSISTENT = ErrorRow(
    "bundle-inconsistent", "{file} in {path} does not match the rest of the bundle", "{because}", _AGAIN
)
BUNDLE_MODEL_REFUSED = ErrorRow("bundle-model-refused", "{file} in {path} is not safe to open", "{because}", _AGAIN)
BUNDLE_WITHOUT_MANIFEST = ErrorRow(
    "bundle-without-manifest",
    "{path} has no bundle.json",
    "bundle.json lists the files of the bundle",
    "rerun the build command",
)
NO_PHOTOS = ErrorRow("no-photos", "{folder} holds no images", fix="pass image files, or a folder of them")
PHOTO_NOT_A_FILE = ErrorRow(
    "photo-not-a-file",
    "{text} is not an image file or a folder of images",
    "edgecnn predict does not download images or read them from standard input",
    "save the image to a file and pass its path",
)
PHOTO_ABSENT = ErrorRow("photo-absent", "{path} does not exist", fix="pass image files, or folders of images")
NO_PHOTO_READABLE = ErrorRow(
    "no-photo-readable",
    "{what}",
    "{fault}",
    "pass files in a supported image format, such as JPEG or PNG",
    also=("count", "file", "because"),
)
TWO_FORMS_ASKED = ErrorRow("two-forms-asked", "--csv and --json are two formats of the same output", fix="remove one of them")
SSH_KEYGEN_MISSING = ErrorRow(
    "ssh-keygen-missing",
    "ssh-keygen is not installed",
    "edgecnn uses it to sign and verify bundles and evidence",
    "apt-get install openssh-client",
    exit_code=ExitCode.MISSING,
    kind=SshKeygenMissing,
)
KEY_UNUSABLE = ErrorRow(
    "key-unusable", "the key {key} cannot sign", "{because}", "pass a private key, or the .pub file of a key in the agent"
)
BUNDLE_OF_ANOTHER_BUILD = ErrorRow(
    "bundle-of-another-build",
    "the bundle in {folder} was not signed",
    "another build wrote to this folder after this build finished",
    "rerun the build command with a separate --out",
)
SIGNERS_UNREADABLE = ErrorRow(
    "signers-unreadable",
    "{file} is not a readable file of allowed signers",
    "{because}",
    'write one line per signer: NAME namespaces="{namespace}" ssh-ed25519 AAAA…',
)
SIGNATURE_MISSING = ErrorRow(
    "signature-missing",
    "{path} is not signed",
    "it has no bundle.json.sig",
    "on the machine that built it, run edgecnn bundle sign BUNDLE --key KEY",
)
SIGNATURE_REFUSED = ErrorRow(
    "signature-refused", "the signature of {path} is refused", "{because}", "copy it again from the machine that made it"
)
SIGNERS_NOT_NAMED = ErrorRow("signers-not-named", "{option} needs a file of allowed signers", fix="pass --allowed-signers FILE")
BUNDLE_ROLLED_BACK = ErrorRow(
    "bundle-rolled-back",
    "version {version} of {name}, in {path}, is refused",
    "this machine has already accepted {accepted}",
    "sign a later version with edgecnn bundle sign BUNDLE --key KEY --version N",
)
RECORD_UNUSABLE = ErrorRow(
    "record-unusable",
    "the record of accepted versions in {path} cannot be used",
    "{because}",
    "make the file readable and writable; delete it only to forget the accepted versions",
)
NOT_A_FOLDER_TO_SIGN = ErrorRow(
    "not-a-folder-to-sign",
    "{path} is a zip, which cannot be signed",
    "the signature belongs inside the zip",
    "sign the folder, then zip it",
)
NOTHING_TO_SIGN = ErrorRow(
    "nothing-to-sign",
    "`edgecnn {verb}` makes no bundle that --sign could sign",
    fix="run edgecnn build --sign KEY, or edgecnn bundle sign BUNDLE --key KEY",
)


def bundle_archive_refused(path: Path, because: str, hint: str = _AGAIN) -> EdgecnnError:
    return BUNDLE_ARCHIVE_REFUSED(path=path, because=because, hint=hint)


def bundle_entry_refused(path: Path, entry: str, because: str, repacked: bool = False) -> EdgecnnError:
    """``repacked``: whether another zip tool wrote it."""
    hint = "unpack the zip and pass the folder, or write the zip with `edgecnn bundle zip`" if repacked else _AGAIN
    return BUNDLE_ENTRY_REFUSED(path=path, entry=ascii(entry)[:200], because=because, hint=hint)


def bundle_file_missing(path: Path, file: str) -> EdgecnnError:
    return BUNDLE_FILE_MISSING(path=path, file=_plain(file))


def bundle_file_changed(path: Path, file: str, because: str, hint: str = _AGAIN) -> EdgecnnError:
    return BUNDLE_FILE_CHANGED(path=path, file=_plain(file), because=because, hint=hint)


def bundle_file_extra(path: Path, file: str, made_here: bool, left: tuple[str, str] | None = None) -> EdgecnnError:
    """``made_here``: whether use of a bundle creates such files. ``left``: the tool that left it, and how to remove it."""
    own = "if it is yours, move it out of the bundle's folder, for example next to it; otherwise"
    why, hint = left or ("", "remove it, or pass --made-here if this machine created it" if made_here else f"{own} {_AGAIN}")
    return BUNDLE_FILE_EXTRA(path=path, file=_plain(file), why=f"; {why}" if why else "", hint=hint)


def bundle_inconsistent(path: Path, file: str, because: str) -> EdgecnnError:
    return BUNDLE_INCONSISTENT(path=path, file=_plain(file), because=because)


def bundle_model_refused(path: Path, file: str, because: str) -> EdgecnnError:
    return BUNDLE_MODEL_REFUSED(path=path, file=_plain(file), because=because)


def no_photo_readable(count: int, file: str, because: str) -> EdgecnnError:
    what = f"{none_of(count, 'file')} can be read as an image" if count > 1 else "the file cannot be read as an image"
    return NO_PHOTO_READABLE(what=what, fault=file_fault(file, because), file=file, because=because, count=count)


def signers_unreadable(file: Path, because: str, namespace: str = "edgecnn-bundle") -> EdgecnnError:
    return SIGNERS_UNREADABLE(file=file, because=because, namespace=namespace)


def bundle_rolled_back(path: Path, name: str, version: int, accepted: int) -> EdgecnnError:
    same = "another bundle of this version" if version == accepted else f"version {accepted}"
    return BUNDLE_ROLLED_BACK(path=path, version=version, name=ascii(name), accepted=same)


def _plain(file: str) -> str:
    return ascii(file)[1:-1]

"""Failures of a bundle that came from somewhere: what is not as it was packed, or not to be touched at all."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError

_AGAIN = "get it again from where it was built"


class NoBundleHere(EdgecnnError):
    """Raised when a path names neither a bundle, nor a build that has one."""

    ref = "no-bundle-here"

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(
            what=f"{path}: no bundle",
            because=because,
            hint="name a build's folder, its bundle/, or a zip of it",
        )


class BundleManifestUnreadable(EdgecnnError):
    """Raised when ``bundle.json`` is not one."""

    ref = "bundle-manifest-unreadable"

    def __init__(self, *, path: str, because: str) -> None:
        super().__init__(what=f"{path} cannot be read", because=because, hint=_AGAIN)


class BundleArchiveRefused(EdgecnnError):
    """Raised when a zip is not laid out as that of a bundle; nothing was taken out of it."""

    ref = "bundle-archive-refused"

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path}: not a bundle's zip", because=because, hint=_AGAIN)


class BundleEntryRefused(EdgecnnError):
    """Raised when one entry of a bundle is of a kind that no bundle has; nothing was read."""

    ref = "bundle-entry-refused"

    def __init__(self, *, path: Path, entry: str, because: str) -> None:
        super().__init__(what=f"{path}: refused", because=f"{ascii(entry)[:200]} {because}", hint=_AGAIN)


class BundleFileMissing(EdgecnnError):
    """Raised when a file that the manifest lists is not there."""

    ref = "bundle-file-missing"

    def __init__(self, *, path: Path, file: str) -> None:
        super().__init__(what=f"{path}: {ascii(file)[1:-1]} is missing", because="bundle.json lists it", hint=_AGAIN)


class BundleFileChanged(EdgecnnError):
    """Raised when a file is not the one that was packed."""

    ref = "bundle-file-changed"

    def __init__(self, *, path: Path, file: str, because: str) -> None:
        super().__init__(what=f"{path}: {ascii(file)[1:-1]} was changed", because=because, hint=_AGAIN)


class BundleFileExtra(EdgecnnError):
    """Raised when there is a file that the manifest does not list."""

    ref = "bundle-file-extra"

    def __init__(self, *, path: Path, file: str, made_here: bool) -> None:
        """``made_here``: such files come into being when a bundle is used."""
        super().__init__(
            what=f"{path}: {ascii(file)[1:-1]} is not of the bundle",
            because="bundle.json does not list it",
            hint="remove it, or --made-here where this machine made it itself" if made_here else _AGAIN,
        )


class BundleInconsistent(EdgecnnError):
    """Raised when a bundle's files are those of its manifest, and do not belong together."""

    ref = "bundle-inconsistent"

    def __init__(self, *, path: Path, file: str, because: str) -> None:
        super().__init__(what=f"{path}: {ascii(file)[1:-1]} does not fit", because=because, hint=_AGAIN)


class BundleModelRefused(EdgecnnError):
    """Raised before a runtime opens a model that says of its tensors what cannot be."""

    ref = "bundle-model-refused"

    def __init__(self, *, path: Path, file: str, because: str) -> None:
        super().__init__(what=f"{path}: {ascii(file)[1:-1]} is not to be opened", because=because, hint=_AGAIN)


class BundleWithoutManifest(EdgecnnError):
    """Raised when a bundle is from before there were manifests of whole bundles."""

    ref = "bundle-without-manifest"

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"{path}: has no bundle.json", because="nothing says what belongs to it", hint="run the same build command again"
        )


class NoPhotos(EdgecnnError):
    """Raised when a folder that is named holds no file."""

    ref = "no-photos"

    def __init__(self, *, folder: Path) -> None:
        super().__init__(what=f"{folder}: holds no photographs", hint="name files, or a folder of them")


class NoPhotoReadable(EdgecnnError):
    """Raised when not one of the files is a picture."""

    ref = "no-photo-readable"

    def __init__(self, *, count: int, file: str, because: str) -> None:
        none = "it cannot be read as a picture" if count == 1 else f"none of {count:,} files can be read as a picture"
        super().__init__(what=none, because=f"{file}: {because}")


class TwoFormsAsked(EdgecnnError):
    """Raised when the answers are asked for in two forms at once."""

    ref = "two-forms-asked"

    def __init__(self) -> None:
        super().__init__(what="--csv and --json are two forms of one answer", hint="ask for one of them")

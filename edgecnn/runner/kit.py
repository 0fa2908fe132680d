"""A kit: a folder whose ``kit.json`` lists every file with its hash. The hash of ``kit.json`` identifies the kit."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from pathlib import Path, PurePosixPath
from typing import Dict, Optional

from .causes import cause_in, cause_of_change, left_by_a_tool, line_endings
from .files import bounded_content, cause_of_missing, open_regular, sha256_of
from .manifest import MANIFEST, MANIFEST_BYTES_MAX, Manifest, parse_manifest
from .messages import RunnerError
from .packages import installed_version, matches, missing_package

_CODE = (".py", ".pyc", ".pth", ".so")
_HINT = "copy the kit again, or package it again"


class Kit:
    """An opened kit.

    Attributes:
        folder: its absolute path.
        sha256: SHA-256 of ``kit.json``, the key of all observations of this kit.
        manifest: the content of ``kit.json``.
        models_checked_in: the folder whose model files were checked; see ``model_files``.
    """

    def __init__(self, folder: Path, sha256: str, manifest: Manifest) -> None:
        self.folder = folder
        self.sha256 = sha256
        self.manifest = manifest
        self.models_checked_in: Optional[Path] = None

    @classmethod
    def open(cls, folder: Path) -> Kit:
        """Read and check ``kit.json``, and no other file.

        Raises:
            RunnerError: no-kit; bad-manifest; kit-file-changed if the bytes show the cause; outside-the-kit for a name that
                leaves the folder.
        """
        path = folder / MANIFEST
        try:
            content = bounded_content(path, MANIFEST_BYTES_MAX)
        except OSError as error:
            raise _no_kit(folder, error) from error
        cause = line_endings(folder) if b"\r\n" in content else cause_in(content, folder)
        if cause is not None:
            raise RunnerError("kit-file-changed", "{}: not the file that was packaged".format(path), cause.why, cause.fix)
        try:
            value = json.loads(content.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise RunnerError("bad-manifest", "{}: not JSON".format(path), str(error), _HINT) from error
        manifest = parse_manifest(value)
        for name in manifest.files:
            if "\\" in name or ":" in name or any(part in ("", ".", "..") for part in name.split("/")):
                what = "kit.json: files lists {!r}, which leaves the kit's folder".format(name)
                raise RunnerError("outside-the-kit", what, hint=_HINT)
        return cls(folder.resolve(), hashlib.sha256(content).hexdigest(), manifest)

    def path(self, name: str) -> Path:
        """Return the path of a file that ``kit.json`` lists.

        Raises:
            RunnerError: outside-the-kit.
        """
        if name not in self.manifest.files:
            raise RunnerError("outside-the-kit", "{}: not a file that kit.json lists".format(name))
        return self.folder.joinpath(*PurePosixPath(name).parts)

    def verify_files(self) -> int:
        """Compare every listed file with its size and SHA-256, and refuse links and code that is not listed.

        Returns:
            the number of compared bytes.

        Raises:
            RunnerError: kit-file-missing, kit-file-changed, kit-file-link or kit-file-unlisted, naming the file.
        """
        total_bytes = 0
        for name in sorted(self.manifest.files):
            fact, path = self.manifest.files[name], self.path(name)
            self._refuse_links(name)
            if not path.is_file():
                raise RunnerError("kit-file-missing", "{}: listed in kit.json, but missing".format(name), hint=_HINT)
            size = path.stat().st_size
            if size != fact.bytes:
                raise self._change(name, size, "{} bytes here, {} in kit.json".format(size, fact.bytes))
            try:
                digest = sha256_of(path)
            except OSError as error:
                raise self._change(name, size, "it cannot be read: {}".format(error.strerror)) from error
            if digest != fact.sha256:
                raise self._change(name, size, "its SHA-256 is {}…, in kit.json {}…".format(digest[:12], fact.sha256[:12]))
            total_bytes += size
        self._refuse_foreign_code()
        return total_bytes

    def check_requirements(self) -> Dict[str, str]:
        """Check that this machine, Python and its packages meet the kit's requirements.

        Returns:
            the required packages and their installed versions.

        Raises:
            RunnerError: wrong-machine, wrong-python, missing-package or wrong-package-version.
        """
        manifest, here = self.manifest, platform.machine()
        if manifest.machines and here not in manifest.machines:
            why = "it runs on {}".format(", ".join(manifest.machines))
            raise RunnerError("wrong-machine", "this kit does not run on {}".format(here), why, missing=True)
        if not matches(platform.python_version(), manifest.python):
            why = "this is {}".format(platform.python_version())
            raise RunnerError("wrong-python", "this kit needs Python {}".format(manifest.python), why, missing=True)
        absent = [name + wanted for name, wanted in sorted(manifest.packages.items()) if installed_version(name) is None]
        if absent:
            are = "is" if len(absent) == 1 else "are"
            raise missing_package("this kit needs {}, which {} not installed".format(", ".join(absent), are), *absent)
        return {name: _package_version(name, wanted) for name, wanted in sorted(manifest.packages.items())}

    def _change(self, name: str, size: int, why: str) -> RunnerError:
        """Return the error of a changed file, with its cause if its bytes show one; otherwise with ``why``."""
        fact = self.manifest.files[name]
        cause = cause_of_change(lambda: open_regular(self.path(name)), size, (fact.bytes, fact.sha256), self.folder)
        why, hint = cause or (why, _HINT)
        return RunnerError("kit-file-changed", "{}: not the file that was packaged".format(name), why, hint)

    def _refuse_links(self, name: str) -> None:
        path = self.folder
        for part in PurePosixPath(name).parts:
            path = path / part
            if path.is_symlink():
                raise RunnerError("kit-file-link", "{}: a link, which could lead out of the kit".format(name), hint=_HINT)

    def _refuse_foreign_code(self) -> None:
        # A numpy.py next to kit.json would be imported instead of NumPy.
        for folder, folders, names in os.walk(str(self.folder)):
            folders[:] = [name for name in folders if name != "__pycache__"]
            for name in names:
                relative = (Path(folder) / name).relative_to(self.folder).as_posix()
                if name.endswith(_CODE) and relative not in self.manifest.files:
                    why, hint = left_by_a_tool(relative, self.folder) or (None, _HINT)
                    raise RunnerError("kit-file-unlisted", "{}: code that kit.json does not list".format(relative), why, hint)


def _no_kit(folder: Path, error: OSError) -> RunnerError:
    """Return the error of a folder without ``kit.json``. If the folder is a bundle, the fix names one of its kits."""
    because = "it has no {}".format(MANIFEST) if isinstance(error, FileNotFoundError) else cause_of_missing(error) or str(error)
    kits = sorted(path.parent for path in folder.glob("kits/*/{}".format(MANIFEST)))
    fix = "pass the folder of a kit{}".format(": {}".format(kits[0]) if kits else ", such as bundle/kits/NAME")
    return RunnerError("no-kit", "{}: not a kit".format(folder.resolve()), because, fix)


def _package_version(name: str, wanted: str) -> str:
    installed = installed_version(name) or ""
    if not matches(installed, wanted):
        needed = name + wanted
        raise missing_package("this kit needs {}".format(needed), needed, version=installed)
    return installed

"""A bundle that git, an archiver or a file manager changed is refused with the cause, and the command that helps helps."""

from __future__ import annotations

import re
import subprocess
import zipfile
from pathlib import Path
from typing import IO

import pytest

from edgecnn.bundle.opening import FolderForm
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.bundle import bundle_entry_refused
from tests.bundle.sealed import KIT_FOLDER, copied, verified
from tests.bundle.test_opening import refusal
from tests.runner.causes.test_known import BINARY, POINTER, crlf_copy

MODEL = f"{KIT_FOLDER}/model.onnx"


def git(folder: Path, *words: str) -> None:
    named = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *named, *words], check=True, capture_output=True)


def error_of(path: Path) -> EdgecnnError:
    with pytest.raises(EdgecnnError) as caught:
        verified(path)
    return caught.value


def test_a_git_lfs_pointer_is_named(bundle: Path, archive: Path) -> None:
    (bundle / MODEL).write_bytes(POINTER)
    pointer = "it is a Git LFS pointer, not the file itself — git lfs pull"
    assert refusal(bundle) == f"{MODEL} was changed: {pointer} [bundle-file-changed]"
    (bundle / "bundle.json").write_bytes(POINTER)
    assert refusal(bundle) == f"bundle.json was changed: {pointer} [bundle-file-changed]"
    archive.write_bytes(POINTER)
    assert "[bundle-archive-refused]" in refusal(archive)


@pytest.mark.parametrize("name", ["README.md", "bundle.json", f"{KIT_FOLDER}/kit.json", f"{KIT_FOLDER}/runner/kit.py"])
def test_converted_line_endings_are_named(bundle: Path, name: str) -> None:
    (bundle / name).write_bytes(crlf_copy((bundle / name).read_bytes()))
    assert refusal(bundle) == (
        f"{name} was changed: its line endings were converted, as if it were text — {BINARY} [bundle-file-changed]"
    )


def test_a_truncated_file_that_may_not_be_read_is_still_a_changed_one(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = FolderForm.open

    def open_others(self: FolderForm, name: str) -> IO[bytes]:
        if name == "README.md":
            raise bundle_entry_refused(path=self.path, entry=name, because="cannot be read (permission denied)")
        return opened(self, name)

    (bundle / "README.md").write_bytes(b"x")
    monkeypatch.setattr(FolderForm, "open", open_others)
    assert refusal(bundle).startswith("README.md was changed: 1 bytes here, ")


@pytest.mark.parametrize("inside", [".", "my models/flowers"])
def test_after_what_git_converted_the_named_command_brings_the_bundle_back(whole: Path, tmp_path: Path, inside: str) -> None:
    (tmp_path / "upstream").mkdir()
    git(tmp_path, "init", "-q", "upstream")
    bundle = tmp_path / "upstream" / inside
    subprocess.run(["mkdir", "-p", str(bundle.parent)], check=True)
    if inside == ".":
        subprocess.run(["cp", "-r", f"{whole}/.", str(bundle)], check=True)
    else:
        copied(whole, bundle)
    git(tmp_path / "upstream", "add", "-A")
    git(tmp_path / "upstream", "commit", "-qm", "a bundle")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", "upstream", "clone")
    hint = error_of(clone / inside).hint or ""
    line, command = re.fullmatch(r"commit the line '(.*)' in \.gitattributes, then: (.*)", hint).groups()  # type: ignore[union-attr]
    attributes = clone / ".gitattributes"
    attributes.write_text(line + "\n")
    git(clone, "add", ".gitattributes")
    git(clone, "commit", "-qm", "attributes")
    subprocess.run(command, shell=True, check=True, capture_output=True)  # noqa: S602 - as a user would paste it
    if inside == ".":  # a bundle of its own repository holds git's own files too
        subprocess.run(["rm", "-rf", str(clone / ".git"), str(attributes)], check=True)
    assert verified(clone / inside).facts.kits


@pytest.mark.parametrize("name", ["__MACOSX/README.md", f"{KIT_FOLDER}/._model.onnx", ".DS_Store", "kits/Thumbs.db"])
def test_what_an_archiver_left_is_named_and_removed_by_the_command(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_bytes(b"x")
    error = error_of(bundle)
    assert error.ref == "bundle-file-extra"
    assert error.because in (
        "bundle.json does not list it; macOS's tar or zip wrote it next to the real file",
        "bundle.json does not list it; an archiver or a file manager left it",
    )
    subprocess.run(str(error.hint), shell=True, check=True)  # noqa: S602 - as a user would paste it
    assert verified(bundle).facts.kits


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_zip_of_another_tool_is_to_be_unpacked(bundle: Path, tmp_path: Path, compression: int) -> None:
    made = tmp_path / "other.zip"
    with zipfile.ZipFile(made, "w", compression) as archive:
        archive.write(bundle / "kits", "kits")
        archive.write(bundle / "README.md", "README.md")
    said = refusal(made)
    assert said.startswith("refused: 'kits/' is a folder entry; a bundle's zip contains only files — ")
    assert said.endswith("unpack the zip and pass the folder, or write the zip with `edgecnn bundle zip` [bundle-entry-refused]")


def test_an_entry_that_leaves_the_folder_is_not_to_be_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../kit.json", "{}")
    assert "[bundle-entry-refused]" in refusal(tmp_path / "x.zip")

"""What a data path is: every form is named in one line, and a form that edgecnn does not read gets the way to convert it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edgecnn.data.formats.registry import has_folder, has_own_order, is_address, is_list, is_on_disk, readable_formats
from edgecnn.data.manifest import summarize
from edgecnn.data.role_folders import write_role_folders
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import DATA_FOLDER_UNREADABLE, LIST_WITHOUT_LABELS, NothingReadable
from edgecnn.errors.labels import DATA_IS_ADDRESS, DATA_NOT_READ, FORM_NOT_READ
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, draw, write

READS = (
    "a folder with a sub-folder a class; a folder of images with a label file; a folder of archives; a folder of IDX files;"
    " an archive (.zip, .tar, .tar.gz, .tgz); a list (.csv, .tsv, .jsonl, .parquet, COCO's .json, info.labels);"
    " torchvision:NAME; demo"
)


def refusal(path: Path | str, folder: Path, labels: bool | None = None) -> EdgecnnError:
    with pytest.raises(EdgecnnError) as caught:
        summarize(DataChoice(path=str(path), labels=labels), folder / "store", Heard())
    assert not (folder / "store").exists()
    return caught.value


def test_every_form_is_named_in_one_line() -> None:
    assert readable_formats() == READS


@pytest.mark.parametrize("name", ["photo.jpg", "notes.txt", "photos"])
def test_a_file_of_an_unknown_kind_is_told_what_edgecnn_reads(tmp_path: Path, name: str) -> None:
    error = refusal(write(tmp_path / name, b"what"), tmp_path)
    assert DATA_NOT_READ.made(error)
    assert (error.fields["path"], error.fields["reads"]) == (tmp_path / name, READS)


@pytest.mark.parametrize("address", ["https://example.org/photos.zip", "s3://bucket/photos", "hf://datasets/me/pets"])
def test_an_address_is_not_downloaded(tmp_path: Path, address: str) -> None:
    error = refusal(address, tmp_path)
    assert DATA_IS_ADDRESS.made(error)
    assert (
        error.line() == f"edgecnn does not download {address}: edgecnn reads {READS} — download the data first [data-is-address]"
    )


FORMS = {
    "train-00000-of-00002.tfrecord": "TFRecord",
    "pets.tfrecord-00000-of-00002": "TFRecord",
    "data.mdb": "LMDB",
    "pets.h5": "HDF5",
    "pets.NPZ": "NumPy arrays",
    "pets.7z": "an archive of another kind",
    "pets.tar.xz": "an archive of another kind",
    "pets.mp4": "videos",
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_is_not_read_gets_the_way_to_convert_it(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / "pets" / name, b"what")
    for path in (file, file.parent):
        error = refusal(path, tmp_path)
        assert FORM_NOT_READ.made(error)
        assert error.what == f"{path} contains {FORMS[name]}, which edgecnn does not read"
        assert error.hint


def test_the_words_of_a_form_that_is_not_read(tmp_path: Path) -> None:
    error = refusal(write(tmp_path / "pets.rar", b"Rar!"), tmp_path)
    assert error.line() == (
        f"{tmp_path}/pets.rar contains an archive of another kind, which edgecnn does not read"
        " — unpack it and pass the folder [form-not-read]"
    )


def test_pointers_of_git_lfs_in_place_of_images_are_named_once(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
    for name in ("cat", "dog"):
        for number in range(4):
            write(tmp_path / "pets" / name / f"{number}.jpg", pointer)
    with pytest.raises(NothingReadable) as caught:
        summarize(DataChoice(path=str(tmp_path / "pets")), tmp_path / "store", Heard())
    assert caught.value.line() == (
        f"none of the 8 files in {tmp_path}/pets is a readable image: cat/0.jpg: it is a Git LFS pointer, not the file itself:"
        " git lfs pull; the same for the others"
        " — replace the files with images in a supported format, such as JPEG or PNG [nothing-readable]"
    )


def test_lists_need_their_labels(tmp_path: Path) -> None:
    for name in ("list.csv", "list.jsonl", "boxes.json"):
        assert LIST_WITHOUT_LABELS.made(refusal(write(tmp_path / name, b"{}"), tmp_path, labels=False))


def test_flat_images_without_labels_stay_one_heap(tmp_path: Path) -> None:
    for number in range(12):
        draw(tmp_path / "pets" / f"{number}.png", number)
    write(tmp_path / "pets" / "metadata.csv", b"file_name,label\n0.png,cat\n")
    summary = summarize(DataChoice(path=str(tmp_path / "pets"), labels=False, train=False), tmp_path / "store", Heard())
    assert sum(summary.counts.values()) == 12


def test_what_other_rooms_ask_of_a_path(tmp_path: Path) -> None:
    assert [is_on_disk(text) for text in ("demo", "torchvision:MNIST", "./demo", "photos")] == [False, False, True, True]
    assert [has_folder(text) for text in ("demo", "torchvision:MNIST", "./demo", "photos")] == [False, True, True, True]
    assert [is_address(text) for text in ("https:/x/a.jpg", "C:/photos", "torchvision:MNIST", "a/b")] == [
        True,
        False,
        False,
        False,
    ]
    write(tmp_path / "list.tsv", b"")
    write(tmp_path / "train-images-idx3-ubyte", b"")
    assert (is_list(tmp_path / "list.tsv"), is_list(tmp_path)) == (True, False)
    assert [has_own_order(root) for root in ("torchvision:MNIST", str(tmp_path), str(tmp_path / "x"))] == [True, True, False]


@pytest.mark.parametrize("name", ["photos", "photos/cat", "list.csv", "photos.zip"])
@pytest.mark.parametrize("verb", ["summarize", "divide"])
def test_what_is_below_a_folder_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, verb: str
) -> None:
    """As the system refuses it to a user; root may look into every folder."""

    def refused(path: Path) -> bool:
        if path.is_relative_to(tmp_path / "locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return os.path.isdir(path)  # noqa: PTH112 - pathlib's own is replaced

    for method in ("is_file", "is_dir"):
        monkeypatch.setattr(Path, method, refused)
    choice = DataChoice(path=str(tmp_path / "locked" / name))
    with pytest.raises(EdgecnnError, check=DATA_FOLDER_UNREADABLE.made) as caught:
        if verb == "divide":
            write_role_folders(choice, tmp_path / "out", tmp_path / "store", Heard())
        else:
            summarize(choice, tmp_path / "store", Heard())
    assert (caught.value.what, caught.value.because) == (f"{tmp_path}/locked/{name} cannot be read", "permission denied")

"""A tar obeys the rules of a zip; archives next to each other are classes, splits, or shards of samples."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from edgecnn.data.formats.archive import _unpack
from edgecnn.data.manifest import summarize
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import ARCHIVE_UNUSABLE, ARCHIVES_OF_ONE_NAME, TABLE_UNUSABLE
from edgecnn.errors.labels import SHARDS_WITHOUT_SPLIT
from edgecnn.errors.wording import shortened
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, aged, fill


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", {"cat": 12, "dog": 12})


def contents(folder: Path, prefix: str = "") -> dict[str, bytes]:
    return {f"{prefix}{path.relative_to(folder)}": path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def tarred(place: Path, files: Mapping[str, bytes], *entries: tarfile.TarInfo) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(place, "w:gz" if place.suffix != ".tar" else "w") as file:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
        for entry in entries:
            file.addfile(entry, io.BytesIO(bytes(entry.size)))
    return aged(place)


def zipped(place: Path, files: Mapping[str, bytes]) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return aged(place)


def samples(folder: Path, label: str = "{}") -> dict[str, bytes]:
    files = {}
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        files[f"{number:05d}.png"] = path.read_bytes()
        files[f"{number:05d}.cls"] = label.format(number % 2).encode()
    return files


def summary_of(path: Path) -> DataSummary:
    return summarize(DataChoice(path=str(path)), path.parent / "store", Heard())


def refusal(place: Path) -> str:
    with pytest.raises(EdgecnnError, check=ARCHIVE_UNUSABLE.made) as caught:
        summary_of(place)
    assert list((place.parent / "store" / "archives").iterdir()) == []
    return str(caught.value.because)


@pytest.mark.parametrize("name", ["photos.tar", "photos.tar.gz", "photos.TGZ"])
@pytest.mark.parametrize("prefix", ["", "./", "photos/"])
def test_a_tar_gives_what_the_folder_gives(photos: Path, name: str, prefix: str) -> None:
    folder = tarfile.TarInfo("empty")
    folder.type = tarfile.DIRTYPE
    by_tar, by_folder = summary_of(tarred(photos.parent / name, contents(photos, prefix), folder)), summary_of(photos)
    assert (by_tar.content, by_tar.counts, by_tar.root) == (by_folder.content, by_folder.counts, str(photos.parent / name))


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "cat/../../evil.png", "cat\\..\\evil.png"])
def test_an_entry_that_would_leave_its_folder_is_refused(photos: Path, name: str) -> None:
    assert (
        refusal(tarred(photos.parent / "p.tar", {**contents(photos), name: b"x"})) == f"its entry {name!r} would leave its folder"
    )


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_link_or_a_device_is_refused(photos: Path, kind: bytes) -> None:
    link = tarfile.TarInfo("cat/link.png")
    link.type, link.linkname = kind, "/etc/passwd"
    assert refusal(tarred(photos.parent / "p.tar", contents(photos), link)) == "its entry 'cat/link.png' is a link or a device"


def test_a_name_twice_is_refused(photos: Path) -> None:
    assert refusal(tarred(photos.parent / "p.tar", contents(photos), tarfile.TarInfo("cat/000.png"))).endswith("is there twice")


def test_a_bomb_is_refused_before_it_is_unpacked(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.data.formats.archive.ALLOWED_BYTES", 1 << 20)
    monkeypatch.setattr("edgecnn.data.formats.archive._unpack_in_sandbox", _unpack)  # another process has other limits
    large = tarfile.TarInfo("cat/big.bmp")
    large.size = 32 << 20
    assert refusal(tarred(photos.parent / "p.tgz", contents(photos), large)).endswith(", more than 100 times as many")


def test_a_header_of_any_size_is_refused(photos: Path) -> None:
    entry = tarfile.TarInfo("cat/x.png")
    entry.pax_headers = {"comment": "x" * (2 << 20)}
    assert refusal(tarred(photos.parent / "p.tgz", contents(photos), entry)) == "a header has more than 65,536 bytes"


@pytest.mark.parametrize("cut", [0, 700])
def test_a_damaged_tar_is_refused(photos: Path, cut: int) -> None:
    place = tarred(photos.parent / "p.tar", contents(photos))
    place.write_bytes(place.read_bytes()[:cut])
    refusal(place)
    place.write_bytes(b"no tar" * 1000)
    refusal(place)


def test_archives_of_one_class_each_are_the_classes(photos: Path) -> None:
    packed = photos.parent / "packed"
    zipped(packed / "cat.zip", contents(photos / "cat", "cat/"))
    tarred(packed / "dog.tar.gz", contents(photos / "dog"))
    (packed / "README.txt").write_text("two classes")
    by_archives, by_folder = summary_of(packed), summary_of(photos)
    assert (by_archives.content, by_archives.root) == (by_folder.content, str(packed))


@pytest.mark.parametrize("place", ["packed", "packed/train"])
def test_archives_of_one_name_are_refused(photos: Path, place: str) -> None:
    packed = photos.parent / place
    for name in ("cat.zip", "dog.zip", "cat.tar"):
        (zipped if name.endswith("zip") else tarred)(packed / name, contents(photos / name[:3]))
    with pytest.raises(EdgecnnError, check=ARCHIVES_OF_ONE_NAME.made) as caught:
        summary_of(photos.parent / "packed")
    assert caught.value.ref == "archives-of-one-name"


def test_files_of_tools_next_to_and_in_the_folder_of_a_class_are_skipped(photos: Path) -> None:
    packed, tool = photos.parent / "packed", {".DS_Store": b"x", "__MACOSX/cat/._000.png": b"x"}
    for name in ("cat", "dog"):
        zipped(packed / f"{name}.zip", {**contents(photos / name, f"{name}/"), **tool, f"{name}/.DS_Store": b"x"})
    assert summary_of(packed).content == summary_of(photos).content


def test_archives_of_one_split_each_are_the_splits(photos: Path) -> None:
    other = fill(photos.parent / "other", {"cat": 6, "dog": 6}, start=500)
    zipped(photos.parent / "packed" / "train.zip", contents(photos, "train/"))
    zipped(photos.parent / "packed" / "test.zip", contents(other))
    summary = summary_of(photos.parent / "packed")
    assert (summary.classes, summary.counts["test"]) == (("cat", "dog"), 12)


def test_shards_of_samples_are_a_list(photos: Path) -> None:
    other = fill(photos.parent / "other", {"cat": 6, "dog": 6}, start=500)
    shards = photos.parent / "shards"
    tarred(shards / "pets-train-000000.tar", samples(photos))
    tarred(shards / "pets-test-000000.tar", samples(other))
    summary = summary_of(shards)
    assert (summary.classes, summary.counts["test"], summary.root) == (("0", "1"), 12, str(shards))
    assert sum(summary_of(shards / "pets-train-000000.tar").counts.values()) == 24


def test_records_name_classes_too(photos: Path) -> None:
    files = {name.replace(".cls", ".json"): data for name, data in samples(photos, '{{"label": "class {}"}}').items()}
    assert summary_of(tarred(photos.parent / "pets.tar", files)).classes == ("class 0", "class 1")


def test_a_sample_without_a_class_is_refused(photos: Path) -> None:
    files = samples(photos)
    del files["00003.cls"]
    assert refusal(tarred(photos.parent / "pets.tar", files)) == (
        "its image '00003.png' has no class: no 00003.cls, and no 00003.json with a label"
    )


def test_a_sample_whose_class_holds_half_of_a_character_is_refused(photos: Path) -> None:
    files = {name.replace(".cls", ".json"): data for name, data in samples(photos, '{{"label": "\\ud800{}"}}').items()}
    assert refusal(tarred(photos.parent / "pets.tar", files)).startswith("its image '00000.png' has no class")


@pytest.mark.parametrize(("raw", "name"), [("Käse".encode(), "Käse"), ("Käse".encode("cp437"), "Käse")])
def test_names_of_a_zip_without_the_flag_of_utf_8(photos: Path, raw: bytes, name: str) -> None:
    place = zipped(photos.parent / "photos.zip", {path.replace("cat/", "Katz/"): data for path, data in contents(photos).items()})
    whole = bytearray(place.read_bytes())
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := whole.find(magic, at + 1)) >= 0:
            struct.pack_into("<H", whole, at + flags, struct.unpack_from("<H", whole, at + flags)[0] & ~0x800)
    length = len(raw)
    place.write_bytes(bytes(whole).replace(b"Katz/", raw + b"/") if length == 4 else _longer(whole, raw))
    assert summary_of(aged(place)).classes == ("dog", name)


def _longer(whole: bytearray, raw: bytes) -> bytes:
    """The zip with another name of five letters, which it is written with from the beginning."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bytes(whole))) as source, zipfile.ZipFile(out, "w") as target:
        for entry in source.infolist():
            target.writestr(entry.filename.replace("Katz/", "Katze/"), source.read(entry))
    return out.getvalue().replace(b"Katze/", raw + b"/")


def test_a_tar_of_more_entries_than_a_list_has_rows_is_refused(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.data.formats.archive.FILES_MAX", 30)
    monkeypatch.setattr("edgecnn.data.formats.archive._unpack_in_sandbox", _unpack)  # another process has other limits
    folders = [tarfile.TarInfo(f"folder{number}") for number in range(10)]
    for folder in folders:
        folder.type = tarfile.DIRTYPE
    assert refusal(tarred(photos.parent / "p.tar", contents(photos), *folders)) == "more than 30 files"


def test_a_list_in_a_tar_is_read_as_in_a_folder(photos: Path) -> None:
    files = {f"{path.parent.name}{path.name}": path.read_bytes() for path in sorted(photos.rglob("*.png"))}
    rows = [f"{name},3,{name[:3]}" for name in files]
    place = tarred(photos.parent / "pets.tar", {**files, "labels.csv": "\n".join(["id,age,diagnosis", *rows]).encode()})
    choice = DataChoice(path=str(place), label_column="diagnosis")
    assert summarize(choice, photos.parent / "store", Heard()).classes == ("cat", "dog")


@pytest.mark.parametrize("path", ["{}/cat/000.png", "../../../photos/cat/000.png"])
def test_a_list_in_a_tar_names_no_file_outside(photos: Path, path: str) -> None:
    listed = path.format(photos)
    files = {**contents(photos / "cat"), "labels.csv": f"path,label\n001.png,dog\n{listed},cat\n".encode()}
    with pytest.raises(EdgecnnError, check=TABLE_UNUSABLE.made) as caught:
        summary_of(tarred(photos.parent / "p.tar", files))
    assert caught.value.because == f"its path {shortened(listed)!r} leads outside the folder"


@pytest.mark.parametrize("prefix", ["", "photos/"])
def test_the_name_of_the_list_of_samples_is_reserved(photos: Path, prefix: str) -> None:
    name = f"{prefix}edgecnn-samples.csv"
    assert refusal(tarred(photos.parent / "p.tar", {**contents(photos, prefix), name: b"path,label"})) == (
        f"its entry {name!r} has the name of edgecnn's own list"
    )


def test_another_revision_unpacks_again(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tarred(photos.parent / "p.tar", contents(photos))
    archives = photos.parent / "store" / "archives"
    for revision, folders in ((2, 1), (3, 2), (3, 2)):
        monkeypatch.setattr("edgecnn.data.formats.archive._REVISION", revision)
        summary_of(place)
        assert sum(path.is_dir() for path in archives.iterdir()) == folders


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
def test_an_entry_of_negative_size_is_refused_at_once(photos: Path, kind: bytes) -> None:
    place = tarred(photos.parent / "p.tar", contents(photos), entry := tarfile.TarInfo("x.png"))
    whole = bytearray(place.read_bytes())
    entry.type, entry.size = kind, -512
    at = whole.rfind(b"x.png")
    whole[at : at + tarfile.BLOCKSIZE] = entry.tobuf(tarfile.GNU_FORMAT)
    place.write_bytes(whole)
    assert refusal(aged(place)) == "its entry 'x.png' has a negative size"


def test_shards_without_a_split_next_to_shards_with_one_are_refused(photos: Path) -> None:
    shards = photos.parent / "shards"
    for name in ("extra.tar", "train-0.tar", "val-0.tar"):
        tarred(shards / name, samples(photos))
    with pytest.raises(EdgecnnError, check=SHARDS_WITHOUT_SPLIT.made) as caught:
        summary_of(shards)
    assert caught.value.line() == (
        f"the split of extra.tar in {shards} is unclear: the names of other archives contain a split, such as train-0.tar"
        " — rename extra.tar to train-extra.tar if its images are training images [shards-without-split]"
    )


def test_images_of_a_shard_without_classes_are_counted(photos: Path) -> None:
    shards = photos.parent / "shards"
    tarred(shards / "a-0.tar", samples(photos))
    tarred(shards / "a-1.tar", {f"{number}.png": bytes([number]) for number in range(3)})
    assert summary_of(shards).splits_from.endswith("; not used: a-1/ (3 images, not in the list)")


def test_a_list_next_to_archives_is_named(photos: Path) -> None:
    packed, heard = photos.parent / "packed", Heard()
    for name in ("cat", "dog"):
        zipped(packed / f"{name}.zip", contents(photos / name))
    (packed / "labels.csv").write_text("path,label\n000.png,cat\n", encoding="utf-8")
    assert summarize(DataChoice(path=str(packed)), photos.parent / "store", heard).classes == ("cat", "dog")
    assert heard.notes == [
        f"{packed}: unpacks cat.zip, dog.zip",
        f"{packed}/labels.csv is not used: classes come from the archives; unpack them and pass the folder to use a list",
    ]

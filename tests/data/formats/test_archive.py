"""A zip of images is the folder that was zipped; one that reaches outside, lies or explodes is refused."""

from __future__ import annotations

import os
import shutil
import stat
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgecnn.data.formats.archive import _unpack, unpacked_folder
from edgecnn.data.inspection import inspect
from edgecnn.data.manifest import summarize
from edgecnn.data.role_folders import write_role_folders
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import ARCHIVE_UNUSABLE
from edgecnn.errors.store import StoreUnusable
from edgecnn.store.gc import GcPolicy, collect
from edgecnn.store.store import Store
from edgecnn.values.dataset import DataManifest, DataSummary
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, aged, fill


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", {"cat": 12, "dog": 12})


def zipped(photos: Path, prefix: str = "", extra: dict[str, bytes] | None = None) -> Path:
    place = photos.parent / "photos.zip"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(photos.rglob("*.png")):
            file.write(path, f"{prefix}{path.relative_to(photos)}")
        for name, data in (extra or {}).items():
            file.writestr(name, data)
    return aged(place)


def summary_of(path: Path, heard: Heard | None = None) -> DataSummary:
    return summarize(DataChoice(path=str(path)), path.parent / "store", heard or Heard())


def refusal(place: Path) -> str:
    before = sorted(place.parent.iterdir())
    with pytest.raises(EdgecnnError, check=ARCHIVE_UNUSABLE.made) as caught:
        summary_of(place)
    assert [path for path in place.parent.iterdir() if path not in before and path.name != "store"] == []
    assert list((place.parent / "store" / "archives").iterdir()) == []
    return str(caught.value.because)


@pytest.mark.parametrize("prefix", ["", "photos/", "My photos 2024/"])
def test_a_zip_gives_what_the_folder_gives(photos: Path, prefix: str) -> None:
    extra = {"__MACOSX/._photos": b"x", f"{prefix}cat/.DS_Store": b"x"}
    by_zip, by_folder = summary_of(zipped(photos, prefix, extra)), summary_of(photos)
    assert (by_zip.content, by_zip.counts, by_zip.root) == (
        by_folder.content,
        by_folder.counts,
        str(photos.parent / "photos.zip"),
    )


def test_it_is_unpacked_once_and_again_where_files_were_lost_or_it_changed(photos: Path) -> None:
    place, heard = zipped(photos), Heard()
    first = summary_of(place, heard)
    assert ("unpacking", 24, 24, "files") in heard.steps
    heard = Heard()
    assert summary_of(place, heard) == first
    assert [step for step in heard.steps if step[0] == "unpacking"] == []
    lost = next((photos.parent / "store" / "archives").rglob("*.png"))
    lost.unlink()
    assert summary_of(place).content == first.content
    assert lost.is_file()
    fill(photos, {"cat/more": 3}, start=500)
    assert sum(summary_of(zipped(photos)).counts.values()) == 27


def test_a_zip_can_be_inspected_and_divided(photos: Path, tmp_path: Path) -> None:
    choice, store = DataChoice(path=str(zipped(photos, "photos/"))), tmp_path / "store"
    facts = inspect(choice, store, Heard()).facts
    assert (facts.images, facts.root, facts.findings) == (24, str(tmp_path / "photos.zip"), ())
    assert sum(write_role_folders(choice, tmp_path / "out", store, Heard()).images.values()) == 24


@pytest.mark.parametrize(
    "name", ["../evil.png", "cat/../../evil.png", "/evil.png", "cat\\..\\evil.png", "C:/evil.png", "./cat/x.png"]
)
def test_an_entry_that_would_leave_its_folder_is_refused(photos: Path, name: str) -> None:
    assert refusal(zipped(photos, extra={name: b"x"})) == f"its entry {name!r} would leave its folder"
    assert not (photos.parent / "evil.png").exists() and not Path("/evil.png").exists()


def test_an_entry_without_a_name_is_refused(photos: Path) -> None:
    path = zipped(photos, extra={"NoName": b"x"})
    path.write_bytes(path.read_bytes().replace(b"NoName", bytes(6)))  # zipfile reads a name up to its first NUL
    assert refusal(path) == "its entry '' would leave its folder"


def test_the_words_of_a_refusal(photos: Path) -> None:
    (photos.parent / "photos.zip").write_bytes(b"no zip")
    with pytest.raises(EdgecnnError, check=ARCHIVE_UNUSABLE.made) as caught:
        summary_of(photos.parent / "photos.zip")
    assert caught.value.line() == (
        f"{photos.parent}/photos.zip cannot be unpacked: File is not a zip file"
        " — unpack the file yourself and pass the folder [archive-unusable]"
    )


def test_a_link_in_a_zip_is_refused(photos: Path) -> None:
    place = zipped(photos)
    with zipfile.ZipFile(place, "a") as file:
        link = zipfile.ZipInfo("cat/link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
    assert refusal(place) == "its entry 'cat/link.png' is a link or a device"


def test_a_name_twice_is_refused(photos: Path) -> None:
    place = zipped(photos)
    with zipfile.ZipFile(place, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("cat/000.png", b"other")
    assert refusal(place) == "its entry 'cat/000.png' is there twice"


def test_a_bomb_is_refused_before_it_is_unpacked(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.data.formats.archive.ALLOWED_BYTES", 1 << 20)
    monkeypatch.setattr("edgecnn.data.formats.archive._unpack_in_sandbox", _unpack)  # another process has other limits
    assert refusal(zipped(photos, extra={"cat/big.bmp": bytes(32 << 20)})).endswith(", more than 100 times as many")


def test_an_entry_that_lies_about_its_size_ends_at_what_it_says(photos: Path) -> None:
    place = zipped(photos, extra={"cat/zz.bmp": bytes(5 << 20)})
    data = bytearray(place.read_bytes())
    at = data.rindex(b"PK\x01\x02")  # the last entry of the directory
    data[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    place.write_bytes(data)
    assert "zz.bmp" in refusal(place)


@pytest.mark.parametrize("cut", [10, 2000, -30])
def test_a_damaged_zip_is_refused(photos: Path, cut: int) -> None:
    place = zipped(photos)
    place.write_bytes(place.read_bytes()[:cut])
    refusal(place)
    damaged = bytearray(zipped(photos).read_bytes())
    damaged[60:90] = bytes(30)
    place.write_bytes(damaged)
    refusal(place)


def test_an_encrypted_zip_is_refused(photos: Path) -> None:
    data = bytearray(zipped(photos).read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    (photos.parent / "photos.zip").write_bytes(data)
    assert refusal(photos.parent / "photos.zip") == "its entry 'cat/000.png' is encrypted"


def test_an_empty_zip_has_no_classes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w"):
        pass
    with pytest.raises(EdgecnnError, match="has no class folders: the folder is empty") as caught:
        summary_of(tmp_path / "photos.zip")
    assert str(tmp_path / "photos.zip") in caught.value.line() and "archives" not in caught.value.line()


def test_ctrl_c_leaves_nothing_half_unpacked(photos: Path) -> None:
    class Interrupting(Heard):
        def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
            if what == "unpacking":
                raise KeyboardInterrupt

    place = zipped(photos)
    with pytest.raises(KeyboardInterrupt):
        summary_of(place, Interrupting())
    assert os.listdir(photos.parent / "store" / "archives") == []  # noqa: PTH208 - hidden names too
    manifest = DataManifest.model_validate_json(Path(summary_of(place).manifest_path).read_bytes())
    assert len(manifest.images) == 24


@pytest.mark.parametrize(
    ("extra", "because"),
    [
        ({"a/0.png": b"x", "a/0.png/x.png": b"x"}, "its entry 'a/0.png' is both a file and a folder"),
        ({"a/b/c/x.png": b"x", "a/b": b"x"}, "its entry 'a/b' is both a file and a folder"),
        ({"a/" * 3000 + "x.png": b"x"}, f"its entry {'a/' * 3000!r}"[:210] + " has a path longer than 1,024 bytes"),
    ],
)
def test_names_that_no_folder_can_hold_are_the_archives_fault(photos: Path, extra: dict[str, bytes], because: str) -> None:
    assert refusal(zipped(photos, extra=extra)) == because


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_to_any_compression_is_the_archives_fault(photos: Path, method: int) -> None:
    place = photos.parent / "photos.zip"
    for name in ("cat/000.png", "dog/000.png"):
        photos.joinpath(name).write_bytes(os.urandom(4000))
    with zipfile.ZipFile(place, "w", method) as file:
        for path in sorted(photos.rglob("000.png")):
            file.write(path, str(path.relative_to(photos)))
    damaged = bytearray(place.read_bytes())
    damaged[55:1500] = bytes(1445)
    place.write_bytes(damaged)
    assert 0 < len(refusal(place)) <= 301


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_zip_that_may_not_be_read_is_not_the_stores_fault(photos: Path) -> None:
    place = zipped(photos)
    place.chmod(0)
    assert refusal(place) == "permission denied"


def test_a_store_that_takes_no_folder_is_the_stores_fault(photos: Path) -> None:
    place = zipped(photos)
    summary_of(place)
    archives = photos.parent / "store" / "archives"
    shutil.rmtree(archives)
    archives.write_bytes(b"no folder")
    with pytest.raises(StoreUnusable):
        summary_of(place)


def test_two_that_unpack_one_zip_wait_for_each_other_and_agree(photos: Path) -> None:
    place = zipped(photos)
    began = threading.Event()

    class Slow(Heard):
        def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
            super().step(what, done, total, unit)
            if what == "unpacking" and done == 1:
                began.set()
                time.sleep(0.3)

    first, second = Slow(), Slow()
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(unpacked_folder, {"": place}, photos.parent / "store", first)
        assert began.wait(20)
        late = pool.submit(unpacked_folder, {"": place}, photos.parent / "store", second)
        assert early.result(20) == late.result(20)
    assert ("unpacking", 24, 24, "files") in first.steps
    assert [step for step in second.steps if step[0] == "unpacking"] == []


def test_every_use_dates_it_for_gc(photos: Path) -> None:
    place, store = zipped(photos), Store.open(photos.parent / "store")
    summary_of(place)
    (proof,) = (store.root / "archives").glob("*.json")
    aged(proof)
    summary_of(place)
    assert collect(store, GcPolicy(unused_for_s=1.0, grace_s=0.5), dry_run=True).removed == ()
    aged(proof)
    assert [removal.what for removal in collect(store, GcPolicy(unused_for_s=1.0)).removed] == ["archive"]
    assert sum(summary_of(place).counts.values()) == 24

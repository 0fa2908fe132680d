"""Hostile zips and folders: each is made here, and refused by name before anything is taken out of it."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn.bundle.manifest import require_distinct
from edgecnn.bundle.opening import open_bundle, sha256_of_entry
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.bundle import BUNDLE_FILE_MISSING, BundleEntryRefused
from tests.bundle.sealed import reseal_files, verified

Change = Callable[[zipfile.ZipInfo], None]
README = "README.md"


def refusal(path: Path) -> str:
    """What is said of it, from the path on."""
    with pytest.raises(EdgecnnError) as caught:
        verified(path)
    line = caught.value.line()
    assert str(path) in line
    line = line.replace(f"the signature of {path}", "its signature").replace(f" in {path}", "", 1)
    return line.removeprefix(f"the bundle {path} is ").removeprefix(f"{path} is ").removeprefix(f"{path}: ")


def rewritten(archive: Path, change: Change | None = None, extra: tuple[zipfile.ZipInfo, bytes] | None = None) -> Path:
    """The same entries, of which README.md is changed, and one more."""
    with zipfile.ZipFile(archive) as file:
        entries = [(entry, file.read(entry)) for entry in file.infolist()]
    with zipfile.ZipFile(archive, "w") as file:
        for entry, content in [*entries, *([extra] if extra else [])]:
            if change is not None and entry.filename == README:
                change(entry)
            file.writestr(entry, content)
    return archive


def named(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, mode << 16
    return entry


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_what_vanishes_or_becomes_a_link_after_it_was_listed_is_refused_by_name(
    bundle: Path, archive: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if form == "zip":
        opened = open_bundle(archive)
        archive.unlink()
        assert opened.open(README).read(), "the archive was opened once, so its content is the same"
        return
    opened = open_bundle(bundle)
    (bundle / README).unlink()
    with pytest.raises(EdgecnnError, check=BUNDLE_FILE_MISSING.made):
        opened.open(README)
    (bundle / README).symlink_to("/etc/passwd")
    with pytest.raises(BundleEntryRefused) as refused:
        opened.open(README)
    assert refused.value.because == f"{README!r} is a link or a device"
    monkeypatch.setattr("os.open", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(BundleEntryRefused) as refused:
        opened.open(README)
    assert refused.value.because == f"{README!r} cannot be read (permission denied)"


def test_a_disk_that_fails_while_a_file_is_read_is_named(bundle: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    opened = open_bundle(bundle)
    opened.open = lambda name: Failing()  # type: ignore[method-assign]
    with pytest.raises(BundleEntryRefused) as refused:
        sha256_of_entry(opened, README)
    assert refused.value.because == f"{README!r} cannot be read (input/output error)"


def test_a_name_that_no_system_takes_is_no_bundle(tmp_path: Path) -> None:
    assert refusal(tmp_path / ("x" * 300)) == (
        "not a bundle: file name too long — pass the folder of a build, its bundle/, or a zip of the bundle [no-bundle-here]"
    )


def test_what_is_rewritten_without_a_change_is_accepted(archive: Path) -> None:
    assert verified(rewritten(archive)).facts.form == "zip"


@pytest.mark.parametrize("name", ["../evil.py", "/etc/passwd", "kits/../../evil", "a\\..\\evil", "C:evil", "kits//x", "./x"])
def test_an_entry_that_leaves_the_folder_is_refused(archive: Path, name: str) -> None:
    said = refusal(rewritten(archive, extra=(named(name), b"")))
    assert "[bundle-entry-refused]" in said


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_a_link_or_a_device_in_a_zip_is_refused(archive: Path, kind: int) -> None:
    assert refusal(rewritten(archive, extra=(named("x", kind | 0o777), b"/etc/passwd"))).startswith(
        "refused: 'x' is a link or a device"
    )


def test_signs_that_steer_a_terminal_are_refused_and_not_printed(archive: Path) -> None:
    said = refusal(rewritten(archive, extra=(named("\x1b[2Jx"), b"")))
    assert said.startswith("refused: '\\x1b[2Jx' has unprintable characters in its name")


def test_an_entry_that_is_there_twice_is_refused(archive: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        rewritten(archive, extra=(named(README), b"another"))
    assert refusal(archive).startswith("refused: 'README.md' is repeated")


ALIKE = [
    ("readme.md", "README.md"),
    ("Straße", "STRASSE"),
    ("caf\u00e9", "cafe\u0301"),
    ("Kits/a", "kits/b"),
    ("\u01c6", "\u01c4"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_names_that_are_one_file_on_another_disk_are_refused_in_both_forms(
    one: str, other: str, bundle: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as made:
        for name in (one, other):
            made.writestr(zipfile.ZipInfo(name), b"")
            (bundle / name).parent.mkdir(exist_ok=True)
            (bundle / name).write_bytes(b"")
    reseal_files(bundle)
    for path in (tmp_path / "b.zip", bundle):
        said = refusal(path)
        assert "[bundle-entry-refused]" in said
        assert any(ascii(name) in said for name in (one, other))
        assert ascii(one.split("/")[0])[:-1].lower() in said.lower() and ascii(other.split("/")[0])[:-1].lower() in said.lower()


def test_a_manifest_that_lists_such_names_is_refused_where_a_disk_has_made_one_of_them() -> None:
    with pytest.raises(BundleEntryRefused, match=r"'a' differs from 'A' only by case or Unicode form"):
        require_distinct(Path("b"), ("A", "b/c", "b/d", "a"))
    require_distinct(Path("b"), ("a/b/c", "a/b/d", "a/e", "\u00e9", "e"))


def test_a_file_that_is_a_folder_too_is_refused(archive: Path) -> None:
    assert refusal(rewritten(archive, extra=(named("README.md/x"), b""))).startswith(
        "refused: 'README.md' is a file and a folder"
    )


def test_a_bomb_by_ratio_is_refused_before_it_is_inflated(archive: Path) -> None:
    bomb = named("kits/zeros.bin")
    bomb.compress_type = zipfile.ZIP_DEFLATED
    said = refusal(rewritten(archive, extra=(bomb, bytes(50 << 20))))
    assert "[bundle-entry-refused]" in said


def in_directory(archive: Path, name: str, at: int, packed: bytes) -> Path:
    """Overwrite bytes of an entry's record in the central directory; ``at`` counts from its beginning."""
    content = bytearray(archive.read_bytes())
    record = content.rindex(name.encode()) - 46
    assert content[record : record + 4] == b"PK\x01\x02"
    content[record + at : record + at + len(packed)] = packed
    archive.write_bytes(content)
    return archive


def test_an_entry_that_says_another_size_than_it_has_is_refused(archive: Path) -> None:
    said = refusal(in_directory(archive, README, 24, struct.pack("<L", 1 << 30)))
    assert said.startswith("refused: 'README.md' states 1,073,741,824 bytes and stores ")


def test_a_bomb_in_total_is_refused(archive: Path) -> None:
    for name in (README, "LICENCES.md"):
        in_directory(archive, name, 20, struct.pack("<LL", 0xF0000000, 0xF0000000))
    said = refusal(archive)
    assert "[bundle-archive-refused]" in said
    assert "[bundle-archive-refused]" in said


def test_an_encrypted_entry_is_refused(archive: Path) -> None:
    assert refusal(in_directory(archive, README, 8, b"\1\0")).startswith("refused: 'README.md' is encrypted")


def test_entries_that_share_their_bytes_are_refused(archive: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        other = file.getinfo("LICENCES.md").header_offset
    said = refusal(in_directory(archive, README, 42, struct.pack("<L", other)))
    assert "overlaps another entry, or follows hidden bytes" in said


def test_an_entry_whose_own_header_says_another_name_is_refused(archive: Path) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content.replace(README.encode(), b"ReadMe.md", 1))
    assert refusal(archive).startswith("refused: 'README.md' differs from the directory")


def test_something_beside_an_entrys_name_is_refused(archive: Path) -> None:
    assert "has a comment or extra data" in refusal(rewritten(archive, change=lambda entry: setattr(entry, "comment", b"hidden")))


@pytest.mark.parametrize("cut", [1, 21, 22, 500])
def test_a_zip_that_was_cut_off_is_refused(archive: Path, cut: int) -> None:
    os.truncate(archive, archive.stat().st_size - cut)
    assert "[bundle-archive-refused]" in refusal(archive)


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all, but longer than its end would be"])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    assert "[bundle-archive-refused]" in refusal(path)


def test_something_behind_or_before_a_zip_is_refused(archive: Path) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content + b"\n#!/bin/sh")
    assert "has data after its end" in refusal(archive)
    archive.write_bytes(b"#!/bin/sh\n" + content)
    assert "its directory is not at the end" in refusal(archive)


def test_a_hidden_second_directory_is_refused(archive: Path) -> None:
    """A comment at the end of the last entry that reads as the 64-bit end of another directory."""
    with zipfile.ZipFile(archive) as file:
        last, start = file.infolist()[-1], file.start_dir
    content = archive.read_bytes()
    end = content[-22:]
    count = struct.unpack("<H", end[10:12])[0]
    record = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count - 1, count - 1, 0, start)
    comment = record + struct.pack("<4sLQL", b"PK\x06\x07", 0, len(content) - 22, 1)
    body = bytearray(content[:-22])
    at = body.rindex(last.filename.encode()) - 46 + 32
    body[at : at + 2] = struct.pack("<H", len(comment))
    directory = len(body) + len(comment) - start
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, directory, start, 0)
    archive.write_bytes(bytes(body) + comment + tail)
    assert "[bundle-archive-refused]" in refusal(archive)


def test_every_single_changed_byte_is_noticed(archive: Path) -> None:
    content = archive.read_bytes()
    for at in [*range(0, len(content), len(content) // 60), *range(len(content) - 22, len(content))]:
        archive.write_bytes(content[:at] + bytes([content[at] ^ 0x41]) + content[at + 1 :])
        try:
            verified(archive)
        except EdgecnnError:
            continue
        # What no reader goes by: dates, version numbers, file rights and checksums that SHA-256 stands in for.
        with zipfile.ZipFile(archive) as file, zipfile.ZipFile(archive) as again:
            assert [entry.filename for entry in file.infolist()] == again.namelist()


def test_a_link_in_a_folder_is_refused_wherever_it_leads(bundle: Path) -> None:
    (bundle / "kits" / "more").symlink_to("/etc")
    assert refusal(bundle).startswith("refused: 'kits/more' is a link or a device")
    (bundle / "kits" / "more").unlink()
    (bundle / README).rename(bundle.parent / README)
    (bundle / README).symlink_to(bundle.parent / README)
    assert refusal(bundle).startswith("refused: 'README.md' is a link or a device")


def test_a_pipe_in_a_folder_is_refused_and_not_waited_for(bundle: Path) -> None:
    (bundle / README).unlink()
    os.mkfifo(bundle / README)
    assert refusal(bundle).startswith("refused: 'README.md' is a link or a device")


def test_a_path_without_anything_is_told(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent") == (
        "not a bundle: it does not exist — pass the folder of a build, its bundle/, or a zip of the bundle [no-bundle-here]"
    )

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.store import DiskFull, StoreFull, TemporaryFolderFull


def test_a_full_disk_says_how_much_is_left_and_how_to_make_room() -> None:
    assert StoreFull(root=Path("/store"), free_bytes=3 * 2**19, doing="writing an entry").line() == (
        "no space left for the store /store: 1.5 MiB free while writing an entry; what was stored before is intact"
        " — run `edgecnn store gc`, or set EDGECNN_STORE=FOLDER to a folder on another disk [store-full]"
    )


def test_another_full_disk_is_named_by_the_file_that_found_no_room() -> None:
    assert DiskFull(file="/mnt/a").line() == ("the disk of /mnt/a is full — free space on it, then rerun the command [disk-full]")
    assert DiskFull(file=None).line().startswith("the disk is full — ")


def test_a_full_temporary_folder_says_how_another_one_is_named() -> None:
    assert TemporaryFolderFull(folder=Path("/tmp"), free_bytes=0, doing="making export 0123").line() == (
        "no space left in the temporary folder /tmp: 0.0 MiB free after making export 0123 failed"
        " — make room there, or set TMPDIR=FOLDER to a folder on another disk [temporary-folder-full]"
    )

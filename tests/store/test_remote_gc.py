"""`store gc --remote` on a folder: what goes, what stays, and where nothing is touched."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.store import NOTHING_AFAR, NothingCollected, RemoteUnusable
from edgecnn.render.progress import Quiet
from edgecnn.store.gc import collect_remote
from edgecnn.store.listing import verify
from edgecnn.store.remote import Remote
from edgecnn.store.store import Store
from edgecnn.store.transfer import pull, push
from edgecnn.values.artifact import Artifact
from tests.store.test_remote import blob_of
from tests.store.toys import Quantize, Train, files_in, obtain

DAY_S = 86400.0


def aged(afar: Remote, days: float) -> None:
    moment = time.time() - days * DAY_S
    for path in Path(afar.url).rglob("*"):
        os.utime(path, (moment, moment))


def list_of(afar: Remote, artifact: Artifact) -> Path:
    return Path(afar.url, f"entries/artifacts/{artifact.kind}/{artifact.key}.json")


def orphaned(store: Store, afar: Remote, days: float = 3) -> Artifact:
    """An entry that is here, of which only the files are still afar, as where its push was killed."""
    artifact, _ = obtain(store, Quantize())
    push(store, afar, Quiet())
    list_of(afar, artifact).unlink()
    aged(afar, days)
    return artifact


def is_whole(afar: Remote, folder: Path, entries: int) -> bool:
    other = Store.open(folder)
    return pull(other, afar, Quiet()).model_dump(include={"entries", "left"}) == {"entries": entries, "left": ()} and (
        verify(other, Quiet()).ok
    )


def test_files_that_no_entry_names_go_after_a_day_and_entries_only_by_an_age_that_is_stated(
    store: Store, afar: Remote, tmp_path: Path
) -> None:
    half = Path(afar.url, "blobs/ab", "ab" * 32)
    obtain(store, Train(epochs=3))
    push(store, afar, Quiet())
    half.parent.mkdir(exist_ok=True)
    half.write_bytes(b"half of it")
    assert collect_remote(afar).removed == (), "it may be on its way"
    aged(afar, 40)
    before = files_in(Path(afar.url))
    dry = collect_remote(afar, dry_run=True)
    assert files_in(Path(afar.url)) == before
    wet = collect_remote(afar)
    assert dry == wet.model_copy(update={"dry_run": True})
    assert [(each.what, each.name, each.bytes, each.why) for each in wet.removed] == [
        ("blob", f"blobs/ab/{'ab' * 32}", 10, "no entry names it")
    ]
    assert set(before) - set(files_in(Path(afar.url))) == {f"blobs/ab/{'ab' * 32}"}
    assert wet.freed_bytes == 10 and wet.kept_bytes == sum(len(each) for name, each in before.items() if "blobs/" in name) - 10
    assert is_whole(afar, tmp_path / "other", 1)


def test_entries_go_by_their_age_with_what_no_younger_one_names(store: Store, afar: Remote, tmp_path: Path) -> None:
    old, _ = obtain(store, Train(epochs=3))
    push(store, afar, Quiet())
    aged(afar, 40)
    obtain(store, Train(epochs=2))  # its files are the first two of the old one's three
    push(store, afar, Quiet())
    dry = collect_remote(afar, older_than_s=30 * DAY_S, dry_run=True)
    report = collect_remote(afar, older_than_s=30 * DAY_S)
    assert dry == report.model_copy(update={"dry_run": True})
    assert [(each.what, each.name, each.why) for each in report.removed][0] == (
        "entry", f"entries/artifacts/train/{old.key}.json", "sent 40.0 days ago"
    )  # fmt: skip
    assert [each.what for each in report.removed[1:]] == ["blob", "blob"]  # the third file, and its record
    assert is_whole(afar, tmp_path / "other", 1)
    assert push(store, afar, Quiet()).entries == 1 and is_whole(afar, tmp_path / "third", 2), "sent again by who has it"


def test_the_clock_of_this_machine_plays_no_part(store: Store, afar: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    orphaned(store, afar, days=0.5)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 400 * DAY_S)
    assert collect_remote(afar, older_than_s=0).removed == ()


def test_an_entry_whose_files_are_not_all_there_goes_and_is_sent_again(store: Store, afar: Remote, tmp_path: Path) -> None:
    artifact, _ = obtain(store, Quantize())
    push(store, afar, Quiet())
    blob = blob_of(afar, artifact, "model.onnx")
    blob.write_bytes(blob.read_bytes()[:10])
    assert collect_remote(afar).removed == ()
    aged(afar, 2)
    assert collect_remote(afar).removed[0].why == "its files/model.onnx is missing or incomplete"
    assert push(store, afar, Quiet()).entries == 1 and is_whole(afar, tmp_path / "other", 1)


def test_while_a_list_cannot_be_understood_nothing_goes(store: Store, afar: Remote) -> None:
    orphaned(store, afar)
    later = Path(afar.url, "entries/artifacts/quantize", f"{'0' * 64}.json")
    later.write_text('{"schema": "edgecnn.remote-entry/2"}')
    before = files_in(Path(afar.url))
    with pytest.raises(NothingCollected) as caught:
        collect_remote(afar)
    name = f"entries/artifacts/quantize/{'0' * 64}.json"
    assert (caught.value.ref, caught.value.fields["because"], caught.value.fields["hint"]) == (
        "nothing-collected",
        f"the files that {name} names are unknown: its list of files is damaged",
        f"update edgecnn; if that does not help, delete {name} there, and the next push sends its entry again",
    )
    assert files_in(Path(afar.url)) == before


def test_a_folder_of_lists_that_cannot_be_read_is_not_taken_for_an_empty_one(
    store: Store, afar: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = orphaned(store, afar)
    real = LocalFileSystem.ls

    def refused(self: LocalFileSystem, path: str, detail: bool = False, **options: Any) -> Any:
        if path.endswith("entries/artifacts/quantize"):  # chmod keeps no root out
            raise PermissionError(13, "Permission denied", path)
        return real(self, path, detail=detail, **options)

    monkeypatch.setattr(LocalFileSystem, "ls", refused)
    with pytest.raises(RemoteUnusable, match="listing it: .*Permission denied"):
        collect_remote(afar)
    assert blob_of(afar, artifact, "model.onnx").exists()


def test_folders_that_are_links_are_followed(store: Store, afar: Remote, tmp_path: Path) -> None:
    obtain(store, Quantize())
    push(store, afar, Quiet())
    aged(afar, 3)
    for name in ("entries", "blobs"):
        Path(afar.url, name).rename(tmp_path / name)
        Path(afar.url, name).symlink_to(tmp_path / name)
    assert collect_remote(afar).removed == () and collect_remote(afar).kept_bytes > 0


def test_where_deleting_is_not_allowed_nothing_is_touched(store: Store, afar: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    orphaned(store, afar)
    before = files_in(Path(afar.url))

    def refused(self: LocalFileSystem, path: str) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched, pytest.raises(RemoteUnusable, match="deleting trash/.*: .*Permission denied"):
        patched.setattr(LocalFileSystem, "rm_file", refused)
        collect_remote(afar, older_than_s=0)
    left = set(files_in(Path(afar.url))) - set(before)
    assert len(left) == 1 and set(before) <= set(files_in(Path(afar.url)))
    aged(afar, 2)
    collect_remote(afar)
    assert not list(Path(afar.url, "trash").iterdir()), "its clock file goes with the next call"


def test_a_place_that_tells_no_times_keeps_everything(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    afar = Remote("memory://timeless")
    obtain(store, Quantize())
    push(store, afar, Quiet())
    assert collect_remote(afar).removed == ()  # this client tells them only when asked file by file

    def unknown(self: MemoryFileSystem, path: str) -> None:
        raise NotImplementedError

    monkeypatch.setattr(MemoryFileSystem, "modified", unknown)
    with pytest.raises(NothingCollected, match="it does not report when its files changed — use a place"):
        collect_remote(afar, older_than_s=0, grace_s=0)
    fsspec.filesystem("memory").rm("/timeless", recursive=True)


def test_a_place_that_is_empty_or_is_none_gets_no_file(afar: Remote) -> None:
    with pytest.raises(EdgecnnError, check=NOTHING_AFAR.made):
        collect_remote(afar)
    assert not Path(afar.url).exists()


def test_a_folder_that_is_no_store_and_files_that_are_none_of_a_store_s_are_left_alone(
    store: Store, afar: Remote, tmp_path: Path
) -> None:
    mine = tmp_path / "mine/trash/thesis.docx"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"years")
    with pytest.raises(EdgecnnError, check=NOTHING_AFAR.made):
        collect_remote(Remote(str(tmp_path / "mine")), grace_s=0)
    assert [path.name for path in (tmp_path / "mine").rglob("*")] == ["trash", "thesis.docx"]
    obtain(store, Train())
    push(store, afar, Quiet())
    beside = Path(afar.url) / "trash/notes.txt"
    beside.parent.mkdir(exist_ok=True)
    beside.write_bytes(b"mine too")
    collect_remote(afar, grace_s=0)
    assert beside.read_bytes() == b"mine too"

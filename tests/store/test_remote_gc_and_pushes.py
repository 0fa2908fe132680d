"""A push that runs while `store gc --remote` collects loses no file, whenever it sends its list; nor does a killed collection."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors.store import NothingCollected
from edgecnn.render.progress import Quiet
from edgecnn.store import gc
from edgecnn.store.gc import collect_remote
from edgecnn.store.remote import Remote
from edgecnn.store.remote_files import RemoteFiles
from edgecnn.store.store import Store
from edgecnn.store.transfer import push
from tests.store.test_remote import blob_of
from tests.store.test_remote_gc import DAY_S, aged, is_whole, list_of, orphaned
from tests.store.toys import files_in


@pytest.mark.parametrize("before_s", [0, 3 * DAY_S])
def test_a_list_that_is_written_while_files_are_taken_away_keeps_them(
    before_s: float, store: Store, afar: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push found the file there, left it unsent, and writes its list at each moment of the collection in turn."""
    for moment, calls in itertools.product(("_files_and_ages", "_entry_lists", "_run_for_all"), (1, 2)):
        orphaned(store, afar)
        seen = {"calls": 0}
        real: Callable[..., Any] = getattr(gc, moment)

        def late(*given: Any, real: Any = real, seen: Any = seen, calls: int = calls) -> Any:
            found = real(*given)
            seen["calls"] += 1
            if seen["calls"] == calls:
                push(store, Remote(afar.url), Quiet())
                aged(afar, before_s / DAY_S)
            return found

        with monkeypatch.context() as patched:
            patched.setattr(gc, moment, late)
            collect_remote(afar)
        if seen["calls"] < calls:
            push(store, afar, Quiet())
        assert is_whole(afar, tmp_path / f"other-{moment}-{calls}", 1), (moment, calls)


def test_a_file_that_goes_while_it_is_left_unsent_is_sent_after_all(
    store: Store, afar: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for before in (True, False):
        orphaned(store, afar)
        real = RemoteFiles.write

        def late(self: RemoteFiles, path: str, content: bytes, before: bool = before, real: Any = real) -> None:
            if not path.startswith("entries/"):
                return real(self, path, content)
            with monkeypatch.context() as plain:
                plain.setattr(RemoteFiles, "write", real)
                if before:
                    assert len(collect_remote(Remote(afar.url)).removed) == 3
                real(self, path, content)
                if not before:
                    assert collect_remote(Remote(afar.url)).removed == ()
            return None

        with monkeypatch.context() as patched:
            patched.setattr(RemoteFiles, "write", late)
            push(store, afar, Quiet())
        assert is_whole(afar, tmp_path / f"other-{before}", 1)


def test_half_an_upload_that_is_taken_away_does_not_come_back_over_the_whole(
    store: Store, afar: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = orphaned(store, afar)
    blob = blob_of(afar, artifact, "model.onnx")
    blob.write_bytes(blob.read_bytes()[:10])
    aged(afar, 3)
    real = gc._empty_trash

    def late(remote: Remote) -> dict[str, int]:
        push(store, Remote(afar.url), Quiet())
        return real(remote)

    monkeypatch.setattr(gc, "_empty_trash", late)
    collect_remote(afar)
    assert is_whole(afar, tmp_path / "other", 1) and not list(Path(afar.url, "trash").iterdir())


@pytest.mark.parametrize("days", [0, 3])
def test_a_collection_that_was_killed_is_sorted_out_by_the_next(
    days: float, store: Store, afar: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = orphaned(store, afar)
    gone = Path(afar.url, "blobs/ab", "ab" * 32)
    gone.parent.mkdir(exist_ok=True)
    gone.write_bytes(b"x")
    aged(afar, 3)

    def killed(_: Remote) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(gc, "_empty_trash", killed)
        collect_remote(afar)
    assert not blob_of(afar, artifact, "model.onnx").exists()
    assert Path(afar.url, "trash").is_dir()
    list_of(afar, artifact).write_text(next(_lists_of(store, tmp_path)))  # of a push that was killed before its second look
    aged(afar, days)
    report = collect_remote(afar)
    assert [each.name for each in report.removed] == [f"blobs/ab/{'ab' * 32}"]
    assert is_whole(afar, tmp_path / "other", 1) and not list(Path(afar.url, "trash").iterdir())


def _lists_of(store: Store, folder: Path) -> Any:
    push(store, Remote(str(folder / "elsewhere")), Quiet())
    return (path.read_text() for path in Path(folder, "elsewhere").rglob("*.json"))


def test_a_list_that_cannot_be_understood_and_comes_meanwhile_puts_everything_back(
    store: Store, afar: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphaned(store, afar)
    before = files_in(Path(afar.url))
    real = gc._empty_trash

    def late(remote: Remote) -> dict[str, int]:
        Path(afar.url, "entries/new.json").write_text("{}")
        return real(remote)

    monkeypatch.setattr(gc, "_empty_trash", late)
    with pytest.raises(NothingCollected):
        collect_remote(afar)
    assert files_in(Path(afar.url)) == {**before, "entries/new.json": b"{}"}

"""Entries that are moved together: each byte once, what others hold last, and a disk that fills on the way."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from edgecnn.errors.store import RemoteUnusable
from edgecnn.render.progress import Quiet
from edgecnn.store import remote as of_remote
from edgecnn.store import transfer
from edgecnn.store.listing import verify
from edgecnn.store.remote import Remote
from edgecnn.store.store import Store
from edgecnn.store.transfer import pull, push
from tests.store.small_disks import needs_mount, said_on
from tests.store.test_remote_damage import blob_of
from tests.store.toys import Ear, Quantize, Train, files_in, obtain


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "other")


def three_entries(store: Store) -> list[str]:
    """Two of them have files in common."""
    made = [obtain(store, stage)[0] for stage in (Train(epochs=2), Train(epochs=3), Quantize())]
    return [f"artifacts/{each.kind}/{each.key}" for each in made]


@pytest.mark.parametrize("together", [(1, 512, 1 << 20), (128, 512, 1 << 20)])
def test_what_entries_have_in_common_goes_and_comes_once(
    together: tuple[int, int, int], store: Store, other: Store, afar: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_entries(store)
    monkeypatch.setattr(transfer, "_TOGETHER", together)
    assert push(store, afar, Quiet()).bytes == sum(path.stat().st_size for path in Path(afar.url, "blobs").rglob("*/*"))
    asked, get = list[str](), afar._fs.get
    monkeypatch.setattr(afar._fs, "get", lambda sources, targets: [asked.extend(sources), get(sources, targets)])
    assert pull(other, afar, Quiet()).entries == 3
    assert together[0] == 1 or len(asked) == len(set(asked))
    assert files_in(other.root / "artifacts") == files_in(store.root / "artifacts") and verify(other, Quiet()).ok


def test_what_another_is_making_comes_last_and_is_not_fetched_if_it_is_there_by_then(
    store: Store, other: Store, afar: Remote
) -> None:
    name = three_entries(store)[0]
    push(store, afar, Quiet())
    held, let_go = Event(), Event()

    def making() -> None:
        with other.locks.held(*name.split("/")[1:], Quiet()):
            held.set()
            let_go.wait(30)
            (other.root / name).mkdir(parents=True)

    (maker := Thread(target=making)).start()
    held.wait(30)
    ear = Ear(at_step=lambda done: let_go.set() if done == 2 else None)
    found = pull(other, afar, ear)
    maker.join()
    assert (found.entries, found.there, found.left) == (2, 1, ()) and ear.steps[-1][1:3] == (3, 3)
    assert not list((other.root / name).iterdir()), "what the other made stays"


def test_a_file_that_cannot_be_read_there_leaves_the_other_entries(
    store: Store, other: Store, afar: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = three_entries(store)[2]
    push(store, afar, Quiet())
    blob = blob_of(afar, name, "files/model.onnx")
    get_file = afar._fs.get_file

    def refused(source: str, target: str, **more: Any) -> None:
        if source == str(blob):
            raise PermissionError(errno.EACCES, "Permission denied", source)
        get_file(source, target, **more)

    with monkeypatch.context() as patched:
        patched.setattr(afar._fs, "get_file", refused)
        found = pull(other, afar, Quiet())
    assert found.entries == 2 and found.left == (f"{name}: reading from it: [Errno 13] Permission denied: '{blob}'",)
    assert pull(other, afar, Quiet()).entries == 1 and verify(other, Quiet()).ok


def test_a_place_that_goes_away_is_not_asked_for_every_entry(
    store: Store, other: Store, afar: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    for epochs in range(1, 9):
        obtain(store, Train(epochs=epochs))
    push(store, afar, Quiet())
    asked = list[Any]()

    def gone(*given: Any) -> None:
        asked.append(given)
        raise TimeoutError("timed out")

    monkeypatch.setattr(afar._fs, "get", gone)
    with pytest.raises(RemoteUnusable, match="timed out"):
        pull(other, afar, Quiet())
    assert len(asked) == 1 + 3


def test_what_goes_or_is_replaced_here_while_others_are_sent_harms_nobody(
    store: Store, other: Store, afar: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = three_entries(store)
    monkeypatch.setattr(transfer, "_TOGETHER", (1, 1, 1))
    files = store.root / second / "files"
    model = next(path for path in (store.root / third / "files").rglob("model.onnx"))

    def meanwhile(done: int) -> None:
        if done == 1:
            shutil.rmtree(files.parent)
            model.write_bytes(model.read_bytes()[::-1])

    sent = push(store, afar, Ear(at_step=meanwhile), only=[first, second, third])
    assert sent.left == tuple(f"{name}: damaged here; `edgecnn store verify` lists the damage" for name in (second, third))
    assert pull(other, afar, Quiet()).entries == 1 and verify(other, Quiet()).ok


def test_what_a_killed_pull_left_is_forced_onto_the_disk_before_it_is_an_entry(
    store: Store, other: Store, afar: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = three_entries(store)
    push(store, afar, Quiet())

    def killed(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(of_remote, "sync_all", killed)
        pull(other, afar, Quiet())
    on_disk, fsync = set[Path](), os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: [on_disk.add(Path(f"/proc/self/fd/{handle}").readlink()), fsync(handle)])
    assert pull(other, afar, Quiet()).bytes == 0
    work = {each for each in on_disk if each.name in {"record.json", "model.onnx", "facts.json"}}
    assert len(names) == 3 and len(work) == 5


ON_A_SMALL_DISK = """
import json, sys
from edgecnn.errors.store import StoreFull
from edgecnn.render.progress import Quiet
from edgecnn.store.remote import Remote
from edgecnn.store.store import Store
from edgecnn.store.transfer import pull
from edgecnn.store.listing import verify
from pathlib import Path
store = Store.open(Path(sys.argv[1]))
try:
    pull(store, Remote(sys.argv[2]), Quiet())
    line = ""
except StoreFull as error:
    line = error.line()
print(json.dumps({"line": line, "whole": verify(store, Quiet()).ok, "entries": len(list(store.artifacts.names()))}))
"""


@needs_mount
def test_a_disk_that_fills_while_pulling_is_this_store_s_and_not_the_remote_s(store: Store, afar: Remote, tmp_path: Path) -> None:
    three_entries(store)
    obtain(store, Quantize(images=1), maker=lambda given, out, tell: (out / "big.bin").write_bytes(bytes(8 << 20)))
    push(store, afar, Quiet())
    (tmp_path / "small").mkdir()
    said = said_on({tmp_path / "small": "4m"}, ON_A_SMALL_DISK, str(tmp_path / "small" / "store"), afar.url)
    assert "[store-full]" in said["line"]
    assert said["whole"] and said["entries"] == 0

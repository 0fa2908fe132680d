"""What a store afar has that is not what was sent: it is not taken, and a push by who has the entry mends it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors.store import RemoteUnusable
from edgecnn.render.progress import Quiet
from edgecnn.store import gc
from edgecnn.store.gc import collect_remote
from edgecnn.store.listing import verify
from edgecnn.store.remote import Remote
from edgecnn.store.store import REMOTE, Store
from edgecnn.store.transfer import pull, push
from edgecnn.values.artifact import Ran
from tests.store.test_profiles import a_profile
from tests.store.test_remote_gc import aged, is_whole
from tests.store.toys import Quantize, obtain


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "other")


def with_logits(store: Store, folder: Path) -> str:
    """Files a profile with logits beside it; its name."""
    (logits := folder / "logits.npy").write_bytes(b"logits")
    stored = store.profiles.add(a_profile(logits_file="logits.npy"), {"logits.npy": logits})
    return stored.folder.relative_to(store.root).as_posix()


def list_of(afar: Remote, name: str) -> Path:
    return Path(afar.url, f"entries/{name}.json")


def put_in_place_of(afar: Remote, name: str, file: str, content: bytes) -> None:
    """Other bytes with a list that names them; the entry's own record stays."""
    digest = hashlib.sha256(content).hexdigest()
    blob = Path(afar.url, "blobs", digest[:2], digest)
    blob.parent.mkdir(exist_ok=True)
    blob.write_bytes(content)
    facts = json.loads(list_of(afar, name).read_text())
    facts["files"][file] = {"sha256": digest, "bytes": len(content)}
    list_of(afar, name).write_text(json.dumps(facts))


@pytest.mark.parametrize("content", [b"x" * 10, b"[]"])
def test_a_file_that_the_list_names_and_the_record_does_not_is_no_entry(
    content: bytes, store: Store, other: Store, afar: Remote
) -> None:
    name = f"artifacts/quantize/{obtain(store, Quantize())[0].key}"
    push(store, afar, Quiet())
    put_in_place_of(afar, name, "files/sub/facts.json", content)
    assert pull(other, afar, Quiet()).left == (f"{name}: files/sub/facts.json is not the file that record.json names",)
    assert isinstance(obtain(other, Quantize())[1], Ran)


def test_the_same_of_a_profile_s_logits(store: Store, other: Store, afar: Remote, tmp_path: Path) -> None:
    name = with_logits(store, tmp_path)
    push(store, afar, Quiet())
    put_in_place_of(afar, name, "logits.npy", b"LOGITS")
    assert pull(other, afar, Quiet()).left == (f"{name}: logits.npy is not the file that files.json names",)
    assert not list(other.profiles.entries())


def blob_of(afar: Remote, name: str, file: str) -> Path:
    digest = json.loads(list_of(afar, name).read_text())["files"][file]["sha256"]
    return Path(afar.url, "blobs", digest[:2], digest)


def damaged(how: str, afar: Remote, name: str) -> None:
    blob = blob_of(afar, name, "files/model.onnx")
    if how == "empty list":  # as a full disk left it
        list_of(afar, name).write_bytes(b"")
    elif how == "half a list":
        list_of(afar, name).write_bytes(list_of(afar, name).read_bytes()[:100])
    elif how == "no file":
        blob.unlink()
    else:
        blob.write_bytes(blob.read_bytes()[:10])


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("how", ["empty list", "half a list", "no file", "half a file"])
def test_what_nobody_can_fetch_is_sent_again_by_who_has_it(
    how: str, alone: bool, store: Store, afar: Remote, tmp_path: Path
) -> None:
    name = f"artifacts/quantize/{obtain(store, Quantize())[0].key}"
    with_logits(store, tmp_path)
    push(store, afar, Quiet())
    damaged(how, afar, name)
    sent = push(store, afar, Quiet(), only=[name] if alone else None)
    assert (sent.entries, sent.there, sent.left) == (1, 0 if alone else 1, ())
    assert is_whole(afar, tmp_path / "other", 2)
    again = push(store, afar, Quiet())
    assert (again.entries, again.bytes, again.there) == (0, 0, 2)


def test_a_list_of_a_later_edgecnn_is_left_as_it_is(store: Store, afar: Remote) -> None:
    name = f"artifacts/quantize/{obtain(store, Quantize())[0].key}"
    push(store, afar, Quiet())
    list_of(afar, name).write_text('{"schema": "edgecnn.remote-entry/2"}')
    sent = push(store, afar, Quiet())
    assert (sent.entries, sent.there, sent.left) == (0, 0, (f"{name}: another edgecnn wrote its list there",))
    assert list_of(afar, name).read_text() == '{"schema": "edgecnn.remote-entry/2"}'


def test_a_list_that_a_full_disk_cuts_off_is_never_seen(
    store: Store, afar: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    obtain(store, Quantize())

    def full(path: str, content: bytes) -> None:
        Path(path).write_bytes(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(RemoteUnusable, match="writing to it: .*No space left"):
        patched.setattr(afar._fs, "pipe_file", full)
        push(store, afar, Quiet())
    assert not [path for path in Path(afar.url, "entries").rglob("*") if path.is_file()]
    assert push(store, afar, Quiet()).entries == 1 and is_whole(afar, tmp_path / "other", 1)


def test_a_list_whose_writer_is_killed_is_none_and_what_it_left_is_cleared(
    store: Store, afar: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    obtain(store, Quantize())

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(afar._fs, "mv", killed)
        patched.setattr(afar._fs, "rm_file", killed)
        push(store, afar, Quiet())
    assert afar.names() == set() and len(list(Path(afar.url).rglob("*.part"))) == 1
    assert push(store, afar, Quiet()).entries == 1 and is_whole(afar, tmp_path / "other", 1)
    assert collect_remote(afar).removed == () and len(list(Path(afar.url).rglob("*.part"))) == 1, "it may be on its way"
    aged(afar, 2)
    assert collect_remote(afar).removed == () and not list(Path(afar.url).rglob("*.part"))
    assert is_whole(afar, tmp_path / "third", 1)


def test_an_entry_that_a_push_mends_while_it_is_collected_stays(
    store: Store, afar: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"artifacts/quantize/{obtain(store, Quantize())[0].key}"
    push(store, afar, Quiet())
    damaged("half a file", afar, name)
    aged(afar, 3)
    real = gc._entry_lists

    def late(*given: Any) -> Any:
        found = real(*given)
        push(store, Remote(afar.url), Quiet())
        return found

    monkeypatch.setattr(gc, "_entry_lists", late)
    assert collect_remote(afar, older_than_s=None).removed == ()
    assert is_whole(afar, tmp_path / "other", 1)


def test_logits_that_rotted_here_are_not_sent(store: Store, afar: Remote, tmp_path: Path) -> None:
    name = with_logits(store, tmp_path)
    (store.root / name / "logits.npy").write_bytes(b"LOGITS")
    sent = push(store, afar, Quiet())
    assert (sent.entries, sent.left) == (0, (f"{name}: damaged here; `edgecnn store verify` lists the damage",))
    assert afar.names() == set()


def test_a_damaged_entry_makes_way_for_a_whole_one_and_is_never_taken_for_it(
    store: Store, afar: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = obtain(store, Quantize())[0]
    push(store, afar, Quiet())
    monkeypatch.setenv(REMOTE, afar.url)
    reader = Store.open(store.root)
    model = made.folder / "model.onnx"
    whole = model.read_bytes()
    model.write_bytes(whole[::-1])
    found = reader.artifacts.retrieve("quantize", made.key, Quiet())
    assert found is not None and (found.folder / "model.onnx").read_bytes() == whole and verify(store, Quiet()).ok
    model.write_bytes(whole[::-1])
    list_of(afar, f"artifacts/quantize/{made.key}").unlink()
    assert reader.artifacts.retrieve("quantize", made.key, Quiet()) is None
    assert reader.artifacts.retrieve("quantize", made.key, Quiet()) is None


@pytest.mark.parametrize("path", ["files/model.onnx/x", "record.json/x", f"files/{'x' * 300}", "files/./model.onnx", "files//x"])
def test_a_list_with_names_that_no_disk_takes_is_damaged_and_leaves_the_others(
    path: str, store: Store, other: Store, afar: Remote, tmp_path: Path
) -> None:
    name = f"artifacts/quantize/{obtain(store, Quantize())[0].key}"
    with_logits(store, tmp_path)
    push(store, afar, Quiet())
    facts = json.loads(list_of(afar, name).read_text())
    facts["files"][path] = facts["files"]["record.json"]
    list_of(afar, name).write_text(json.dumps(facts))
    found = pull(other, afar, Quiet())
    assert found.entries == 1 and len(found.left) == 1 and "its list of files names" in found.left[0]


@pytest.mark.parametrize("path", ["x/" * 2100 + "x", "files/" + "y/" * 600 + "y"])
def test_a_list_with_a_path_over_any_limit_is_skipped_and_blames_the_remote(
    path: str, store: Store, other: Store, afar: Remote, tmp_path: Path
) -> None:
    name = f"artifacts/quantize/{obtain(store, Quantize())[0].key}"
    with_logits(store, tmp_path)
    push(store, afar, Quiet())
    facts = json.loads(list_of(afar, name).read_text())
    facts["files"][path] = facts["files"]["record.json"]
    list_of(afar, name).write_text(json.dumps(facts))
    found = pull(other, afar, Quiet())
    assert (found.entries, found.left) == (
        1,
        (f"{name}: its list of files names a path of {len(path):,} bytes, more than 1,024",),
    )


def test_an_entry_whose_name_no_disk_takes_is_none(store: Store, other: Store, afar: Remote, tmp_path: Path) -> None:
    with_logits(store, tmp_path)
    push(store, afar, Quiet())
    long = Path(afar.url, "entries", "profiles", "a" * 200, "b" * 200, f"{'c' * 200}.json")
    long.parent.mkdir(parents=True)
    long.write_text("{}")
    found = pull(other, afar, Quiet())
    assert (found.entries, found.left) == (1, ())


@pytest.mark.parametrize("what", ["list", "file"])
@pytest.mark.parametrize("kind", ["pipe", "device", "300 MiB"])
def test_a_pipe_or_a_device_in_its_place_is_not_read_and_leaves_the_others(
    what: str, kind: str, store: Store, other: Store, afar: Remote, tmp_path: Path
) -> None:
    name = f"artifacts/quantize/{obtain(store, Quantize())[0].key}"
    with_logits(store, tmp_path)
    push(store, afar, Quiet())
    if what == "file":
        put_in_place_of(afar, name, "files/model.onnx", b"")
    place = list_of(afar, name) if what == "list" else blob_of(afar, name, "files/model.onnx")
    place.unlink()
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    else:
        with place.open("wb") as file:
            file.truncate(300 << 20)
    found = pull(other, afar, Quiet())
    assert found.entries == 1 and len(found.left) == 1 and found.left[0].startswith(name)

"""The store afar, on a folder: what goes, what comes back, and what is refused. ``test_s3`` has the same on a bucket."""

import json
from pathlib import Path

import pytest

from edgecnn.errors.store import RemoteUnusable
from edgecnn.render.progress import Quiet
from edgecnn.store import remote as of_remote
from edgecnn.store.listing import verify
from edgecnn.store.remote import Remote
from edgecnn.store.remote_files import redacted
from edgecnn.store.store import REMOTE, Store
from edgecnn.store.transfer import pull, push
from edgecnn.values.artifact import Artifact, Cached, Ran
from tests.store.test_artifacts import no_maker
from tests.store.test_profiles import a_profile
from tests.store.toys import Ear, Quantize, Train, files_in, obtain


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "other")


def stored(store: Store) -> Artifact:
    return obtain(store, Quantize())[0]


def test_what_is_pushed_is_pulled_byte_for_byte_and_never_sent_twice(store: Store, other: Store, afar: Remote) -> None:
    stored(store)
    obtain(store, Train(epochs=3))
    store.profiles.add(a_profile())
    sent = push(store, afar, Quiet())
    assert (sent.entries, sent.there, sent.left) == (3, 0, ()) and sent.bytes > 0
    assert (push(store, afar, Quiet()).entries, push(store, afar, Quiet()).bytes) == (0, 0)
    assert pull(other, afar, Quiet()).entries == 3
    for part in ("artifacts", "profiles"):
        assert files_in(other.root / part) == files_in(store.root / part)
    assert verify(other, Quiet()).ok and pull(other, afar, Quiet()).entries == 0


def test_files_that_entries_have_in_common_are_sent_once(store: Store, afar: Remote) -> None:
    obtain(store, Train(epochs=2))
    push(store, afar, Quiet())
    obtain(store, Train(epochs=3))
    sent = push(store, afar, Quiet())
    assert sent.bytes < 2_000 and len(list(Path(afar.url, "blobs").rglob("*/*"))) == 3 + 2


def test_a_miss_is_fetched_before_it_is_made(store: Store, afar: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(store)
    push(store, afar, Quiet())
    monkeypatch.setenv(REMOTE, afar.url)
    found, outcome = obtain(Store.open(tmp_path / "other"), Quantize(), maker=no_maker)
    assert isinstance(outcome, Cached) and found.folder.is_relative_to(tmp_path / "other")


def test_a_place_that_cannot_be_reached_makes_nobody_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(REMOTE, str(tmp_path / "file"))
    ear = Ear()
    assert isinstance(obtain(Store.open(tmp_path / "store"), Quantize(), tell=ear)[1], Ran)
    monkeypatch.setenv(REMOTE, "nowhere://bucket")
    assert isinstance(obtain(Store.open(tmp_path / "third"), Quantize(), tell=ear)[1], Ran)
    assert any("is rebuilt here: the remote store nowhere://bucket cannot be used" in note for note in ear.notes)


def blob_of(afar: Remote, artifact: Artifact, name: str) -> Path:
    digest = artifact.record.files[name].sha256
    return Path(afar.url, "blobs", digest[:2], digest)


def test_a_wrong_byte_there_is_no_entry_here_and_leaves_the_others(store: Store, other: Store, afar: Remote) -> None:
    artifact = stored(store)
    obtain(store, Train(epochs=2))
    push(store, afar, Quiet())
    blob = blob_of(afar, artifact, "model.onnx")
    blob.write_bytes(b"x" * blob.stat().st_size)
    found = pull(other, afar, Quiet())
    assert found.entries == 1
    assert found.left == (f"artifacts/quantize/{artifact.key}: files/model.onnx changed there after it was stored",)
    assert not other.layout.entry("quantize", artifact.key).exists() and verify(other, Quiet()).ok


def test_half_an_upload_is_no_entry_and_is_sent_again(store: Store, other: Store, afar: Remote) -> None:
    artifact = stored(store)
    push(store, afar, Quiet())
    blob, listed = blob_of(afar, artifact, "model.onnx"), Path(afar.url, f"entries/artifacts/quantize/{artifact.key}.json")
    blob.write_bytes(blob.read_bytes()[:10])
    assert "model.onnx has 10 bytes there instead of" in pull(other, afar, Quiet()).left[0]
    listed.unlink()  # killed before the list was written: nobody sees an entry
    assert pull(other, afar, Quiet()) == pull(other, afar, Quiet()).model_copy(update={"entries": 0, "left": ()})
    assert push(store, afar, Quiet()).entries == 1
    assert pull(other, afar, Quiet()).entries == 1 and verify(other, Quiet()).ok


def test_what_an_interrupted_pull_brought_is_not_fetched_again(store: Store, other: Store, afar: Remote) -> None:
    artifact = stored(store)
    push(store, afar, Quiet())
    blob = blob_of(afar, artifact, "model.onnx")
    whole = blob.read_bytes()
    blob.write_bytes(b"y" * len(whole))
    assert pull(other, afar, Quiet()).left
    (kept,) = (other.root / "work/pull").iterdir()
    assert (kept / "files/sub/facts.json").is_file() and not (kept / "files/model.onnx").exists()
    blob_of(afar, artifact, "sub/facts.json").write_bytes(b"[]")  # what is here is not asked for once more
    blob.write_bytes(whole)
    assert pull(other, afar, Quiet()).entries == 1 and verify(other, Quiet()).ok
    assert not kept.exists()


@pytest.mark.parametrize("path", ["../../../../escaped", "/tmp/escaped", "files/../../../escaped", "files\\..\\escaped"])
def test_a_list_leads_out_of_no_folder(path: str, store: Store, other: Store, afar: Remote) -> None:
    artifact = stored(store)
    push(store, afar, Quiet())
    listed = Path(afar.url, f"entries/artifacts/quantize/{artifact.key}.json")
    facts = json.loads(listed.read_text())
    facts["files"][path] = facts["files"]["record.json"]
    listed.write_text(json.dumps(facts))
    said = "its list of files names a file outside the entry"
    assert pull(other, afar, Quiet()).left == (f"artifacts/quantize/{artifact.key}: {said}",)
    assert not list(other.root.parent.rglob("escaped"))


def test_an_entry_under_another_name_or_with_a_file_too_many_is_refused(store: Store, other: Store, afar: Remote) -> None:
    artifact = stored(store)
    push(store, afar, Quiet())
    listed = Path(afar.url, f"entries/artifacts/quantize/{artifact.key}.json")
    listed.with_name(f"{'0' * 64}.json").write_bytes(listed.read_bytes())
    facts = json.loads(listed.read_text())
    facts["files"]["files/more.bin"] = facts["files"]["record.json"]
    listed.write_text(json.dumps(facts))
    left = pull(other, afar, Quiet()).left
    assert left[0].endswith(": record.json belongs to another key")
    assert left[1].endswith(": it lacks files that its record names")
    assert not list(other.artifacts.names())


def test_names_that_are_none_of_ours_are_passed_over(store: Store, other: Store, afar: Remote) -> None:
    stored(store)
    push(store, afar, Quiet())
    for name in ("entries/readme.txt", "entries/artifacts/quantize/short.json", "entries/profiles/a/b.json"):
        Path(afar.url, name).parent.mkdir(parents=True, exist_ok=True)
        Path(afar.url, name).write_text("{}")
    assert pull(other, afar, Quiet()).left == ()


def test_what_cannot_be_used_says_so(store: Store, tmp_path: Path) -> None:
    with pytest.raises(RemoteUnusable) as caught:
        Remote("nowhere://bucket/x")
    assert caught.value.fields["because"].startswith("nowhere is not a known kind of place; known are ")
    (tmp_path / "file").write_text("")
    stored(store)
    with pytest.raises(RemoteUnusable, match="file cannot be used: .*ot a directory"):
        push(store, Remote(str(tmp_path / "file")), Quiet())
    assert Remote("file://me:secret@host/x").url == "file://…@host/x"


def test_a_file_that_arrives_short_and_stays_so_is_refused(store: Store, afar: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(store)
    monkeypatch.setattr(of_remote, "PATIENCE_S", 0.0)

    def short(sources: list[str], targets: list[str]) -> None:
        for target in map(Path, targets):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"x")

    monkeypatch.setattr(afar._fs, "put", short)
    with pytest.raises(RemoteUnusable, match=r"1 of [\d,]+ bytes of a file arrived"):
        push(store, afar, Quiet())
    assert afar.names() == set()


def test_credentials_in_an_address_are_shown_nowhere() -> None:
    assert redacted("sftp://me:p@ss@host/x@y") == "sftp://…@host/x@y"
    assert redacted("s3://team/a@b") == "s3://team/a@b"

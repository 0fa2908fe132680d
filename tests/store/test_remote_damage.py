"""What a store afar has that is not what was sent: it is not taken, and a push by who has the entry mends it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from edgecnn.render.progress import Quiet
from edgecnn.store.remote import Remote
from edgecnn.store.store import Store
from edgecnn.store.transfer import pull, push
from edgecnn.values.artifact import Ran
from tests.store.test_profiles import a_profile
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

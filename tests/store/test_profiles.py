from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors.store import StoreFull, StoreUnusable, UnstableValue
from edgecnn.store import profiles
from edgecnn.store.entry import Damage
from edgecnn.store.listing import verify
from edgecnn.store.profiles import FACTS, PROFILE, StoredProfile, read_profile
from edgecnn.store.store import Store
from edgecnn.values.layers import Residency
from edgecnn.values.profile import Environment, Profile
from edgecnn.values.verdict import Fidelity
from tests.store.toys import Ear

KIT = "ab" * 32


def a_profile(**changed: Any) -> Profile:
    facts: dict[str, Any] = {
        "what": "evaluation",
        "subject": KIT,
        "device": "cpu",
        "host": "this machine",
        "environment": Environment(conditions={"cpu": "x"}, observed={}),
        "fidelity": Fidelity.MEASURED,
        "observed_at": "2026-11-30T10:00:00+00:00",
    }
    return Profile(**{**facts, **changed})


def test_a_profile_comes_back_with_copies_of_its_files(store: Store, tmp_path: Path) -> None:
    logits = tmp_path / "logits.npy"
    logits.write_bytes(b"logits")
    stored = store.profiles.add(a_profile(logits_file="logits.npy"), {"logits.npy": logits})
    logits.write_bytes(b"changed afterwards")
    assert store.profiles.of(KIT, "evaluation") == (stored,)
    assert stored.file("logits.npy").read_bytes() == b"logits"
    assert stored.folder == store.root / "profiles" / KIT / "evaluation" / stored.id
    assert stored.id.startswith("20261130T100000Z-")
    assert store.profiles.of(KIT, "race") == ()
    assert store.profiles.of("cd" * 32, "evaluation") == ()


def test_the_newest_observation_comes_first_whatever_its_zone(store: Store) -> None:
    times = ["2026-11-30T10:00:00+00:00", "2026-11-30T10:30:00+02:00", "2026-11-30T09:00:00Z", "2026-11-30T10:00:00.250+00:00"]
    for moment in times:
        store.profiles.add(a_profile(observed_at=moment))
    found = [stored.profile.observed_at for stored in store.profiles.of(KIT, "evaluation")]
    assert found == [times[3], times[0], times[2], times[1]]
    assert len(list(store.profiles.entries())) == 4


def test_the_same_profile_twice_is_one_entry_and_other_files_are_another(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    first = store.profiles.add(a_profile(), {"logits.npy": tmp_path / "a"})
    assert store.profiles.add(a_profile(), {"logits.npy": tmp_path / "a"}) == first
    assert store.profiles.add(a_profile(), {"logits.npy": tmp_path / "b"}) != first
    assert len(store.profiles.of(KIT, "evaluation")) == 2


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("logits.npy", "logits.npy has 1 bytes instead of 6"),
        ("profile.json", "profile.json is truncated or not a record"),
        ("files.json", "files.json is truncated or not a record"),
    ],
)
def test_a_damaged_profile_counts_as_not_measured(store: Store, tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "logits.npy").write_bytes(b"logits")
    stored = store.profiles.add(a_profile(), {"logits.npy": tmp_path / "logits.npy"})
    os.truncate(stored.file(name), 1)
    assert store.profiles.of(KIT, "evaluation") == ()
    damage = read_profile(stored.folder)
    assert getattr(damage, "why", None) == why
    again = store.profiles.add(a_profile(), {"logits.npy": tmp_path / "logits.npy"})
    assert store.profiles.of(KIT, "evaluation") == (again,)


NO_MOMENTS = (
    "yesterday", "", "2026-11-20T09:00:00", "0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00", "2026-13-40T00:00:00Z",
)  # fmt: skip


def as_pulled(stored: StoredProfile, text: str, **others: dict[str, object]) -> None:
    """As a pulled store may bring it: files.json vouches for the bytes of the profile, whatever they say."""
    (stored.folder / PROFILE).write_text(text)
    own = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "bytes": len(text)}
    (stored.folder / FACTS).write_text(json.dumps({"files": {PROFILE: own, **others}}))


@pytest.mark.parametrize("when", NO_MOMENTS)
def test_a_stored_profile_without_a_moment_in_utc_is_damaged_and_repaired(store: Store, when: str) -> None:
    stored = store.profiles.add(a_profile())
    with pytest.raises(ValueError, match="observed_at"):
        Profile.model_validate({**stored.profile.model_dump(), "observed_at": when})
    as_pulled(stored, (stored.folder / PROFILE).read_text().replace(stored.profile.observed_at, when))
    assert store.profiles.of(stored.profile.subject, stored.profile.what) == ()
    found = verify(store, Ear(), repair=True)
    (damaged,) = found.damaged
    assert damaged.why.startswith(f"{PROFILE}: observed_at: ")
    assert not stored.folder.exists() and verify(store, Ear()).damaged == ()


NO_NAMES = ("a\0b", "x" * 5000, "/etc/passwd", "../../x", "a/b", "", ".hidden", "..", FACTS, "a\n")


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_listed_name_that_is_no_plain_file_name_is_damage_and_nothing_is_looked_at(
    store: Store, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    stored = store.profiles.add(a_profile())
    as_pulled(stored, (stored.folder / PROFILE).read_text(), **{name: {"sha256": "0" * 64, "bytes": 3}})
    monkeypatch.setattr(profiles, "stamp_of", lambda path: pytest.fail(f"{path} is looked at"))
    assert read_profile(stored.folder) == Damage(f"{FACTS} lists {ascii(name)[:100]}, which is not a file of a profile")
    (damaged,) = verify(store, Ear(), repair=True).damaged
    assert damaged.moved_to_trash and verify(store, Ear()).damaged == ()


@pytest.mark.parametrize("name", ["../../../x.npy", "/etc/passwd", "other.npy", "", "\0"])
def test_logits_that_are_not_a_file_of_the_profile_are_damage(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / "logits.npy").write_bytes(b"logits")
    stored = store.profiles.add(a_profile(logits_file="logits.npy"), {"logits.npy": tmp_path / "logits.npy"})
    listed = json.loads((stored.folder / FACTS).read_text())["files"]["logits.npy"]
    text = (stored.folder / PROFILE).read_text().replace('"logits.npy"', json.dumps(name))
    as_pulled(stored, text, **{"logits.npy": listed})
    assert read_profile(stored.folder) == Damage(f"{PROFILE} names the logits {ascii(name)}, which {FACTS} does not list")
    assert verify(store, Ear(), repair=True).damaged[0].moved_to_trash


@pytest.mark.parametrize("record", [PROFILE, FACTS])
def test_a_folder_in_place_of_a_record_is_damage_that_can_be_repaired(store: Store, record: str) -> None:
    stored = store.profiles.add(a_profile())
    (stored.folder / record).unlink()
    (stored.folder / record).mkdir()
    assert store.profiles.of(KIT, "evaluation") == ()
    (damaged,) = verify(store, Ear(), repair=True).damaged
    assert damaged.why.startswith(f"{record}: ") and not stored.folder.exists()


def test_what_cannot_be_written_as_json_is_refused(store: Store) -> None:
    residency = Residency(basis="executed", layers=(), mac_share={"int8": float("nan")}, time_share=None)
    with pytest.raises(UnstableValue):
        store.profiles.add(a_profile(what="residency", residency=residency))


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "profile.json", "files.json"])
def test_names_that_would_leave_the_folder_are_refused(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(ValueError, match="cannot name"):
        store.profiles.add(a_profile(), {name: tmp_path / "x"})


def test_a_failure_while_filing_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises((StoreUnusable, StoreFull, FileNotFoundError)):
        store.profiles.add(a_profile(), {"logits.npy": tmp_path / "absent"})
    assert list(store.profiles.entries()) == []

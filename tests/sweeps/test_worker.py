"""A stage made by a machine of a cluster: what it may not be made under, and what is no success."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors.store import STORE_UNUSABLE
from edgecnn.store.remote import Remote
from edgecnn.store.transfer import Transferred
from edgecnn.sweeps.tasks import StageTask
from edgecnn.sweeps.worker import Shared, TaskOutcome, Terms, make
from edgecnn.values.stage import Key, Progress, Role
from tests.store.toys import VERSIONS, Prepare, Quantize, Train

HOST = os.uname().nodename


class FullDisk(Train):
    """Whose disk takes nothing more."""

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(out / "model"))


def task_of(stage: Any) -> StageTask:
    return StageTask(stage.key(VERSIONS), stage, VERSIONS)


@pytest.fixture
def terms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terms:
    """Of a machine whose store is ``asks``, to one that has ``theirs``, both with a store afar."""
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "theirs"))
    return Terms.of(Shared(tmp_path / "asks", (tmp_path / "afar").as_uri(), "token"), ["numpy"], ())


def afar(tmp_path: Path) -> set[str]:
    return Remote((tmp_path / "afar").as_uri()).names()


def test_what_is_made_is_handed_on(terms: Terms, tmp_path: Path) -> None:
    task = task_of(Quantize(inputs={}))
    assert make(task, terms, node="one") == TaskOutcome("one")
    assert afar(tmp_path) == {task.entry}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"versions": {"numpy": "1.0"}}, " has numpy "),
        ({"source_sha256": ""}, " has other source code of edgecnn "),
        ({"paths": (Path("/absent"),)}, " cannot read /absent, which must have the same path there"),
    ],
)
def test_a_machine_that_joined_later_and_is_otherwise_makes_nothing(
    changes: Mapping[str, Any], said: str, terms: Terms, tmp_path: Path
) -> None:
    made = make(task_of(Quantize(inputs={})), replace(terms, **changes), node="one")
    assert (made.node, made.elsewhere) == ("one", True)
    assert made.error is not None and made.error.startswith(HOST) and said in made.error
    assert not (tmp_path / "theirs").exists() and not (tmp_path / "afar").exists()


def test_a_machine_that_joined_later_and_shares_no_store_makes_nothing(terms: Terms, tmp_path: Path) -> None:
    alone = replace(terms, shared=replace(terms.shared, remote=None))
    error = f"{HOST} does not see the store {tmp_path / 'asks'}: put it on a network folder, or name a remote store in "
    assert make(task_of(Quantize(inputs={})), alone) == TaskOutcome(error=f"{error}EDGECNN_STORE_REMOTE", elsewhere=True)
    assert not (tmp_path / "theirs").exists()


def test_another_key_than_was_asked_for_is_an_error(terms: Terms, tmp_path: Path) -> None:
    task = task_of(Quantize(inputs={}))
    error = f"{HOST} made quantize {task.key[:12]} instead of {'0' * 12}"
    assert make(replace(task, key=Key("0" * 64)), terms) == TaskOutcome(error=error)
    assert not (tmp_path / "afar").exists()


def test_what_was_not_handed_on_is_an_error(terms: Terms, monkeypatch: pytest.MonkeyPatch) -> None:
    left = Transferred(entries=0, bytes=0, there=0, left=("quantize: damaged here",))
    monkeypatch.setattr("edgecnn.sweeps.worker.push", lambda *_, **__: left)
    assert make(task_of(Quantize(inputs={})), terms) == TaskOutcome(error=f"{HOST} did not share quantize: damaged here")


def test_a_failure_of_the_machine_s_own_disk_may_not_be_another_s(terms: Terms, tmp_path: Path) -> None:
    full = make(task_of(FullDisk(inputs={})), terms)
    assert full.elsewhere and full.error is not None
    assert full.error.startswith(f"there is no space left for the store {tmp_path / 'theirs'}") and full.error.endswith(
        "[store-full]"
    )


def test_what_is_sent_along_and_cannot_be_written_there_is_the_machine_s_own_failure(terms: Terms, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/manifests").touch()
    stage = Prepare(inputs={"images": Key("a" * 64)})
    task = replace(task_of(stage), sources={"images": tmp_path / "asks/manifests/list.json"})
    error = STORE_UNUSABLE(root=tmp_path / "theirs", because=f"file exists: {tmp_path / 'theirs/manifests'}")
    assert make(task, terms, ("images",), b"{}") == TaskOutcome(error=error.line(), elsewhere=True)


def test_an_input_that_does_not_come_to_this_machine_may_come_to_another(terms: Terms) -> None:
    key = Key("a" * 64)
    task = replace(task_of(Train(inputs={"pixels": key})), made={"pixels": "prepare"})
    assert make(task, terms, node="one") == TaskOutcome(
        "one", f"{HOST} does not find prepare {key[:12]} in any store", elsewhere=True
    )

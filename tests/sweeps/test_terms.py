"""What a machine of a cluster has to be like, and what leaves this one to tell it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgecnn import __version__
from edgecnn.installed import installed_version
from edgecnn.store.entry import Layout
from edgecnn.store.store import Store
from edgecnn.sweeps.worker import Shared, Terms

HOST = os.uname().nodename


@pytest.fixture
def terms(tmp_path: Path) -> Terms:
    """Of this machine, whose store this process sees."""
    (tmp_path / "token").touch()
    return Terms.of(Shared(tmp_path, None, "token"), ["numpy"], [tmp_path])


@pytest.fixture(autouse=True)
def no_store_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGECNN_STORE", raising=False)


def test_the_machine_that_asks_meets_its_own_terms(terms: Terms) -> None:
    assert terms.unmet() == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"edgecnn": "9.9"}, f"has other source code of edgecnn {__version__}; this machine has 9.9"),
        ({"source_sha256": "f" * 64}, f"has other source code of edgecnn {__version__}; this machine has {__version__}"),
        ({"versions": {"numpy": "1.0"}}, f"has numpy {installed_version('numpy')}; this machine has 1.0"),
        ({"versions": {"absent-package": "1.0"}}, "has no absent-package; this machine has 1.0"),
        ({"versions": {"numpy": None}}, f"has numpy {installed_version('numpy')}; this machine has none"),
        ({"paths": (Path("/absent"),)}, "cannot read /absent, which must have the same path there"),
    ],
)
def test_what_a_machine_has_otherwise_is_said_with_its_name(changes: Mapping[str, Any], said: str, terms: Terms) -> None:
    assert replace(terms, **changes).unmet() == (f"{HOST} {said}",)


def test_a_machine_with_a_store_of_its_own_needs_one_afar(terms: Terms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", "/theirs")
    root = terms.shared.root
    assert terms.unmet() == (
        f"{HOST} does not see the store {root}: put it on a network folder, or name a remote store in EDGECNN_STORE_REMOTE",
    )
    assert replace(terms, shared=replace(terms.shared, remote="s3://bucket")).unmet() == ()
    withheld = Shared.of(Store(Layout(root), "sftp://me:secret@host/store"), "token")
    assert replace(terms, shared=withheld).unmet() == (
        f"{HOST} does not see the store {root}, and EDGECNN_STORE_REMOTE holds credentials, which are not sent; put them into "
        "its client's own configuration",
    )


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("sftp://me:secret@host/store", False),
        ("sftp://secret@host", False),
        ("s3://bucket/secret@store", True),
        ("file:///secret", True),
    ],
)
def test_no_machine_is_sent_credentials(url: str, sent: bool, tmp_path: Path) -> None:
    terms = Terms.of(Shared.of(Store(Layout(tmp_path), url), "token"), (), ())
    assert (terms.shared.remote == url) is sent
    assert (b"secret" in pickle.dumps(terms)) is sent

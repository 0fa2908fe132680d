from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.errors.store import StoreUnusable
from edgecnn.store.store import Store, default_root


def test_the_store_is_where_it_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "stated"))
    assert Store.open().root == tmp_path / "stated"
    assert Store.open(tmp_path / "argument").root == tmp_path / "argument"
    monkeypatch.delenv("EDGECNN_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert Store.open().root == tmp_path / "cache" / "edgecnn"
    monkeypatch.setenv("HOME", str(tmp_path))
    for unset in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert Store.open().root == default_root() == tmp_path / ".cache" / "edgecnn"
    assert list(tmp_path.iterdir()) == []


def test_without_a_home_the_store_asks_for_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("EDGECNN_STORE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 9)  # of nobody, as in a container that is told a user by number
    with pytest.raises(StoreUnusable) as refused:
        default_root()
    assert refused.value.line() == (
        "the store ~/.cache/edgecnn cannot be used: the home folder is unknown"
        " — set EDGECNN_STORE=FOLDER to a folder that you can read and write [store-unusable]"
    )


def test_a_relative_root_stays_where_it_was_when_the_process_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Store.open(Path("here")).root == tmp_path / "here"


def test_a_store_at_or_below_a_file_is_refused_with_the_file_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for root in (tmp_path / "file", tmp_path / "file" / "below" / "store"):
        with pytest.raises(StoreUnusable) as refused:
            Store.open(root)
        assert refused.value.line() == (
            f"the store {root} cannot be used: {tmp_path}/file is not a folder"
            " — set EDGECNN_STORE=FOLDER to a folder that you can read and write [store-unusable]"
        )


def test_the_store_imports_nothing_heavy() -> None:
    script = "import sys, edgecnn.store.gc, edgecnn.store.listing, edgecnn.store.listing; print(' '.join(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy = {"numpy", "scipy", "torch", "onnx", "onnxruntime", "openvino", "nncf", "PIL", "typer", "rich"}
    assert heavy.isdisjoint(ran.stdout.split())

"""Every file of a store has the permissions of the umask, so that users can share the store."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from edgecnn.data.manifest import summarize
from edgecnn.store.disk import umask_mode
from edgecnn.store.store import Store
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Progress, Role
from tests.data.folders import Heard, fill
from tests.store.toys import Ear, Quantize, obtain


@pytest.fixture(params=[0o022, 0o002, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def private_maker(given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
    """Write as safetensors and ``mkdtemp`` do, for this user alone."""
    (out / "model.onnx").write_text("weights")
    (out / "model.onnx").chmod(0o600)
    (out / "sub").mkdir(mode=0o700)
    (out / "sub" / "facts.json").write_text("{}")
    (out / "sub" / "tool").write_text("#!/bin/sh")
    (out / "sub" / "tool").chmod(0o700)


def test_every_file_and_folder_has_the_umask_s_permissions(tmp_path: Path, umask: int) -> None:
    assert umask_mode(0o777) == 0o777 & ~umask
    store = Store.open(tmp_path / "store")
    obtain(store, Quantize(), maker=private_maker)
    store.secret(Ear())
    photos = fill(tmp_path / "photos", {"cat": 12, "dog": 12})
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in photos.rglob("*.png"):
            archive.write(path, path.relative_to(photos))
    summarize(DataChoice(path=str(tmp_path / "photos.zip")), store.root, Heard())
    modes = {path.relative_to(store.root).as_posix(): path.lstat().st_mode for path in store.root.rglob("*")}
    assert {name.rpartition("/")[2] for name in modes} >= {"model.onnx", "facts.json", "record.json", "secret", "000.png"}
    for name, mode in modes.items():
        whole = 0o777 if stat.S_ISDIR(mode) or name.endswith("/tool") else 0o666
        assert oct(stat.S_IMODE(mode)) == oct(whole & ~umask), name

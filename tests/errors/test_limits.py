"""A limit of the process is named as the cause, whatever a library made of it."""

from __future__ import annotations

import errno
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.limits import PROCESS_LIMIT, process_limit
from edgecnn.store.failures import failure_of_maker, named_failures, temporary_folder_errors
from edgecnn.store.store import Store
from tests.data.folders import fill

MIB = 1 << 20


@contextmanager
def limited(kind: int, most: int) -> Iterator[None]:
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_a_limit_of_memory_is_named_and_without_one_nothing_is(error: Exception) -> None:
    assert process_limit(error) is None
    with limited(resource.RLIMIT_AS, 100_000 * MIB):
        named = process_limit(error)
    assert named is not None
    assert (named.ref, named.fields["flag"], named.fields["value"]) == ("process-limit", "-v", "100,000 MiB")


def test_a_limit_of_file_size_is_named_wherever_a_file_is_written(tmp_path: Path) -> None:
    store, error = Store.open(tmp_path / "store"), OSError(errno.EFBIG, "File too large")
    with limited(resource.RLIMIT_FSIZE, 100 * MIB):
        failure = failure_of_maker(error, store.root, "making")
        assert failure is not None
        assert (failure.ref, failure.fields["flag"], failure.fields["value"]) == ("process-limit", "-f", "100 MiB")
        for block in (named_failures(store.root, "writing"), temporary_folder_errors("writing")):
            with pytest.raises(EdgecnnError, check=PROCESS_LIMIT.made), block:
                raise error


_COMMAND = "ulimit {limit} && exec {python} -m edgecnn {words}"


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("-v 2000000", "train --arch lenet-5 --set train.epochs=1"),
        ("-v 2000000", "plan --model model.pt --data photos --set model.resolution_px=32"),
        ("-f 16", "train --arch lenet-5 --set train.epochs=1"),
    ],
)
def test_a_command_under_a_limit_names_it(tmp_path: Path, limit: str, words: str) -> None:
    torch.jit.trace(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 2)), torch.zeros(1, 3, 32, 32)).save(
        tmp_path / "model.pt"
    )
    fill(tmp_path / "photos", {"cat": 12, "dog": 12})
    command = _COMMAND.format(limit=limit, python=sys.executable, words=words)
    environment = {
        "EDGECNN_STORE": str(tmp_path / "store"),
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "EDGECNN_OFFLINE": "1",
    }
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "[process-limit]" in done.stderr) == (2, True), done.stderr[-2000:]

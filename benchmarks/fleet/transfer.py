"""What pushing and pulling a store reaches of fsspec's own copy of the same files, into a folder or a bucket.

    python -m benchmarks.fleet.transfer STORE [--work transfer] [--rounds 7] [--s3]

STORE is a store with finished builds. Each round pushes it into an empty place and pulls it into an empty store, and lets fsspec
put and get the same files by the same names, in turns: what several entries have in common is put once and got for each. fsspec
compares nothing and leaves the disk to the kernel; a pulled entry was compared with its digests and is on the disk, so that
getting is timed until the disk has it too. ``--s3``: the place is a bucket of moto's server (extra ``s3``, and what the tests
need).
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

from edgecnn.judging.intervals import ratio_interval
from edgecnn.render.progress import Quiet
from edgecnn.store.remote import Remote, blob_at, local_entry
from edgecnn.store.store import Store
from edgecnn.store.transfer import local_names, pull, push
from edgecnn.values.artifact import FileFact

PORT = 5987
CREDENTIALS = {
    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{PORT}",
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
}


class File(NamedTuple):
    """Of an entry: its path below the store, and what it holds."""

    path: str
    fact: FileFact


def files_of(store: Store) -> list[File]:
    """Every file of every entry."""
    entries = {name: entry for name in local_names(store) if (entry := local_entry(store.layout, name)) is not None}
    return [File(f"{name}/{path}", fact) for name, entry in entries.items() for path, fact in entry.files.items()]


def seconds(action: Callable[[], object]) -> float:
    os.sync()
    began = time.monotonic()
    action()
    return time.monotonic() - began


def put(place: Remote, store: Store, files: list[File]) -> None:
    paths = {file.fact.sha256: store.root / file.path for file in files}
    place._fs.put([str(path) for path in paths.values()], [place._remote_path(blob_at(digest)) for digest in paths])


def get(place: Remote, files: list[File], into: Path) -> None:
    for folder in {(into / file.path).parent for file in files}:
        folder.mkdir(parents=True, exist_ok=True)
    place._fs.get([place._remote_path(blob_at(file.fact.sha256)) for file in files], [str(into / file.path) for file in files])


def get_synced(place: Remote, files: list[File], into: Path) -> None:
    get(place, files, into)
    os.sync()


def one_round(store: Store, files: list[File], url: str, work: Path, turn: int) -> dict[str, float]:
    ours, plain = Remote(f"{url}/ours"), Remote(f"{url}/plain")
    fresh = Store.open(work / "store")
    ways: dict[str, Callable[[], object]] = {
        "push": lambda: push(store, ours, Quiet()),
        "put": lambda: put(plain, store, files),
        "pull": lambda: pull(fresh, ours, Quiet()),
        "get": lambda: get(plain, files, work / "got"),
        "get, on disk": lambda: get_synced(plain, files, work / "got on disk"),
    }
    names = ["push", "put", "pull", "get", "get, on disk"] if turn % 2 else ["put", "push", "get, on disk", "get", "pull"]
    took = {name: seconds(ways[name]) for name in names}
    if len(local_names(fresh)) != len(local_names(store)):
        sys.exit("not every entry came back")
    for name in (ours, plain):
        name._fs.rm(name._root, recursive=True)
    shutil.rmtree(work)
    work.mkdir()
    return took


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def bucket() -> Iterator[str]:
    import s3fs

    os.environ.update(CREDENTIALS)
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(PORT)], stderr=subprocess.DEVNULL)
    try:
        while server.poll() is None and not answers(PORT):
            time.sleep(0.1)
        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("team")
        yield "s3://team"
    finally:
        server.terminate()
        server.wait()


@contextmanager
def folder(work: Path) -> Iterator[str]:
    yield str(work / "place")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--work", type=Path, default=Path("transfer"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--s3", action="store_true")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True)
    store = Store.open(options.store.resolve())
    files = files_of(store)
    sent = {file.fact.sha256: file.fact.bytes for file in files}
    mib = {"push": sum(sent.values()) / 2**20, "pull": sum(file.fact.bytes for file in files) / 2**20}
    there = f"{len(sent):,} of them different, {mib['push']:,.0f} MiB"
    print(f"{len(local_names(store))} entries, {len(files):,} files, {mib['pull']:,.0f} MiB; {there}")
    with bucket() if options.s3 else folder(work.parent / f"{work.name}-place") as url:
        rounds = [one_round(store, files, url, work, turn) for turn in range(options.rounds)]
    for ours, plain in (("push", "put"), ("pull", "get"), ("pull", "get, on disk")):
        print(f"{ours} {[round(row[ours], 2) for row in rounds]} s, {plain} {[round(row[plain], 2) for row in rounds]} s")
        ratio = ratio_interval([row[plain] for row in rounds], [row[ours] for row in rounds])
        assert ratio is not None, "of so few rounds there is no interval: --rounds 7"
        rates = [mib[ours] / median(round_[name] for round_ in rounds) for name in (ours, plain)]
        print(f"{ours}: {ratio.estimate:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] of fsspec's {plain}", end="; ")
        print(f"{rates[0]:,.0f} of {rates[1]:,.0f} MiB/s")


if __name__ == "__main__":
    main()

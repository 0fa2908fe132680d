"""A folder of results that is in two places: the board writes it, and what is finished there comes here.

The place there is named in a file of the folder here, written before anything runs, so that the next call finds what an
interrupted one left; who empties the folder here begins anew there too.
"""

from __future__ import annotations

import json
import os
import tarfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.errors.board import BoardFailed, LinkLost
from edgecnn.hosts.ssh.board import Board
from edgecnn.hosts.ssh.contents import Contents
from edgecnn.runner.schedule import kill_group
from edgecnn.store.disk import sha256_of

PLACE = ".there.json"


class Results:
    """One folder of results, here and on a board."""

    def __init__(self, board: Board, contents: Contents, out: Path) -> None:
        self._board, self._contents, self._out = board, contents, out

    @property
    def begun(self) -> bool:
        """Whether an earlier call left something on this board for it."""
        return self._known() is not None

    @property
    def folder(self) -> str:
        """Its name in the private folder there, chosen now where there is none."""
        known = self._known()
        if known is not None:
            return known
        named = f"results/{uuid.uuid4().hex}"
        self._out.mkdir(parents=True, exist_ok=True)
        path = self._out / PLACE
        half = path.with_suffix(".partial")
        half.write_text(json.dumps({**self._places(), self._board.name: named}, indent=1))
        half.replace(path)
        return named

    def give(self) -> str:
        """Let the board have what is here already and not there; returns the folder's path there."""
        there = self._there()
        files = {
            name: path for name, path in self._contents.of_folder(self._out).items() if _is_result(name) and name not in there
        }
        digests = self._contents.send(files.values()) if files else {}
        listing = {name: digests[path] for name, path in files.items()}
        return str(self._board.ask("lay", folder=self.folder, files=listing, fresh=False)["path"])

    def take(self) -> None:
        """Bring what is finished there and not the same here, each file as old as it is there."""
        there = self._there()
        wanted = {name: facts for name, facts in there.items() if _is_result(name) and not self._same(name, facts)}
        if wanted:
            self._fetch(wanted)

    def _places(self) -> dict[str, str]:
        try:
            return dict(json.loads((self._out / PLACE).read_bytes()))
        except (OSError, ValueError):
            return {}

    def _known(self) -> str | None:
        return self._places().get(self._board.name)

    def _there(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self._board.ask("list", folder=self.folder)["files"]
        return found

    def _same(self, name: str, facts: Mapping[str, Any]) -> bool:
        path = self._out / name
        return path.is_file() and path.stat().st_size == facts["bytes"] and sha256_of(path) == facts["sha256"]

    def _fetch(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        process = self._board.start("get", folder=self.folder, names=sorted(wanted))
        assert process.stdout is not None
        try:
            while line := process.stdout.readline():
                if line.startswith(b'{"sends"'):
                    break
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    self._keep(archive, member, wanted)
        except (tarfile.TarError, OSError, EOFError) as error:
            if self._board.link.ended():
                raise LinkLost(board=self._board.name, doing="fetching results") from error
            raise BoardFailed(board=self._board.name, doing="fetching results", said=[str(error)]) from error
        finally:
            kill_group(process)

    def _keep(self, archive: tarfile.TarFile, member: tarfile.TarInfo, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        """Only what was asked for, whole, and what it was said to be."""
        facts, content = wanted.get(member.name), archive.extractfile(member)
        if facts is None or content is None:
            raise BoardFailed(board=self._board.name, doing="fetching results", said=[f"{member.name!r} was not asked for"])
        path = self._out / member.name
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name(f"{path.name}.partial")
        with half.open("wb") as target:
            while block := content.read(1 << 20):
                target.write(block)
        if sha256_of(half) != facts["sha256"]:
            half.unlink()
            raise BoardFailed(board=self._board.name, doing="fetching results", said=[f"{member.name} came as another content"])
        written = time.time() - facts["age_s"]
        os.utime(half, (written, written))
        half.replace(path)


def _is_result(name: str) -> bool:
    return Path(name).name != PLACE and not name.endswith(".partial")

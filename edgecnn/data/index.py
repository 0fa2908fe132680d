"""A file that has not changed is not read again: its digest is filed under its path and its stamp (``store.disk.Stamp``).

100,000 files are stamped in about a third of a second of processor time, which is what a cached build waits for. Nothing here
imports Pillow or numpy before a file has to be read.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final, NamedTuple

from edgecnn.data.parallel import on_every_core
from edgecnn.errors.base import system_reason
from edgecnn.errors.wording import no_unicode
from edgecnn.store.disk import write_text_atomically
from edgecnn.store.failures import named_failures
from edgecnn.values.stage import Progress

_SCHEMA: Final = "edgecnn.index/1"
_FRESH_NS: Final = 2_000_000_000
"""A file changed within these of being read may change once more under the same stamp (the coarsest file systems count
modification times in steps of 2 s), so what was read of it is not kept."""


class Stamped(NamedTuple):
    """A file as a folder lists it; ``listing.stamps_in`` says what a stamp holds."""

    path: str
    stamp: str
    mtime_ns: int
    bytes: int
    """-1 of a file that cannot be stamped."""
    ctime_ns: int
    """Unlike ``mtime_ns``, no program can set this back."""


class Fact(NamedTuple):
    """What reading a file told: its digest, or why it is no usable picture.

    ``lasting`` is False where the reason may go away while the file stays as it is: it could not be opened.
    """

    sha256: str
    problem: str
    lasting: bool = True


def parse(folder: str, stamp: str) -> Stamped:
    """A stamp's parts, as seen from the root that ``folder`` is relative to."""
    path, size, mtime_ns, _, ctime_ns = stamp.rsplit("/", 4)
    prefix = f"{folder}/" if folder else ""
    return Stamped(f"{prefix}{path}", f"{prefix}{stamp}", int(mtime_ns), int(size), int(ctime_ns))


def now_ns() -> int:
    """The wall clock, which files are stamped with."""
    return time.time_ns()


def is_fresh(file: Stamped, read_ns: int) -> bool:
    """Whether a file was changed so lately that its stamp proves nothing yet. Times far in the future do not count."""
    return min(abs(read_ns - file.mtime_ns), abs(read_ns - file.ctime_ns)) < _FRESH_NS


def read_facts(root: Path, files: Sequence[Stamped], index_file: Path, tell: Progress) -> Mapping[str, Fact]:
    """The fact of every file by its path: from the index where the stamp is known, else read now.

    What was read is kept when the reading is interrupted too, so that a first run over many files can be continued.
    """
    known = _load(index_file, tell)
    facts = {file.path: known[file.stamp] for file in files if file.stamp in known}
    unknown = [file for file in files if file.path not in facts]
    if unknown:
        began_ns = now_ns()
        try:
            _read(root, unknown, facts, tell)
        finally:
            kept = {
                file.stamp: facts[file.path][:2]
                for file in files
                if file.path in facts and facts[file.path].lasting and not is_fresh(file, began_ns)
            }
            write_json(index_file, {"schema": _SCHEMA, "pillow": pillow_version(), "files": kept})
    return facts


def _read(root: Path, files: Sequence[Stamped], facts: dict[str, Fact], tell: Progress) -> None:
    def take(file: Stamped, fact: Fact) -> None:
        facts[file.path] = fact

    on_every_core(files, lambda file: _fact(root / file.path), take, "reading images", tell)


def _fact(path: Path) -> Fact:
    from edgecnn.data.headers import problem_of  # Pillow costs 60 ms, which a cached build need not pay

    try:
        path.name.encode("utf-8")
        problem, data = problem_of(path)
    except UnicodeEncodeError:
        return Fact("", f"its name {no_unicode(path.name)}")
    except OSError as error:
        return Fact("", system_reason(error), lasting=False)
    return Fact("", problem) if problem else Fact(hashlib.sha256(data).hexdigest(), "")


def _load(index_file: Path, tell: Progress) -> dict[str, Fact]:
    if not index_file.exists():
        return {}
    stored = read_json(index_file)
    try:
        if stored["schema"] != _SCHEMA:
            return {}
        same_pillow = stored["pillow"] == pillow_version()  # another one may read more formats, or fewer
        return {
            stamp: Fact(sha256, problem) for stamp, (sha256, problem) in stored["files"].items() if same_pillow or not problem
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        tell.note(f"{index_file} was damaged; every image is read again")
        return {}


def pillow_version() -> str:
    """The Pillow that decides what is an image: one version may be built with more decoders or fewer."""
    installed = distribution("pillow")
    built = hashlib.sha256((installed.read_text("RECORD") or "").encode()).hexdigest()
    return f"{installed.version}+{built[:12]}"


def digest_of_stamps(parts: Iterable[Sequence[str]]) -> str:
    """One digest over all stamps: equal only while no file was added, removed or changed."""
    digest = hashlib.sha256()
    for stamps in parts:
        digest.update("\n".join(stamps).encode("utf-8", "surrogateescape"))
        digest.update(b"\0\n")
    return digest.hexdigest()


def index_file_for(cache: Path, root: Path) -> Path:
    """Where the facts of one root are kept."""
    return cache / "manifests" / "index" / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.json"


def write_text(path: Path, text: str) -> None:
    """Write a whole file by one rename. Raises StoreFull: no space. StoreUnusable: no permission."""
    with named_failures(path.parent, "listing the images"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, text)


def write_json(path: Path, value: Any) -> None:
    """``write_text`` of a value as JSON."""
    write_text(path, json.dumps(value, separators=(",", ":")))


def read_json(path: Path) -> Any:
    """What a file of the cache holds, or None where it is absent or damaged: it is then made anew."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None

"""Reads one changed file after the other, as a process that may be ended by one.

``python -m tests.fuzz.reading KIND FIRST UNTIL`` runs in an empty folder, says the number of each file before it is read, and
what became of it after. Where atheris is installed, the branches of edgecnn that a file takes for the first time make it the
beginning of others (coverage-guided); else every file is a change of a right one.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import json
import os
import resource
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from tests.fuzz.kind import Kind

MEMORY_BYTES = 2 << 30
TIME_S = 20
FINE = ("read", "refused")
GUIDED = importlib.util.find_spec("atheris") is not None
"""By coverage, which atheris watches."""
_LONGER = 8
"""Times as long as the longest seed a file may grow."""


Read = Callable[[bytes], None]
"""Reads a file with this content, and says what became of it."""


def main(name: str, first: int, until: int) -> None:
    """Lines of JSON: ``[number]``, then ``[number, outcome, what was said]``."""
    to = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # mimalloc would reserve half of MEMORY_BYTES at once
    with _watched():
        from tests.fuzz.kinds import KINDS

    wanted = KINDS[name]
    Path("seeds").mkdir(exist_ok=True)
    seeds = wanted.seeds(Path.cwd() / "seeds")
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    read = _reader(wanted, range(first, until), to)
    if GUIDED:
        _guided(wanted, seeds, range(first, until), read)
    for number in range(first, until):
        draw = Random(f"{name} {number}")
        read(wanted.mutated(draw.choice(seeds), draw))


def _watched() -> AbstractContextManager[Any]:
    if not GUIDED:
        return nullcontext()
    import atheris

    return atheris.instrument_imports(include=["edgecnn"])  # type: ignore[no-any-return]


def _guided(wanted: Kind, seeds: Sequence[bytes], numbers: range, read: Read) -> None:
    """So many files, the seeds among them; what was found by a process before this one is begun with. It does not return."""
    import atheris

    corpus = Path("corpus")
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)

    def changed(content: bytes, most: int, seed: int) -> bytes:
        draw = Random(seed)
        if draw.randrange(2):
            content = draw.choice(seeds)  # what comes of a file that is refused early is refused early
        return (atheris.Mutate(content, most) if draw.randrange(5) == 0 else wanted.mutated(content, draw))[:most]  # type: ignore[no-any-return]

    longest = max(map(len, seeds)) * _LONGER
    words = [f"-runs={len(numbers)}", f"-seed={numbers[0] + 1}", f"-max_len={longest}", "-len_control=0", "-rss_limit_mb=0"]
    atheris.Setup([sys.argv[0], *words, "-reload=0", str(corpus)], read, custom_mutator=changed)
    atheris.Fuzz()


def _reader(wanted: Kind, numbers: Sequence[int], to: TextIO) -> Read:
    """Of so many files: libFuzzer begins with its whole corpus, which may be more."""
    left = iter(numbers)

    def read(content: bytes) -> None:
        number = next(left, None)
        if number is None:
            return
        shutil.rmtree("file", ignore_errors=True)
        path = Path.cwd() / "file" / wanted.file
        path.parent.mkdir()
        path.write_bytes(content)
        print(json.dumps([number]), file=to)
        faulthandler.dump_traceback_later(TIME_S, exit=True)
        outcome, said = _outcome(wanted, path)
        faulthandler.cancel_dump_traceback_later()
        if outcome not in FINE:
            shutil.copy(path, f"found-{number}")
        print(json.dumps([number, outcome, said]), file=to)

    return read


def _outcome(wanted: Kind, path: Path) -> tuple[str, str]:
    from edgecnn.errors.base import EdgecnnError, visible
    from edgecnn.runner.messages import RunnerError
    from edgecnn.runner.pixels import UnreadableImage

    try:
        wanted.read(path)
    except (EdgecnnError, RunnerError, UnreadableImage) as error:
        line = error.line() if isinstance(error, EdgecnnError) else visible(str(error))
        return ("refused", line) if line.strip() else ("unsaid", "")
    except MemoryError:
        return "memory", ""
    except Exception:  # noqa: BLE001 - what is looked for
        return "traceback", traceback.format_exc()
    return "read", ""


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

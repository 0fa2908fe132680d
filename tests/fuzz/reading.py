"""Reads one changed file after the other, as a process that may be ended by one.

``python -m tests.fuzz.reading KIND FIRST UNTIL`` runs in an empty folder, says the number of each file before it is read, and
what became of it after.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import shutil
import sys
import traceback
from pathlib import Path
from random import Random

from edgecnn.errors.base import EdgecnnError
from edgecnn.render.wording import visible
from edgecnn.runner.failure import RunnerError
from edgecnn.runner.pixels import UnreadableImage

MEMORY_BYTES = 2 << 30
TIME_S = 20


def main(kind: str, first: int, until: int) -> None:
    """Lines of JSON: ``[number]``, then ``[number, outcome, what was said]``."""
    to = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from tests.fuzz.kinds import KINDS

    here, wanted = Path.cwd(), KINDS[kind]
    (here / "seeds").mkdir(exist_ok=True)
    seeds = wanted.seeds(here / "seeds")
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    for number in range(first, until):
        draw = Random(f"{kind} {number}")
        content = wanted.mutated(draw.choice(seeds), draw)
        shutil.rmtree(here / "file", ignore_errors=True)
        (here / "file").mkdir()
        path = here / "file" / wanted.file
        path.write_bytes(content)
        print(json.dumps([number]), file=to)
        faulthandler.dump_traceback_later(TIME_S, exit=True)
        print(json.dumps([number, *_outcome(wanted.read, path)]), file=to)
        faulthandler.cancel_dump_traceback_later()


def _outcome(read: object, path: Path) -> tuple[str, str]:
    try:
        read(path)  # type: ignore[operator]
    except (EdgecnnError, RunnerError, UnreadableImage) as error:
        line = visible(error.line() if isinstance(error, EdgecnnError) else str(error))
        return ("refused", line) if line.strip() else ("unsaid", "")
    except MemoryError:
        return "memory", ""
    except Exception:  # noqa: BLE001 - what is looked for
        return "traceback", traceback.format_exc()
    return "read", ""


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

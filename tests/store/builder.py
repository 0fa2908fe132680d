"""A build in a process of its own: ``python -m tests.store.builder ROOT train|prepare|quantize [PAUSE_AT_STEP] [FLAG]``.

Prints one JSON line with the outcome. Where a pause is asked for, it touches FLAG at that step and sleeps until FLAG is gone.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from edgecnn.store.store import Store
from tests.store.toys import Ear, Prepare, Quantize, Train, obtain

STAGES = {"train": Train(), "prepare": Prepare(), "quantize": Quantize()}


def main(root: str, kind: str, pause_at: str = "0", flag: str = "") -> None:
    def pause(done: int) -> None:
        if done == int(pause_at):
            Path(flag).touch()
            while Path(flag).exists():
                time.sleep(0.01)

    ear = Ear(pause)
    artifact, outcome = obtain(Store.open(Path(root)), STAGES[kind], tell=ear)
    said = {
        "outcome": outcome.outcome,
        "key": artifact.key,
        "content": artifact.content,
        "notes": ear.notes,
        "steps": len(ear.steps),
    }
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

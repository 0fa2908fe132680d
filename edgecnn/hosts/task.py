"""What a runner is asked to do, as a value: a host far away sends what is given and brings back what was made.

Paths are of this machine. Each host says where a file lies for its runner; nobody reads them out of a command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCHEDULE = "asked.json"
"""In the folder of results."""
_SCHEMA = "edgecnn.schedule/1"


@dataclass(frozen=True)
class Schedule:
    """Runs of ``bench``; an item's ``kit`` is a folder here."""

    items: tuple[Mapping[str, Any], ...]
    timeout_s: float

    def text(self, place: Callable[[Path], str] = str) -> str:
        """As the runner reads it, with each kit's folder as ``place`` names it."""
        items = [{**item, "kit": place(Path(item["kit"]))} for item in self.items]
        return json.dumps({"schema": _SCHEMA, "timeout_s": self.timeout_s, "items": items}, indent=1)

    @property
    def kits(self) -> tuple[Path, ...]:
        """Every folder that runs, once."""
        return tuple(dict.fromkeys(Path(item["kit"]) for item in self.items))


@dataclass(frozen=True)
class Task:
    """One command of a kit's runner.

    What is in ``out`` before is there for the runner too: it keeps what an earlier call finished.
    """

    kit: Path
    command: str
    words: tuple[str, ...] = ()
    """Arguments that name no file."""
    given: Mapping[str, Path] = field(default_factory=dict)
    """Option to a file that is read."""
    out: Path | None = None
    """Folder of results."""
    schedule: Schedule | None = None
    """Of ``bench``, which has an ``out`` too."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Option to the name of a file in the folder of results, which is written there and perhaps read."""

    def argv(self, place: Callable[[Path], str] = str) -> list[str]:
        """The runner's words, with paths as ``place`` names them."""
        words = [self.command, *self.words]
        for option, path in self.given.items():
            words += [option, place(path)]
        if self.out is not None:
            if self.schedule is not None:
                words += ["--schedule", place(self.out / SCHEDULE)]
            for option, name in self.kept.items():
                words += [option, f"{place(self.out)}/{name}"]
            words += ["--out", place(self.out)]
        return words

    @property
    def kits(self) -> tuple[Path, ...]:
        """Every kit that runs, its runner's own first."""
        return tuple(dict.fromkeys((self.kit, *(() if self.schedule is None else self.schedule.kits))))

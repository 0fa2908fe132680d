"""What a race is asked: who runs, how often and for how long, and the schedule that follows from it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.measure.kits import KitRef
from edgecnn.values.base import Value
from edgecnn.values.profile import Purpose, Until
from edgecnn.values.stage import digest_of

WARMUP_S = 0.3
RUN_MAX_S = 5.0
"""A slow network gives fewer samples rather than a race of an hour; p99 is then said to be unsupported."""
RUN_PATIENT_S = 60.0
"""Where a gate needs p99: a thousand samples of a network that takes 60 ms."""
RUN_OVERHEAD_S = 60.0
"""Time that a process may take around its samples: imports, loading, hashing its kit."""
COMPILE_OVERHEAD_S = 600.0
"""The same where a process compiles its network for a GPU first, which takes minutes unless torch has kept it from another."""
ENERGY_WINDOW_S = 4.0
"""Of each of an energy run's two stretches: every built-in meter reads often enough in it."""
EXTERNAL_WINDOW_S = 15.0
"""The same beside an external meter, which may write one line a second."""
THROUGHPUT_S = 5.0
"""Of a run whose calls take many images: as long as any other, however few calls that is."""
BATCH_SCREEN_S = 1.0
"""Of the one run that each number of images gets before the best is measured in earnest."""
SOAK_WINDOW_S = 10.0
"""Of a soak: long enough for a median of a slow network, short against the minutes that heat takes."""


class RaceRequest(Value):
    """Who races, how often, and what for."""

    kits: tuple[KitRef, ...]
    purpose: Purpose
    rounds: int
    samples: int
    max_s: float = RUN_MAX_S
    max_age_h: float
    meter_log: Path | None = None
    """energy: an external meter's log, to be joined to the runs."""
    batches: Mapping[str, int] = {}
    """Entrant (of a kit without knobs its digest) to images in a call; who is not named runs one at a time."""
    until: Until | None = None
    """Rounds are added until every p50 is known so well; ``rounds`` is then the cap."""

    @property
    def question(self) -> dict[str, Any]:
        """What is asked of whom: a stored race answers it whatever the store's folder was then."""
        kits = sorted(kit.entrant for kit in self.kits)
        asked: dict[str, Any] = self.model_dump(include={"purpose", "rounds", "samples", "max_s"})
        asked.update(warmup_s=WARMUP_S, kits=kits)
        if self.batches:
            asked["batches"] = dict(sorted(self.batches.items()))
        if self.until is not None:
            asked["until"] = self.until.model_dump()
        return asked if self.meter_log is None else {**asked, "external_meter": True}

    @property
    def identity(self) -> str:
        """The same for every race that asks the same question of the same kits."""
        return digest_of(self.question)[:16]

    @property
    def timeout_s(self) -> float:
        """After which a process is taken to hang."""
        overhead_s = COMPILE_OVERHEAD_S if any(kit.compiles for kit in self.kits) else RUN_OVERHEAD_S
        stretches = 2 if _OF_PURPOSE.get(self.purpose, {}).get("energy") else 1
        return stretches * self.max_s + overhead_s


_OF_PURPOSE: Mapping[Purpose, Mapping[str, Any]] = {
    "energy": {"energy": True},
    "select-energy": {"energy": True},
    "end-to-end": {"end_to_end": True},
    "soak": {"window_s": SOAK_WINDOW_S},
}
"""Fields of an item that not every race has: a kit packaged before they were known still runs in the others."""


def items_of(request: RaceRequest) -> list[dict[str, Any]]:
    """The order inside a round is drawn, from a seed: only then is the signed-rank interval of a ratio exact."""
    items = []
    draw = random.Random(request.identity)
    kits = sorted(request.kits, key=lambda kit: kit.entrant)
    timing: dict[str, Any] = {
        "samples": request.samples,
        "warmup_s": WARMUP_S,
        "max_s": request.max_s,
        "trace": False,
    }
    timing.update(_OF_PURPOSE.get(request.purpose, {}))
    for number in range(request.rounds):
        for position, kit in enumerate(draw.sample(kits, len(kits))):
            batch = request.batches.get(kit.entrant, 1)
            of_kit = {"knobs": kit.knobs.options, **({"batch": batch} if batch > 1 else {})}
            items.append({"kit": str(kit.folder), "round": number, "position": position, **timing, **of_kit})
    return items

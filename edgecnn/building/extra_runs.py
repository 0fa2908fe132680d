"""Measures what was asked for beyond the race: more images a call, the whole way from a file, minutes without a pause.

Only what ships and fp32 are measured, as for energy: the candidates whose figures are reported. A kit that fails here is not out.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.building.observed import Observed
from edgecnn.judging.runs.throughput import batches_up_to, best_batch, screened
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import RaceResult, race
from edgecnn.measure.race_request import BATCH_SCREEN_S, RUN_MAX_S, THROUGHPUT_S, RaceRequest
from edgecnn.planning.request import ExtraRuns
from edgecnn.values.profile import Purpose
from edgecnn.values.recipe import RaceChoice


class ExtraRunner:
    """Races of one call, for the same candidates; what they gave is kept with the rest that was seen."""

    def __init__(self, seen: Observed, kits: tuple[KitRef, ...], choice: RaceChoice, *, anew: bool) -> None:
        self.seen, self.kits, self.choice = seen, kits, choice
        self.max_age_h = 0.0 if anew else choice.max_age_h

    def measure(self, extent: ExtraRuns) -> None:
        """Everything that was asked for; nothing else."""
        self.seen.extra = extent
        if not self.kits:
            return
        if extent.best_batch:
            self.screen()
        if extent.throughput:
            self._throughput(extent)
        if extent.end_to_end:
            result = self._race("end-to-end", self.choice.rounds, RUN_MAX_S)
            self.seen.races["end-to-end"] = result
        if extent.soak_s is not None:
            self.seen.lab.tell.note(f"soak: {extent.soak_s:g} s without a pause, one process a kit")
            self.seen.races["soak"] = self._race("soak", 1, extent.soak_s)

    def screen(self) -> None:
        """One short run of every batch that every kit takes."""
        if not self.kits:
            return
        largest = min(kit.batch_max for kit in self.kits)
        for batch in batches_up_to(largest):
            result = self._race("batches", 1, BATCH_SCREEN_S, dict.fromkeys(self._entrants(), batch))
            self.seen.batch_screens[batch] = result

    def _throughput(self, extent: ExtraRuns) -> None:
        """A race of each batch that was asked for, and one in which every kit runs its best."""
        wanted = [dict.fromkeys(self._entrants(), batch) for batch in extent.batches]
        if extent.best_batch:
            best = {entrant: found for entrant in self._entrants() if (found := self.best_of(entrant)) is not None}
            wanted += [best] if best else []
        done: list[Mapping[str, int]] = []
        for batches in wanted:
            if batches not in done:
                self.seen.throughput.append(self._race("throughput", self.choice.rounds, THROUGHPUT_S, batches))
                done.append(batches)

    def best_of(self, entrant: str) -> int | None:
        """By screening."""
        screens = self.seen.batch_screens.items()
        found = {batch: result.profiles[entrant] for batch, result in screens if entrant in result.profiles}
        return best_batch(screened(found))

    def _entrants(self) -> tuple[str, ...]:
        return tuple(kit.entrant for kit in self.kits)

    def _race(self, purpose: Purpose, rounds: int, max_s: float, batches: Mapping[str, int] | None = None) -> RaceResult:
        """Kits that ``batches`` does not name have no part in it."""
        kits = tuple(kit for kit in self.kits if batches is None or kit.entrant in batches)
        request = RaceRequest(
            kits=kits,
            purpose=purpose,
            rounds=rounds,
            samples=self.choice.samples,
            max_s=max_s,
            max_age_h=self.max_age_h,
            batches=batches or {},
        )
        result = race(request, self.seen.lab)
        self.seen.notes += [
            f"{purpose} of {kit.candidate.id} could not be measured: {result.failed[kit.entrant]}"
            for kit in kits
            if kit.entrant in result.failed
        ]
        return result

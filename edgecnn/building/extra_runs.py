"""Measures what was asked for beyond the race: more images a call, the whole way from a file, minutes without a pause.

Only what ships, fp32 and the best other precision are measured, as for energy: the candidates whose figures are reported. A kit
that fails here is not out.
"""

from __future__ import annotations

from typing import Any

from edgecnn.judging.runs.resources import batches_up_to, best_batch, screened
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import RaceResult
from edgecnn.measure.race_request import BATCH_SCREEN_S, THROUGHPUT_S, RaceRequest
from edgecnn.measure.subject import Subject
from edgecnn.values.profile import ExtraRuns, Purpose
from edgecnn.values.recipe import RaceChoice


class ExtraRunner:
    """Races of one call, for the same candidates; what they gave is kept with the rest that was seen."""

    def __init__(self, subject: Subject, kits: tuple[KitRef, ...], choice: RaceChoice, *, anew: bool) -> None:
        self.subject, self.kits, self.choice, self.anew = subject, kits, choice, anew

    def measure(self, extra_runs: ExtraRuns) -> None:
        """Everything that was asked for; nothing else."""
        self.subject.extra_runs = extra_runs
        if not self.kits:
            return
        if extra_runs.best_batch:
            self.screen()
        if extra_runs.throughput:
            self._throughput(extra_runs)
        if extra_runs.end_to_end:
            self.subject.races["end-to-end"] = self._race("end-to-end")
        if extra_runs.soak_s is not None:
            self.subject.lab.tell.note(f"soak: {extra_runs.soak_s:g} s without a pause, one process a kit")
            self.subject.races["soak"] = self._race("soak", rounds=1, max_s=extra_runs.soak_s)

    def screen(self) -> None:
        """One short run of every batch that every kit takes."""
        for batch in batches_up_to(min(kit.batch_max for kit in self.kits)) if self.kits else ():
            result = self._race("batches", rounds=1, max_s=BATCH_SCREEN_S, batches=self._all(batch))
            self.subject.batch_screens[batch] = result

    def best_of(self, kit: KitRef) -> int | None:
        """The batch with the most images a second, by screening."""
        return best_batch(screened(self.subject.batches_tried(kit)))

    def _throughput(self, extra_runs: ExtraRuns) -> None:
        """A race of each batch that was asked for, and one in which every kit runs its best."""
        races = [self._all(batch) for batch in extra_runs.batches]
        if extra_runs.best_batch:
            best = {kit.entrant: batch for kit in self.kits if (batch := self.best_of(kit)) is not None}
            races += [best] if best else []
        for number, batches in enumerate(races):
            if batches not in races[:number]:
                self.subject.throughput.append(self._race("throughput", max_s=THROUGHPUT_S, batches=batches))

    def _all(self, batch: int) -> dict[str, int]:
        return dict.fromkeys((kit.entrant for kit in self.kits), batch)

    def _race(self, purpose: Purpose, **settings: Any) -> RaceResult:
        """Kits that ``batches`` does not name have no part in it."""
        batches = settings.get("batches")
        kits = [kit for kit in self.kits if batches is None or kit.entrant in batches]
        request = RaceRequest.of(self.choice, kits, purpose, anew=self.anew, **settings)
        return self.subject.race(request, purpose + " of {} could not be measured")

"""Measure the extra runs: throughput at batch sizes, latency from an image file on, and a soak of minutes without a pause.

Only the candidates with reported figures are measured, as for energy. A kit that fails here is not out.
"""

from __future__ import annotations

from typing import Any

from edgecnn.judging.resources import batches_up_to, best_batch, screened_rates
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import RaceResult
from edgecnn.measure.race_request import BATCH_SCREEN_S, THROUGHPUT_S, RaceRequest
from edgecnn.measure.subject import Subject
from edgecnn.values.profile import ExtraRuns, Purpose
from edgecnn.values.recipe import RaceChoice


class ExtraRunner:
    """The extra runs of one call, for the same kits. Results are added to the subject."""

    def __init__(self, subject: Subject, kits: tuple[KitRef, ...], choice: RaceChoice, *, anew: bool) -> None:
        self.subject, self.kits, self.choice, self.anew = subject, kits, choice, anew

    def measure(self, extra_runs: ExtraRuns) -> None:
        """Measure everything that the user asked for."""
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
        """Run each batch size once that every kit takes."""
        for batch in batches_up_to(min(kit.batch_max for kit in self.kits)) if self.kits else ():
            result = self._race("batches", rounds=1, max_s=BATCH_SCREEN_S, batches=self._all(batch))
            self.subject.batch_screens[batch] = result

    def best_of(self, kit: KitRef) -> int | None:
        """The batch size with the highest throughput in the screening runs."""
        return best_batch(screened_rates(self.subject.batches_tried(kit)))

    def _throughput(self, extra_runs: ExtraRuns) -> None:
        """Race every stated batch size, and once each kit's best batch size."""
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
        """Race the kits in ``batches``, or all kits without it."""
        batches = settings.get("batches")
        kits = [kit for kit in self.kits if batches is None or kit.entrant in batches]
        request = RaceRequest.of(self.choice, kits, purpose, anew=self.anew, **settings)
        return self.subject.race(request, purpose + " of {} could not be measured")

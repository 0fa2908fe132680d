"""What is seen from each rung: its candidates answer to ``validation`` as soon as they are built, and the ladder goes by that.

Answers are filed as every evaluation is, so that a build that finds everything stored climbs by the same figures in no time.
"""

from __future__ import annotations

from edgecnn.building.execute import Execution
from edgecnn.building.observe import Observer, pixel_sets
from edgecnn.building.rows import Scene, answer_of, labels_of
from edgecnn.judging.accuracy import accuracy, agreement
from edgecnn.measure.lab import Lab
from edgecnn.values.candidate import Rung, reference_of


class RungDrops:
    """Evaluates rungs one after the other; what it saw stays in its observer, for the rest of the build."""

    def __init__(self, lab: Lab, home: Lab | None = None) -> None:
        """``home`` is this machine, where ``lab`` is another."""
        self._lab, self._home = lab, home
        self._observer: Observer | None = None

    def observer(self, execution: Execution) -> Observer:
        """The one that saw the rungs so far."""
        if self._observer is None:
            self._observer = Observer(execution, self._lab, self._home)
        return self._observer

    def __call__(self, execution: Execution, rung: Rung) -> dict[str, float]:
        """Candidate to its estimated drop on ``validation``, in percentage points; absent of what did not answer.

        Without labels it is the share of other answers than fp32's.
        """
        observer = self.observer(execution)
        observer.collect_kits(rung.candidates)
        observer.evaluate_all({"validation": pixel_sets(execution)["validation"]})
        scene = Scene(execution=execution, seen=observer.seen, lab=self._lab)
        reference = reference_of(execution.candidates)
        baseline = answer_of(scene, reference, "validation")
        if baseline is None:
            return {}
        drops = {}
        labels = labels_of(scene, "validation") if execution.plan.resolved.data.labelled else None
        for candidate in rung.candidates:
            answers = answer_of(scene, candidate.id, "validation")
            if answers is not None and candidate.id != reference:
                if labels is None:
                    drops[candidate.id] = agreement(answers, "validation", baseline).differing_pp
                    continue
                drop = accuracy(answers, labels, "validation", baseline).drop_pp
                if drop is not None:
                    drops[candidate.id] = drop.estimate
        return drops

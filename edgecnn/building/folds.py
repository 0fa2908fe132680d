"""Cross-validation: the other networks are trained, made into the same candidates, and asked about the images of their folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgecnn.building.execute import Execution, StageContext, execute_candidates
from edgecnn.building.observe import Observer, add_made, pixel_sets
from edgecnn.building.pace import fold_prefix
from edgecnn.measure.subject import Subject
from edgecnn.planning.plan import Plan
from edgecnn.values.artifact import Blocked, Failed
from edgecnn.values.candidate import Candidate


def observe_folds(observer: Observer, plans: Sequence[Plan], context: StageContext) -> None:
    """Ask every candidate that has answered for the first network about the other folds; one that fails in any of them is out.

    ``plans``: of the other folds. Raises as ``execute`` does.
    """
    subject = observer.subject
    answering = [row for row in subject.candidates if row.id in subject.answering and row.id not in subject.failures]
    for number, plan in enumerate(plans, 2):
        subject.lab.tell.note(
            f"fold {number} of {len(plans) + 1}: another network, tested on {plan.resolved.data.counts['test']:,} images"
        )
        name = fold_prefix(number)
        execution = execute_candidates(Execution(plan=plan), replace(context, fold=name), answering)
        fold = Subject.from_build(plan.resolved, subject.lab, subject.reference)
        add_made(fold, execution, answering)
        Observer(fold, context.pace, name).evaluate_all({"test": pixel_sets(execution)["test"]})
        subject.folds.append(fold)
        for candidate in answering:
            if (candidate.id, "test") not in fold.evaluations and candidate.id not in subject.failures:
                subject.fail(candidate.id, _failure(candidate, fold, number))


def _failure(candidate: Candidate, fold: Subject, number: int) -> Failed:
    failed = next((outcome for outcome in fold.outcomes(candidate.id).values() if isinstance(outcome, Failed)), None)
    if failed is not None:
        return failed.model_copy(update={"what": f"fold {number}: {failed.what}"})
    blocked = next((outcome.by for outcome in fold.outcomes(candidate.id).values() if isinstance(outcome, Blocked)), "its branch")
    return Failed(ref="fold-failed", what=f"fold {number}: {blocked} has no result")

"""The search over a space: many networks counted and predicted, none trained.

Two aims at once, by Optuna's NSGA-II (Deb and others, 2002): predicted latency down, the stand-in for accuracy up, near a latency
budget where there is one: few of the others could be trained. The study lies
in the store as an SQLite file, so that an interrupted search goes on; of several processes that ask the same, one draws it.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.fit.choose import rising_front
from edgecnn.fit.space import SearchSpace
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values import fit
from edgecnn.values.fit import Member
from edgecnn.values.scale import CompoundScale
from edgecnn.values.stage import Progress
from edgecnn.values.training import Form

if TYPE_CHECKING:
    import optuna

DEPTHS, WIDTHS, SIDES = (0.3, 1.8), (0.25, 1.8), (0.4, 1.6)
"""Multipliers that are looked at; of the resolution, of the one that the network would have."""
SIDE_STEP_PX = 16
MOST_PRUNED, PRUNED_STEP = 0.6, 0.05
POPULATION, SEED = 32, 0
NEAR = 1.5
"""Times a latency budget within which networks are looked for: predictions are as far off as that."""
BEYOND_COSTS = 100.0
"""Of the stand-in, for each time that a prediction is e times beyond it: worse than any network within in both aims."""


_PREDICTING = ("features", "predictor", "search", "space")


def code_of_trials() -> str:
    """Digest of the modules that decide what a stored trial holds: another edgecnn draws a study of its own."""
    files = [Path(__file__).with_name(f"{name}.py") for name in _PREDICTING] + [Path(fit.__file__)]
    return hashlib.sha256(b"".join(each.read_bytes() for each in files)).hexdigest()


def search_space(space: SearchSpace, trials: int, file: Path, tell: Progress) -> tuple[Member, ...]:
    """So many networks, each once, in the order of the search. ``file``: of the study, which is begun or gone on with."""
    study, most = _study(file), math.log(NEAR * space.within.get("p50_ms", math.inf))
    if not study.trials:
        _begin_with_smallest(study, space)
    for done in range(len(_ended(study)), trials):  # counted once: each look at a study reads all of it
        tell.step("predict networks", done, trials, "networks")
        trial = study.ask()
        member = _drawn(trial, space)
        if member is None or not member.predicted:
            study.tell(trial, state=_failed())
            continue
        trial.set_user_attr("member", member.model_dump(mode="json"))
        took = math.log(guessed_ms(member))
        study.tell(trial, (took, member.standin - BEYOND_COSTS * max(0.0, took - most)))
    tell.step("predict networks", trials, trials, "networks")
    ended = _ended(study)[:trials]
    found = (Member.model_validate(each.user_attrs["member"]) for each in ended if "member" in each.user_attrs)
    distinct: dict[tuple[int, int, ImageSize, str], Member] = {}
    for each in found:
        distinct.setdefault(identity_of(each), each)
    return tuple(distinct.values())


def _drawn(trial: optuna.Trial, space: SearchSpace) -> Member | None:
    """Half of all are pruned. Those are not scaled too: either makes a network narrower, and pruning keeps what the first network
    learned. Where weights are pretrained, all are of their depth and width, at any resolution."""
    steps = _steps(space)
    depth, width = trial.suggest_float("depth", *DEPTHS, log=True), trial.suggest_float("width", *WIDTHS, log=True)
    side_px = SIDE_STEP_PX * trial.suggest_int("side", *steps)
    pruned = max(0.0, round(trial.suggest_float("pruned", -MOST_PRUNED, MOST_PRUNED, step=PRUNED_STEP), 2))
    form = Form(
        activation=trial.suggest_categorical("activation", space.activations),
        squeeze_excite=trial.suggest_categorical("squeeze_excite", space.squeeze_excites),
        pruned=pruned,
    )
    if pruned or space.pretrained:
        depth = width = 1.0
    if pruned and not space.pretrained:
        side_px = space.base_px.short_px
    return space.member(depth, width, side_px, form)


def _begin_with_smallest(study: optuna.Study, space: SearchSpace) -> None:
    """In every way at once, and pruned: that a budget is met by none is then said of all that may be."""
    least = {"depth": DEPTHS[0], "width": WIDTHS[0], "side": _steps(space)[0]}
    changed = {"activation": "relu6" if "relu6" in space.activations else "keep", "squeeze_excite": space.squeeze_excites[-1]}
    for pruned in (-MOST_PRUNED, MOST_PRUNED):
        study.enqueue_trial({**least, **changed, "pruned": pruned})


def _steps(space: SearchSpace) -> list[int]:
    """The least and the most of the shorter side, in ``SIDE_STEP_PX``."""
    return [max(2, round(share * space.base_px.short_px / SIDE_STEP_PX)) for share in SIDES]


def _study(file: Path) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{file}", study_name="fit", directions=["minimize", "maximize"], load_if_exists=True
    )
    # begun anew with one seed, it would draw again what it drew before it was interrupted
    study.sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=SEED + len(study.trials))
    return study


def _ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """One that was interrupted is drawn anew."""
    return [each for each in study.trials if each.state.is_finished()]


def _failed() -> Any:
    import optuna

    return optuna.trial.TrialState.FAIL


def identity_of(member: Member) -> tuple[int, int, ImageSize, str]:
    """Equal for other multipliers that were rounded to the same network."""
    return member.macs, member.parameters, member.resolution_px, "-".join(map(str, _changed(member.form)))


def predicted_front(members: Iterable[Member]) -> tuple[Member, ...]:
    """Those that no other is predicted both faster than and better by the stand-in, the fastest first."""
    known = [each for each in members if each.best_predicted is not None]
    return rising_front(known, predicted_ms, lambda each: each.standin)


def predicted_ms(member: Member) -> float:
    """Of its fastest candidate; infinite where nothing says."""
    return member.best_predicted.p50_ms.estimate if member.best_predicted else math.inf


def guessed_ms(member: Member) -> float:
    """The same, of a network too that is unlike those of the table."""
    return member.predicted[0].p50_ms.estimate if member.predicted else math.inf


def spread_out(members: Iterable[Member], count: int, base_px: ImageSize) -> tuple[Member, ...]:
    """So many of them, the best by the stand-in of each way to be smaller than the first, then the second best of each.

    Which way costs least accuracy depends on the images, and only a training shows it. Each is unlike those before it in shape.
    """
    waiting = sorted(members, key=lambda each: -each.standin)
    taken: list[Member] = []
    while waiting and len(taken) < count:
        used = Counter(way_of(each, base_px) for each in taken)
        taken.append(min(waiting, key=lambda each: used[way_of(each, base_px)]))  # the first of equals is the best
        waiting = [each for each in waiting if all(unlike(each, other) for other in taken)]
    return tuple(taken)


def way_of(member: Member, base_px: ImageSize) -> str:
    """What saves it most of the first's multiply-adds: ``resolution``, ``depth``, ``width``, ``pruned`` or ``form``."""
    scale = CompoundScale.from_text(member.scale)
    saved = {
        "form": 0.0,
        "resolution": math.log(base_px.area_px / member.resolution_px.area_px),
        "depth": -math.log(scale.depth or 1),
        "width": -2 * math.log(scale.width or 1),
        "pruned": -2 * math.log(1 - member.form.pruned),
    }
    return max(saved, key=saved.__getitem__)


def unlike(one: Member, other: Member) -> bool:
    """Whether a training of one says little of the other: in form, or by ``UNLIKE`` in any multiplier."""
    if _changed(one.form) != _changed(other.form):
        return True
    ratios = [first / second for first, second in zip(one.multipliers, other.multipliers, strict=True)]
    return max(abs(math.log(ratio)) for ratio in ratios) > math.log(UNLIKE)


def _changed(form: Form) -> tuple[str, str, bool]:
    return form.activation, form.squeeze_excite, form.pruned > 0


UNLIKE = 1.12
"""Times as deep, wide or fine, from which two networks are no longer alike."""

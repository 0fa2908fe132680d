"""Train members of a family, briefly or completely, and build and judge them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from edgecnn.building.build import run_build
from edgecnn.fit.choose import worst_budget_verdict
from edgecnn.fit.request import FitRequest
from edgecnn.judging.gates import bound_parts
from edgecnn.planning.request import BuildRequest, Goal
from edgecnn.planning.resolve import resolve
from edgecnn.store.entry import FILES
from edgecnn.store.store import Store
from edgecnn.values.arch import ArchSpec
from edgecnn.values.command import Command
from edgecnn.values.fit import Member, Predicted, Trained
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import CandidateFacts
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import IMAGES_PER_S

PATIENT = 2
"""Factor on the epochs that the family's first network has from random weights. Learning from a teacher is useful for longer than
learning from labels (Beyer and others 2022, arXiv:2106.05237, section 3.2): MobileNetV3-Large at depth 0.4 and width 0.85 reached
78.4 % of the demo in 8 epochs, and 79.4 in 16. Members without a teacher have as many, so that the teacher's effect can be
measured."""
MEMBERS = "members"
"""Folder of the members' builds, in the results folder."""
SHORT, LEAST_EPOCHS = 4, 4
"""A short training has this fraction of its member's epochs, with this minimum. After two epochs of a few thousand images,
networks at 32 px were far behind those at 64 px, although complete trainings made them equal."""


@dataclass(frozen=True)
class Course:
    """How a member is trained."""

    short: bool = False
    """Whether to train for a fraction of the epochs only."""
    teacher: Path | None = None
    """Folder of the build to distill from; None: train on labels."""

    @property
    def suffix(self) -> str:
        """Suffix of the build's folder."""
        return ("-short" if self.short else "") + ("" if self.teacher else "-labels")


@dataclass(frozen=True)
class MemberBuilder:
    """Trains and builds the members of one search."""

    fit_request: FitRequest
    spec: ArchSpec
    store: Store
    tell: Progress
    first: str
    """Scale of the family's first network. Members of this scale that surgery changes start from its trained weights."""
    epochs: int | None = None
    """Epochs of members of other scales if the recipe states none; None: the recipe's default."""

    def train(self, member: Member, course: Course) -> Trained:
        """Train a member and return its accuracy on ``validation``."""
        changed = bool(member.form.suffix)
        report = run_build(self._request(member, course, "export" if changed else "train"), self.store, self.tell)
        kind, step, read = ("surgery", "export", _surgery_outcome) if changed else ("train", "train", _training_outcome)
        epochs, top1 = read(self.store.layout.entry(kind, report.keys[step]) / FILES)
        if changed and not self.starts_from_first(member):
            epochs += _training_outcome(self.store.layout.entry("train", report.keys["train"]) / FILES)[0]
        spent = sum(getattr(report.outcomes.get(step), "seconds", 0.0) for step in ("train", "export"))
        return Trained(
            epochs=epochs,
            whole=not course.short,
            taught=changed or course.teacher is not None,
            validation_top1=top1,
            seconds=round(spent, 1),
        )

    def build(self, member: Member, course: Course) -> Member:
        """Build a member and judge it by the budgets."""
        request = self._request(member, course, "judge")
        report = run_build(request, self.store, self.tell)
        row = report.shipped
        update: dict[str, object] = {"build": str(request.out.relative_to(self.fit_request.out))}
        if row is not None:
            update |= {
                "candidate": row.candidate.id,
                "predicted": self._predicted_again(member, row),
                "validation_top1": row.validation.top1 if row.validation else None,
                "test_top1": row.test.top1 if row.test else None,
                "p50_ms": row.latency.p50_ms if row.latency else None,
                "fidelity": row.latency.fidelity if row.latency else None,
                "gates": row.gates,
                "gates_dropped": report.gates_dropped,
                "inside": worst_budget_verdict(row.gates),
            }
        return member.model_copy(update=update)

    @staticmethod
    def _predicted_again(member: Member, row: CandidateFacts) -> tuple[Predicted, ...]:
        """Return the predictions, with the forecast of the build's report for the candidate that it chose."""
        if row.forecast is None:
            return member.predicted
        others = (known for known in member.predicted if known.candidate != row.candidate.id)
        return (Predicted(candidate=row.candidate.id, p50_ms=row.forecast.p50_ms), *others)

    def course(self, member: Member, teacher: Path | None, *, short: bool = False) -> Course:
        """Return how a member is trained. Members that start from the first network's weights need no teacher."""
        return Course(short=short, teacher=None if self.starts_from_first(member) else teacher)

    def starts_from_first(self, member: Member) -> bool:
        """Whether a member starts from the first network's trained weights, because only surgery changes it."""
        return bool(member.form.suffix) and member.scale == self.first

    def folder(self, member: Member, course: Course) -> Path:
        """Return the folder of a member's build."""
        return self.fit_request.out / MEMBERS / (re.sub(r"[=, ]", "-", member.name) + course.suffix)

    def request(self, member: Member, course: Course, out: Path) -> BuildRequest:
        """Return the build request of a member."""
        recipe = self.fit_request.recipe
        model = recipe.model.model_copy(update={"arch": self.spec.name, "scale": member.scale, "resolution_px": None})
        epochs = None if member.scale == self.first else self.epochs
        learned = {"teacher": None if course.teacher is None else str(course.teacher), "epochs": recipe.train.epochs or epochs}
        train = recipe.train.model_copy(update=learned)
        recipe = recipe.model_copy(update={"model": model, "train": train})
        if member.form.suffix:
            changed = {**dict(member.form), "instead": True}
            recipe = recipe.model_copy(update={"surgery": recipe.surgery.model_copy(update=changed)})
        build = BuildRequest(
            recipe=recipe,
            device=self.fit_request.device,
            device_file=self.fit_request.device_file,
            out=out,
            host=self.fit_request.host,
            meter=self.fit_request.meter,
            gates=self._budget_gates(),
        )
        return self._add_command(self._shortened(build, member) if course.short else build, member)

    def _budget_gates(self) -> GateChoice:
        """Return the budgets as bounds, which replace the recipe's bounds of the same metrics."""
        within, least = self.fit_request.choice.within, self.fit_request.choice.accuracy_top1
        rate = {name: bound for name, bound in within.items() if name == IMAGES_PER_S}
        required = {} if least is None else {"top1": least}
        return GateChoice(max={name: most for name, most in within.items() if name not in rate}, min={**rate, **required})

    def _request(self, member: Member, course: Course, goal: Goal) -> BuildRequest:
        return self.request(member, course, self.folder(member, course)).model_copy(update={"goal": goal})

    def _shortened(self, request: BuildRequest, member: Member) -> BuildRequest:
        """Return the request with a fraction of the epochs: of surgery, and of training unless the first's weights are used."""
        recipe, completed = request.recipe, resolve(request, self.store, self.tell).recipe
        if member.form.suffix:
            surgery = recipe.surgery.model_copy(update={"epochs": max(1, (completed.surgery.epochs or 0) // SHORT)})
            recipe = recipe.model_copy(update={"surgery": surgery})
        if not self.starts_from_first(member):
            complete = completed.train.epochs or 0
            epochs = max(complete // SHORT, min(complete, LEAST_EPOCHS)) or recipe.train.epochs  # a head alone has no epochs
            recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"epochs": epochs})})
        return request.model_copy(update={"recipe": recipe})

    def _add_command(self, request: BuildRequest, member: Member) -> BuildRequest:
        recipe, usual = request.recipe, self.fit_request.recipe
        parts = [("--arch", self.spec.name), ("--scale", member.scale), *self.fit_request.build.without("--out").parts]
        parts += [] if recipe.train.teacher is None else [("--teacher", recipe.train.teacher)]
        changed = {**dict(member.form), "instead": "true"} if member.form.suffix else {}
        settings = [f"surgery.{name}={value}" for name, value in changed.items()]
        settings += [] if recipe.train.epochs == usual.train.epochs else [f"train.epochs={recipe.train.epochs}"]
        settings += [] if recipe.surgery.epochs == usual.surgery.epochs else [f"surgery.epochs={recipe.surgery.epochs}"]
        parts += [("--set", setting) for setting in settings]
        parts += bound_parts(request.gates) if request.gates else ()
        return request.model_copy(update={"command": Command(verb=("build",), parts=(*parts, ("--out", str(request.out))))})


def _training_outcome(files: Path) -> tuple[int, float]:
    """Return the epochs of a training of the complete network, and the best top-1 on ``validation``."""
    history = json.loads((files / "history.json").read_text(encoding="utf-8"))
    epochs = sum(len(phase["epochs"]) for phase in history["phases"] if phase["name"] != "head")
    return max(1, epochs), history["best"]["validation_top1"]


def _surgery_outcome(files: Path) -> tuple[int, float]:
    """Return the epochs after surgery, and top-1 on ``validation`` after the last."""
    history = json.loads((files / "surgery.json").read_text(encoding="utf-8"))
    return max(1, len(history["epochs"])), history["after"]["validation_top1"]

"""Members of a family made real: trained a little, trained whole, built and judged."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecnn.building.build import run_build
from edgecnn.fit.choose import budgets_met
from edgecnn.fit.request import FitRequest
from edgecnn.planning.request import BuildRequest, Goal
from edgecnn.store.layout import FILES
from edgecnn.store.store import Store
from edgecnn.values.arch import ArchSpec
from edgecnn.values.fit import Member, Trained
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport
from edgecnn.values.stage import Progress

MEMBERS = "members"
"""Folder of their builds, beside what ships."""


@dataclass(frozen=True)
class Course:
    """How a member is trained."""

    epochs: int | None = None
    """None: as many as the recipe comes to."""
    teacher: Path | None = None
    """Folder of the build whose answers are learned; None: labels are."""

    @property
    def suffix(self) -> str:
        """Of the folder of a build that is not the usual one of its member."""
        return ("" if self.epochs is None else f"-{self.epochs}-epochs") + ("" if self.teacher else "-labels")


@dataclass(frozen=True)
class MemberBuilder:
    """Builds members as one search asks."""

    asked: FitRequest
    spec: ArchSpec
    store: Store
    tell: Progress

    def train(self, member: Member, course: Course) -> Trained:
        """Train it, as far as its course goes."""
        report = run_build(self._request(member, course, "train"), self.store, self.tell)
        best = json.loads((self._trained(report) / "history.json").read_text(encoding="utf-8"))
        spent = getattr(report.outcomes["train"], "seconds", 0.0)
        epochs = sum(len(phase["epochs"]) for phase in best["phases"] if phase["name"] != "head")
        top1 = best["best"]["validation_top1"]
        return Trained(epochs=epochs, taught=course.teacher is not None, validation_top1=top1, seconds=round(spent, 1))

    def _trained(self, report: BuildReport) -> Path:
        return self.store.layout.entry("train", report.keys["train"]) / FILES

    def build(self, member: Member, course: Course) -> Member:
        """Build and judge it by the budgets."""
        request = self._request(member, course, "judge")
        report = run_build(request, self.store, self.tell)
        row = next((each for each in report.candidates if each.chosen), None)
        found: dict[str, object] = {"build": str(request.out.relative_to(self.asked.out))}
        if row is not None:
            judged = tuple(each for each in row.gates if each.gate.metric in self.asked.within)
            found |= {
                "candidate": row.candidate.id,
                "validation_top1": row.validation.top1 if row.validation else None,
                "test_top1": row.test.top1 if row.test else None,
                "p50_ms": row.latency.p50_ms if row.latency else None,
                "fidelity": row.latency.fidelity if row.latency else None,
                "gates": judged,
                "inside": budgets_met([each.verdict for each in judged]),
            }
        return member.model_copy(update=found)

    def _request(self, member: Member, course: Course, goal: Goal) -> BuildRequest:
        return self.request(member, course, self.folder(member, course)).model_copy(update={"goal": goal})

    def folder(self, member: Member, course: Course) -> Path:
        """Of its build."""
        return self.asked.out / MEMBERS / (re.sub(r"[=,]", "-", member.scale) + course.suffix)

    def request(self, member: Member, course: Course, out: Path) -> BuildRequest:
        """The build of a member, as anybody would ask for it."""
        recipe = self.asked.recipe
        model = recipe.model.model_copy(update={"arch": self.spec.name, "scale": member.scale, "resolution_px": None})
        told = {"epochs": course.epochs if course.epochs is not None else recipe.train.epochs}
        taught = {"teacher": None if course.teacher is None else str(course.teacher)}
        train = recipe.train.model_copy(update={**told, **taught})
        return BuildRequest(
            recipe=recipe.model_copy(update={"model": model, "train": train}),
            device=self.asked.device,
            device_file=self.asked.device_file,
            out=out,
            host=self.asked.host,
            gates=GateChoice(max=dict(self.asked.within), min={}),
            command=self._command(member, course, out),
        )

    def _command(self, member: Member, course: Course, out: Path) -> str:
        words = ["edgecnn", "build", "--arch", self.spec.name, "--scale", member.scale, *_without_out(self.asked.words)]
        words += [] if course.teacher is None else ["--teacher", str(course.teacher)]
        words += [] if course.epochs is None else ["--set", f"train.epochs={course.epochs}"]
        words += [word for name, bound in self.asked.within.items() for word in ("--max", f"{name}={bound:g}")]
        return shlex.join([*words, "--out", str(out)])


def _without_out(words: Sequence[str]) -> list[str]:
    kept = list(words)
    if "--out" in kept:
        place = kept.index("--out")
        del kept[place : place + 2]
    return kept

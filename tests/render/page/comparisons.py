"""Builds side by side and a history, without a store: what their pages are made of, and hostile names."""

from __future__ import annotations

from typing import Any

from edgecnn.comparing.facts import (
    BuildChanges,
    ComparedBuild,
    ComparedCandidate,
    MachineGroup,
    MeasuredHistory,
    MeasuredPoint,
    PairedAccuracy,
    Series,
    SideBySide,
)
from edgecnn.values.report import CandidateFacts, Change
from edgecnn.values.verdict import Fidelity
from tests.judging.made import an_interval
from tests.render.page.pages import HOSTILE, NAMES, a_page

LETTERS = "ABCDEFGHIJ"
CHANGES = (
    Change(kind="recipe", name="recipe train.epochs", before="3", after="10"),
    Change(kind="tools", name="onnx", before="1.20", after="1.21"),
)


def some_builds(count: int = 3, candidates: int = 2, **changes: Any) -> SideBySide:
    """So many builds of so many candidates; the last build is of another machine and lacks the last candidate."""
    pages = [a_page(candidates).report for _ in range(count)]
    letters = LETTERS[:count]
    rows = []
    for name in NAMES[:candidates]:
        found: list[CandidateFacts | None] = [
            next(row for row in page.candidates if row.candidate.id == name).model_copy(update={"residency": None})
            for page in pages
        ]
        if name == NAMES[candidates - 1] and candidates > 1:
            found[-1] = None
        rows.append(ComparedCandidate(candidate=name, facts=tuple(found)))
    known: dict[str, Any] = {
        "version": "0.1.0",
        "made_at": "2026-11-20T10:00:00+00:00",
        "builds": tuple(
            ComparedBuild(
                label=letter, folder=f"builds/{letter.lower()}", version="0.1.0", made_at=page.made_at, build=page.build,
                environment=page.environment, choice=page.choice, verdict=page.verdict,
            )
            for letter, page in zip(letters, pages, strict=True)
        ),
        "candidates": tuple(rows),
        "paired": tuple(
            PairedAccuracy(
                candidate=NAMES[0], base="A", head=letter,
                drop_pp=an_interval(0.2 * place, 0.2 * place - 0.3, 0.2 * place + 0.3, 0.9),
                lost=9, gained=7, images=5000, fidelity=Fidelity.MEASURED, machine="AMD EPYC",
            )
            for place, letter in enumerate(letters[1:], start=1)
        ),
        "changed": (BuildChanges.between("A", "B", CHANGES),),
        "machines": (
            MachineGroup(labels=tuple(letters[:-1]), machine="AMD EPYC"),
            MachineGroup(labels=(letters[-1],), machine="Cortex-A76", differs=("cpu: AMD EPYC → Cortex-A76",)),
        ),
        "command": "edgecnn compare builds/a builds/b",
    }  # fmt: skip
    return SideBySide.model_validate({**known, **changes})


def a_point(day: int, ms: float | None, segment: int = 0, **changes: Any) -> MeasuredPoint:
    known: dict[str, Any] = {
        "observed_at": f"2026-11-{day:02}T09:00:00+00:00",
        "kit": "ab" * 32,
        "figure": None if ms is None else an_interval(ms, ms * 0.97, ms * 1.04),
        "fidelity": Fidelity.MEASURED,
        "segment": segment,
        "purpose": "report",
        "count": 8,
    }
    return MeasuredPoint.model_validate({**known, **changes})


def a_series(candidate: str = "onnxruntime-int8", **changes: Any) -> Series:
    """Ten days; on the sixth another kernel, on the eighth another kit, on the ninth nothing."""
    latency = tuple(
        a_point(
            day, None if day == 9 else 2.0 + 0.02 * (day % 3) + (0.4 if day > 5 else 0), int(day > 5),
            changed=("kernel: 6.1.0 → 6.8.0",) if day == 6 else (), new_kit=day == 8,
            purpose="select" if day % 4 == 0 else "report", reason="3 runs; an interval needs 7" if day == 9 else None,
        )
        for day in range(1, 11)
    )  # fmt: skip
    accuracy = tuple(
        a_point(day, None, purpose=None, count=5000, figure=an_interval(0.88, 0.87, 0.89, 0.95)) for day in (1, 4, 8)
    )
    known: dict[str, Any] = {
        "arch": "resnet-18", "candidate": candidate, "machine": "AMD EPYC", "machine_id": "m1", "devices": ("cpu",),
        "kits": ("ab" * 32, "cd" * 32), "resolution_px": 224, "classes": 10, "latency": latency, "accuracy": accuracy,
    }  # fmt: skip
    return Series.model_validate({**known, **changes})


def a_history(*series: Series, **changes: Any) -> MeasuredHistory:
    known: dict[str, Any] = {
        "version": "0.1.0",
        "made_at": "2026-11-20T10:00:00+00:00",
        "store": "/home/me/.cache/edgecnn",
        "asked": "resnet-18 for cpu (builds/a)",
        "series": series or (a_series("onnxruntime-fp32"), a_series()),
        "command": "edgecnn study history builds/a",
    }
    return MeasuredHistory.model_validate({**known, **changes})


def hostile_builds() -> SideBySide:
    """Every text that somebody else can choose is one that means harm."""
    found = some_builds(3, 2)
    harm = HOSTILE[0]
    rows = []
    for row, name in zip(found.candidates, HOSTILE[:2], strict=True):
        facts = tuple(
            None
            if each is None
            else each.model_copy(update={"candidate": each.candidate.model_copy(update={"id": name}), "reason": name})
            for each in row.facts
        )
        rows.append(ComparedCandidate(candidate=name, facts=facts))
    builds = tuple(
        each.model_copy(
            update={"folder": name, "build": each.build.model_copy(update={"name": name, "arch": name, "device": name})}
        )
        for each, name in zip(found.builds, HOSTILE[3:6], strict=True)
    )
    return found.model_copy(
        update={
            "builds": builds,
            "candidates": tuple(rows),
            "paired": tuple(each.model_copy(update={"candidate": harm, "machine": harm}) for each in found.paired),
            "changed": (
                BuildChanges.between(
                    "A", "B", [Change(kind="kit", name=text, before=text, after=text) for text in HOSTILE], harm
                ),
            ),
            "machines": tuple(group.model_copy(update={"machine": harm, "differs": HOSTILE}) for group in found.machines),
            "notices": HOSTILE,
            "command": " ".join(HOSTILE),
        }
    )


def hostile_history() -> MeasuredHistory:
    harm = HOSTILE[1]
    points = tuple(
        a_point(day, 1.0, day, changed=HOSTILE if day > 1 else (), reason=harm, kit=harm, disturbed=harm) for day in (1, 2, 3)
    )
    series = a_series(
        HOSTILE[0], arch=HOSTILE[2], machine=harm, machine_id=harm, devices=HOSTILE, kits=HOSTILE, latency=points,
        accuracy=(a_point(1, None, purpose=None, reason=harm),),
    )  # fmt: skip
    return a_history(series, asked=harm, store=harm, notices=HOSTILE, command=" ".join(HOSTILE))

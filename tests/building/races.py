"""Comparisons without a machine: a host that answers with the times it was told, and finished builds that are only files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edgecnn.comparing.baseline_file import sealed, write_record
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.hosts.protocol import Schedule, Task
from edgecnn.measure.lab import Lab
from edgecnn.runner.files import write_json
from edgecnn.runner.runs.items import Item, run_file
from edgecnn.store.store import Store
from edgecnn.values.report import LatencyBaseline
from edgecnn.values.stage import Progress
from tests.building.bundles import make_bundle
from tests.measure.labs import FakeHost, lab_at
from tests.store.toys import Ear

STEADY = (1.0, 1.01, 0.99, 1.0, 1.02, 0.98)


class RacingHost(FakeHost):
    """Times are a kit's own by round: ``ms[folder name of the bundle]`` times what the round adds to every kit."""

    def __init__(self, **ms: float) -> None:
        super().__init__()
        self.ms = ms
        self.spread = STEADY
        self.wobble: dict[str, tuple[float, ...]] = {}
        """Bundle to what its own rounds add to it, and to no other kit."""
        self.others: dict[str, str] = {}
        """Bundle to what other programs took during its runs, percent."""
        self.refuses: dict[str, str] = {}
        """Bundle to why its kit does not pass its own test, with the runner's reference."""
        self.lacks_something = True
        """Whether a kit is refused because the machine lacks something."""

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        if task.command != "selftest":
            return super().run(task, lease_s=lease_s, tell=tell)
        self.calls.append((task.kit, tuple(task.argv())))
        if (ref := self.refuses.get(bundle_of(task.kit))) is not None:
            raise RunnerFailed(
                ref=ref, what="this kit needs openvino>=2026", because=None, hint=None, missing=self.lacks_something
            )
        return {}

    def _run_one(self, index: int, item: Item, out: Path) -> None:
        super()._run_one(index, item, out)
        path, name = run_file(out, index), bundle_of(item.kit)
        run = json.loads(path.read_text())
        if "error" not in run:
            ms = self.ms[name] * self.spread[item.round % len(self.spread)]
            wobble = self.wobble.get(name, (1.0,))
            ms *= wobble[item.round % len(wobble)]
            fit = item.samples if item.max_s is None else min(item.samples, math.ceil(item.max_s * 1000 / ms))
            run["samples_ns"] = [round(ms * 1e6)] * fit
            run["environment"]["observed"]["others_percent"] = self.others.get(name, "1.0")
            write_json(path, run)


def bundle_of(kit: Path) -> str:
    return kit.parents[1].name


def two_bundles(folder: Path) -> tuple[Path, Path]:
    """HEAD and BASE, of networks of different widths."""
    return make_bundle(folder / "head", width=4), make_bundle(folder / "base", width=3)


def racing_lab(host: FakeHost, folder: Path, tell: Ear | None = None) -> Lab:
    return lab_at(host, Store.open(folder / "store"), tell)


def measured_on_a_device(host: RacingHost, bundle: Path, out: Path, rounds: int = 8, **settings: Any) -> Path:
    """What ``python3 -m runner measure`` leaves in ``out``, as this host measures it."""
    kit = bundle / "kits/onnxruntime-fp32"
    timing = {"samples": 50, "warmup_s": 0.3, "max_s": 5.0, "knobs": {}, "trace": False, **settings}
    items = [{"kit": str(kit.resolve()), "round": number, "position": 0, **timing} for number in range(rounds)]
    out.mkdir(parents=True)
    host.run(Task(kit, "bench", out=out, schedule=Schedule(tuple(items), 60.0)), lease_s=60, tell=Ear())
    return out


def on_days(baseline: LatencyBaseline, folder: Path, factors: Sequence[float] = (0.99, 1.0, 1.01)) -> list[Path]:
    """Files of the same kit, one for each of the last days before today, on which the machine is so many times slower."""
    files, dates = [], last_days(len(factors))
    for day, factor in enumerate(factors):
        runs = tuple(
            run.model_copy(update={"samples_ns": tuple(round(factor * ns) for ns in run.samples_ns)}) for run in baseline.runs
        )
        when = f"{dates[day]}{baseline.observed_at[10:]}"
        files.append(folder / f"day-{day}.json")
        write_record(sealed(baseline.model_copy(update={"observed_at": when, "runs": runs})), files[-1])
    return files


def last_days(count: int) -> list[str]:
    """The dates of so many days before today. A baseline ages, so its days must not be fixed."""
    today = datetime.now(UTC).date()
    return [str(today - timedelta(days=count - day)) for day in range(count)]

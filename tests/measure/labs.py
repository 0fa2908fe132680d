"""A lab without a machine: a host that writes the files of the real runner, kits that are only manifests, an open store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.hosts.protocol import SCHEDULE, Task
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.runner.files import sha256_of, write_array, write_json
from edgecnn.runner.packages import runtime_of
from edgecnn.runner.runs.items import Item, read_schedule, run_file, run_header, trace_name
from edgecnn.store.store import Store
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress
from tests.store.toys import Ear

CONDITIONS = {"machine": "m1", "cpu": "AMD EPYC", "cores": "2", "governor": "performance", "python": "3.11.7"}
VERSIONS = {"onnxruntime": "1.31.1", "openvino": "2026.1", "torch": "2.15.0"}
CHUNK = 4
CLASSES = 3


class FakeHost:
    """Writes run, chunk and result files as the runner would, and keeps what an earlier call finished."""

    part_bytes: int | None = None

    def __init__(self) -> None:
        self.conditions = dict(CONDITIONS)
        self.versions = dict(VERSIONS)
        self.calls: list[tuple[Path, tuple[str, ...]]] = []
        self.ran: list[int] = []
        """Numbers of the items that really ran, over all calls."""
        self.broken: dict[str, str] = {}
        """Kit digest to what its runner says instead of a run."""
        self.silent: set[str] = set()
        """Digests of kits for which no file appears at all."""
        self.stop_after: int | None = None
        """So many runs from now the power goes off."""
        self.others_percent: list[str] = []
        """What each run says that the processors did besides it, in order."""
        self.batch_cost: dict[int, float] = {}
        """Images in a call to how many times longer it takes than a call of one."""
        self.sample_ns: Callable[[int], int] = lambda index: 1000 + index
        """What every inference of the run takes that is the so-manieth of all, from 0."""
        self.trace: Callable[[Item, Path], None] | None = None
        self.meters = ""
        """Names of the meters that can be read there."""
        self.observed = {"load_1min": "0.5"}
        """What the machine did while a run ran."""
        self.began_unix_ns = 1_795_161_600_000_000_000
        """When the first energy run begins: 2026-11-20T08:00:00+00:00; each takes 40 s."""

    def identify(self) -> Environment:
        said = {"energy_meters": self.meters} if self.meters else {"energy_absent": "rapl: this is a virtual machine"}
        return Environment(conditions=self.conditions, observed=said)

    def runtime_version(self, runtime: str) -> str | None:
        return self.versions.get(runtime)

    def recall(self, out: Path) -> None: ...

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        kit, argv = task.kit, task.argv()
        assert lease_s > 0 and kit.is_dir()
        if task.schedule is not None and task.out is not None:
            (task.out / SCHEDULE).write_text(task.schedule.text())
        self.calls.append((kit, tuple(argv)))
        options = dict(zip(argv[1::2], map(Path, argv[2::2]), strict=True))
        if argv[0] == "evaluate":
            return self._evaluate(kit, options["--pixels"], options["--out"])
        assert argv[0] == "bench"
        return self._bench(options["--schedule"], options["--out"])

    def environment_of(self, kit: Path) -> dict[str, dict[str, str]]:
        runtime = runtime_of(json.loads((kit / "kit.json").read_text())["session"]["module"])
        own = {"runtime": runtime, "runtime_version": self.versions[runtime]}
        return {"conditions": {**self.conditions, **own}, "observed": self.observed}

    def _bench(self, schedule: Path, out: Path) -> dict[str, Any]:
        read = read_schedule(schedule)  # refuses what the real runner would refuse
        for index, item in enumerate(read.items):
            path = run_file(out, index)
            if path.is_file() and "error" not in json.loads(path.read_text()):
                continue
            if self.stop_after == 0:
                raise KeyboardInterrupt
            self.ran.append(index)
            self._run_one(index, item, out)
            self.stop_after = None if self.stop_after is None else self.stop_after - 1
        return {"items": len(read.items)}

    def _run_one(self, index: int, item: Item, out: Path) -> None:
        run = dict(run_header(item), trace=trace_name(index) if item.trace else None)
        if run["kit"] in self.silent:
            return
        if what := self.broken.get(run["kit"]):
            error = {"ref": "bad-kit", "what": what, "because": None, "hint": None}
            write_json(run_file(out, index), dict(run, error=error))
            return
        if item.trace and self.trace is not None:
            (out / trace_name(index)).mkdir(exist_ok=True)
            self.trace(item, out / trace_name(index))
        environment = self.environment_of(item.kit)
        if self.others_percent:
            environment["observed"]["others_percent"] = self.others_percent.pop(0)
        each = round(self.sample_ns(len(self.ran) - 1) * self.batch_cost.get(item.batch, 1))
        times = {"load_ns": 5, "first_ns": 4, "warmup_ns": [3], "samples_ns": [each] * item.samples, "batch": item.batch}
        times["picture"] = "JPEG of 56 x 40 pixels and 1,000 bytes" if item.end_to_end else None
        if item.window_s is not None:
            times.update(self._soak(each, int((item.max_s or 0) / item.window_s)))
        times["memory"] = {"baseline_mib": 60.0, "peak_mib": 80.0 + index, "source": "VmHWM"}
        if item.energy:
            times.update(samples_ns=[], energy=self._energy(index, item.max_s or 0))
        write_json(run_file(out, index), dict(run, **times, started_at="2026-11-20T09:00:00+00:00", environment=environment))

    def _soak(self, each: int, windows: int) -> dict[str, Any]:
        """Ever hotter, and from the half on a quarter slower."""
        slow = [each if place < windows / 2 else each * 5 // 4 for place in range(windows)]
        seen = [{"throttled": "no" if ns == each else "too hot"} for ns in slow]
        stretches = [{"began_s": 10.0 * n, "seconds": 10.0, "samples": 50, "observed": each} for n, each in enumerate(seen)]
        return {"samples_ns": [ns for ns in slow for _ in range(50)], "windows": stretches}

    def _energy(self, index: int, window_s: float) -> dict[str, Any]:
        """Idle at 2 W and busy at 10, in a hundred images."""
        began = self.began_unix_ns + index * 40_000_000_000
        idle = {"began_unix_ns": began, "seconds": window_s, "clock_s": window_s}
        work = {**idle, "began_unix_ns": began + 20_000_000_000}
        spent = {"idle_j": 2 * window_s, "idle_s": window_s, "work_j": 10 * window_s, "work_s": window_s}
        readings = [dict(spent, meter=name, covers="the packages") for name in self.meters.split()]
        return {"images": 100, "idle": idle, "work": work, "readings": readings, "absent": {}}

    def _evaluate(self, kit: Path, pixels: Path, out: Path) -> dict[str, Any]:
        images = np.load(pixels)
        for number, first in enumerate(range(0, len(images), CHUNK)):
            path = out / f"logits-{number:05d}.npy"
            if path.is_file():
                continue
            if self.stop_after == 0:
                raise KeyboardInterrupt
            self.ran.append(number)
            write_array(path, logits_of(images[first : first + CHUNK]))
            self.stop_after = None if self.stop_after is None else self.stop_after - 1
        facts = {"environment": self.environment_of(kit), "images": len(images), "pixels_sha256": sha256_of(pixels)}
        write_json(out / "evaluation.json", facts)
        return facts


def logits_of(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What every fake kit answers: the image's first number in each class, plus the class."""
    return (images[:, 0, 0, :1].astype(np.float32) + np.arange(CLASSES, dtype=np.float32)).astype(np.float32)


def a_kit(folder: Path, name: str, *, runtime: str = "onnxruntime", stands_for: str | None = None) -> KitRef:
    """A folder with a manifest, and what measuring knows of it."""
    place = folder / name
    place.mkdir(parents=True)
    model = {"batch_max": 16}
    manifest = {
        "name": name,
        "model": model,
        "session": {"module": f"{runtime}_cpu"},
        "stands_for": {"kit": stands_for} if stands_for else None,
    }
    (place / "kit.json").write_text(json.dumps(manifest))
    return KitRef(
        candidate=a_candidate(name, runtime),
        folder=place,
        digest=hashlib.sha256((place / "kit.json").read_bytes()).hexdigest(),
        runtime=runtime,
        stands_for=stands_for,
    )


def a_candidate(name: str, runtime: str = "onnxruntime") -> Candidate:
    return Candidate(id=name, runtime=Runtime(runtime), precision=Precision.FP32, method=Method.FLOAT)


def lab_at(host: FakeHost, store: Store, tell: Ear | None = None) -> Lab:
    """The lab as a new process would set it up: conditions are read from the host now."""
    return Lab(
        host=host, store=store, tell=tell or Ear(), device="cpu", machine="AMD x86_64 with 2 cores", environment=host.identify()
    )

"""Sentences about the runs of a race: how they ended, settled, depended on each other, and what a gate makes of them."""

from __future__ import annotations

from pathlib import Path

from edgecnn.judging.dependence import dependence
from edgecnn.judging.gates import judge
from edgecnn.judging.latency import latency, steady
from edgecnn.judging.ratio import PairedRace
from edgecnn.judging.resources import energy, memory
from edgecnn.judging.stopping import how_it_stopped, what_helps
from edgecnn.render.sentences import error_rates
from edgecnn.values.profile import RunMemory
from tests.judging.made import a_gate, a_judged_latency, a_latency, a_race, a_run, an_interval, facts
from tests.judging.runs.test_energy import a_reading, an_energy_race
from tests.judging.runs.test_energy import a_run as an_energy_run
from tests.judging.runs.test_memory import PEAKS, a_race_with, runs_text
from tests.judging.runs.test_ratio import judged, pair, unpaired
from tests.judging.runs.test_steady import noise, run_of
from tests.judging.runs.test_stopping import TWO
from tests.judging.runs.test_sustained import QUIET, soak_of
from tests.surfaces.pinned import Surface, sections

BUSY = {"others_percent": "60.0"}
THROTTLED = {"throttled": "heat", "throttled_percent": "80"}


def _joined(lines: list[str | None]) -> str:
    return "\n".join(str(line) for line in lines)


def runs(_: Path) -> str:
    warming, ending = noise(1000), noise(1000)
    warming[:100] *= 2
    ending[900:] *= 2
    hot = {"throttled": "too hot (3 times)"}
    rising = [float(at) for at in range(1, 17)]
    waves = [1.0, 1.1, 2.0, 2.1, 2.2, 2.0, 1.2, 1.0, 1.1, 1.2, 2.1, 2.2, 2.0, 2.3, 1.1, 1.0]
    soaks = (soak_of([1.0, 1.0, 1.1, 1.2, 1.3, 1.3]), soak_of([1.0, 1.0, 1.001]), soak_of([1.0, 2.0]))
    windows = (soak_of([1.0, 1.5, 1.5], [QUIET, hot, hot]), soak_of([1.0, 1.0, 1.0], [QUIET, {}, QUIET]))
    depends = [
        correlation.says
        for values in (rising, rising[::-1], waves, rising[:8])
        if (correlation := dependence(values)) is not None
    ]
    mixed = [run_of(ending)] * 3 + [run_of([1.0] * 100)] * 5
    settled = [run_of(warming, warmup=400)] * 6 + [run_of(warming, warmup=50)] * 2
    return sections(
        {
            "stopped": _joined(
                [how_it_stopped(20, an_interval(1.0, 0.99, 1.018), TWO), how_it_stopped(40, an_interval(1.0, 0.97, 1.02), TWO),
                 how_it_stopped(10, None, TWO)]
            ),
            "would settle": _joined([what_helps(32), what_helps(None)]),
            "steady": _joined([steady(mixed, "busy").says, steady([a_run(0)] * 8).says, steady([run_of([1.0] * 100)] * 8).says]),
            "warmed up": steady(settled).says.split(";", 1)[1],
            "soak": _joined([soak.says for soak in (*soaks, *windows)]),
            "dependence": _joined([*depends]),
            "latency": _joined([latency(a_race([1.25])).reason, latency(a_race([1.0] * 8, samples=999)).reason]),
        }
    )  # fmt: skip


def judged_runs(_: Path) -> str:
    """Ratios, peak memory and energy under a gate, and error rates."""
    across = PairedRace(base=a_race([1.0] * 10), head=a_race([0.95, 1.05] * 5))
    few = PairedRace(base=a_race([1.0] * 5), head=a_race([1.0] * 5))
    ratios = (
        judged(pair()), judged(pair(1.1)), judged(across), judged(few), judged(pair(1.0), gate=a_gate("latency_ratio", 0.9)),
        judged(pair(1.1, of_head=BUSY)), judged(pair(2.2, of_head={"others_percent": "40.0"})),
        judged(pair(1.1, of_head=THROTTLED)),
        unpaired(1.2), unpaired(0.95, of_base=BUSY),
    )  # fmt: skip
    unread = [*runs_text(PEAKS)[:3], RunMemory(absent="no getrusage"), *runs_text(PEAKS)[4:]]
    memories = [memory(a_race_with(held)) for held in (runs_text(PEAKS), runs_text(PEAKS[:1]), unread, [None] * 8)]
    meters = [an_energy_run(a_reading(10.0 + at / 100)) for at in range(16)]
    energies = [energy(an_energy_race(held)) for held in (meters, meters[:1], [an_energy_run(rapl="not for this user")] * 8)]
    peaks = [judge(a_gate("peak_memory_mib", 83), facts(memory=peak)) for peak in memories]
    rates = [
        peaks[0],
        judge(a_gate("size_mib", 83), facts(size_mib=1.0)),
        judge(a_gate("p50_ms", 20), facts(latency=a_latency(an_interval(1.0)))),
    ]
    slow = judge(a_gate("p50_ms", 2.0), facts(latency=a_judged_latency(an_interval(1.9, 1.7, 2.1))))
    return sections(
        {
            "latency": slow.reason,
            "ratio": _joined([f"{ratio.verdict.value}: {ratio.reason}" for ratio in ratios]),
            "memory": _joined([f"{peak.verdict.value}: {peak.reason}" for peak in peaks]),
            "energy": _joined([judge(a_gate("energy_mj", 104), facts(energy=per_image)).reason for per_image in energies]),
            "not measured": _joined([judge(a_gate(metric, 50), facts()).reason for metric in ("energy_mj", "peak_memory_mib")]),
            "error rates": str(error_rates(rates)),
        }
    )


SURFACES: dict[str, Surface] = {"sentence/runs": runs, "sentence/judged-runs": judged_runs}

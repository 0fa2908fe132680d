"""Every runtime of a CPU in one race: six networks at 224 px, batch 1, on all cores that this process may use.

    python -m benchmarks.runtimes --out results.json [--networks mobilenet-v2 ...] [--rounds 7] [--browser]

Weights learned nothing, which changes no time. Each kit is what `edgecnn build` packs, and each run a fresh process of it; all
kits of a network take turns. LiteRT and ncnn run where their extras are installed,
and are left out elsewhere. With `--browser` ONNX Runtime Web runs too, in Chromium, and stands beside ONNX Runtime as a ratio,
round by round.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgecnn.building.untrained_kits import KitMaker
from edgecnn.devices.check.board import BoardUse
from edgecnn.devices.files import device_named
from edgecnn.devices.machine import Machine, machine_for
from edgecnn.devices.this_machine import local_facts
from edgecnn.installed import lacking
from edgecnn.judging.intervals import ratio_interval
from edgecnn.judging.latency import estimated_ms, latency_when_chosen
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.planning.candidates import candidates_of
from edgecnn.render.progress import PlainLines
from edgecnn.runtimes.registry import backend_for
from edgecnn.store.store import Store
from edgecnn.values.candidate import Candidate, Runtime
from edgecnn.values.fit import Probe
from edgecnn.values.profile import Profile
from edgecnn.values.recipe import Recipe

NETWORKS = ("mobilenet-v2", "mobilenet-v3-large", "efficientnet-lite0", "efficientnet-b0", "resnet-18", "resnet-50")
DEVICE, SIDE_PX, CLASSES = "cpu", 224, 1000
SAMPLES, RUN_S = 200, 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--browser", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    tell, device = PlainLines(), device_named(DEVICE)
    with machine_for(None, BoardUse(device, "benchmarks.runtimes"), tell) as machine:
        lab = machine.lab(Store.open(), tell, device.name)
        kinds = [
            candidate
            for name in ((DEVICE, "browser") if options.browser else (DEVICE,))
            for candidate in candidates(machine, name)
        ]
        rows = {name: raced(name, kinds, lab, options.rounds) for name in options.networks}
    about = {"machine": local_facts().describe(), "measured_at": datetime.now(UTC).isoformat(timespec="seconds")}
    versions = {runtime: lab.host.runtime_version(runtime) for runtime in sorted({kind.runtime.value for kind in kinds})}
    record = {**about, "side_px": SIDE_PX, "runtimes": versions, "networks": rows}
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table(record))


def candidates(machine: Machine, name: str) -> list[Candidate]:
    """Of every runtime of a device that this machine has; WebGPU is measured where there is a GPU."""
    offered: list[Candidate] = []
    device = device_named(name)
    for runtime in (entry for entry in Runtime if entry in device.runtimes and entry is not Runtime.WEBGPU):
        if lacking(backend_for(runtime).packages, backend_for(runtime).extra) is None:
            recipe = Recipe.model_validate({"target": {"device": name, "runtime": runtime}})
            offered += candidates_of(device, recipe, machine.facts)[0]
    return list({candidate.id: candidate for candidate in offered}.values())


def raced(name: str, kinds: list[Candidate], lab: Lab, rounds: int) -> dict[str, Any]:
    """p50 in ms by candidate, with its interval; or why there is none."""
    made = KitMaker(lab.store, lab.tell, lab.environment.conditions).kits(
        Probe(arch=name, resolution_px=SIDE_PX, classes=CLASSES), kinds
    )
    request = RaceRequest(
        kits=tuple(made.made.values()), purpose="table", rounds=rounds, samples=SAMPLES, max_s=RUN_S, max_age_h=24.0
    )
    run, row = race(request, lab), dict[str, Any](made.failed)
    for candidate, kit in made.made.items():
        if kit.entrant in run.profiles:
            p50 = latency_when_chosen(run.profiles[kit.entrant]).p50_ms
            row[candidate] = p50 and p50.model_dump(mode="json")
        else:
            row[candidate] = run.failed.get(kit.entrant)
    times = {name: runs_ms(run.profiles[kit.entrant]) for name, kit in made.made.items() if kit.entrant in run.profiles}
    for precision in ("fp32", "int8"):
        web, native = f"wasm-{precision}", f"onnxruntime-{precision}"
        if web in times and native in times and (ratio := ratio_interval(times[web], times[native])) is not None:
            row[f"{web} / {native}"] = ratio.model_dump(mode="json")
    return row


def runs_ms(profile: Profile) -> list[float]:
    """The median of each run, in the order of rounds; slow networks give too few samples for ``paired_ratio``."""
    runs = sorted(profile.runs, key=lambda run: run.round)
    return [ms for run in runs if (ms := estimated_ms(run)) is not None]


def table(record: dict[str, Any]) -> str:
    """Markdown: a row a network, a column a candidate."""
    names = sorted({name for row in record["networks"].values() for name in row})
    lines = ["| network | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for network, row in record["networks"].items():
        cells = [_cell(row.get(name)) for name in names]
        lines.append(f"| {network} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value['estimate']:.2f} [{value['low']:.2f}, {value['high']:.2f}]" if isinstance(value, dict) else "–"


if __name__ == "__main__":
    main()

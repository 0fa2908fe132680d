"""Measure every kit of a bundle on the device, to settle a provisional choice and to show the speed to a person.

Latency and energy are two races in two folders: a run that measures energy is not timed. So if a meter becomes readable later,
for example after a change of permissions, its runs are added to the existing latencies.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from .choice import CHOICE, built_for, gates_in, knobs_of, read_choice
from .engines.engine import build_engines
from .files import make_folder, read_json, write_json
from .kit import Kit
from .machine.environment import read_environment
from .measured import is_device, judged_gates, kit_figures, machine_name
from .messages import RunnerError, note, progress
from .meters.kinds import NOTHING_OF_A_CPU, can_watch
from .packages import runs_on_gpu
from .runs.figures import KitRuns, runs_by_kit
from .runs.items import SCHEMA, run_file
from .runs.schedule import bench

ENGINES = "build"
ENERGY = "energy"
"""Folder of the energy runs, inside the folder of the other runs."""
MACHINE = "machine.json"
"""The device's environment, with its energy meters or why there are none."""
ROUNDS = 8
"""Least processes of each kit by default; the gates of the build may need more."""
_TIMEOUT_S = 300.0
_MAX_S = 20.0


class BundledKit(NamedTuple):
    """A kit of the bundle, and its entry in ``choice.json``."""

    kit: Kit
    knobs: Dict[str, str]
    entry: Mapping[str, Any]


def measure(bundle: Path, out: Path, rounds: Optional[int], samples: int) -> Dict[str, Any]:
    """Build missing engines, then race the bundle's kits for latency and then for energy.

    Args:
        bundle: folder of ``choice.json``.
        out: folder of the runs. Runs that an interrupted call finished are kept.
        rounds: processes of each kit, in a new random order each round; None: as many as the gates of the build need, at least
            ``ROUNDS``.
        samples: timed inferences in each process.

    Returns:
        the facts of the race, with ``kits`` and ``gates``; see ``kit_figures`` and ``judged_gates``.

    Raises:
        RunnerError: no-bundle; the errors of building and racing; a package that every kit lacks; runs-failed, with the results
            of the other runs.
    """
    choice = _choice_of(bundle)
    gates = gates_in(choice)
    rounds = rounds or max([ROUNDS] + [gate.runs for gate in gates])
    kits, left_out = _runnable(_bundled_kits(bundle, choice))
    for kit in (entry.kit for entry in kits):
        if kit.manifest.engine is not None and not (kit.folder / ENGINES / "engine.plan").is_file():
            kit.verify_files()
            build_engines(kit.folder, kit.folder / ENGINES, tell=progress)
    make_folder(out)
    environment = read_environment()
    write_json(out / MACHINE, environment)
    timed = _race(kits, out, rounds, {"samples": samples, "max_s": _MAX_S})
    measured = dict(timed, out=str(out), energy=_measure_energy(kits, out / ENERGY, rounds, environment["observed"]))
    finished = runs_by_kit([run_file(out, index) for index in range(timed["items"])])
    runs = {entry.kit.folder.name: finished.get(entry.kit.sha256, KitRuns(())) for entry in kits}
    entries = {entry.kit.folder.name: entry.entry for entry in kits}
    measured.update(kits=kit_figures(runs, entries, choice), machine=machine_name(environment), device=choice.get("device"))
    measured["gates"] = judged_gates(gates, measured["kits"], runs, is_device(built_for(choice), environment))
    if left_out:
        measured["left_out"] = left_out
    failed = [run_file(out, index) for index in timed["failed"]]
    failed += [run_file(out / ENERGY, index) for index in measured["energy"].get("failed", [])]
    if failed:
        what = "{:,} of {:,} runs failed".format(len(failed), timed["items"] + measured["energy"].get("items", 0))
        error = read_json(failed[0])["error"]
        because = "{}: {}".format(failed[0].name, ": ".join(filter(None, (error["what"], error["because"]))))
        failure = RunnerError("runs-failed", what, because, error["hint"], error["missing"])
        raise failure.add_results({"bench": measured})
    return measured


def _runnable(kits: List[BundledKit]) -> Tuple[List[BundledKit], Dict[str, str]]:
    """Return the kits whose packages are installed, and what each other kit lacks. A device need not have every runtime."""
    runnable, left_out = [], {}  # type: List[BundledKit], Dict[str, str]
    lacks: Optional[RunnerError] = None
    for entry in kits:
        try:
            entry.kit.check_requirements()
            runnable.append(entry)
        except RunnerError as error:
            lacks, left_out[entry.kit.manifest.name] = error, ": ".join(filter(None, (error.what, error.because)))
            note("{} is skipped: {}".format(entry.kit.manifest.name, left_out[entry.kit.manifest.name]))
    if not runnable and lacks is not None:
        raise lacks
    return runnable, left_out


def _measure_energy(kits: List[BundledKit], out: Path, rounds: int, observed: Dict[str, str]) -> Dict[str, Any]:
    """Measure the energy of the kits that a meter covers; return why the others have none."""
    meters = observed.get("energy_meters", "").split()
    watched = [entry for entry in kits if can_watch(meters, runs_on_gpu(entry.kit.manifest.session.module))]
    why = observed.get("energy_absent", NOTHING_OF_A_CPU)
    absent = {entry.kit.manifest.name: why for entry in kits if entry not in watched}
    if absent:
        note("energy of {} is not measured: {}".format(", ".join(sorted(absent)), why))
    if not watched:
        return {"absent": absent}
    make_folder(out)
    return dict(_race(watched, out, rounds, {"samples": 1, "energy": True}), meters=meters, absent=absent)


def _race(kits: List[BundledKit], out: Path, rounds: int, settings: Dict[str, Any]) -> Dict[str, Any]:
    schedule = out / "asked.json"
    write_json(schedule, {"schema": SCHEMA, "timeout_s": _TIMEOUT_S, "items": _race_items(kits, rounds, settings)})
    return bench(schedule, out)


def _choice_of(bundle: Path) -> Dict[str, Any]:
    """Raises RunnerError: no-bundle."""
    choice = read_choice(bundle)
    if choice is not None and choice["kits"]:
        return choice
    fix = "run this in a kit's folder of a bundle, or pass the folder that holds {}".format(CHOICE)
    if (bundle / CHOICE).is_file():
        raise RunnerError("no-bundle", "{}: names no kits".format(bundle / CHOICE), "this runner cannot read it", fix)
    raise RunnerError("no-bundle", "{}: not a bundle".format(bundle.resolve()), "it has no {}".format(CHOICE), fix)


def _bundled_kits(bundle: Path, choice: Mapping[str, Any]) -> List[BundledKit]:
    entries = [facts for _, facts in sorted(choice["kits"].items())]
    return [BundledKit(kit_inside(bundle, str(facts["folder"])), knobs_of(facts, bundle / CHOICE), facts) for facts in entries]


def kit_inside(bundle: Path, name: str) -> Kit:
    """Open the kit in a folder that ``choice.json`` names.

    Raises:
        RunnerError: outside-the-bundle, or the errors of ``Kit.open``.
    """
    folder = (bundle / name).resolve()
    if bundle.resolve() not in folder.parents:
        raise RunnerError("outside-the-bundle", "{}: names {!r}, which leaves the bundle".format(bundle / CHOICE, name))
    return Kit.open(folder)


def _race_items(kits: List[BundledKit], rounds: int, settings: Dict[str, Any]) -> List[Dict[str, Any]]:
    items = []  # type: List[Dict[str, Any]]
    draw = random.Random(",".join(entry.kit.sha256 for entry in kits))
    for number in range(rounds):
        for position, entry in enumerate(draw.sample(kits, len(kits))):
            place = {"kit": str(entry.kit.folder), "round": number, "position": position}  # type: Dict[str, Any]
            items.append(dict(place, knobs=entry.knobs, **settings))
    return items

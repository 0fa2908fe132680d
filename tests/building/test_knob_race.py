"""The chosen kit's settings are raced against its default; what wins is in the bundle, and is what its runner uses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgecnn.building.measuring import Observer, race_knobs
from edgecnn.devices.machine import local_lab
from edgecnn.errors.comparing import BundleUnreadable
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.hosts.protocol import Task
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race_request import RaceOptions
from edgecnn.measure.subject import Subject
from edgecnn.planning.candidates import BASELINE
from edgecnn.results.shipped import shipped_kit
from edgecnn.runner.files import write_json
from edgecnn.runner.runs.items import Item, run_file
from edgecnn.store.store import Store
from edgecnn.values.candidate import DEFAULT, KnobRace, Knobs
from edgecnn.values.layers import MacTable
from edgecnn.values.recipe import RaceChoice
from edgecnn.values.stage import Progress
from tests.building.builds import Place
from tests.building.bundles import publish_bundle
from tests.building.resolutions import resolved
from tests.building.scenes import a_choice, a_report, an_artifact
from tests.measure.labs import FakeHost, a_kit, lab_at
from tests.runner.kits import make_kit
from tests.runner.processes import edit, runner
from tests.runner.trees import tree
from tests.store.toys import Ear

NAME = BASELINE.id
NOT_WAITING, EXTENDED, FEWER = Knobs(spinning=False), Knobs(graph_optimization_level="extended"), Knobs(threads=1)
PLANTED = """        settings = _settings(dict(options))
        self._pause_s = 0.004
        if options.get("session.intra_op.allow_spinning") == "0":
            self._pause_s = 0.001
        if options.get("graph_optimization_level") == "extended":
            self._pause_s = 0.012
"""
"""A session for which one setting is faster than its default, one slower, and every other the same."""


def an_observer(kit: KitRef, lab: Lab, folder: Path) -> Observer:
    """One that has chosen this kit."""
    default = resolved()
    recipe = default.recipe.model_copy(update={"race": RaceChoice(rounds=8, samples=50)})
    observer = Observer(Subject.from_build(default.model_copy(update={"recipe": recipe}), lab))
    table = MacTable(resolution_px=64, layers=()).model_dump_json()
    observer.subject.graphs["export"] = an_artifact("export", folder / "export", {"macs.json": table}).folder / "macs.json"
    observer.subject.kits[NAME] = observer.subject.answering[NAME] = kit
    return observer


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Observer, Path]:
    """A real kit whose settings were raced on this machine, and the bundle that was made of it."""
    folder = tmp_path_factory.mktemp("knobs")
    made = make_kit(folder, name=NAME)
    # It sees no other work, so that this machine's own does not keep the winner from being taken.
    nothing = tree(folder / "nothing", {"proc/cpuinfo": "processor : 0\nflags : hypervisor\n"})
    edit(made, "runner/machine/procfs.py", 'ROOT = Path("/")', f'ROOT = Path("{nothing}")')
    session = "runner/sessions/onnxruntime_cpu.py"
    edit(made, session, "        settings = _settings(dict(options))\n", PLANTED)
    edit(made, session, "        return dict(zip(", "        __import__('time').sleep(self._pause_s)\n        return dict(zip(")
    observer = an_observer(KitRef.at(made), local_lab(Store.open(folder / "store"), Ear()), folder)
    race_knobs(observer, NAME, RaceOptions())
    (folder / "out").mkdir()
    choice = a_choice(NAME).model_copy(update={"knobs": observer.subject.knobs})
    publish_bundle(a_report(choice=choice), observer.subject.kits, folder / "out")
    return observer, folder / "out/bundle"


def found(observer: Observer) -> KnobRace:
    assert observer.subject.knobs is not None
    return observer.subject.knobs


@pytest.mark.slow  # races six settings
def test_the_planted_faster_setting_wins_and_the_slower_and_equal_ones_do_not(planted: tuple[Observer, Path]) -> None:
    observer, _ = planted
    outcomes = {trial.knobs: trial.outcome for trial in found(observer).trials}
    assert (found(observer).candidate, found(observer).knobs) == (NAME, NOT_WAITING)
    assert (outcomes[NOT_WAITING], outcomes[EXTENDED]) == ("taken", "not-shown")
    fewer = {outcome for knobs, outcome in outcomes.items() if knobs.threads}
    assert fewer <= {"not-shown", "faster"}, "nothing was planted for it; a busy machine may favour fewer threads"


@pytest.mark.slow  # races six settings
def test_what_is_raced_of_the_kit_from_then_on_runs_with_it(planted: tuple[Observer, Path]) -> None:
    observer, _ = planted
    assert observer.subject.kits[NAME].knobs == NOT_WAITING
    stored = observer.subject.lab.store.profiles.of(observer.subject.kits[NAME].digest, "residency")
    assert [each.profile.knobs for each in stored] == [NOT_WAITING.options], "what it computes is read again as it ships"


@pytest.mark.slow  # races six settings
def test_the_bundle_names_the_winner_and_its_runner_uses_it(planted: tuple[Observer, Path]) -> None:
    _, bundle = planted
    written = json.loads((bundle / "choice.json").read_text())
    assert written["kits"][NAME]["knobs"] == NOT_WAITING.options
    assert KnobRace.model_validate(written["choice"]["knobs"]).knobs == NOT_WAITING
    kit = bundle / "kits" / NAME
    assert runner(kit, "predict", "golden/card.png")[1]["knobs"] == NOT_WAITING.options
    _, last = runner(kit, "measure", "../..", "--rounds", "1", "--samples", "20")
    run = json.loads((bundle / "measured/run-00000.json").read_text())
    assert (last["ok"], run["knobs"]) == (True, NOT_WAITING.options)


@pytest.mark.slow  # races six settings
def test_the_side_of_a_comparison_runs_as_its_bundle_says(planted: tuple[Observer, Path]) -> None:
    shipped = shipped_kit(planted[1])
    assert shipped.kit.knobs == shipped.facts.knobs == NOT_WAITING


def test_a_bundle_with_a_knob_that_nobody_knows_is_not_read(built_once: Place, tmp_path: Path) -> None:
    choice = json.loads((built_once.out / "bundle/choice.json").read_text())
    for entry in choice["kits"].values():
        entry["knobs"] = {"INFERENCE_PRECISION_HINT": "bf16"}
    shutil.copytree(built_once.out / "bundle/kits", tmp_path / "kits")
    (tmp_path / "choice.json").write_text(json.dumps(choice))
    with pytest.raises(BundleUnreadable, match="'INFERENCE_PRECISION_HINT' is not a knob of this version"):
        shipped_kit(tmp_path)


# ---------------------------------------------------------------------------------------------------------------------


class KnobHost(FakeHost):
    """Every setting has its own time, in µs; the kit's own test fails with those in ``strange``."""

    def __init__(self, **us: int) -> None:
        super().__init__()
        self.us, self.strange = us, set[str]()
        self.tested: list[tuple[str, ...]] = []

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        if task.command != "selftest":
            return super().run(task, lease_s=lease_s, tell=tell)
        self.tested.append(task.words)
        if self.strange & set(task.words):
            raise RunnerFailed(ref="golden-logits-differ", what="other logits", because=None, hint=None, missing=False)
        return {}

    def _run_one(self, index: int, item: Item, out: Path) -> None:
        super()._run_one(index, item, out)
        path = run_file(out, index)
        if not path.is_file():
            return
        run = json.loads(path.read_text())
        wobble = 1 + item.round % 3
        name = next((name for name in self.us if item.knobs and name in next(iter(item.knobs))), "default")
        write_json(path, {**run, "samples_ns": [1000 * self.us[name] + wobble] * item.samples})


def raced_on(host: KnobHost, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Observer:
    kit = a_kit(folder, NAME).model_copy(update={"candidate": BASELINE})
    observer = an_observer(kit, lab_at(host, Store.open(folder / "store")), folder)
    monkeypatch.setattr(observer, "read_residency", lambda names: None)
    race_knobs(observer, NAME, RaceOptions())
    return observer


def test_equal_settings_stay_with_the_default_and_nothing_is_tested_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = KnobHost(default=1000, threads=1000, spinning=1000, graph=1000, pin=1000)
    observer = raced_on(host, tmp_path, monkeypatch)
    assert (found(observer).knobs, observer.subject.kits[NAME].knobs, host.tested) == (DEFAULT, DEFAULT, [])
    assert [trial.outcome for trial in found(observer).trials] == ["not-shown"] * 4


def test_the_fastest_is_tested_before_it_is_taken_and_gives_way_where_it_answers_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = KnobHost(default=1000, threads=900, spinning=800, graph=1000, pin=1000)
    host.strange = {"session.intra_op.allow_spinning=0"}
    observer = raced_on(host, tmp_path, monkeypatch)
    trials = {trial.knobs: trial for trial in found(observer).trials}
    assert found(observer).knobs == FEWER
    assert (trials[NOT_WAITING].outcome, trials[NOT_WAITING].why) == ("unusable", "other logits [golden-logits-differ]")
    assert host.tested == [("--knob", "session.intra_op.allow_spinning=0"), ("--knob", "threads=1")]


def test_half_the_cores_of_the_process_and_not_of_the_device_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = KnobHost(default=1000, threads=1000, spinning=1000, graph=1000, pin=1000)
    host.conditions["cores"] = "6"
    observer = raced_on(host, tmp_path, monkeypatch)
    assert [trial.knobs.threads for trial in found(observer).trials if trial.knobs.threads] == [3]


def test_a_kit_whose_default_does_not_run_keeps_it_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = KnobHost(default=1000, threads=1000, spinning=1000, graph=1000, pin=1000)
    kit = a_kit(tmp_path / "same", NAME)
    host.silent = {kit.digest}
    observer = raced_on(host, tmp_path, monkeypatch)
    assert observer.subject.knobs is None
    assert observer.subject.notes == [f"the knobs of {NAME} could not be raced: no run of it was recorded"]

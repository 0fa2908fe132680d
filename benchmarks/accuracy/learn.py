"""Train the rows of the tables and judge each on images that nothing was chosen by; what is finished is not done again.

    python -m benchmarks.accuracy.learn --photographs FOLDER --fashion-mnist /usr/share/datasets/fashion-mnist
        [--only TEXT] [--results FOLDER] [--work FOLDER]

A run is the ordinary build as far as the fp32 kit in ONNX Runtime, and the evaluation of that kit by its own runner: no other
candidate is made, for they share these weights.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.results import DIGITS, FOLDER, RunResult, write
from benchmarks.accuracy.studies import ALL_BUT_FEW, Data, Run, runs
from benchmarks.ladder.photographs import pool
from edgecnn.building.build import plan_build
from edgecnn.building.execute import Execution, StageContext, execute
from edgecnn.building.measuring import pixel_sets
from edgecnn.data.images import open_source
from edgecnn.devices.files import target_of
from edgecnn.devices.machine import THIS_MACHINE, Machine, this_machine
from edgecnn.judging.accuracy import Answers, accuracy
from edgecnn.measure.evaluate import evaluate, logits_of
from edgecnn.measure.kits import KitRef
from edgecnn.planning.plan import Plan
from edgecnn.planning.request import BuildRequest
from edgecnn.render.progress import PlainLines
from edgecnn.store.store import Store
from edgecnn.values.candidate import BASELINE_ID
from edgecnn.values.dataset import ImageEntry
from edgecnn.values.recipe import Recipe
from edgecnn.values.stage import Progress
from edgecnn.values.training import TransferChoice

DEVICE = "cpu"
BEFORE_TRAINING = ("prepare", "fetch", "transfer")
TOOLS = ("torch", "torchvision", "onnxruntime", "scikit-learn", "pillow", "numpy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, help="train/ and validation/ with a sub-folder a class")
    parser.add_argument("--fashion-mnist", type=Path, help="a folder of its IDX files")
    parser.add_argument("--only", default="", help="runs whose name has this text")
    parser.add_argument("--results", type=Path, default=FOLDER)
    parser.add_argument("--work", type=Path, default=Path("builds/accuracy"))
    options = parser.parse_args()
    places = places_of(options.photographs, options.fashion_mnist, options.work.absolute())
    for run in runs():
        file = options.results / f"{run.name}.json"
        if run.study.data not in places or options.only not in run.name or file.is_file():
            continue
        print(f"{datetime.now(UTC):%H:%M:%S} {run.name}", file=sys.stderr, flush=True)
        result = learned(run, places[run.study.data], options.work.absolute(), PlainLines())
        write(result, file)
        print(f"{datetime.now(UTC):%H:%M:%S} {run.name}: {result.accuracy:.2%}", file=sys.stderr, flush=True)


def places_of(photographs: Path | None, fashion_mnist: Path | None, work: Path) -> dict[Data, Path]:
    """Where the data lie that were named; the pooled photographs are a list without roles, so that a build draws them anew."""
    places: dict[Data, Path] = {}
    if photographs is not None:
        work.mkdir(parents=True, exist_ok=True)
        listed = work / "pooled.csv"
        pool(photographs.absolute(), listed)
        places |= {"photographs": photographs.absolute(), "photographs-pooled": listed}
    if fashion_mnist is not None:
        places["fashion-mnist"] = fashion_mnist.absolute()
    return places


def recipe_of(run: Run, data: Path) -> Recipe:
    """The row as a recipe."""
    images: dict[str, Any] = {"path": str(data), "seed": run.division or 0}
    if run.study.data == "fashion-mnist":
        images["validation_share"] = ALL_BUT_FEW
    train = {**run.study.train, "seed": run.seed}
    target = {"device": DEVICE, "runtime": "onnxruntime"}
    return Recipe.model_validate({"model": run.study.model, "data": images, "train": train, "target": target})


def learned(run: Run, data: Path, work: Path, tell: Progress) -> RunResult:
    """Make the fp32 kit of a run, ask it, and say what it answered wrong."""
    store, machine = Store.open(), this_machine()
    recipe, decided = recipe_of(run, data), None
    device = target_of(recipe.target, None).device
    request = BuildRequest(recipe=recipe, device=device, out=work / run.name, goal="package")
    with store.in_use.held():
        if recipe.train.transfer == "auto":
            decided = decision(made(cut_to_training(plan_build(request, store, tell).plan), machine, store, tell))
            request = request.model_copy(update={"recipe": forced(recipe, decided)})
        execution = made(fp32_alone(plan_build(request, store, tell).plan), machine, store, tell)
        result = judged(run, execution, machine, store, tell)
    return result if decided is None else result.model_copy(update={"transfer": decided.sentence})


def cut_to_training(planned: Plan) -> Plan:
    """The plan as far as the choice of what is learned."""
    return Plan(
        resolved=planned.resolved, steps=tuple(step for step in planned.steps if step.stage.kind in BEFORE_TRAINING), rungs=()
    )


def forced(recipe: Recipe, decided: TransferChoice) -> Recipe:
    """The recipe with what auto chose, scratch without the published weights: training makes the same bytes
    (tests/training/test_transfer.py), and another row of these tables may have trained them already."""
    train = recipe.train.model_copy(update={"transfer": decided.chosen})
    model = recipe.model.model_copy(update={"weights": "none"}) if decided.chosen == "scratch" else recipe.model
    return recipe.model_copy(update={"train": train, "model": model})


def fp32_alone(planned: Plan) -> Plan:
    """The plan without every other candidate."""
    rungs = (
        rung.model_copy(update={"candidates": tuple(candidate for candidate in rung.candidates if candidate.id == BASELINE_ID)})
        for rung in planned.rungs
    )
    return Plan(resolved=planned.resolved, steps=planned.steps, rungs=tuple(rung for rung in rungs if rung.candidates))


def made(planned: Plan, machine: Machine, store: Store, tell: Progress) -> Execution:
    """Every step of it, from the store where it is there."""
    environment = dict(machine.environment.conditions)
    return execute(
        Execution(plan=planned), StageContext(store=store, host=machine.host, environment=environment, tell=tell), "package"
    )


def judged(run: Run, execution: Execution, machine: Machine, store: Store, tell: Progress) -> RunResult:
    """The kit's answers on the test images.

    Raises:
        SystemExit: there is no kit.
    """
    resolved = execution.plan.resolved
    candidate = next(entry for entry in resolved.candidates if entry.id == BASELINE_ID)
    package = execution.artifacts.get(f"package:{BASELINE_ID}")
    if package is None:
        sys.exit(f"{run.name}: no kit: {execution.outcomes}")
    pixels = pixel_sets(execution)["test"]
    profile = evaluate(KitRef.of(candidate, package), pixels, machine.lab(store, tell, THIS_MACHINE))
    entries = open_source(Path(resolved.data.manifest_path)).entries("test")
    labels = np.array([entry.label for entry in entries], np.int64)
    logits = logits_of(profile)
    answers = Answers(BASELINE_ID, logits, pixels.sha256, machine.facts.describe())
    return RunResult(
        study=run.study.id,
        seed=run.seed,
        division=run.division,
        network=resolved.arch.name,
        images=dict(resolved.data.counts),
        resolution_px=resolved.preprocessing.pixels.crop_px.short_px,
        epochs=resolved.recipe.train.epochs or 0,
        weights=resolved.weights.kind,
        transfer=resolved.recipe.train.transfer,
        pixels=pixels.sha256,
        top1=accuracy(answers, labels, "test").top1,
        wrong=wrong(entries, logits.argmax(axis=1) != labels),
        train_key=str(execution.artifacts["train"].key),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine.facts.describe(),
        versions={name: resolved.versions[name] for name in TOOLS},
    )


def wrong(entries: tuple[ImageEntry, ...], missed: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[str, ...]:
    """Digests of the images that were missed, sorted."""
    return tuple(sorted(entry.sha256[:DIGITS] for entry, is_missed in zip(entries, missed, strict=True) if is_missed))


def decision(execution: Execution) -> TransferChoice:
    """What auto chose, and by which figures.

    Raises:
        SystemExit: a step before it failed.
    """
    if "transfer" not in execution.artifacts:
        sys.exit(f"auto did not come to a choice: {execution.outcomes}")
    return TransferChoice.model_validate_json((execution.artifacts["transfer"].folder / "transfer.json").read_bytes())


if __name__ == "__main__":
    main()

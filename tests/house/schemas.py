"""The published JSON Schemas of what users write and read. All but the kit's come from the values themselves.

python -m tests.house.schemas --write
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import BaseModel

from edgecnn.bench.facts import BundleBench
from edgecnn.bundle.evidence import EvidenceRecord, EvidenceVerification
from edgecnn.bundle.manifest import BundleManifest, BundleVerification
from edgecnn.bundle.predictions import Predictions
from edgecnn.comparing.facts import MeasuredHistory, SideBySide
from edgecnn.devices.doctor.facts import DoctorReport
from edgecnn.devices.leases import BoardsFile
from edgecnn.forecast.networks import CountedCatalogue
from edgecnn.measure.loadgen.facts import LoadGenReport
from edgecnn.planning.recipe_settings import RecipeDifference, RecipeSettings
from edgecnn.results.explain import Explanation
from edgecnn.studies.facts import Ensemble, FeaturePictures, LabelDoubt, ScaleSearch, TenCrop
from edgecnn.studies.networks_for import NetworksFor
from edgecnn.sweeps.file import SweepFile
from edgecnn.sweeps.fleet import FleetReport
from edgecnn.sweeps.plan import SweepPlan
from edgecnn.sweeps.sweep import SweepJudgement
from edgecnn.values.arch import Catalogue
from edgecnn.values.artifact import Record
from edgecnn.values.augmentation import AugmentationPreview
from edgecnn.values.board import BoardCheck
from edgecnn.values.dataset import DataDivision, DataInspection
from edgecnn.values.device import Device
from edgecnn.values.fit import FitReport, LatencyTable
from edgecnn.values.forecast import ForecastReport, PublicTable
from edgecnn.values.layers import NetworkCost, Ranking
from edgecnn.values.profile import Profile
from edgecnn.values.recipe import Recipe
from edgecnn.values.report import BuildReport, Comparison, LatencyBaseline, PinnedBuild
from edgecnn.values.synthesis import Provenance
from edgecnn.values.training import TransferChoice
from tests.house.source_tree import ROOT

FOLDER = ROOT / "docs" / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED: dict[str, tuple[type[BaseModel], str]] = {
    "recipe": (Recipe, "A user's recipe file (TOML), and `asked` in plan.json."),
    "device": (Device, "A device file (TOML): nominal facts, each with its source."),
    "report": (BuildReport, "report.json: the results of a build."),
    "explanation": (Explanation, "Why each candidate was or was not chosen, and open questions: `edgecnn explain BUILD --json`."),
    "comparison": (Comparison, "Result of judging one build against another: `edgecnn judge HEAD --against BASE --json`."),
    "compare": (SideBySide, "Finished builds side by side: `edgecnn compare A B --json`."),
    "history": (MeasuredHistory, "Measurements over time: `edgecnn study history --json`."),
    "latency-baseline": (LatencyBaseline, "A file of `edgecnn baseline`: every run of one kit on a board or a pinned runner."),
    "pinned-build": (PinnedBuild, "A file of `edgecnn baseline pin`: the kit that later builds are raced against."),
    "recipe-settings": (RecipeSettings, "Every value of a recipe and its origin: `edgecnn recipe show --json`."),
    "recipe-difference": (RecipeDifference, "Values in which two recipes or builds differ: `edgecnn recipe diff --json`."),
    "ranking": (Ranking, "ranking.json of a rank artifact: the network's layers by their sensitivity to INT8."),
    "transfer": (TransferChoice, "transfer.json of a transfer artifact: how much of a pretrained network is trained, and why."),
    "synthesis": (Provenance, "synthesis.json of a synthesize artifact: the parts of each composed training image."),
    "catalogue": (Catalogue, "Every network by name, with its cost and published accuracy: `edgecnn list archs --json`."),
    "networks-for": (
        NetworksFor,
        "Networks for devices inside budgets, with predicted latency: `edgecnn list archs --target DEVICE --json`.",
    ),
    "record": (Record, "record.json: next to every artifact in the store."),
    "doctor": (DoctorReport, "Findings on one machine: `edgecnn doctor --json`."),
    "board": (BoardCheck, "A machine, and the problems that keep kits from running there: `edgecnn devices check --json`."),
    "bundle-bench": (
        BundleBench,
        "bundle-bench.json: measurements of a bundle without its build, `edgecnn bench BUNDLE --json`.",
    ),
    "loadgen": (LoadGenReport, "loadgen.json: LoadGen's settings and verdicts."),
    "ensemble": (Ensemble, "An ensemble and its members: `edgecnn study ensemble BUILD BUILD --json`."),
    "ten-crop": (TenCrop, "Ten views of every image against one: `edgecnn study ten-crop BUILD --json`."),
    "look": (FeaturePictures, "look.json: the image parts that excite a network's channels most: `edgecnn study look BUILD`."),
    "label-doubt": (LabelDoubt, "doubt.json: images whose label is probably wrong: `edgecnn data doubt BUILD`."),
    "division": (
        DataDivision,
        "A division of images into train, validation and test: `edgecnn data split FOLDER --out FOLDER --json`.",
    ),
    "cost": (NetworkCost, "The cost of one image for a network: `edgecnn study cost NETWORK --json`."),
    "scale-search": (ScaleSearch, "The largest scale inside budgets: `edgecnn study scale --json`."),
    "latency-table": (LatencyTable, "A device's latency table: `edgecnn devices measure NAME --out FILE`."),
    "fit": (
        FitReport,
        "fit.json: the most accurate of a few trained networks inside a budget, and the search: `edgecnn fit`.",
    ),
    "inspection": (DataInspection, "Findings in a folder of images: `edgecnn data inspect FOLDER --json`."),
    "preview": (AugmentationPreview, "The random values of a preview sheet: `edgecnn data preview FOLDER --json`."),
    "bundle": (BundleManifest, "bundle.json: every file of a bundle; a signature covers this file."),
    "verification": (BundleVerification, "Result of verifying a bundle: `edgecnn bundle verify BUNDLE --json`."),
    "predictions": (Predictions, "Predictions of a bundle for images: `edgecnn predict BUNDLE PHOTOS --json`."),
    "forecast": (ForecastReport, "Predicted latency of networks on other devices: `edgecnn forecast --json`."),
    "public-table": (PublicTable, "baselines/public/NAME.json: times that someone else published, with source and conditions."),
    "catalogue-work": (CountedCatalogue, "baselines/public/catalogue-work.json: counted work of every network of the catalogue."),
    "evidence": (EvidenceRecord, "Measurements of reference networks on one machine: a file of `edgecnn evidence`."),
    "evidence-verification": (
        EvidenceVerification,
        "Result of verifying an evidence record: `edgecnn evidence verify FILE --json`.",
    ),
    "sweep": (SweepFile, "A sweep file (TOML): networks, devices and recipe values."),
    "boards": (BoardsFile, "A file of boards that sweeps lease (TOML)."),
    "sweep-plan": (SweepPlan, "The plan of a sweep: `edgecnn sweep plan SWEEP.toml --json`."),
    "sweep-judgement": (SweepJudgement, "Finished builds of a sweep, judged again: `edgecnn sweep judge SWEEP.toml --json`."),
    "fleet": (FleetReport, "fleet.json: all builds of a sweep; `edgecnn sweep run` and `status`."),
    "profile": (Profile, "Observations on one machine: accuracy, latency or residency."),
}


def generated(name: str) -> dict[str, Any]:
    """The schema of one published value, as its class has it now."""
    model, description = PUBLISHED[name]
    schema = model.model_json_schema(by_alias=True, mode="validation" if name in ("recipe", "device") else "serialization")
    return {"$schema": DIALECT, **schema, "title": f"edgecnn {name}", "description": description}


def text(schema: dict[str, Any]) -> str:
    """The bytes of a schema file."""
    return json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    """``--write`` writes them; without it, those that are out of date are listed."""
    stale = []
    for name in PUBLISHED:
        path = FOLDER / f"{name}.json"
        if "--write" in sys.argv[1:]:
            path.write_text(text(generated(name)), encoding="utf-8")
        elif not path.is_file() or json.loads(path.read_text(encoding="utf-8")) != generated(name):
            stale.append(name)
    print(f"out of date: {', '.join(stale)}" if stale else f"{len(PUBLISHED)} schemas are current")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())

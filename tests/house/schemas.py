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
from edgecnn.devices.leases.listed import BoardsFile
from edgecnn.forecast.networks import CountedCatalogue
from edgecnn.measure.loadgen.facts import LoadGenReport
from edgecnn.planning.recipe_settings import RecipeDifference, RecipeSettings
from edgecnn.results.explanation import Explanation
from edgecnn.studies.doubt_facts import LabelDoubt
from edgecnn.studies.facts import Ensemble, FeaturePictures, ScaleSearch, TenCrop
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
    "recipe": (Recipe, "What a user asks: a recipe file (TOML), and plan.json's `asked`."),
    "device": (Device, "A device file (TOML): nominal facts, each with its source."),
    "report": (BuildReport, "report.json: what a build found."),
    "explanation": (Explanation, "Why a build chose as it did, and what is open: `edgecnn explain BUILD --json`."),
    "comparison": (Comparison, "What judging one build against another found: `edgecnn judge HEAD --against BASE --json`."),
    "compare": (SideBySide, "Finished builds side by side: `edgecnn compare A B --json`."),
    "history": (MeasuredHistory, "What was measured over time: `edgecnn study history --json`."),
    "latency-baseline": (LatencyBaseline, "A file of `edgecnn baseline`: every run of one kit on a board or a pinned runner."),
    "pinned-build": (PinnedBuild, "A file of `edgecnn baseline pin`: which kit later builds are raced against."),
    "recipe-settings": (RecipeSettings, "Every value of a recipe and where it is from: `edgecnn recipe show --json`."),
    "recipe-difference": (RecipeDifference, "In which values two recipes or builds differ: `edgecnn recipe diff --json`."),
    "ranking": (Ranking, "ranking.json of a rank artifact: the network's layers by what INT8 does to each alone."),
    "transfer": (TransferChoice, "transfer.json of a transfer artifact: what is learned anew of a pretrained network, and why."),
    "synthesis": (Provenance, "synthesis.json of a synthesize artifact: what each composed training image is made of."),
    "catalogue": (Catalogue, "Every network by name, with what it costs and was reported to reach: `edgecnn list archs --json`."),
    "networks-for": (
        NetworksFor,
        "Networks for devices inside budgets, with predicted latency: `edgecnn list archs --target DEVICE --json`.",
    ),
    "record": (Record, "record.json: beside every artifact in the store."),
    "doctor": (DoctorReport, "What was found on one machine: `edgecnn doctor --json`."),
    "board": (BoardCheck, "What a machine is, and what stands in the way of kits there: `edgecnn devices check --json`."),
    "bundle-bench": (BundleBench, "bundle-bench.json: what was measured of a bundle alone, `edgecnn bench BUNDLE --json`."),
    "loadgen": (LoadGenReport, "loadgen.json: what LoadGen was told, and its verdicts."),
    "ensemble": (Ensemble, "An ensemble beside its members: `edgecnn study ensemble BUILD BUILD --json`."),
    "ten-crop": (TenCrop, "Ten views of every image against one: `edgecnn study ten-crop BUILD --json`."),
    "look": (FeaturePictures, "look.json: what excites the channels of a network most: `edgecnn study look BUILD`."),
    "label-doubt": (LabelDoubt, "doubt.json: images whose label is probably wrong: `edgecnn data doubt BUILD`."),
    "division": (DataDivision, "What dividing images made: `edgecnn data split FOLDER --out FOLDER --json`."),
    "cost": (NetworkCost, "What one image costs a network: `edgecnn study cost NETWORK --json`."),
    "scale-search": (ScaleSearch, "The largest scale inside budgets: `edgecnn study scale --json`."),
    "latency-table": (LatencyTable, "A device's latency table: `edgecnn devices measure NAME --out FILE`."),
    "fit": (
        FitReport,
        "fit.json: the most accurate of a few trained networks inside a budget, and what was searched: `edgecnn fit`.",
    ),
    "inspection": (DataInspection, "What looking through images found: `edgecnn data inspect FOLDER --json`."),
    "preview": (AugmentationPreview, "What was drawn for a sheet: `edgecnn data preview FOLDER --json`."),
    "bundle": (BundleManifest, "bundle.json: every file of a bundle; this is what is signed."),
    "verification": (BundleVerification, "What verifying a bundle found: `edgecnn bundle verify BUNDLE --json`."),
    "predictions": (Predictions, "What a bundle says of photographs: `edgecnn predict BUNDLE PHOTOS --json`."),
    "forecast": (ForecastReport, "Predicted latency of networks on devices that are away: `edgecnn forecast --json`."),
    "public-table": (PublicTable, "baselines/public/NAME.json: times that someone else published, with source and conditions."),
    "catalogue-work": (CountedCatalogue, "baselines/public/catalogue-work.json: counted work of every network of the catalogue."),
    "evidence": (EvidenceRecord, "What a machine did with reference networks, to be sent: a file of `edgecnn evidence`."),
    "evidence-verification": (EvidenceVerification, "What checking such a file found: `edgecnn evidence verify FILE --json`."),
    "sweep": (SweepFile, "A sweep file (TOML): which networks, devices and recipe values."),
    "boards": (BoardsFile, "A file of boards that sweeps lease (TOML)."),
    "sweep-plan": (SweepPlan, "What a sweep would do: `edgecnn sweep plan SWEEP.toml --json`."),
    "sweep-judgement": (SweepJudgement, "Its finished builds, judged again: `edgecnn sweep judge SWEEP.toml --json`."),
    "fleet": (FleetReport, "fleet.json: all builds of a sweep; `edgecnn sweep run` and `status`."),
    "profile": (Profile, "What was observed on one machine: accuracy, latency or residency."),
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

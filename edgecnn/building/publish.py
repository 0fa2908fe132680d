"""Writes what a user takes away: report.json, plan.json and the bundle. Each appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgecnn.building.plan import Plan
from edgecnn.errors.building import OutputUnusable
from edgecnn.measure.kits import KitRef
from edgecnn.values.report import BuildReport

WRITTEN_BY_US = frozenset({"bundle", "bundle.new", "bundle.old", "report.json", "report.md", "plan.json"})


def check_output(folder: Path) -> None:
    """Refuse, before any time is spent, a folder that could not be written.

    Raises:
        OutputUnusable: it is a file, or may not be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputUnusable(folder=folder, because=error.strerror or str(error)) from error


def write_text_atomically(path: Path, text: str) -> None:
    """Replace a file by one rename, so that a reader never sees half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def publish_plan(plan: Plan, folder: Path) -> None:
    """``plan.json``: what was resolved and every key; the next build of this folder reads its weights answer."""
    write_text_atomically(folder / "plan.json", json.dumps(plan.facts(), indent=1, ensure_ascii=False) + "\n")


def publish_report(report: BuildReport, folder: Path) -> None:
    """``report.json``."""
    write_text_atomically(folder / "report.json", report.model_dump_json(indent=1, by_alias=True) + "\n")


def publish_bundle(report: BuildReport, kits: Mapping[str, KitRef], folder: Path) -> None:
    """``bundle/``: the carried kits, and ``choice.json`` that says which one is used and whether that is settled.

    An unchanged bundle is left alone, so that a cached build copies nothing.
    """
    carried = {name: kits[name] for name in report.choice.carried if name in kits}
    choice = json.dumps(
        {
            "schema": "edgecnn.choice/1",
            "choice": report.choice.model_dump(mode="json"),
            "kits": {name: {"folder": f"kits/{name}", "sha256": kit.digest} for name, kit in carried.items()},
        },
        indent=1,
    )
    bundle = folder / "bundle"
    if (bundle / "choice.json").is_file() and (bundle / "choice.json").read_text() == choice + "\n":
        return
    fresh = folder / "bundle.new"
    shutil.rmtree(fresh, ignore_errors=True)
    for name, kit in carried.items():
        shutil.copytree(kit.folder, fresh / "kits" / name, copy_function=shutil.copyfile)
    fresh.mkdir(exist_ok=True)
    (fresh / "choice.json").write_text(choice + "\n")
    _swap(fresh, bundle)


def _swap(fresh: Path, bundle: Path) -> None:
    old = bundle.with_name("bundle.old")
    shutil.rmtree(old, ignore_errors=True)
    if bundle.exists():
        bundle.rename(old)
    fresh.rename(bundle)
    shutil.rmtree(old, ignore_errors=True)

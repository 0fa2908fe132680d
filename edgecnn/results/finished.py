"""A finished build in its folder: the report, the resolved request, and the shipped kit.

Nothing is resolved again, so later edits of the recipe file, the images or a device file do not affect it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.comparing import (
    BUILD_DAMAGED,
    PLAN_OF_ANOTHER_BUILD,
    bundle_unreadable,
    folder_or_pipeline,
    no_build_to_judge,
)
from edgecnn.errors.fit import network_gone
from edgecnn.errors.labels import multi_label_not_fitting
from edgecnn.installed import resource_folder
from edgecnn.measure.kits import KitRef
from edgecnn.results.folder import BUNDLE, CHOICE, PLAN, PROGRESS, REPORT, builds_near, read_report
from edgecnn.results.origin import TRUNK_KINDS, whole_entry
from edgecnn.results.shipped import ShippedKit, shipped_kit, step_of_another
from edgecnn.runner.causes import cause_of_change
from edgecnn.runner.files import bounded_content, open_regular
from edgecnn.store.disk import DOCUMENT_BYTES_MAX, inside, sha256_of
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.base import Value, another_schema
from edgecnn.values.candidate import is_of_a_device
from edgecnn.values.layers import MacTable
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.resolved import PLAN_SCHEMA, Resolved
from edgecnn.values.verdict import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class KeptStep(NamedTuple):
    """Kind and key of a step's result in the store."""

    kind: str
    key: str


class KeptPlan(NamedTuple):
    """Content of a finished build's ``plan.json``."""

    resolved: Resolved
    keys: Mapping[str, str]
    """Key by step."""
    folds: tuple[Mapping[str, KeptStep], ...]
    """Steps of the second and later networks of cross-validation."""


@dataclass(frozen=True)
class FinishedBuild:
    """A finished build in its folder."""

    folder: Path
    shipped: ShippedKit
    report: BuildReport
    resolved: Resolved
    keys: Mapping[str, str]
    """Key by step."""
    folds: tuple[Mapping[str, KeptStep], ...] = ()
    """Steps of the second and later networks of cross-validation."""

    @property
    def again(self) -> str:
        """The command that repeats the build."""
        return again_of(self.report)

    @property
    def baseline(self) -> CandidateFacts | None:
        """The row of the network that drops are measured from."""
        return next((row for row in self.report.candidates if row.is_baseline), None)

    @property
    def row(self) -> CandidateFacts:
        """The row of the shipped candidate."""
        return next(row for row in self.report.candidates if row.kit == self.shipped.kit.digest)


def again_of(report: BuildReport) -> str:
    """Return the command that repeats a build, or a sentence if no command line made the build."""
    return report.build.again or "repeat the build command"


def build_folder(text: str) -> Path | None:
    """Return the folder that an argument of ``judge`` names; None if it names a recipe.

    A name that ends in ``.toml`` and is not a folder is a recipe file. A word without a slash is a shipped pipeline if there is
    one of that name.

    Raises:
        NoBuildToJudge: the path is neither a folder nor a recipe file.
        FOLDER_OR_PIPELINE: both a pipeline and the folder of a finished build have this name.
    """
    path = Path(text)
    is_folder, bare = os.path.isdir(path), "/" not in text  # noqa: PTH112 - False for a name that is too long
    if bare and os.path.isfile(resource_folder("pipelines") / f"{text}.toml"):  # noqa: PTH113
        if is_folder and (path / REPORT).is_file():
            raise folder_or_pipeline(name=text)
        return None
    if is_folder:
        return path
    if bare or text.endswith(".toml") or os.path.isfile(path):  # noqa: PTH113
        return None
    raise no_build_to_judge(path, "the folder does not exist", builds_near(path))


def finished_build(folder: Path, bundle: Path | None = None) -> FinishedBuild:
    """Read the folder of a finished build.

    ``bundle``: a verified copy of its bundle, which is used instead of the one in the folder.

    Raises:
        NoBuildToJudge: there is no ``report.json`` or no bundle.
        ReportUnreadable, BundleUnreadable: a file is damaged, or of another version.
        PLAN_OF_ANOTHER_BUILD: a later, unfinished call renewed its plan.
        KitNotCarried: nothing was chosen, so nothing ships.
        BUILD_DAMAGED: the shipped kit was changed.
    """
    try:
        because = _why_not_finished(folder)
    except OSError as error:  # such as a name that is too long
        because = system_reason(error)
    if because is not None:
        raise no_build_to_judge(folder, because, builds_near(folder))
    report, shipped = read_report(folder), shipped_kit(bundle or folder)
    build = FinishedBuild(folder, shipped, report, *read_plan(folder, report.keys, again_of(report)))
    if all(row.kit != shipped.kit.digest for row in report.candidates):
        raise bundle_unreadable(path=folder / BUNDLE / CHOICE, because="report.json has no row of the kit that it names")
    check_files(shipped.kit, build.again)
    return build


def check_files(kit: KitRef, command: str) -> None:
    """Check every file of a kit against its manifest.

    Raises BUILD_DAMAGED: a file is missing or changed; ``command`` restores it. NAME_NOT_PLAIN: a name leaves the kit.
    """
    for name, fact in kit.manifest["files"].items():
        path = inside(kit.folder, *str(name).split("/"))
        try:
            digest = sha256_of(path)
        except OSError as error:
            raise BUILD_DAMAGED(path=path, because=system_reason(error), command=command) from error
        if digest != fact["sha256"]:
            opening, size = partial(open_regular, path), path.stat().st_size
            cause = cause_of_change(opening, size, (fact["bytes"], fact["sha256"]), kit.folder)
            because, hint = cause or (f"its SHA-256 is {digest[:12]}…, in kit.json {fact['sha256'][:12]}…", command)
            raise BUILD_DAMAGED(path=path, because=because, command=hint)


def read_plan(folder: Path, report_keys: Mapping[str, str], again: str) -> KeptPlan:
    """Read a build's ``plan.json``, which may lack the steps of folds.

    ``report_keys``: the keys in the report of the same folder. ``again``: the command that repeats the build.

    Raises:
        BundleUnreadable: the plan is damaged or of another version.
        PLAN_OF_ANOTHER_BUILD: a later, unfinished call renewed the plan.
    """
    path = folder / PLAN
    try:
        content = bounded_content(path, DOCUMENT_BYTES_MAX)
        plan: dict[str, Any] = json.loads(content)
        keys = {step["id"]: step["key"] for step in plan["steps"] if not is_of_a_device(step["id"])}
        resolved = Resolved.model_validate(plan["resolved"])
        folds = tuple({step["id"]: KeptStep(step["kind"], step["key"]) for step in fold} for fold in plan.get("folds", ()))
    except OSError as error:
        raise bundle_unreadable(path=path, because=system_reason(error)) from error
    except (ValidationError, ValueError, KeyError, TypeError, RecursionError) as error:
        because = another_schema(content, PLAN_SCHEMA) or f"it is not a plan of this version ({type(error).__name__})"
        raise bundle_unreadable(path=path, because=because) from error
    if (differs := step_of_another(report_keys, keys)) is not None:
        raise PLAN_OF_ANOTHER_BUILD(folder=folder, differs=differs, command=again)
    return KeptPlan(resolved, keys, folds)


def _why_not_finished(folder: Path) -> str | None:
    if (folder / REPORT).is_file():
        whole = (folder / BUNDLE / CHOICE).is_file()
        return None if whole else "it has a report.json, but no bundle/choice.json"
    if (folder / CHOICE).is_file():
        return "it is only a bundle, without a report and gates; --against takes a bundle"
    if (folder / PROGRESS).is_file():
        return "its build did not finish: it has a progress.json, but no report.json"
    return "it has no report.json" if folder.exists() else "the folder does not exist"


BATCH = 16


@dataclass(frozen=True)
class BuiltNetwork:
    """The float network that a build's candidates were made from, with the prepared images."""

    folder: Path
    report: BuildReport
    resolved: Resolved
    trunk: Artifact
    prepared: Artifact

    @property
    def model(self) -> Path:
        """The trunk: ``image`` float32 (batch, 3, H, W) to ``logits``."""
        return self.trunk.folder / "model.onnx"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of the logits; empty if the images have no labels."""
        return tuple(json.loads((self.prepared.folder / "labels.json").read_text(encoding="utf-8")))

    @property
    def macs(self) -> int:
        """Multiply-adds of the trunk for one image."""
        return MacTable.model_validate_json((self.trunk.folder / "macs.json").read_bytes()).total

    def array(self, name: str) -> NDArray[Any]:
        """Return ``validation.pixels`` or another array of ``prepare``, memory-mapped."""
        import numpy as np

        array: NDArray[Any] = np.load(self.prepared.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        return array

    def feed(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Return pixels uint8 (n, H, W, 3) in the trunk's input format: float32 (n, 3, H, W)."""
        return self.resolved.preprocessing.normalization.feed(pixels)

    def feeds(self, pixels: NDArray[np.uint8]) -> Iterator[NDArray[Any]]:
        """Yield pixels uint8 (n, H, W, 3) in the trunk's input format, in batches."""
        for start in range(0, len(pixels), BATCH):
            yield self.feed(pixels[start : start + BATCH])


def require_one_label(network: BuiltNetwork, request: str) -> None:
    """Refuse the build of a multi-label network. Raises MultiLabelNotFitting."""
    if network.resolved.data.multi_label:
        because = f"{network.folder} is a build of a multi-label network"
        raise multi_label_not_fitting(setting=request, because=because, hint="choose a build whose images have one class each")


def built_network(folder: Path, store: Store) -> BuiltNetwork:
    """Return the network of the build in ``folder``.

    Raises:
        NoReport, ReportUnreadable, BundleUnreadable, PLAN_OF_ANOTHER_BUILD: the folder's files cannot be used.
        NETWORK_GONE: the store no longer has the network or its images.
    """
    report = read_report(folder)
    resolved, keys, _ = read_plan(folder, report.keys, again_of(report))
    trunk = next((artifact for kind in TRUNK_KINDS if (artifact := _stored(store, kind, keys.get("export"))) is not None), None)
    prepared = _stored(store, "prepare", keys.get("prepare"))
    if trunk is None or prepared is None:
        missing = "pixels" if trunk is not None else "network"
        raise network_gone(folder=folder, missing=missing, store=store.root, command=again_of(report))
    return BuiltNetwork(folder=folder, report=report, resolved=resolved, trunk=trunk, prepared=prepared)


def _stored(store: Store, kind: str, key: str | None) -> Artifact | None:
    return None if key is None else whole_entry(store, kind, key)


BUILDS = Path("builds")
"""Default folder of builds."""


class OwnBuild(Value):
    """A finished build with known multiply-adds and an evaluated candidate, shown next to the catalogue."""

    folder: str
    arch: str
    data: str
    candidate: str
    parameters: int
    macs: int
    resolution_px: Resolution
    accuracy_top1: Interval
    """0…1, on the test split of the build."""


def own_builds(named: Sequence[Path] | None) -> tuple[OwnBuild, ...]:
    """Return the named builds, else the readable builds in ``BUILDS``, without those that have no accuracy.

    Raises NoReport, ReportUnreadable: a named folder has no report that this version reads.
    """
    if named:
        builds = [_own_build(folder) for folder in named]
    else:
        builds = []
        for file in sorted(BUILDS.glob(f"*/{REPORT}")):
            with suppress(EdgecnnError):  # the user did not name this folder
                builds.append(_own_build(file.parent))
    return tuple(build for build in builds if build is not None)


def _own_build(folder: Path) -> OwnBuild | None:
    report = read_report(folder)
    chosen = report.shipped
    if chosen is None or chosen.test is None or not report.build.macs:
        return None
    return OwnBuild(
        folder=str(folder),
        arch=report.build.arch,
        data=report.build.data,
        candidate=chosen.candidate.id,
        parameters=report.build.parameters,
        macs=report.build.macs,
        resolution_px=report.build.resolution_px,
        accuracy_top1=chosen.test.top1,
    )

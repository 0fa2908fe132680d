"""The kit that a finished build, or a bundle alone, ships, and the kits of a bundle that can run here.

Kits run from their folders, so comparing a bundle executes the code in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgecnn.devices.files import device_or_none
from edgecnn.devices.this_machine import local_facts, matches
from edgecnn.errors.base import system_reason
from edgecnn.errors.comparing import bundle_unreadable, kit_not_carried, no_build_to_compare
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.errors.wording import shell_word
from edgecnn.measure.kits import KitRef
from edgecnn.results.folder import BUNDLE, CHOICE, PLAN, REPORT, builds_near, report_or_none
from edgecnn.results.origin import origin_of
from edgecnn.runner.bundle import ENGINES
from edgecnn.runner.causes import line_endings
from edgecnn.runner.files import bounded_content
from edgecnn.runner.kit import Kit
from edgecnn.runner.manifest import Manifest
from edgecnn.runner.messages import RunnerError
from edgecnn.store.disk import DOCUMENT_BYTES_MAX, json_object
from edgecnn.values.candidate import Knobs
from edgecnn.values.device import Device
from edgecnn.values.report import BuildReport, CandidateFacts, Origin, PinnedBuild, ShippedKitFacts

SCHEMA = "edgecnn.choice/1"


@dataclass(frozen=True)
class ShippedKit:
    """A shipped kit, with the report and the plan of its build, unless it is a bundle alone or of another version."""

    folder: Path
    kit: KitRef
    report: BuildReport | None
    plan: Mapping[str, Any] | None
    bundled_for: str | None = None
    """Name of the device in the bundle's ``choice.json``."""
    pin: PinnedBuild | None = None
    """Record of a pinned build that names the kit, if the kit comes from the store."""
    pinned_by: str | None = None
    """The user's name for this record."""
    pin_folder: Path | None = None
    """Folder that paths in this record are relative to."""

    @property
    def row(self) -> CandidateFacts | None:
        """The kit's row in its build's report."""
        rows = () if self.report is None else self.report.candidates
        return next((row for row in rows if row.kit == self.kit.digest), None)

    @property
    def origin(self) -> Origin:
        """The kit's inputs and tools."""
        if self.pin is not None:
            return self.pin.origin
        return origin_of(self.kit.manifest, self.plan)

    @property
    def facts(self) -> ShippedKitFacts:
        """The kit's facts for a comparison."""
        if self.pin is not None:
            return self.pin.shipped
        build = None if self.report is None else self.report.build
        folder = self.folder.resolve()
        return ShippedKitFacts(
            name=folder.parent.name if folder.name == BUNDLE else folder.name,
            candidate=self.kit.candidate,
            kit=self.kit.digest,
            knobs=self.kit.knobs,
            arch=None if build is None else build.arch,
            device=None if build is None else build.device,
        )

    @property
    def evaluated_kit(self) -> str:
        """The digest under which the kit's predictions are stored."""
        if self.pin is not None:
            return self.pin.evaluated_kit
        return self.kit.digest if self.row is None else self.row.evaluated_kit or self.kit.digest

    @property
    def attached(self) -> bool:
        """Whether its predictions were made on the device, by the report, else because the plan is for this machine."""
        if self.pin is not None:
            return self.pin.device_attached
        if self.report is not None:
            return self.report.build.device_attached
        return self.device is not None and matches(self.device, local_facts())

    def require_whole(self) -> None:
        """Check every file of the kit against its manifest. Raises RunnerFailed: a file is missing or changed."""
        try:
            Kit.open(self.kit.folder).verify_files()
        except RunnerError as error:
            raise RunnerFailed(**error.facts()) from error

    def not_timed_here(self, command: str) -> str | None:
        """Return why this machine cannot time the kit: it was built for another device. None for this machine.

        ``command``: what to run on the device.
        """
        device, name = self.device, self._device_name
        if (name is None and device is None) or (device is not None and matches(device, local_facts())):
            return None
        is_not = f"is not known to be {name}" if device is None else f"is not {device.name}"
        return f"not measured, because this machine {is_not}; run this command there: {command}"

    @property
    def _device_name(self) -> str | None:
        """The name of the device in the report or the bundle; None in bundles of earlier versions."""
        return self.bundled_for if self.report is None else self.report.build.device

    @property
    def device(self) -> Device | None:
        """The device from its file, else from the plan, in which the planning machine filled in open facts; None if unknown.

        Without a plan, the report or the bundle names the device. A bundle of an earlier version does not.
        """
        if self.pin is not None:
            return device_or_none(self.pin.shipped.device or "")
        if self.plan is None:
            return device_or_none(self._device_name or "")
        try:
            planned = Device.model_validate(self.plan["resolved"]["device"])
        except (ValidationError, KeyError, TypeError):
            return device_or_none(self._device_name or "")  # another version described devices differently
        return device_or_none(planned.name) or planned


def shipped_kit(folder: Path, candidate: str | None = None) -> ShippedKit:
    """Return the kit that a folder ships.

    ``folder``: a finished build, or a bundle. ``candidate``: the candidate of the kit; None: the chosen one.

    Raises:
        NoBuildToCompare: the folder is neither.
        BundleUnreadable: ``choice.json`` or the kit's ``kit.json`` is damaged, or they are from different bundles.
        KitNotCarried: nothing was chosen, or the bundle has no such kit.
    """
    bundle = next((place for place in (folder / BUNDLE, folder) if (place / CHOICE).is_file()), None)
    if bundle is None:
        absent = f"neither {folder} nor its bundle/ contains a {CHOICE}" if folder.exists() else "the folder does not exist"
        raise no_build_to_compare(folder, absent, builds_near(folder))
    build = bundle.parent if bundle.name == BUNDLE and (bundle.parent / REPORT).is_file() else None
    report = None if build is None else report_or_none(build)
    device = (json_object(bundle / CHOICE) or {}).get("device")
    return ShippedKit(
        folder=folder,
        kit=_kit(folder, bundle, candidate),
        report=report,
        bundled_for=device if isinstance(device, str) else None,
        plan=None if build is None else plan_of(build, None if report is None else report.keys),
    )


def plan_of(folder: Path, keys: Mapping[str, str] | None) -> Mapping[str, Any] | None:
    """Return a finished build's plan; None if it cannot be read, or if a later, unfinished call renewed it.

    ``keys``: the keys in its report, if the report can be read.
    """
    plan = json_object(folder / PLAN)
    return None if plan is None or step_of_another(keys or {}, keys_of(plan)) is not None else plan


def keys_of(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return the key of each step of a plan; unknown fields are accepted."""
    steps = plan.get("steps")
    known = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    return {str(step.get("id")): str(step.get("key")) for step in known}


def step_of_another(keys: Mapping[str, str], planned: Mapping[str, str]) -> str | None:
    """Return the first step whose key in the plan differs from the report's ``keys``; None if both are of one build."""
    return next((step for step, key in keys.items() if planned.get(step) != key), None)


def _kit(folder: Path, bundle: Path, candidate: str | None) -> KitRef:
    path = bundle / CHOICE
    choice = json_object(path)
    if choice is None or choice.get("schema") != SCHEMA:
        raise bundle_unreadable(path=path, because=f"its schema is not {SCHEMA}")
    try:
        carried: Mapping[str, Mapping[str, Any]] = choice["kits"]
        name = candidate or choice["choice"]["candidate"]
        if name not in carried:
            raise kit_not_carried(folder=folder, candidate=name, carried=tuple(carried))
        place, digest = bundle / carried[name]["folder"], carried[name]["sha256"]
    except (KeyError, TypeError) as error:
        raise bundle_unreadable(path=path, because=f"it lacks {error}") from error
    if bundle.resolve() not in place.resolve().parents:
        raise bundle_unreadable(path=path, because=f"it names {carried[name]['folder']!r}, which leaves the bundle")
    return _opened_kit(place, digest).with_knobs(_knobs(path, carried[name].get("knobs", {})))


def _knobs(path: Path, options: object) -> Knobs:
    try:
        if not isinstance(options, dict):
            raise ValueError(f"knobs is {options!r}")
        return Knobs.of(options)
    except ValueError as error:
        raise bundle_unreadable(path=path, because=str(error)) from error


def _opened_kit(place: Path, digest: str) -> KitRef:
    manifest = place / "kit.json"
    try:
        kit = KitRef.at(place)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = system_reason(error) if isinstance(error, OSError) else f"it is no kit's manifest ({type(error).__name__})"
        raise bundle_unreadable(path=manifest, because=reason) from error
    if kit.digest != digest:
        cause = line_endings(place) if b"\r\n" in bounded_content(manifest, DOCUMENT_BYTES_MAX) else None
        because, hint = cause or (f"its SHA-256 is {kit.digest[:12]}…, in {CHOICE} {digest[:12]}…", None)
        raise bundle_unreadable(path=manifest, because=because, hint=hint)
    return kit


def manifests_in(bundle: Path) -> dict[str, Manifest]:
    """Return the manifest of each readable kit in a bundle's folder, by name."""
    manifests: dict[str, Manifest] = {}
    for folder in sorted(path.parent for path in bundle.glob("kits/*/kit.json")):
        try:
            manifests[folder.name] = Kit.open(folder).manifest
        except RunnerError:
            continue  # no command should suggest a kit that cannot be read
    return manifests


def why_not_here(manifest: Manifest, folder: Path) -> RunnerError | None:
    """Return why a kit in this folder cannot run in this process, by its requirements; None if it can."""
    try:
        Kit(folder, "", manifest).check_requirements()
    except RunnerError as error:
        return error
    if manifest.engine is not None and not (folder / ENGINES / "engine.plan").is_file():
        return RunnerError("engine-not-built", "its engine was not built here", missing=True)
    return None


def kits_that_run_here(kits: Mapping[str, Manifest], bundle: Path) -> tuple[str, ...]:
    """Return the names of a bundle's kits that can run in this process, in the order of ``kits``."""
    return tuple(name for name, manifest in kits.items() if why_not_here(manifest, bundle / "kits" / name) is None)


def remedy_here(hint: str | None, kits: Mapping[str, Manifest], bundle: Path, refused: str | None) -> str | None:
    """Return the fix if a kit of a bundle does not run here: another kit that runs, else a package to install.

    ``hint``: the fix in the kit's error. ``refused``: the kit's name; None: no specific kit.
    """
    others = {name: manifest for name, manifest in kits.items() if name != refused}
    if here := kits_that_run_here(others, bundle):
        another = f"another kit of the bundle runs here: --candidate {shell_word(here[0])}"
        return f"{hint}, or {another}" if hint else another
    if hint is not None:
        return hint
    reasons = ((name, why_not_here(manifest, bundle / "kits" / name)) for name, manifest in others.items())
    return next((f"{error.hint}, then --candidate {shell_word(name)}" for name, error in reasons if error and error.hint), None)

"""The kits of a bundle that this process can run, so that no command suggests one that it would refuse."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgecnn.errors.wording import shell_word
from edgecnn.runner.bundle import ENGINES
from edgecnn.runner.kit import Kit
from edgecnn.runner.manifest import Manifest
from edgecnn.runner.messages import RunnerError


def manifests_in(bundle: Path) -> dict[str, Manifest]:
    """Return the manifest of each readable kit in a bundle's folder, by name."""
    manifests: dict[str, Manifest] = {}
    for folder in sorted(path.parent for path in bundle.glob("kits/*/kit.json")):
        try:
            manifests[folder.name] = Kit.open(folder).manifest
        except RunnerError:
            continue  # a kit that cannot be read is not suggested
    return manifests


def why_not_here(manifest: Manifest, folder: Path) -> RunnerError | None:
    """Return why a kit cannot run in this process, by its own requirements; None if it can. ``folder``: of the kit."""
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
    """Return the fix if a kit of a bundle does not run here: another kit that does, else a package to install.

    ``hint``: of the refusal. ``refused``: the kit's name; None: no specific kit.
    """
    others = {name: manifest for name, manifest in kits.items() if name != refused}
    if here := kits_that_run_here(others, bundle):
        another = f"another kit of the bundle runs here: --candidate {shell_word(here[0])}"
        return f"{hint}, or {another}" if hint else another
    if hint is not None:
        return hint
    reasons = ((name, why_not_here(manifest, bundle / "kits" / name)) for name, manifest in others.items())
    return next((f"{error.hint}, then --candidate {shell_word(name)}" for name, error in reasons if error and error.hint), None)

"""Pin a finished build in a repository, and read a pin from a file or a Git revision.

A pin is a small committed record that names the kit that later commits are raced against. It holds no runs, because a hosted
runner may be another machine tomorrow. In ``git:REVISION:PATH``, PATH is relative to the repository's top, or with ``./`` to the
current folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pydantic import ValidationError

import edgecnn
from edgecnn.comparing.baseline_file import sealed
from edgecnn.data.formats.registry import is_on_disk
from edgecnn.errors.base import system_reason
from edgecnn.errors.comparing import (
    GIT_FAILED,
    PIN,
    REVISION_MISSPELT,
    no_base_to_compare,
    pin_unreadable,
    pinned_kit_missing,
)
from edgecnn.errors.wording import first_problem, shell_word
from edgecnn.installed import installed_version
from edgecnn.measure.kits import KitRef
from edgecnn.results.finished import FinishedBuild, finished_build
from edgecnn.results.folder import builds_near
from edgecnn.results.origin import kit_artifact, whole_kit
from edgecnn.results.shipped import ShippedKit, shipped_kit
from edgecnn.runner.causes import Cause, cause_in
from edgecnn.runner.files import bounded_content
from edgecnn.store.store import Store
from edgecnn.values.artifact import ABSENT
from edgecnn.values.base import another_schema
from edgecnn.values.command import Command
from edgecnn.values.device import is_path
from edgecnn.values.recipe import DataChoice, Recipe
from edgecnn.values.report import PinnedBuild, sealed_digest
from edgecnn.values.toml import toml_value

PREFIX = "git:"
LARGEST = 1024 * 1024
"""Largest size of a record in bytes; a typical record has about ten thousand."""
_TIMEOUT_S = 60.0
_OF_ANOTHER_OWNER = ("dubious ownership", "unsafe repository")
"""Words of git 2.36 and later, and of git 2.35, for a repository of another user; the exit code is the same as for others."""
_FETCH = "a shallow checkout has only one commit: git fetch origin REVISION, or fetch-depth: 0 of actions/checkout"


class GitFile(NamedTuple):
    """A file at a revision."""

    content: bytes
    folder: Path
    """Folder of the file in this checkout, which may be gone."""


def read_at_revision(text: str) -> GitFile:
    """Return the file that ``git:REVISION:PATH`` names.

    Raises:
        REVISION_MISSPELT: the text has no revision or no path.
        GIT_FAILED: git is not installed; there is no repository, or it belongs to another user; the revision or the file does not
            exist; or the file is too large or a Git LFS pointer.
    """
    revision, path = _parts(text)
    top = _git(text, "rev-parse", "--show-toplevel", hint="run this inside the repository that holds the record")
    commit = _git(
        text, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", failure=f"there is no revision {revision!r}"
    )
    blob = f"{commit}:{path}"
    absent = f"{revision} has no {path}"
    kind = _git(text, "cat-file", "-t", blob, failure=absent, hint="pass a file that is committed at that revision")
    if kind != "blob":
        raise GIT_FAILED(text=text, because=f"{path} is a {kind} and not a file", hint="pass the record's own file")
    size = int(_git(text, "cat-file", "-s", blob, failure=absent))
    if size > LARGEST:
        because = f"it has {size:,} bytes, and a record has at most {LARGEST:,}"
        raise GIT_FAILED(text=text, because=because, hint="pass a file that edgecnn baseline pin wrote")
    content = _run(text, "show", "--no-textconv", "--no-ext-diff", blob)
    if content.returncode != 0:
        raise GIT_FAILED(text=text, because=_first_line(content.stderr), hint=None)
    if (cause := cause_in(content.stdout)) is not None:  # a revision holds only the pointer of a Git LFS file
        raise GIT_FAILED(text=text, because=cause.why, hint=f"git lfs untrack {shell_word(path)}, then commit the record again")
    root = Path.cwd() if path.startswith("./") else Path(top)
    return GitFile(content=content.stdout, folder=root / PurePosixPath(path).parent)


def _parts(text: str) -> tuple[str, str]:
    revision, colon, path = text.removeprefix(PREFIX).partition(":")
    if not colon or not revision.strip() or not path.strip():
        raise REVISION_MISSPELT(text=text, because="a revision, a colon and a path must follow git:")
    if revision.startswith("-"):
        raise REVISION_MISSPELT(text=text, because="a revision does not begin with a hyphen")
    if "\0" in text or "\n" in text:
        raise REVISION_MISSPELT(text=text, because="it holds a character that paths cannot contain")
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        because = "the path must be relative to the repository's top, or with ./ to this folder, without .."
        raise REVISION_MISSPELT(text=text, because=because)
    return revision, path


def _git(text: str, *words: str, failure: str | None = None, hint: str | None = _FETCH) -> str:
    done = _run(text, *words)
    if done.returncode != 0:
        because = _first_line(done.stderr)
        if any(word in because for word in _OF_ANOTHER_OWNER):
            top = next((folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / ".git").exists()), Path.cwd())
            hint = f"git config --global --add safe.directory {shell_word(top)}"
            raise GIT_FAILED(text=text, because=because, hint=hint)
        raise GIT_FAILED(text=text, because=failure or because, hint=hint)
    return os.fsdecode(done.stdout).rstrip("\n")


def _run(text: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    settings = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat"}
    git = shutil.which("git")
    if git is None:
        raise GIT_FAILED(text=text, because="git is not installed", hint="install git, or pass the file of the record")
    try:
        return subprocess.run(
            [git, *words],
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    except (OSError, ValueError) as error:
        raise GIT_FAILED(text=text, because=str(error), hint=None) from error
    except subprocess.TimeoutExpired:
        raise GIT_FAILED(text=text, because=f"git {words[0]} timed out after {_TIMEOUT_S:g} s", hint=None) from None


def _first_line(stderr: bytes) -> str:
    """Return the line with the error, between git's warnings and advice."""
    lines = stderr.decode("utf-8", errors="replace").strip().splitlines() or ["git printed no error"]
    return next((line for line in lines if line.startswith("fatal: ")), lines[0]).removeprefix("fatal: ")


SCHEMA = "edgecnn.pinned-build/2"
_NAMED = ("schema", "model.arch", "model.onnx", "model.weights", "data.path", "target.device", "target.runtime")
"""Keys of a recipe that a command states with a separate option instead of ``--set``."""


def pin_of(folder: Path, file: Path) -> PinnedBuild:
    """Return the record of a finished build, with paths relative to the folder of ``file``.

    Raises EdgecnnError: the folder is not a finished build (see ``finished_build``).
    """
    build = finished_build(folder)
    row, resolved, chosen = build.row, build.resolved, build.row.candidate.id
    made = PinnedBuild(
        version=edgecnn.__version__,
        shipped=build.shipped.facts,
        evaluated_kit=row.evaluated_kit or build.shipped.kit.digest,
        device_attached=build.report.build.device_attached,
        keys={step: key for step, key in build.keys.items() if ":" not in step or step.endswith(f":{chosen}")},
        tools={name: version for name, version in resolved.versions.items() if version != ABSENT},
        recipe=_portable_recipe(build, file),
        origin=build.shipped.origin,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return sealed(made)


def read_pin(content: bytes, where: str) -> PinnedBuild:
    """Read a record. ``where``: the user's name for the record.

    Raises PIN_UNREADABLE: the content is not a record, has another schema, or does not match its digest.
    """
    try:
        schema = json.loads(content).get("schema")
    except (ValueError, AttributeError, RecursionError):
        cause = cause_in(content) or Cause("it is not a JSON object", PIN)
        raise pin_unreadable(where=where, because=cause.why, hint=cause.fix) from None
    if isinstance(schema, str) and schema.startswith("edgecnn.latency-baseline/"):
        hint = f"edgecnn baseline compare HEAD {shell_word(where)} compares a build with it"
        raise pin_unreadable(where=where, because="it is a latency baseline, which holds runs", hint=hint)
    if schema != SCHEMA:
        raise pin_unreadable(where=where, because=another_schema(content, SCHEMA) or f"its schema is {schema!r}, not {SCHEMA}")
    try:
        pin = PinnedBuild.model_validate_json(content)
    except ValidationError as error:
        raise pin_unreadable(where=where, because=first_problem(error)) from error
    if pin.sha256 != sealed_digest(json.loads(content)):
        raise pin_unreadable(where=where, because="it was edited: its content does not match its sha256")
    return pin


class NamedPin(NamedTuple):
    """A pinned build and the location of its record."""

    pin: PinnedBuild
    where: str
    """The user's name for the record."""
    folder: Path
    """Folder that paths in the record are relative to, which may be gone."""


def base_named(text: str | Path) -> ShippedKit | NamedPin:
    """Return the build that ``--against`` names: ``git:REVISION:PATH``, the file of a record, or a folder of a build or bundle.

    A folder whose name begins with ``git:`` is written ``./git:…``. The store is not read.

    Raises EdgecnnError: see ``read_at_revision``, ``read_pin`` and ``shipped_kit``.
    """
    where = str(text)
    if where.startswith(PREFIX):
        content, folder = read_at_revision(where)
        return NamedPin(read_pin(content, where), where, folder)
    path = Path(text)
    if path.is_file():
        return NamedPin(read_pin(_read_record(path), where), where, path.parent)
    if not path.exists():
        raise no_base_to_compare(path, builds_near(path))
    return shipped_kit(path)


def base_of(named: ShippedKit | NamedPin, store: Store) -> ShippedKit:
    """Return the kit of BASE. A pinned kit is read from the store, whose ``in_use`` the caller holds.

    Raises PINNED_KIT_MISSING: the store does not hold the kit, or holds it damaged.
    """
    if isinstance(named, ShippedKit):
        return named
    pin, where, folder = named
    digest = pin.shipped.kit
    made = whole_kit(store, digest)
    if made is None:
        damaged = kit_artifact(store, digest) is not None
        because = f"the store {store.root} {'holds it damaged' if damaged else 'does not hold it'}"
        command = rebuild_command(pin, folder)
        here = {name: installed_version(name) for name in pin.tools}
        # With other versions, a rebuilt kit may have other bytes.
        tools = tuple(
            f"{name} {version} (here {here[name] or ABSENT})" for name, version in pin.tools.items() if here[name] != version
        )
        raise pinned_kit_missing(where=where, kit=digest, because=because, command=command, tools=tools)
    kit = KitRef.of(pin.shipped.candidate, made).with_knobs(pin.shipped.knobs)
    return ShippedKit(folder=made.folder, kit=kit, report=None, plan=None, pin=pin, pinned_by=where, pin_folder=folder)


def rebuild_command(pin: PinnedBuild, folder: Path) -> str:
    """Return the command that rebuilds the pinned kit. It states every value, so it needs no recipe file.

    ``folder``: the record's folder; paths in the command are relative to the current folder.
    """
    recipe = pin.recipe
    runtime = recipe.target.runtime
    custom = recipe.model.onnx
    parts = [("--arch", recipe.model.arch) if custom is None else ("--model", _relative(folder, custom))]
    device = recipe.target.device
    device = _path_text(_relative(folder, device)) if is_path(device) else device
    parts += [("--target", device + (f":{runtime}" if runtime else ""))]
    if is_on_disk(recipe.data.path):
        parts += [("--data", _relative(folder, recipe.data.path))]
    elif recipe.data.path != DataChoice().path or custom is not None:
        parts += [("--data", recipe.data.path)]
    named = recipe.model.weights in ("auto", "imagenet", "none")
    weights = recipe.model.weights if named else _relative(folder, recipe.model.weights)
    parts += [("--weights", weights)] if custom is None else []
    from_here = {name: _relative(folder, path) for name, path in recipe.synthesis.stated_folders.items()}
    recipe = recipe.model_copy(update={"synthesis": recipe.synthesis.model_copy(update=from_here)})
    if recipe.data.image_root is not None:
        images = recipe.data.model_copy(update={"image_root": _relative(folder, recipe.data.image_root)})
        recipe = recipe.model_copy(update={"data": images})
    parts += [("--set", setting) for setting in _settings(recipe)]
    return str(Command(verb=("build",), parts=(*parts, ("--out", "builds/base"))))


def _portable_recipe(build: FinishedBuild, file: Path) -> Recipe:
    """Return the resolved recipe with paths relative to the record's folder, and the weights that training started from."""
    recipe, resolved = build.resolved.recipe, build.resolved
    data = recipe.data
    if is_on_disk(data.path):
        data = data.model_copy(update={"path": _relative_to_record(resolved.data.root, file)})
    if data.image_root is not None:
        data = data.model_copy(update={"image_root": _relative_to_record(data.image_root, file)})
    answer = resolved.weights
    weights = "imagenet" if answer.kind != "none" else "none"
    if answer.kind == "file" and answer.path is not None:
        weights = _relative_to_record(answer.path, file)
    model = recipe.model.model_copy(update={"weights": weights})
    if resolved.custom_model is not None:
        model = recipe.model.model_copy(update={"onnx": _relative_to_record(resolved.custom_model.path, file)})
    target = recipe.target
    if resolved.device_file is not None:
        target = target.model_copy(update={"device": _path_text(_relative_to_record(resolved.device_file, file))})
    changed = {"data": data, "target": target, "model": model}
    if (made := resolved.synthesis) is not None:
        folders = {name: _relative_to_record(synthesized.root, file) for name, synthesized in made.summaries.items()}
        changed["synthesis"] = recipe.synthesis.model_copy(update=folders)
    return recipe.model_copy(update=changed)


def _relative_to_record(path: str, file: Path) -> str:
    return os.path.relpath(Path(path).resolve(), file.parent.resolve())


def _path_text(path: str) -> str:
    """Return the path in a form that ``--target`` does not read as the name of a device."""
    return path if is_path(path) else f"./{path}"


def _relative(folder: Path, path: str) -> str:
    return os.path.relpath(folder / path)


def _settings(recipe: Recipe) -> Iterator[str]:
    default = dict(_leaves(Recipe().model_dump(mode="json", by_alias=True)))
    for name, value in _leaves(recipe.model_dump(mode="json", by_alias=True)):
        if name not in _NAMED and value is not None and value != {} and value != default.get(name):
            yield f"{name}={toml_value(value)}"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values with the keys that ``--set`` takes. A list is one value."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, value


def _read_record(path: Path) -> bytes:
    try:
        return bounded_content(path, LARGEST)
    except FileNotFoundError as error:
        raise pin_unreadable(where=str(path), because=system_reason(error)) from error
    except OSError as error:
        raise pin_unreadable(where=str(path), because=system_reason(error), hint=PIN) from error

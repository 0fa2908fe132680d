"""``action.yml`` as its runner would read it, as far as these tests need: inputs with defaults, and steps with their scripts.

No YAML library is among the dependencies. What is read here is the plain block style that the file is written in; a line in
another style is refused, so that nothing is passed over.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.house.source_tree import ROOT

_ENTRY = re.compile(r"^(?P<indent> *)(?P<dash>- )?(?P<name>[A-Za-z_-]+):(?: (?P<value>.+))?$")


def read_block_yaml(path: Path) -> dict[str, Any]:
    """Mappings, sequences of mappings, plain scalars as text, and ``|`` blocks."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found, rest = _mapping(lines, 0, 0)
    if rest != len(lines):
        raise ValueError(f"{path}:{rest + 1}: {lines[rest]!r} is not understood")
    return found


def _mapping(lines: list[str], at: int, indent: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while at < len(lines):
        line = lines[at]
        if not line.strip() or line.lstrip().startswith("#"):
            at += 1
            continue
        entry = _ENTRY.match(line)
        if entry is None or len(entry["indent"]) != indent or entry["dash"]:
            break
        name, value = entry["name"], entry["value"]
        if name in found:
            raise ValueError(f"line {at + 1}: {name} stands twice")
        if value == "|":
            found[name], at = _block(lines, at + 1, indent)
        elif value is not None:
            found[name], at = _scalar(value), at + 1
        elif lines[at + 1].lstrip().startswith("- "):
            found[name], at = _sequence(lines, at + 1, indent + 2)
        else:
            found[name], at = _mapping(lines, at + 1, indent + 2)
    return found, at


def _sequence(lines: list[str], at: int, indent: int) -> tuple[list[Any], int]:
    found = []
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        if not lines[at].startswith(" " * indent + "- "):
            break
        lines[at] = lines[at].replace("- ", "  ", 1)
        item, at = _mapping(lines, at, indent + 2)
        found.append(item)
    return found, at


def _block(lines: list[str], at: int, indent: int) -> tuple[str, int]:
    body = []
    while at < len(lines) and (not lines[at].strip() or lines[at].startswith(" " * (indent + 2))):
        body.append(lines[at][indent + 2 :])
        at += 1
    return "\n".join(body).rstrip("\n") + "\n", at


def _scalar(value: str) -> str:
    if value[0] in "[{&*!>'":
        raise ValueError(f"{value!r} is of a style that these tests do not read")
    return value[1:-1] if value[0] == value[-1] == '"' and len(value) > 1 else value.split(" #")[0].rstrip()


def expanded(text: str, context: Mapping[str, str]) -> str:
    """``${{ inputs.head }}`` and its like filled in; an unknown one raises KeyError."""
    return re.sub(r"\$\{\{ ([a-z_.-]+) \}\}", lambda found: context[found[1]], text)


ACTION = read_block_yaml(ROOT / "action.yml")
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
SHELL = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c")
"""What ``shell: bash`` is on GitHub."""


class Job:
    """One job of the action: every step whose condition holds, its inputs as GitHub fills them in."""

    def __init__(self, folder: Path, **inputs: str) -> None:
        self.folder, self.outputs = folder, folder / "output"
        defaults = {name: facts.get("default", "") for name, facts in ACTION["inputs"].items()}
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert given.keys() <= defaults.keys()
        named = {f"inputs.{name}": value for name, value in {**defaults, **given}.items()}
        self.context = {**named, "github.action_path": str(ROOT)}
        self.outputs.touch()

    def holds(self, step: dict[str, Any]) -> bool:
        """The conditions of this file: inputs that are empty or not, and whether HEAD was built."""
        condition = step.get("if", "true")
        needed = re.findall(r"inputs\.([a-z-]+) != ''", condition)
        ready = "steps.head.outputs.built" not in condition or "built=true" in self.outputs.read_text()
        return ready and all(self.context[f"inputs.{name}"] for name in needed)

    def run(self, name: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str] | None:
        step = next(each for each in STEPS if each["name"] == name)
        if not self.holds(step):
            return None
        own = {name: expanded(value, self.context) for name, value in step["env"].items()}
        github = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(self.outputs), "CI": "true"}
        summary = {"GITHUB_STEP_SUMMARY": str(self.folder / "summary.md")}
        whole = {**environment, **github, **summary, **own, "PYTHONPATH": str(ROOT)}
        command = [*SHELL, step["run"]]
        return subprocess.run(command, cwd=self.folder, env=whole, capture_output=True, text=True, check=False)

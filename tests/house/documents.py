"""The commands that the documents show, as a reader would type them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.house.source_tree import ROOT

FENCE = re.compile(r"^```(?:bash|sh|console|shell)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def documents() -> list[Path]:
    """README, CONTRIBUTING, SECURITY and every page under docs."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]


def shell_lines(path: Path) -> list[str]:
    """Every line of a document's shell blocks, continued lines joined, comments and prompts gone."""
    blocks = FENCE.findall(path.read_text(encoding="utf-8"))
    joined = "\n".join(blocks).replace("\\\n", " ")
    lines = [line.strip().removeprefix("$ ") for line in joined.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def commands_in(path: Path) -> list[str]:
    """Every ``edgecnn …`` of a document's shell blocks, also where it follows ``&&``."""
    parts = [part.strip() for line in shell_lines(path) for part in line.split("&&")]
    return [part for part in parts if part.startswith("edgecnn ")]


def runner_commands_in(path: Path) -> list[str]:
    """What follows every ``python3 -m runner`` of a document's shell blocks, also inside the quotes of an ``ssh``."""
    found = [re.search(r"python3 (?:-B )?-m runner ([^'&#]+)", line) for line in shell_lines(path)]
    return [each[1].strip() for each in found if each is not None]


def words_of(command: str) -> list[str]:
    """A command as a shell splits it, without its trailing comment."""
    return shlex.split(command, comments=True)

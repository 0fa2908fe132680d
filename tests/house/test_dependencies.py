"""docs/dependencies.md has a line for each requirement, with its range, and none for what is gone."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement

from tests.house.source_tree import ROOT


def declared() -> dict[str, set[tuple[str, str]]]:
    """Section heading to the requirements that pyproject.toml declares there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"Always installed": project["dependencies"]}
    groups |= {f"Extra `{name}`": lines for name, lines in project["optional-dependencies"].items() if name != "all"}
    return {heading: {_fact(line) for line in lines} for heading, lines in groups.items()}


def documented() -> dict[str, set[tuple[str, str]]]:
    """The same, as the document has it."""
    sections: dict[str, set[tuple[str, str]]] = {}
    heading = ""
    for line in (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = re.sub(r" \(.*\)$", "", line.removeprefix("## "))
            sections[heading] = set()
        elif row := re.match(r"\| (\S+) \| `([^`]+)` \| \S", line):
            sections[heading].add(_fact(f"{row[1]}{row[2]}"))
    return sections


def _fact(line: str) -> tuple[str, str]:
    requirement = Requirement(line)
    return requirement.name, str(requirement.specifier)


def test_every_requirement_is_documented_with_its_range() -> None:
    assert documented() == declared()

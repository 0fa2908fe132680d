"""Runtimes whose packages go with no others: they are installed in an environment of their own, and asked there.

The environment's Python is named by ``EDGECNN_RUNTIME_<NAME>``, one way for all of them, on the machine that builds and on the
device alike. Where that is not set, the Python that runs stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from edgecnn.runner.interpreters import variable_of

_RUNNER = {"numpy": ">=1.24", "pillow": ">=11"}
"""What a kit's runner needs beside its runtime."""


class OwnEnvironment(NamedTuple):
    """One runtime's. ``bare`` are installed without what they ask for, because nothing of it is used."""

    runtime: str
    packages: Mapping[str, str]
    bare: Mapping[str, str] = {}

    @property
    def distributions(self) -> tuple[str, ...]:
        """What is looked for there, and nowhere else."""
        return (*self.packages, *self.bare)

    def absent(self, found: Mapping[str, str]) -> tuple[str, ...]:
        """What it lacks of its runtime and of what a kit's runner needs, by the versions that are found there."""
        return tuple(name for name in (*self.distributions, *_RUNNER) if name not in found)

    @property
    def variable(self) -> str:
        """What names its Python."""
        return variable_of(self.runtime)

    @property
    def command(self) -> str:
        """What makes it beside the folder where one is, and names it for this shell."""
        place, pip = f"{self.runtime}-env", f"{self.runtime}-env/bin/pip install"
        steps = [f"python3 -m venv {place}", f"{pip} {_quoted({**self.packages, **_RUNNER})}"]
        if self.bare:
            steps.append(f"{pip} --no-deps {_quoted(self.bare)}")
        return " && ".join([*steps, f"export {self.variable}=$PWD/{place}/bin/python"])


OWN_ENVIRONMENTS: tuple[OwnEnvironment, ...] = (
    OwnEnvironment("ncnn", packages={"ncnn": ">=1.0.20261020,<2"}, bare={"pnnx": ">=20261020,<20280000"}),
)
"""pnnx asks for torch, and the program inside its wheel, which is all that is used, runs without."""


def environment_of(distribution: str) -> OwnEnvironment | None:
    """The environment that a distribution is looked for in; None for those of edgecnn's own."""
    return next((each for each in OWN_ENVIRONMENTS if distribution in each.distributions), None)


def own_environment(runtime: str) -> OwnEnvironment | None:
    """A runtime's; None of one that is installed beside edgecnn."""
    return next((each for each in OWN_ENVIRONMENTS if each.runtime == runtime), None)


def _quoted(packages: Mapping[str, str]) -> str:
    return " ".join(f'"{name}{versions}"' for name, versions in packages.items())

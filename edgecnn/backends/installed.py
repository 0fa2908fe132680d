"""Ask what is installed without importing it: a missing package is said before any time is spent.

Runtimes whose packages go with no others have an environment of their own, and are asked there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from edgecnn.errors.devices import RuntimeEnvironmentMissing
from edgecnn.errors.weights import MissingPackage
from edgecnn.errors.wording import plural
from edgecnn.runner.interpreters import asked, own_python, variable_of

VENDORED: Mapping[str, str] = {"onnxruntime-web": "1.30.0"}
"""What no package manager installs: one version, which goes into the kits themselves."""


class Lacking(NamedTuple):
    """Why something cannot be used, and the command that mends it."""

    why: str
    command: str


def installed_version(distribution: str) -> str | None:
    """The version of a distribution, or None where it is not installed."""
    if distribution in VENDORED:
        return VENDORED[distribution]
    environment = environment_of(distribution)
    python = None if environment is None else own_python(environment.runtime)
    if python is not None:
        return asked(python).versions.get(distribution)
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def lacking(distributions: Sequence[str], extra: str) -> Lacking | None:
    """What of these is not installed, as a sentence; None where all are.

    ``extra``: the backend's, of edgecnn; of one with an environment of its own the runtime's name.
    """
    environment = own_environment(extra)
    if environment is not None:
        why = _why_unusable(environment)
        return None if why is None else Lacking(why, environment.command)
    absent = [each for each in distributions if installed_version(each) is None]
    if not absent:
        return None
    return Lacking(f"{_are(absent)} not installed", f'pip install "edgecnn[{extra}]"')


def require_packages(distributions: Iterable[str], *, extra: str, needed_for: str) -> None:
    """Check that every distribution is installed.

    Raises MissingPackage: for the first one that is not, with the pip line of ``extra``. RuntimeEnvironmentMissing: the same of a
    runtime with an environment of its own.
    """
    wanted = tuple(distributions)
    if own_environment(extra) is not None:
        lacks = lacking(wanted, extra)
        if lacks is not None:
            raise RuntimeEnvironmentMissing(needed_for=needed_for, why=lacks.why, command=lacks.command)
        return
    for distribution in wanted:
        if installed_version(distribution) is None:
            raise MissingPackage(distribution=distribution, extra=extra, needed_for=needed_for)


def _why_unusable(environment: OwnEnvironment) -> str | None:
    """Why a runtime's kits can neither be made nor run here; None where they can."""
    python = own_python(environment.runtime)
    if python is None:
        absent = [each for each in environment.distributions if installed_version(each) is None]
        return f"{_are(absent)} not installed here, and {environment.variable} names no Python" if absent else None
    found = asked(python)
    if found.why is not None:
        return f"{environment.variable} names {python}, which does not answer: {found.why}"
    absent = list(environment.absent(found.versions))
    return f"{_are(absent)} not installed in the environment of {python}" if absent else None


def _are(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {plural(len(names), 'is', 'are')}"


_RUNNER = {"numpy": ">=1.24", "pillow": ">=11"}
"""What a kit's runner needs beside its runtime."""


class OwnEnvironment(NamedTuple):
    """One runtime's. ``bare`` are installed without what they ask for, because nothing of it is used.

    The environment's Python is named by ``EDGECNN_RUNTIME_<NAME>``, one way for all of them, on the machine that builds and on
    the device alike. Where that is not set, the Python that runs stands for it.
    """

    runtime: str
    packages: Mapping[str, str]
    bare: Mapping[str, str] = {}
    beside: Mapping[str, str] = {}
    """What the bare ones import all the same; edgecnn may have others of these names, so that they are not looked for."""
    python: str = "python3"
    """The least that the packages take."""

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
        steps = [f"{self.python} -m venv {place}", f"{pip} {_quoted({**self.packages, **self.beside, **_RUNNER})}"]
        if self.bare:
            steps.append(f"{pip} --no-deps {_quoted(self.bare)}")
        return " && ".join([*steps, f"export {self.variable}=$PWD/{place}/bin/python"])


OWN_ENVIRONMENTS: tuple[OwnEnvironment, ...] = (
    OwnEnvironment("ncnn", packages={"ncnn": ">=1.0.20261020,<2"}, bare={"pnnx": ">=20261020,<20280000"}),
    OwnEnvironment(
        "litert",
        packages={"ai-edge-litert": ">=2.3,<3", "litert-quantizer": ">=0.11,<1"},
        bare={"onnx2tf": ">=2.6.9,<3"},
        beside={"onnx": ">=1.20,<2", "psutil": ">=5.9,<8", "sng4onnx": ">=2.0.1,<3"},
        python="python3.12",
    ),
)
"""pnnx asks for torch, and the program inside its wheel, which is all that is used, runs without. onnx2tf pins one version of
each of 18 packages, of which its way without TensorFlow imports a few, and asks for Python 3.12."""


def environment_of(distribution: str) -> OwnEnvironment | None:
    """The environment that a distribution is looked for in; None for those of edgecnn's own."""
    return next((each for each in OWN_ENVIRONMENTS if distribution in each.distributions), None)


def own_environment(runtime: str) -> OwnEnvironment | None:
    """A runtime's; None of one that is installed beside edgecnn."""
    return next((each for each in OWN_ENVIRONMENTS if each.runtime == runtime), None)


def _quoted(packages: Mapping[str, str]) -> str:
    return " ".join(f'"{name}{versions}"' for name, versions in packages.items())

"""Failures of judging a finished build by itself."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode


class NoBuildToJudge(EdgecnnError):
    """Raised when what is to be judged is neither a recipe nor the folder of a finished build."""

    ref = "no-build-to-judge"

    def __init__(self, *, folder: Path, because: str) -> None:
        super().__init__(
            what=f"{folder} is no finished build",
            because=because,
            hint="name the folder of a finished build, such as builds/ARCH-DEVICE, a recipe file, or a shipped pipeline",
        )


class FolderOrPipeline(EdgecnnError):
    """Raised when one word is both a shipped pipeline and the folder of a finished build here."""

    ref = "folder-or-pipeline"

    def __init__(self, *, name: str) -> None:
        super().__init__(
            what=f"{name} is both a shipped pipeline and the folder of a finished build here",
            hint=f"edgecnn judge ./{name} judges the folder; the pipeline is judged from another folder",
        )


class OptionsNotWithBuild(EdgecnnError):
    """Raised when a finished build is to be judged, and told how it should be built."""

    ref = "options-not-with-build"

    def __init__(self, *, folder: Path, options: Sequence[str]) -> None:
        super().__init__(
            what=f"judging {folder} takes no {', '.join(options)}",
            because="it is a finished build, which is judged as it was built",
            hint=f"edgecnn judge {shlex.quote(str(folder))} [--max METRIC=NUMBER], or edgecnn build with these options first",
        )


class PlanOfAnotherBuild(EdgecnnError):
    """Raised when a later call in the same folder renewed the plan and did not finish, so that plan and report part."""

    ref = "plan-of-another-build"

    def __init__(self, *, folder: Path, differs: str, command: str) -> None:
        super().__init__(
            what=f"{folder / 'plan.json'} is of another build than {folder / 'report.json'}",
            because=f"{differs} has another key: a later call in this folder did not come to its end",
            hint=command,
        )


class BuildDamaged(EdgecnnError):
    """Raised when a file of the kit that ships was changed after the build, so that its figures would be another's."""

    ref = "build-damaged"
    exit_code = ExitCode.BAD_INPUT

    def __init__(self, *, path: Path, because: str, command: str) -> None:
        super().__init__(what=f"{path} is not what was built", because=because, hint=command)

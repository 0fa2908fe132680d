"""Failures of recipes, of shipped pipelines and of ``--set``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.wording import counted, did_you_mean, no_unicode, shell_word


class UnknownPipeline(EdgecnnError):
    """Raised when a recipe is named, not given as a path, and no pipeline of that name is shipped.

    ``here`` is a file in the current folder that may have been meant; ``folder``: the name is that of a folder here.
    """

    def __init__(self, *, name: str, known: Sequence[str], here: Path | None = None, folder: bool = False) -> None:
        remedy = did_you_mean(name, known, cutoff=0.4) if here is None else ""
        own = shell_word(f"./{here or 'my-recipe.toml'}")
        hint = f"{remedy}a recipe of your own is given by its path: edgecnn build {own}"
        if folder:
            hint = f"a folder of photographs is given with --data {shell_word(name)}"
        super().__init__(what=f"there is no pipeline {name!r}", because=f"shipped are {', '.join(known)}", hint=hint)


class RecipeFileMissing(EdgecnnError):
    """Raised when a path leads to no recipe, and its last part is the name of a shipped pipeline."""

    def __init__(self, *, path: Path, shipped: str) -> None:
        super().__init__(
            what=f"there is no recipe file {path}",
            because=f"{shipped} is a shipped pipeline, and those go by name",
            hint=f"edgecnn build {shipped}",
        )


class RecipeInvalid(EdgecnnError):
    """Raised when a recipe is TOML but asks for what no recipe can; names every problem at once."""

    def __init__(self, *, path: Path, problems: Sequence[str]) -> None:
        super().__init__(
            what=f"recipe {path} has {counted(len(problems), 'problem')}",
            because="; ".join(problems),
            hint="docs/schemas/recipe.json lists every key",
        )


class RecipeTooNew(EdgecnnError):
    """Raised when a recipe's schema is of a later edgecnn, whose keys this one cannot judge."""

    def __init__(self, *, path: Path, schema: str, newest: str) -> None:
        super().__init__(
            what=f"recipe {path} is written for a later edgecnn",
            because=f"its schema is {schema}, the newest known here is {newest}",
            hint="pip install --upgrade edgecnn",
        )


class RecipeTooOld(EdgecnnError):
    """Raised when a recipe's schema is of an earlier edgecnn, some of whose keys had other names."""

    def __init__(self, *, path: Path, schema: str, reads: str, renamed: Mapping[str, str]) -> None:
        renames = ", ".join(f"{old} to {new}" for old, new in renamed.items())
        super().__init__(
            what=f"recipe {path} is written for an earlier edgecnn",
            because=f"its schema is {schema}, and this version reads {reads}",
            hint=f'write schema = "{reads}", and rename {renames} where they are set',
        )


class PlanUnreadable(EdgecnnError):
    """Raised when a folder is given where a finished build should be, and its ``plan.json`` is absent or damaged."""

    def __init__(self, *, folder: Path, because: str) -> None:
        super().__init__(
            what=f"{folder} cannot be read as a build",
            because=because,
            hint="name the folder of a finished build, such as builds/ARCH-DEVICE, a recipe file or a shipped pipeline",
        )


class OverridesInvalid(EdgecnnError):
    """Raised when ``--set`` names no key of a recipe, or gives it what it cannot hold; names every problem at once."""

    def __init__(self, *, problems: Sequence[str]) -> None:
        super().__init__(
            what="--set cannot be applied",
            because="; ".join(problems),
            hint="write --set TABLE.KEY=VALUE, as in --set train.epochs=3",
        )


class EmptyOption(EdgecnnError):
    """Raised when an option's value is an empty text."""

    def __init__(self, *, option: str) -> None:
        super().__init__(
            what=f"{option} is empty", because="a shell variable that is not set gives an empty text", hint=f"leave {option} out"
        )


class OptionNotUnicode(EdgecnnError):
    """Raised when an option's value is not valid UTF-8: no report, plan or bundle could hold it."""

    def __init__(self, *, option: str, value: str) -> None:
        super().__init__(
            what=f"{option} {ascii(value)} {no_unicode(value)}",
            because="the report could not name it",
            hint="rename the file or folder, or link to it under another name",
        )


class FileUnreadable(EdgecnnError):
    """Raised when a TOML file cannot be opened or is not valid UTF-8 text."""

    def __init__(self, *, path: Path, reason: str) -> None:
        super().__init__(what=f"{path} cannot be read", because=reason)


class NotToml(EdgecnnError):
    """Raised when a file breaks the grammar of TOML; ``line`` counts from 1, None where the parser names no line."""

    def __init__(self, *, path: Path, line: int | None, reason: str) -> None:
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(
            what=f"{where} is not valid TOML",
            because=reason,
            hint='text stands in quotes and tables in brackets, as in [train] and device = "jetson"',
        )


class RecipeThere(EdgecnnError):
    """Raised when the file to write is there already: somebody may have changed it."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"{path} is there already", hint=f"edgecnn build {shell_word(path)} builds it; --out FILE writes another"
        )


class RecipeUnwritable(EdgecnnError):
    """Raised when the recipe cannot be written."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path} cannot be written", because=because, hint="--out FILE names another place")

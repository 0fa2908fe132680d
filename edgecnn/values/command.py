"""A command line of edgecnn as a value, which prints itself for any verb."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from edgecnn.errors.wording import PROGRAM
from edgecnn.values.base import Value


class Command(Value):
    """A verb with what follows it; empty where no command line made something."""

    verb: tuple[str, ...] = ()
    """Such as ``("sweep", "run")``."""
    parts: tuple[tuple[str, ...], ...] = ()
    """In printing order: an argument, a flag, or an option with its value."""

    def __bool__(self) -> bool:
        return bool(self.verb)

    @property
    def words(self) -> tuple[str, ...]:
        """As a process is started with; none of an empty command."""
        return (PROGRAM, *self.verb, *(word for part in self.parts for word in part)) if self else ()

    def __str__(self) -> str:
        """Quoted for a POSIX shell."""
        return shlex.join(self.words)

    @classmethod
    def read(cls, text: str) -> Command:
        """Read a printed command back, as reports of earlier versions hold it; an empty one where it is none of edgecnn's.

        An option and the word behind it are one part, even where the option is a flag: printed, that is the same.
        """
        try:
            program, *words = shlex.split(text)
        except ValueError:
            return cls()
        if program != PROGRAM or not words or words[0].startswith("-"):
            return cls()
        parts: list[tuple[str, ...]] = []
        for word in words[1:]:
            if parts and len(parts[-1]) == 1 and parts[-1][0].startswith("--") and not word.startswith("--"):
                parts[-1] = (*parts[-1], word)
            else:
                parts.append((word,))
        return cls(verb=(words[0],), parts=tuple(parts))

    def to(self, *verb: str) -> Command:
        """The same for another verb; an empty one stays empty."""
        return self.model_copy(update={"verb": verb}) if self else self

    def without(self, *options: str) -> Command:
        """The same without these options and their values."""
        return self.model_copy(update={"parts": tuple(part for part in self.parts if part[0] not in options)})

    def adding(self, *parts: Iterable[str]) -> Command:
        """The same with more behind it."""
        return self.model_copy(update={"parts": (*self.parts, *map(tuple, parts))})

    def value_of(self, option: str) -> str | None:
        """What an option is given last; None where it is not there."""
        return next((part[-1] for part in reversed(self.parts) if part[0] == option), None)

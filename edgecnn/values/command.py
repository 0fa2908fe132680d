"""A command line of edgecnn as a value, which prints itself for any verb."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from edgecnn.errors.wording import PROGRAM
from edgecnn.values.base import Value


class Command(Value):
    """A verb with its arguments; empty if no command line was used."""

    verb: tuple[str, ...] = ()
    """Such as ``("sweep", "run")``."""
    parts: tuple[tuple[str, ...], ...] = ()
    """In printing order: an argument, a flag, or an option with its value."""

    def __bool__(self) -> bool:
        return bool(self.verb)

    @property
    def words(self) -> tuple[str, ...]:
        """The words to start a process with; none for an empty command."""
        return (PROGRAM, *self.verb, *(word for part in self.parts for word in part)) if self else ()

    def __str__(self) -> str:
        """The command, quoted for a POSIX shell."""
        return shlex.join(self.words)

    @classmethod
    def read(cls, text: str) -> Command:
        """Parse a printed command, as in reports of earlier versions; an empty one if it is not a command of edgecnn.

        An option and the next word form one part, even if the option is a flag; it prints the same.
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
        """Return the command for another verb; an empty one stays empty."""
        return self.model_copy(update={"verb": verb}) if self else self

    def without(self, *options: str) -> Command:
        """Return the command without these options and their values."""
        return self.model_copy(update={"parts": tuple(part for part in self.parts if part[0] not in options)})

    def adding(self, *parts: Iterable[str]) -> Command:
        """Return the command with more parts at its end."""
        return self.model_copy(update={"parts": (*self.parts, *map(tuple, parts))})

    def value_of(self, option: str) -> str | None:
        """Return the last value of an option; None if it is absent."""
        return next((part[-1] for part in reversed(self.parts) if part[0] == option), None)

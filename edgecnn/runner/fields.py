"""Read a JSON object of ``kit.json`` field by field: check types, and find fields that were not read."""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Mapping, Tuple

from .failure import RunnerError


def bad_manifest(field: str, why: str) -> RunnerError:
    """Return the error of a field of ``kit.json``."""
    return RunnerError("bad-manifest", "kit.json: {} {}".format(field, why), hint="package the kit again")


class Fields:
    """An object. Errors name its place in the file, ``where``."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise bad_manifest(where.rstrip(".") or "the file", "is not an object")
        self._value = value
        self._where = where
        self._read = set()  # type: Any

    def names(self) -> List[str]:
        """Return all names, sorted."""
        return sorted(self._value)

    def get(self, name: str) -> Any:
        """Return the value, or None."""
        self._read.add(name)
        return self._value.get(name)

    def refuse_unread(self) -> None:
        """Refuse fields that were not read."""
        unknown = sorted(set(self._value) - self._read)
        if unknown:
            raise bad_manifest(self._where + unknown[0], "is not a field that this runner knows")

    def fields(self, name: str) -> Fields:
        """Return an object as fields."""
        return Fields(self._typed(name, Mapping, "an object"), self._where + name + ".")

    def object(self, name: str) -> Dict[str, Any]:
        """Return an object."""
        return dict(self._typed(name, Mapping, "an object"))

    def list(self, name: str) -> List[Any]:
        """Return a list."""
        return list(self._typed(name, list, "a list"))

    def text(self, name: str) -> str:
        """Return a text."""
        return str(self._typed(name, str, "a text"))

    def texts(self, name: str) -> List[str]:
        """Return a list of texts."""
        values = self.list(name)
        if not all(isinstance(value, str) for value in values):
            raise bad_manifest(self._where + name, "must hold texts only")
        return values

    def text_map(self, name: str) -> Dict[str, str]:
        """Return an object whose values are texts."""
        values = self.object(name)
        if not all(isinstance(value, str) for value in values.values()):
            raise bad_manifest(self._where + name, "must hold texts only")
        return values

    def one_of(self, name: str, *allowed: str) -> str:
        """Return a text that is one of ``allowed``."""
        value = self.text(name)
        if value not in allowed:
            raise bad_manifest(self._where + name, "is {!r}, not one of {}".format(value, ", ".join(allowed)))
        return value

    def number(self, name: str) -> float:
        """Return a finite number of at least 0."""
        value = self._typed(name, (int, float), "a number")
        if not _is_finite(value) or value < 0:
            raise bad_manifest(self._where + name, "must be a number of at least 0")
        return float(value)

    def whole(self, name: str) -> int:
        """Return a whole number of at least 0."""
        value = self._typed(name, int, "a whole number")
        if isinstance(value, bool) or value < 0:
            raise bad_manifest(self._where + name, "must be a whole number of at least 0")
        return int(value)

    def three(self, name: str) -> Tuple[float, ...]:
        """Return three finite numbers: red, green, blue."""
        values = self.list(name)
        if len(values) != 3 or not all(_is_finite(value) for value in values):
            raise bad_manifest(self._where + name, "must hold three numbers, red, green and blue")
        return tuple(float(value) for value in values)

    def _typed(self, name: str, kind: Any, called: str) -> Any:
        value = self.get(name)
        if name not in self._value:
            raise bad_manifest(self._where + name, "is absent")
        if not isinstance(value, kind):
            raise bad_manifest(self._where + name, "is not {}".format(called))
        return value


def _is_finite(value: Any) -> bool:
    """Python's JSON may hold NaN, and integers beyond a float's range."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max

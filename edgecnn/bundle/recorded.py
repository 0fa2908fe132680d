"""What ``choice.json`` says of the build that a bundle came from: for which device, and how right each kit was on what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from edgecnn.results.folder import CHOICE
from edgecnn.store.whole_file import json_object
from edgecnn.values.report import Accuracy, BuildReport


class Recorded(NamedTuple):
    """What a bundle remembers; a bundle of an earlier version remembers nothing."""

    device: str | None
    accuracy: Mapping[str, Accuracy]
    """By candidate, of the build's test images."""

    @property
    def pixels(self) -> frozenset[str]:
        """Digests of those images."""
        return frozenset(each.pixels for each in self.accuracy.values())


def recorded_facts(report: BuildReport, candidate: str) -> dict[str, Any]:
    """For ``choice.json``: a candidate's accuracy on the test images; nothing where that is not known."""
    row = next((each for each in report.candidates if each.candidate.id == candidate), None)
    if row is None or row.test is None:
        return {}
    return {"recorded": row.test.model_dump(mode="json", exclude={"quality"}, exclude_none=True)}


def recorded_in(bundle: Path) -> Recorded:
    """Of a verified bundle; what cannot be read is not remembered. What is recorded is always of the test split, whatever an
    earlier version called it."""
    choice = json_object(bundle / CHOICE) or {}
    device, kits = choice.get("device"), choice.get("kits")
    found = dict[str, Accuracy]()
    for name, entry in kits.items() if isinstance(kits, dict) else ():
        try:
            found[name] = Accuracy.model_validate({"drop_pp": None, "discordant": None, **entry["recorded"], "split": "test"})
        except (KeyError, TypeError, ValidationError):
            continue
    return Recorded(device if isinstance(device, str) else None, found)

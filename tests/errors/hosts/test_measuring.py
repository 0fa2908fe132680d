from pathlib import Path

from edgecnn.errors.base import ExitCode
from edgecnn.errors.measuring import (
    EVIDENCE_CHANGED,
    EVIDENCE_UNSIGNED,
)


def test_evidence_that_was_changed_or_is_not_signed_is_refused_as_a_bundle_is() -> None:
    changed, unsigned = EVIDENCE_CHANGED(path=Path("pi.json")), EVIDENCE_UNSIGNED(path=Path("pi.json"))
    assert changed.ref == "evidence-changed"
    assert unsigned.ref == "evidence-unsigned"
    assert changed.exit_code is unsigned.exit_code is ExitCode.BAD_INPUT

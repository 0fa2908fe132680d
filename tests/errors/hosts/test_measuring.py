from pathlib import Path

from edgecnn.errors.base import ExitCode
from edgecnn.errors.measuring import (
    EVIDENCE_CHANGED,
    EVIDENCE_UNSIGNED,
)


def test_evidence_that_was_changed_or_is_not_signed_is_refused_as_a_bundle_is() -> None:
    changed, unsigned = EVIDENCE_CHANGED(path=Path("pi.json")), EVIDENCE_UNSIGNED(path=Path("pi.json"))
    assert changed.line() == (
        "pi.json was changed since it was written: its content is not what its sha256 says"
        " — ask whoever measured it to send it again [evidence-changed]"
    )
    assert unsigned.line() == (
        "pi.json is not signed: it holds no signature"
        " — where it was measured: the same command with --sign KEY [evidence-unsigned]"
    )
    assert changed.exit_code is unsigned.exit_code is ExitCode.BAD_INPUT

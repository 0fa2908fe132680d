"""From single verdicts to one word and one exit code. MISSING outranks FAIL: what was not measured was not judged."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import ExitCode
from edgecnn.values.verdict import GateResult, Verdict


def overall(results: Sequence[GateResult]) -> Verdict:
    """One word for one candidate, in the order of the exit codes: missing, FAIL, UNSURE, PASS.

    A MISSING that does not count (``when-measured``, ``advisory``) decides only where nothing else was judged.
    """
    seen = {result.verdict for result in results}
    if any(result.verdict is Verdict.MISSING and result.gate.required == "always" for result in results):
        return Verdict.MISSING
    for verdict in (Verdict.FAIL, Verdict.UNSURE, Verdict.PASS):
        if verdict in seen:
            return verdict
    return Verdict.MISSING


def standing(results: Sequence[GateResult], *, require_measured: bool = False) -> ExitCode:
    """What a process may say of these results: missing before FAIL before UNSURE before pass.

    An advisory UNSURE is shown and does not count; MISSING counts where the gate is required ``always``, and everywhere with
    ``require_measured``. No results at all are MISSING: nothing was judged.
    """
    if not results or any(_counts_as_missing(result, require_measured) for result in results):
        return ExitCode.MISSING
    if any(result.verdict is Verdict.FAIL for result in results):
        return ExitCode.GATE_FAILED
    if any(result.verdict is Verdict.UNSURE and result.gate.required != "advisory" for result in results):
        return ExitCode.UNSURE
    return ExitCode.OK


# ---------------------------------------------------------------------------------------------------------------------


def _counts_as_missing(result: GateResult, require_measured: bool) -> bool:
    return result.verdict is Verdict.MISSING and (require_measured or result.gate.required == "always")

"""Check that this folder is the packaged kit and works on this machine. The first failed check is reported."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from .golden import check_golden_feed, check_logits, check_photo, golden_pixels
from .kit import Kit
from .knobs import check_knobs, chosen_knobs
from .sessions import open_session


def selftest(kit: Kit, knobs: Optional[Mapping[str, str]] = None) -> Dict[str, Any]:
    """Check files, requirements, golden pixels, golden feed and golden logits, in this order.

    Args:
        kit: the kit to test.
        knobs: the session's knobs; None: those in the ``choice.json`` of the bundle around the kit.

    Raises:
        RunnerError: the first failed check.
    """
    total = kit.verify_files()
    packages = kit.check_requirements()
    pixels = golden_pixels(kit)
    levels = check_photo(kit)
    check_golden_feed(kit, pixels)
    knobs = chosen_knobs(kit) if knobs is None else knobs
    check_knobs(kit, knobs)
    session = open_session(kit, knobs, batch=1)
    try:
        logits = check_logits(kit, session, pixels)
    finally:
        session.close()
    return {
        "kit": kit.sha256,
        "files": len(kit.manifest.files),
        "bytes": total,
        "packages": packages,
        "golden_pictures": len(pixels),
        "photo_levels": levels,
        "logits_difference": logits.difference,
        "logits_allowed": logits.allowed,
        "knobs": dict(knobs),
    }

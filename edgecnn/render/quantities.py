"""Sizes and times as people say them: rounded to what they are looked at for. JSON has the raw numbers."""

from __future__ import annotations

_STEP = 1024
_LARGER = ("KiB", "MiB", "GiB", "TiB")
_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86400
_TWO_DAYS_S = 2 * _DAY_S
"""Below, hours tell more than days."""


def stored_size(count: int) -> str:
    """Bytes in the unit that keeps the figure short: ``512 B``, ``4.8 MiB``, ``1.2 GiB``."""
    amount, unit = float(count), "B"
    for larger in _LARGER:
        if round(amount, 1) < _STEP:
            break
        amount, unit = amount / _STEP, larger
    return f"{count} B" if unit == "B" else f"{amount:,.1f} {unit}"


def ago(seconds: float) -> str:
    """How long ago something was: ``just now``, ``5 min ago``, ``3 h ago``, ``12 days ago``. A clock that went back is now."""
    if seconds < _MINUTE_S:
        return "just now"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min ago"
    if seconds < _TWO_DAYS_S:
        return f"{seconds // _HOUR_S:.0f} h ago"
    return f"{seconds // _DAY_S:,.0f} days ago"


def took(seconds: float) -> str:
    """How long something took: ``<0.1 s``, ``0.3 s``, ``48 s``, ``12 min``, ``2 h 5 min``."""
    if seconds < 0.05:
        return "<0.1 s"
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < _MINUTE_S:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE_S)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"

"""Parameters of a test that take long: ordinary tests try one or two, and the others are marked ``slow``."""

from __future__ import annotations

from typing import Any

import pytest


def slowly(*values: Any) -> list[Any]:
    """Each value as a parameter that is marked ``slow``."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]

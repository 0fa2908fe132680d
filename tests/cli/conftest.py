"""What every process started here has in common with one that a user starts."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _buffered_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that cannot be written is noticed late where it is buffered, at the latest by Python's own last flush."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)

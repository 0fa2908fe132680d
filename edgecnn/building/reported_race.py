"""The race behind a build's reported latency, as the store has it."""

from __future__ import annotations

from edgecnn.store.store import Store
from edgecnn.values.profile import Profile

_OF_A_BUILD = (None, "screen", "select", "report")
"""Purposes of races that time one image a call; in the same second a kit may have been raced for batches or energy too."""


def timed_races(store: Store, kit: str) -> tuple[Profile, ...]:
    """The races of a kit (by digest) that a build ran for its latency, the newest first.

    Raises:
        StoreUnusable: profiles are there and cannot be read.
    """
    stored = (entry.profile for entry in store.profiles.of(kit, "race"))
    return tuple(profile for profile in stored if profile.runs and profile.purpose in _OF_A_BUILD)


def reported_race(store: Store, kit: str, observed_at: str) -> Profile | None:
    """The one that a report dates so; None where the store no longer has it."""
    return next((profile for profile in timed_races(store, kit) if profile.observed_at == observed_at), None)

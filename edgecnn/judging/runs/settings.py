"""How a kit was run: on how many threads, and with which knobs. A time without that is a time of nobody knows what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgecnn.values.knobs import Knobs
from edgecnn.values.profile import Profile, Run


def threads_of(runs: Sequence[Run]) -> int | None:
    """Threads behind every one of them; None where they differ, or one does not say."""
    found = {run.threads for run in runs}
    return found.pop() if len(found) == 1 else None


def run_settings_of(profile: Profile) -> str | None:
    """``2 threads``, or ``1 thread, spinning off``; None of a profile that says neither."""
    threads = threads_of(profile.runs)
    besides = {name: text for name, text in profile.knobs.items() if name != "threads" or threads is None}
    said = [] if threads is None else [Knobs(threads=threads).words]
    return ", ".join([*said, *([knobs_said(besides)] if besides else [])]) or None


def knobs_said(options: Mapping[str, str]) -> str:
    """Knobs in words; those of another version as they were written."""
    try:
        return Knobs.of(options).words
    except ValueError:
        return ", ".join(f"{name}={text}" for name, text in sorted(options.items()))

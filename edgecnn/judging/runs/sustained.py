"""From one long process to what is left of its speed at the end, with what the machine did meanwhile."""

from __future__ import annotations

from itertools import accumulate
from statistics import median

from edgecnn.errors.wording import counted
from edgecnn.judging.intervals import tail
from edgecnn.values.figures import SoakWindow, Sustained
from edgecnn.values.profile import Profile, Run, RunWindow

WINDOWS_MIN = 3
NS_PER_MS = 1e6


def sustained(profile: Profile, machine: str) -> Sustained | None:
    """One soak of one kit; None where nothing was soaked."""
    if not profile.runs or not profile.runs[0].windows:
        return None
    run = profile.runs[0]
    windows = _windows(run)
    slowdown, throttled = _slowdown(windows), _throttled(run.windows)
    return Sustained(
        windows=windows,
        slowdown=slowdown,
        throttled=throttled,
        says=_says(windows, slowdown, throttled),
        fidelity=profile.fidelity,
        machine=machine,
        observed_at=profile.observed_at,
    )


def _windows(run: Run) -> tuple[SoakWindow, ...]:
    ends = list(accumulate(window.samples for window in run.windows))
    parts = [run.samples_ns[end - window.samples : end] for end, window in zip(ends, run.windows, strict=True)]
    medians = [tail(part, 50) for part in parts]
    return tuple(
        SoakWindow(
            began_s=window.began_s,
            p50_ms=None if middle is None else middle / NS_PER_MS,
            samples=window.samples,
            observed=window.observed,
            seconds=window.seconds,
        )
        for window, middle in zip(run.windows, medians, strict=True)
    )


def _slowdown(windows: tuple[SoakWindow, ...]) -> float | None:
    known = [window.p50_ms for window in windows if window.p50_ms is not None]
    if len(known) < len(windows) or len(windows) < WINDOWS_MIN:
        return None
    third = len(windows) // 3
    return median(known[-third:]) / median(known[:third])


def _throttled(windows: tuple[RunWindow, ...]) -> str | None:
    said = [window.observed.get("throttled") for window in windows]
    known = [each for each in said if each is not None]
    if len(known) < len(said):
        return None
    causes = [each for each in known if each != "no"]
    return f"{', '.join(dict.fromkeys(causes))} in {len(causes)} of {len(said)} windows" if causes else "no"


def _says(windows: tuple[SoakWindow, ...], slowdown: float | None, throttled: str | None) -> str:
    heat = {
        None: "whether the machine slowed itself down cannot be read here",
        "no": "the machine did not slow itself down",
    }.get(throttled, f"the machine slowed itself down: {throttled}")
    if slowdown is None:
        few = f"{counted(len(windows), 'window')} of too few inferences to compare"
        return f"one process, {few}; {heat}"
    third = len(windows) // 3
    ends = "the last window against the first" if third == 1 else f"the last {third} windows against the first {third}"
    return (
        f"one process, {len(windows)} windows; {ends}: {slowdown:.2f} × the time an inference, {_range(windows, third)}; {heat}"
    )


def _range(windows: tuple[SoakWindow, ...], third: int) -> str:
    """How far single windows are from each other: one process gives no interval."""
    if third == 1:
        return "from one window each, whose spread is not known"
    known = [window.p50_ms for window in windows if window.p50_ms is not None]
    first, last = known[:third], known[-third:]
    return f"{min(last) / max(first):.2f} to {max(last) / min(first):.2f} × between single windows"

"""Whether a process got the processors that it wanted while it was timed.

Linux counts for each thread how long it ran, how long it was ready to run and waited for a processor, and how often another
thread took its processor away. These counts are of the measured process. The load of the machine says less: a kit that uses one
of two processors is not slowed by a program on the other one.

Source: Documentation/scheduler/sched-stats.rst of Linux, "/proc/<pid>/schedstat".
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional

from .procfs import ROOT, read_text, sorted_glob

ABSENT = "this kernel does not count how long a thread waits for a processor (no schedstat in /proc/self/task)"
_NS_PER_S = 10**9


class ThreadTimes(NamedTuple):
    """Nanoseconds that a thread ran and waited for a processor, and how often it lost one, since it began."""

    ran_ns: int
    waited_ns: int
    switched: int


class WaitingWatch:
    """Counts from its creation to ``facts``. Create it just before the timing: reading the counts takes a millisecond."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._busy_ns, self._threads = busy_ns(root), thread_times(root)
        self._began_ns = time.monotonic_ns()

    def facts(self) -> Dict[str, Any]:
        """Return the run file's ``waiting``: the times of all threads together, or why they are absent.

        ``others_ns`` is the time that other programs ran on all processors; it is absent if /proc/stat cannot be read.
        """
        wall_ns = time.monotonic_ns() - self._began_ns
        threads, busy = thread_times(self._root), busy_ns(self._root)
        if not threads or not self._threads:
            return {"absent": ABSENT}
        ran_ns = waited_ns = switched = 0
        for thread, now in threads.items():
            before = self._threads.get(thread, ThreadTimes(0, 0, 0))
            ran_ns += max(0, now.ran_ns - before.ran_ns)
            waited_ns += max(0, now.waited_ns - before.waited_ns)
            switched += max(0, now.switched - before.switched)
        facts: Dict[str, Any] = {"wall_ns": wall_ns, "ran_ns": ran_ns, "waited_ns": waited_ns, "switched": switched}
        if busy is not None and self._busy_ns is not None:
            facts["others_ns"] = max(0, busy - self._busy_ns - ran_ns)
        return facts


def thread_times(root: Path = ROOT) -> Dict[str, ThreadTimes]:
    """Return the counts of every thread of this process by thread number; none if the kernel does not count."""
    threads: Dict[str, ThreadTimes] = {}
    for folder in sorted_glob(root / "proc/self/task", "[0-9]*"):
        counts = (read_text(folder / "schedstat") or "").split()
        if len(counts) >= 2 and counts[0].isdigit() and counts[1].isdigit():
            threads[folder.name] = ThreadTimes(int(counts[0]), int(counts[1]), _switches(read_text(folder / "status")))
    return threads


def _switches(status: Optional[str]) -> int:
    for line in (status or "").splitlines():
        name, _, count = line.partition(":")
        if name == "nonvoluntary_ctxt_switches" and count.strip().isdigit():
            return int(count)
    return 0


def busy_ns(root: Path = ROOT) -> Optional[int]:
    """Return the time since boot that all processors were busy or given to other virtual machines; None if unknown."""
    fields = (read_text(root / "proc/stat") or "").split("\n", 1)[0].split()
    if len(fields) < 9 or fields[0] != "cpu":
        return None
    ticks = [int(field) for field in fields[1:9]]  # user nice system idle iowait irq softirq steal
    return (sum(ticks) - ticks[3] - ticks[4]) * (_NS_PER_S // os.sysconf("SC_CLK_TCK"))

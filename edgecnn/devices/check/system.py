"""Findings on processor, pages, disk and memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecnn.devices.check.hardware import accelerator_findings, clock_findings
from edgecnn.devices.check.needs import Needs, PackagesThere, packages_there, python_findings
from edgecnn.errors.hosts.board import BoardNotReady
from edgecnn.values.board import BoardFacts, Finding, Weight

_32_BITS = ("armv6l", "armv7l", "armv8l", "i386", "i686")
_USUAL_PAGE_KIB = 4


def _architecture(facts: BoardFacts, needs: Needs) -> Iterator[Finding]:
    has_64 = facts.architecture not in _32_BITS
    if not has_64 or facts.python.bits == 32:  # noqa: PLR2004 - bits
        kernel = (
            "its kernel is of 64 bits and its programs are of 32"
            if has_64
            else f"its kernel is of 32 bits ({facts.architecture})"
        )
        what = f"no runtime has packages for 32-bit programs: {kernel}"
        system = "Raspberry Pi OS (64-bit)" if facts.is_raspberry_pi else "the 64-bit form of its system"
        yield Finding(
            ref="userland-32-bit", weight=Weight.STOPS, what=what, remedy=f"install {system} anew; the two cannot be mixed"
        )
    elif facts.architecture not in needs.machines:
        what = f"kits run on {' and '.join(needs.machines)}, and this is {facts.architecture}"
        yield Finding(ref="architecture-unknown", weight=Weight.STOPS, what=what, remedy=None)


def _pages(facts: BoardFacts) -> Iterator[Finding]:
    if facts.page_kib <= _USUAL_PAGE_KIB:
        return
    remedy = None
    if facts.is_raspberry_pi:  # https://www.raspberrypi.com/documentation/computers/config_txt.html#kernel
        remedy = "add kernel=kernel8.img to /boot/firmware/config.txt and reboot, for a kernel with pages of 4 KiB"
    what = (
        f"memory pages are of {facts.page_kib} KiB: wheels of onnxruntime, NumPy and Pillow are made for up to 64; "
        "a library made for 4 alone does not load"
    )
    yield Finding(ref="large-pages", weight=Weight.NOTES, what=what, remedy=remedy)


def _disk(facts: BoardFacts, needs: Needs) -> Iterator[Finding]:
    if facts.disk_free_mib < needs.disk_mib:
        what = f"{facts.disk_free_mib:,} MiB are free in the home folder, and kits with their packages want {needs.disk_mib:,}"
        remedy = "make room: `du -xh --max-depth=1 ~ | sort -h` shows what takes it, `sudo apt-get clean` empties apt's cache"
        yield Finding(ref="disk-low", weight=Weight.STOPS, what=what, remedy=remedy)
    if facts.disk_noexec:
        what = "the home folder's file system is mounted noexec: libraries of packages in it do not load"
        yield Finding(ref="disk-noexec", weight=Weight.STOPS, what=what, remedy="sudo mount -o remount,exec on that file system")


def _memory(facts: BoardFacts, needs: Needs) -> Iterator[Finding]:
    available = facts.memory_available_mib
    if available is not None and available < needs.memory_mib:
        what = f"{available:,} MiB of memory are available, and {needs.memory_mib:,} are wanted"
        remedy = "stop what takes it: `ps aux --sort=-rss | head` shows it"
        if facts.is_jetson:
            remedy = "sudo systemctl isolate multi-user.target, which ends the desktop until the next boot"
        yield Finding(ref="memory-low", weight=Weight.DISTORTS, what=what, remedy=remedy)


def findings_on(facts: BoardFacts, needs: Needs, packages: PackagesThere | None = None) -> tuple[Finding, ...]:
    """What stands in the way of running and measuring these kits there.

    ``packages``: of the same facts and needs, where the caller has looked.
    """
    found = [
        *_architecture(facts, needs),
        *_pages(facts),
        *_disk(facts, needs),
        *_memory(facts, needs),
        *python_findings(facts, packages or packages_there(facts, needs)),
        *accelerator_findings(facts, needs),
        *clock_findings(facts),
    ]
    return tuple(sorted(found, key=lambda finding: tuple(Weight).index(finding.weight)))


def stopping(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Those without whose remedy nothing runs."""
    return tuple(finding for finding in findings if finding.weight is Weight.STOPS)


def require_none(board: str, findings: Sequence[Finding]) -> None:
    """Refuse a board for these findings. Raises BoardNotReady: there are any."""
    if findings:
        hints = [each.remedy for each in findings if each.remedy is not None]
        raise BoardNotReady(board=board, whats=[each.what for each in findings], hints=hints)

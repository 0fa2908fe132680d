"""Restrict this process for good, then run a Python module or program in it: ``restrict.py REQUEST -m MODULE ARGUMENTS``.

The restriction covers all threads and child processes. It needs no privileges and no package, only Linux and Python 3.8. edgecnn
starts this file by its path, here and on boards. REQUEST is a JSON object; see ``restrict``.

- Landlock (Linux 5.13, https://docs.kernel.org/userspace-api/landlock.html) limits files, TCP and signals.
- seccomp (https://docs.kernel.org/userspace-api/seccomp_filter.html) refuses sockets of every kind, and calls that reach into
  other processes or the kernel.
- Resource limits bound memory, processor time, the size of each file and the number of threads.
- Privileges of root are dropped.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import runpy
import signal
import struct
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows, where nothing is restricted
    resource = None  # type: ignore[assignment]

FILES, TRUNCATION, NETWORK, SIGNALS = "files", "truncation", "network", "signals"
"""What may be unrestricted. Truncation: files outside can be emptied, but not read."""
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_MAKE = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 13
"""Remove and make folders and regular files, and move them. Links, pipes, sockets and devices may not be made: edgecnn reads the
results later, outside the sandbox."""
_RIGHTS = {0: 0, 1: 13, 2: 14, 3: 15, 4: 15}
"""Number of file rights by Landlock's version; later versions have 16."""
_TCP_FROM, _SCOPES_FROM = 4, 6
_NO_NEW_PRIVILEGES, _DEATH_SIGNAL, _DROP_BOUND = 38, 1, 24
_DAC_OVERRIDE = 1
"""The only privilege of root that stays: reading files of other users, among the files that Landlock allows."""
_CAPSET = {"x86_64": 126, "aarch64": 91}
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
"""Bit of system calls of x86-64's second table."""
_REFUSED = {
    "x86_64": {
        "socket": (41,),
        "ptrace, process_vm_readv, process_vm_writev": (101, 310, 311),
        "chmod, fchmod, fchmodat, chown, fchown, lchown, fchownat": (90, 91, 268, 92, 93, 94, 260),
        "setxattr, lsetxattr, fsetxattr, removexattr, lremovexattr, fremovexattr": (188, 189, 190, 197, 198, 199),
        "utime, utimes, futimesat, utimensat": (132, 235, 261, 280),
        "shmget, semget, msgget": (29, 64, 68),
        "mount, umount2, unshare, setns": (165, 166, 272, 308),
        "bpf, perf_event_open, userfaultfd, keyctl, add_key, request_key": (321, 298, 323, 250, 248, 249),
    },
    "aarch64": {
        "socket": (198,),
        "ptrace, process_vm_readv, process_vm_writev": (117, 270, 271),
        "fchmod, fchmodat, fchown, fchownat": (52, 53, 55, 54),
        "setxattr, lsetxattr, fsetxattr, removexattr, lremovexattr, fremovexattr": (5, 6, 7, 14, 15, 16),
        "utimensat": (88,),
        "shmget, semget, msgget": (194, 190, 186),
        "mount, umount2, unshare, setns": (40, 39, 97, 268),
        "bpf, perf_event_open, userfaultfd, keyctl, add_key, request_key": (280, 241, 282, 219, 217, 218),
    },
}
"""System calls that Landlock does not restrict, by their numbers (arch/*/entry/syscalls and asm-generic/unistd.h of Linux)."""
_REFUSED_EVERYWHERE = (*range(425, 434), 442, 452, 463, 466, 469)
"""io_uring, which makes other calls unseen; the newer calls that mount; fchmodat2, setxattrat, removexattrat, file_setattr."""
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES
_SYSTEM = [
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/bin",
    "/sbin",
    "/nix/store",
    "/sys",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/os-release",
    "/etc/nsswitch.conf",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
]
_PROC_ALONE = [
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/loadavg",
    "/proc/sys",
    "/proc/version",
    "/proc/filesystems",
]
_THREADS = 1024
"""Threads and processes in addition to those that the machine already runs."""
_IS_LINUX = sys.platform.startswith("linux")
_libc: Any = ctypes.CDLL(None, use_errno=True) if _IS_LINUX else None


def landlock_abi() -> int:
    """Return the version of Landlock that this kernel offers, or 0."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1))) if _IS_LINUX else 0


def unrestricted(abi: int) -> list[str]:
    """Return what the sandbox does not restrict with this version of Landlock."""
    missing = [] if abi else [FILES]
    missing += [TRUNCATION] if abi in (1, 2) else []
    missing += [] if _has_filters() else [NETWORK]
    return missing + ([] if abi >= _SCOPES_FROM else [SIGNALS])


def restrict(request: Mapping[str, Any]) -> None:
    """Restrict this process and its future children.

    ``request``: ``read`` and ``write``, paths that may be used in addition to the system and this Python; ``memory_bytes``,
    ``cpu_s`` and ``file_bytes``, limits or None; ``largest_bytes``, up to which the process may raise the limit of a file;
    ``packages``, folders of Python packages; ``children``, whether other programs are started.

    Raises OSError: the kernel offers a restriction, but refuses it.
    """
    if not _IS_LINUX:
        return
    _limit_resources(request)
    _libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)  # end with the parent
    _drop_privileges()
    _check(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    abi = landlock_abi()
    if abi:
        _restrict_files(request, abi)
    if _has_filters():
        _filter_calls()


def _limit_resources(request: Mapping[str, Any]) -> None:
    running = int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
    memory = request["memory_bytes"]
    # Address space exceeds memory by mapped files and by the stacks and arenas of threads, which glibc reserves unused.
    reserved = None if memory is None else 2 * memory + (8 << 30) + (os.cpu_count() or 1) * (160 << 20)
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: running + _THREADS,
        resource.RLIMIT_DATA: memory,
        resource.RLIMIT_AS: reserved,
        resource.RLIMIT_CPU: request["cpu_s"],
        resource.RLIMIT_FSIZE: request["file_bytes"],
    }
    for kind, most in limits.items():
        if most is not None:
            _, hard = resource.getrlimit(kind)
            highest = request["largest_bytes"] if kind == resource.RLIMIT_FSIZE else most
            highest = highest if hard == resource.RLIM_INFINITY else min(highest, hard)
            resource.setrlimit(kind, (min(most, highest), highest))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it, and some libraries ignore the error that replaces it


def _drop_privileges() -> None:
    number = _CAPSET.get(os.uname().machine)
    if os.geteuid() != 0 or number is None:
        return
    for privilege in range(64):
        if privilege != _DAC_OVERRIDE:
            _libc.prctl(_DROP_BOUND, privilege, 0, 0, 0)
    header, kept = struct.pack("<Ii", 0x20080522, 0), 1 << _DAC_OVERRIDE
    if _libc.syscall(number, header, struct.pack("<6I", kept, kept, 0, 0, 0, 0)):
        _libc.syscall(number, header, bytes(24))  # a container has already dropped even this one


def _restrict_files(request: Mapping[str, Any], abi: int) -> None:
    rights = (1 << _RIGHTS.get(abi, 16)) - 1
    fields = [rights]
    if abi >= _TCP_FROM:
        fields.append(3)
    if abi >= _SCOPES_FROM:
        fields.append(3)
    attributes = struct.pack(f"<{len(fields)}Q", *fields)
    ruleset = _check(_libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0), "landlock_create_ruleset")
    reading, writing = _EXECUTE | _READ_FILE | _READ_DIR, _READ_FILE | _WRITE_FILE | _READ_DIR | _TRUNCATE | _MAKE
    rules = [(path, reading) for path in (*_SYSTEM, *request["packages"], *request["read"])]
    rules += [(path, reading) for path in (["/proc"] if request["children"] else _PROC_ALONE)]
    rules += [*_python_rules(reading), *((path, writing) for path in request["write"])]
    rules.append(("/dev/null", _READ_FILE | _WRITE_FILE | _TRUNCATE))
    for path, allowed in rules:
        try:
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # absent here
        kept = rights & (allowed if Path(path).is_dir() else allowed & (_EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE))
        _check(_libc.syscall(_ADD_RULE, ruleset, 1, struct.pack("<Qi", kept, handle), 0), "landlock_add_rule: " + path)
        os.close(handle)
    _check(_libc.syscall(_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _python_rules(reading: int) -> Iterable[tuple[str, int]]:
    """Yield the folders of this Python and its packages.

    Of a folder of other things on the path, such as a checkout, only names may be read, and the package edgecnn.
    """
    package = Path(__file__).resolve().parents[1]
    installed = {Path(os.__file__).parent, Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent}
    for folder in (*installed, package):
        yield str(folder), reading
    for entry in sys.path:
        if Path(entry).name in ("site-packages", "dist-packages"):
            yield entry, reading
        elif entry == str(package.parent):
            yield entry, _READ_DIR


def _has_filters() -> bool:
    """Whether the kernel filters system calls, and their numbers are known here."""
    number = _SECCOMP.get(os.uname().machine) if _IS_LINUX else None
    if number is None or sys.maxsize < 1 << 32:
        return False
    refuse = ctypes.c_uint32(_REFUSE & 0xFFFF0000)
    return bool(_libc.syscall(number, 2, 0, ctypes.byref(refuse)) == 0)  # SECCOMP_GET_ACTION_AVAIL


def _filter_calls() -> None:
    machine = os.uname().machine
    refused = [number for numbers in _REFUSED[machine].values() for number in numbers] + list(_REFUSED_EVERYWHERE)
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    program = [(load, 0, 0, 4), (equal, 1, 0, _ARCHITECTURE[machine]), (answer, 0, 0, _REFUSE), (load, 0, 0, 0)]
    program += [(at_least, len(refused) + 1, 0, _X32)]
    program += [(equal, len(refused) - index, 0, number) for index, number in enumerate(refused)]
    program += [(answer, 0, 0, _ALLOW), (answer, 0, 0, _REFUSE)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *line) for line in program))
    # struct sock_fprog: the number of lines, then a pointer
    described = struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(code))
    set_filter, allow_speculation = 1, 4  # without the flag, older kernels would slow the process down
    for flags in (allow_speculation, 0):
        if _libc.syscall(_SECCOMP[machine], set_filter, flags, described) == 0:
            return
    _check(-1, "seccomp")


def _check(result: int, doing: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), doing)
    return result


def main() -> None:
    """Restrict this process, then run the module or the program that the words name."""
    request: dict[str, Any] = json.loads(sys.argv[1])
    words = sys.argv[2:]
    del sys.path[0]  # the folder of this file; the working folder is not searched either
    restrict(request)
    missing = unrestricted(landlock_abi())
    if missing and request.get("tells"):
        note = "a kit from elsewhere runs here without restrictions of: " + ", ".join(missing)
        sys.stdout.write(json.dumps({"note": note}) + "\n")
        sys.stdout.flush()
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        os.execv(words[0], words)


if __name__ == "__main__":
    main()

from __future__ import annotations

from edgecnn.errors.base import ExitCode
from edgecnn.errors.hosts.process import DebianTreeFailed, ForeignCommandMissing, NothingToEmulateOn, WheelsNotFound


def test_foreign_command_missing() -> None:
    error = ForeignCommandMissing(command="apt-get", needed_for="Debian bookworm for arm64", package="apt")
    assert error.line() == (
        "Debian bookworm for arm64 needs apt-get, which is not installed — "
        "on Debian: apt-get install apt [foreign-command-missing]"
    )
    assert error.exit_code is ExitCode.MISSING


def test_debian_tree_failed() -> None:
    error = DebianTreeFailed(suite="bookworm", architecture="arm64", packages=["libc6"], said="E: no network")
    assert error.line() == (
        "Debian bookworm's packages for arm64 (libc6) could not be fetched: E: no network — "
        "look at the network, then run it again [debian-tree-failed]"
    )


def test_wheels_not_found() -> None:
    error = WheelsNotFound(packages=["numpy"], board="Python 3.15 on x86_64 with glibc 2.42", said="from versions: none")
    assert error.line() == (
        "no wheels of numpy for Python 3.15 on x86_64 with glibc 2.42 could be downloaded: from versions: none [wheels-not-found]"
    )


def test_nothing_to_emulate_on() -> None:
    assert NothingToEmulateOn(machine="riscv64", has=["x86_64"]).line() == (
        "an Arm machine is emulated on x86_64, and this is riscv64 [nothing-to-emulate-on]"
    )
    assert "--target cpu" in NothingToEmulateOn(machine="aarch64", has=["x86_64"]).line()

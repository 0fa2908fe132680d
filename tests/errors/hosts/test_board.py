from __future__ import annotations

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts.board import (
    AndroidHost,
    AnswerUnusable,
    BadAddress,
    BoardBusy,
    BoardDiskFull,
    BoardFailed,
    BoardIsAnotherDevice,
    BoardKeyChanged,
    BoardLacksPython,
    BoardUnknown,
    BoardUnreachable,
    LinkLost,
    LoginRefused,
    OwnAnswerUnusable,
    SshAbsent,
)
from edgecnn.hosts.ssh.link import Address, refused

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            AnswerUnusable(board="pi@b", doing="have", because="free_bytes: Input should be a valid integer"),
            "pi@b: its answer to have cannot be used: free_bytes: Input should be a valid integer — bench --clean removes what "
            "is ours there; then the same command begins anew [answer-unusable]",
        ),
        (
            OwnAnswerUnusable(doing="selftest", because="x" * 1001),
            f"this machine: its answer to selftest cannot be used: {'x' * 300} … {'x' * 600} [own-answer-unusable]",
        ),
        (
            BoardUnreachable(board="pi@b", said="ssh: connect to host b port 22: No route to host"),
            "pi@b: no link: ssh: connect to host b port 22: No route to host — ssh pi@b [board-unreachable]",
        ),
        (BoardUnreachable(board="pi", said=""), "pi: no link: ssh said nothing — ssh pi [board-unreachable]"),
        (
            BoardUnknown(board="pi"),
            "pi: its host key is not known here — ssh pi once, and compare the fingerprint that it shows with the board's "
            "[board-unknown]",
        ),
        (
            BoardKeyChanged(board="pi"),
            "pi: its host key is not the known one: it was set up anew, or another machine answers — ssh pi says which line of "
            "known_hosts; remove it only where you know why it changed [board-key-changed]",
        ),
        (
            LoginRefused(board="pi", said="Permission denied (publickey)."),
            "pi: login refused: Permission denied (publickey). — ssh-copy-id pi, so that no password is needed [login-refused]",
        ),
        (
            LinkLost(board="pi", doing="put", said="Connection reset"),
            "pi: the link was lost during put: Connection reset — the same command goes on where it stopped [link-lost]",
        ),
        (
            LinkLost(board="pi", doing="put"),
            "pi: the link was lost during put — the same command goes on where it stopped [link-lost]",
        ),
        (
            BoardLacksPython(board="pi", python="python3", said="Python 3.7.3"),
            "pi: python3 is no Python 3.8 or later: Python 3.7.3 — --python names another one there [board-lacks-python]",
        ),
        (SshAbsent(program="ssh"), "ssh: cannot be started — apt install openssh-client [ssh-absent]"),
        (
            BoardBusy(board="pi", owner="ann", since_s=61.4, what="edgecnn bench b"),
            "pi: in use by ann for 61 s: edgecnn bench b — the same command when that has ended [board-busy]",
        ),
        (
            BoardBusy(board="pi", owner="somebody", since_s=None, what=""),
            "pi: in use by somebody — the same command when that has ended [board-busy]",
        ),
        (
            BoardDiskFull(board="pi", folder="~/.cache/edgecnn", needed_bytes=30 * MIB, free_bytes=2 * MIB),
            "pi: no room in ~/.cache/edgecnn: 30.0 MiB are needed, 2.0 MiB are free — make room there, or let bench --clean "
            "remove ~/.cache/edgecnn [board-disk-full]",
        ),
        (
            BoardDiskFull(board="pi", folder="~/x", needed_bytes=None, free_bytes=0),
            "pi: no room in ~/x: 0.0 MiB are free — make room there, or let bench --clean remove ~/x [board-disk-full]",
        ),
        (BoardFailed(board="pi", doing="put", said=["a", "b"]), "pi: put failed: a | b [board-failed]"),
        (BoardFailed(board="pi", doing="put", said=[]), "pi: put failed: it said nothing [board-failed]"),
    ],
)
def test_the_whole_line(error: EdgecnnError, line: str) -> None:
    assert error.line() == line


@pytest.mark.parametrize("text", ["", "-oProxyCommand=reboot", "pi @board", "pi@board\n"])
def test_a_destination_that_is_none_is_refused_before_anything_is_started(text: str) -> None:
    with pytest.raises(BadAddress) as caught:
        Address.of(text)
    assert caught.value.line() == (
        f"--host {text!r} is no SSH destination — give user@board, or a name of your ssh_config [bad-address]"
    )


def test_a_telephone_at_adb_is_no_board_and_the_ways_there_are_named() -> None:
    with pytest.raises(AndroidHost) as caught:
        Address.of("adb:R5CT")
    assert caught.value.line() == (
        "--host 'adb:R5CT': no kit runs over adb: the runner is Python, which Android does not have — docs/howto/"
        "use-an-android-telephone.md has three ways: its browser, LiteRT's program, Debian inside Termux [android-host]"
    )


def test_a_key_type_that_is_not_known_is_an_unknown_board() -> None:
    said = "No ED25519 host key is known for b and you have requested strict checking.\nHost key verification failed.\n"
    assert isinstance(refused("b", said), BoardUnknown)


def test_what_is_not_understood_is_passed_on() -> None:
    assert refused("b", "one\nkex_exchange_identification: read: reset\n").because == "kex_exchange_identification: read: reset"


@pytest.mark.parametrize(
    ("matching", "hint"),
    [
        (("raspberry-pi-4",), "--target raspberry-pi-4"),
        ((), "describe it in a device file of its own, and give that to --target"),
    ],
)
def test_a_board_that_is_another_device_says_what_it_is(matching: tuple[str, ...], hint: str) -> None:
    error = BoardIsAnotherDevice(board="pi", machine="aarch64 with 4 cores", device="Raspberry Pi 5", matching=matching)
    assert error.line() == f"pi is aarch64 with 4 cores, which is not Raspberry Pi 5 — {hint} [board-is-another-device]"

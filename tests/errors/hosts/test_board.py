from __future__ import annotations

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import (
    ANDROID_HOST,
    BOARD_UNKNOWN,
    BadAddress,
    board_is_another_device,
)
from edgecnn.hosts.ssh.link import Address, refused

MIB = 1024 * 1024


@pytest.mark.parametrize("text", ["", "-oProxyCommand=reboot", "pi @board", "pi@board\n"])
def test_a_destination_that_is_none_is_refused_before_anything_is_started(text: str) -> None:
    with pytest.raises(BadAddress) as caught:
        Address.of(text)
    assert caught.value.ref == "bad-address"


def test_a_telephone_at_adb_is_no_board_and_the_ways_there_are_named() -> None:
    with pytest.raises(EdgecnnError, check=ANDROID_HOST.made) as caught:
        Address.of("adb:R5CT")
    assert caught.value.ref == "android-host"


def test_a_key_type_that_is_not_known_is_an_unknown_board() -> None:
    said = "No ED25519 host key is known for b and you have requested strict checking.\nHost key verification failed.\n"
    assert BOARD_UNKNOWN.made(refused("b", said))


def test_what_is_not_understood_is_passed_on() -> None:
    assert refused("b", "one\nkex_exchange_identification: read: reset\n").because == "kex_exchange_identification: read: reset"


@pytest.mark.parametrize(
    ("matching", "hint"),
    [
        (("raspberry-pi-4",), "pass --target raspberry-pi-4"),
        ((), "describe the board in a device file, and pass the file with --target"),
    ],
)
def test_a_board_that_is_another_device_says_what_it_is(matching: tuple[str, ...], hint: str) -> None:
    error = board_is_another_device(board="pi", machine="aarch64 with 4 cores", device="Raspberry Pi 5", matching=matching)
    assert error.fields["hint"] == hint

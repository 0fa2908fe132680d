from __future__ import annotations

from edgecnn.errors.usage import AddressUnusable, PortInUse


def test_a_port_that_is_taken_names_the_command_that_takes_another() -> None:
    assert PortInUse(host="127.0.0.1", port=8000, bundle="my flowers").line() == (
        "port 8000 of 127.0.0.1 is taken: another process listens there — a free one: edgecnn bundle serve 'my flowers' --port 0 "
        "[port-in-use]"
    )


def test_an_address_of_another_machine_names_the_command_for_this_one() -> None:
    error = AddressUnusable(host="192.0.2.1", port=0, because="not an address of this machine", bundle="flowers.zip")
    assert error.line() == (
        "cannot listen on 192.0.2.1, port 0: not an address of this machine — "
        "for this machine alone, on a free port: edgecnn bundle serve flowers.zip [address-unusable]"
    )

"""Failures of `edgecnn serve` before it answers anybody: where it was asked to listen, it cannot."""

from __future__ import annotations

from edgecnn.errors.base import EdgecnnError


class PortInUse(EdgecnnError):
    """Raised when another process listens there already."""

    ref = "port-in-use"

    def __init__(self, *, host: str, port: int, bundle: str) -> None:
        super().__init__(
            what=f"port {port} of {host} is taken",
            because="another process listens there",
            hint=f"a free one: edgecnn serve {bundle} --port 0",
        )


class AddressUnusable(EdgecnnError):
    """Raised when this machine has no such address, or may not listen on that port."""

    ref = "address-unusable"

    def __init__(self, *, host: str, port: int, because: str, bundle: str) -> None:
        super().__init__(
            what=f"cannot listen on {host}, port {port}",
            because=because,
            hint=f"for this machine alone, on a free port: edgecnn serve {bundle}",
        )

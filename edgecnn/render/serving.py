"""What `edgecnn serve` says when it begins to listen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgecnn.bundle.predictions import Served


def served_facts(url: str, served: Served) -> dict[str, Any]:
    """For ``--json``: one object, as soon as it listens."""
    return {"url": url, **served.model_dump(mode="json")}


def served_lines(url: str, served: Served) -> Iterator[str]:
    """The address first, which is what is looked for."""
    yield url
    yield f"  {served.name} version {served.version}: {served.candidate} answers with {served.classes:,} classes; Ctrl-C ends it"


def doubtful_lines(served: Served) -> Iterator[str]:
    """For stderr, before anybody trusts an answer."""
    yield from (f"edgecnn: warning: {warning}" for warning in served.warnings)


def exposed_lines(address: str, port: int) -> Iterator[str]:
    """For stderr, where others reach it too."""
    yield (
        f"edgecnn: warning: it listens on {address}: whoever reaches port {port} of this machine can use it, "
        "there is no password, and photographs travel unencrypted"
    )

"""Serve a kit's page to browsers on this machine, isolated as threads require."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Dict

from ..failure import RunnerError
from ..manifest import MANIFEST
from ..say import note
from .server import KitServer

if TYPE_CHECKING:
    from ..kit import Kit

PAGE = "index.html"


def host(kit: Kit, port: int) -> Dict[str, Any]:
    """Serve the kit's files to this machine until Ctrl-C.

    Raises:
        RunnerError: no-page, since the kit is for another runtime; port-taken; the errors of ``verify_files``.
    """
    if PAGE not in kit.manifest.files:
        raise RunnerError("no-page", "the kit has no page", "it runs in {}".format(kit.manifest.session.module))
    kit.verify_files()
    try:
        server = KitServer(kit.folder, [*kit.manifest.files, MANIFEST], port)
    except OSError as error:
        raise RunnerError(
            "port-taken", "port {} is not available".format(port), str(error), "--port {}".format(port + 1)
        ) from error
    note("serving {} at {} until Ctrl-C".format(kit.manifest.name, server.address("")))
    try:
        with suppress(KeyboardInterrupt):
            server.wait()
    finally:
        server.close()
    return {"address": server.address("")}

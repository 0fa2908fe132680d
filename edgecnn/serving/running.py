"""Serve a bundle on a port. Nothing listens before the bundle is verified and has classified once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from edgecnn.bundle.predicting import opened_classifier
from edgecnn.bundle.predictions import Served
from edgecnn.bundle.verify import Trust, verify
from edgecnn.serving.answering import Answering, Limits
from edgecnn.serving.http import PhotoServer, Place
from edgecnn.serving.page import page_of
from edgecnn.values.stage import Progress


class Terminated(BaseException):
    """Raised in the main thread on SIGTERM, so that unpacked files are removed."""


_ENDINGS: Final[Mapping[int, type[BaseException]]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@dataclass(frozen=True)
class ServeRequest:
    """A bundle to serve, and where."""

    bundle: Path
    """A build's folder, a bundle's folder, or a zip."""
    candidate: str | None = None
    """Candidate whose kit classifies; None: the chosen one."""
    place: Place = field(default_factory=Place)
    limits: Limits = field(default_factory=Limits)
    trust: Trust = field(default_factory=Trust)
    """Requirements on the bundle before any of its files is opened."""


@contextmanager
def photo_server(request: ServeRequest, tell: Progress, complain: Callable[[str], None]) -> Iterator[tuple[PhotoServer, Served]]:
    """Yield a listening server, which answers once ``serve_until`` is called.

    ``complain``: receives a sentence for each failure of the server. Raises EdgecnnError: an error of ``verify`` or
    ``opened_classifier``. PORT_IN_USE, ADDRESS_UNUSABLE: it cannot listen there.
    """
    bundle = verify(request.bundle, request.trust, tell)
    with opened_classifier(bundle, request.candidate) as kit:
        answering = Answering(kit.classifier, request.limits)
        answering.warm_up()
        served = Served(
            bundle=str(request.bundle), name=kit.manifest.name, version=kit.manifest.version,
            candidate=kit.candidate, classes=answering.classes, warnings=bundle.facts.warnings,
        )  # fmt: skip
        server = PhotoServer(request.place, page_of(served, request.limits), answering, request.limits, complain)
        try:
            yield server, served
        finally:
            server.server_close()
            answering.finish()


class Endings:
    """A request to end the process. It is raised at once until ``check`` is called regularly, and by ``check`` from then on.

    Python drops an exception that a handler raises during a weak reference's callback. Such callbacks run whenever a request's
    thread is freed: of 16,000 interruptions after an answer, four were lost.

    ``socketserver`` takes an exception for a failure of the accepted request. So its loop calls ``check``, and nothing is
    raised inside it.
    """

    def __init__(self) -> None:
        self._requested: type[BaseException] | None = None
        self._polled = False

    def heed(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        self._requested = _ENDINGS[number]
        if not self._polled:
            raise self._requested

    def check(self) -> None:
        """Raise the requested exception, if there is one. A second request is raised at once."""
        self._polled = self._requested is None
        if self._requested is not None:
            raise self._requested


@contextmanager
def endings_heeded() -> Iterator[Endings]:
    """Raise KeyboardInterrupt on Ctrl-C and Terminated on SIGTERM inside the block; for the main thread only.

    Signals that the process was started to ignore, such as Ctrl-C in a background job, stay ignored.
    """
    endings = Endings()
    signals = [number for number in _ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, endings.heed) for number in signals}
    try:
        yield endings
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

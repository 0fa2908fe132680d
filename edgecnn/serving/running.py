"""From a bundle to a port that answers, and back: nothing listens before the bundle stood every check and computed once."""

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
    """Raised in the main thread when the process is asked to end (SIGTERM), so that what was unpacked is removed."""


_ENDINGS: Final[Mapping[int, type[BaseException]]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@dataclass(frozen=True)
class ServeRequest:
    """What is served, and where."""

    bundle: Path
    """A build's folder, a bundle's, or a zip."""
    candidate: str | None = None
    """Whose kit answers; None: the one that the bundle uses."""
    place: Place = field(default_factory=Place)
    limits: Limits = field(default_factory=Limits)
    trust: Trust = field(default_factory=Trust)
    """What is asked of the bundle before anything in it is opened."""


@contextmanager
def photo_server(request: ServeRequest, tell: Progress, complain: Callable[[str], None]) -> Iterator[tuple[PhotoServer, Served]]:
    """A server that listens, and answers once ``serve_until`` is called.

    ``complain``: hears of failures of single requests that are our own, a sentence each. Raises EdgecnnError: what ``verify`` and
    ``opened_classifier`` refuse. PORT_IN_USE, ADDRESS_UNUSABLE: it cannot listen there.
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
    """What asked the process to end: raised wherever it is, until somebody asks regularly, and from then on where that is asked.

    Python drops what a handler raises while a callback of a weak reference runs, and one runs whenever a request's thread is
    forgotten: of 16,000 interruptions straight after an answer, four were lost. And ``socketserver`` takes an exception for a
    failure of the request that it has just accepted. So its loop asks, and nothing is raised inside it.
    """

    def __init__(self) -> None:
        self._requested: type[BaseException] | None = None
        self._polled = False

    def heed(self, number: int, _frame: FrameType | None) -> None:
        """As a signal's handler."""
        self._requested = _ENDINGS[number]
        if not self._polled:
            raise self._requested

    def check(self) -> None:
        """Raise what was asked, if anything was; what is asked a second time is raised at once again."""
        self._polled = self._requested is None
        if self._requested is not None:
            raise self._requested


@contextmanager
def endings_heeded() -> Iterator[Endings]:
    """Let Ctrl-C come as ``KeyboardInterrupt`` inside and SIGTERM as ``Terminated``; only the main thread may ask for this.

    What the process was started deaf to, as a job in the background is to Ctrl-C, it stays deaf to.
    """
    endings = Endings()
    signals = [number for number in _ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, endings.heed) for number in signals}
    try:
        yield endings
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

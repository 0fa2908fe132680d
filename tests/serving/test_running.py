"""What ends a server: nothing that asks it to is lost, wherever Python happens to be."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from edgecnn.render.progress import Quiet
from edgecnn.serving.running import Terminated, ToServe, endings_heeded, photo_server


class Interrupted:
    """Is told to end in a place where Python drops what a handler raises."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


@pytest.mark.timeout(60)  # without it, a server that is never told to end
@pytest.mark.parametrize(("number", "ending"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_an_ending_that_python_dropped_still_ends_the_server(
    whole: Path, monkeypatch: pytest.MonkeyPatch, number: int, ending: type[BaseException]
) -> None:
    dropped: list[type[BaseException] | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda about: dropped.append(about.exc_type))
    before = signal.signal(number, signal.default_int_handler)
    try:
        with endings_heeded() as endings, photo_server(ToServe(whole), Quiet(), print) as (server, _):
            Interrupted(number)
            assert dropped == [ending]
            with pytest.raises(ending):
                server.serve_until(endings.check)
    finally:
        signal.signal(number, before)


@pytest.mark.timeout(60)
def test_while_it_serves_nothing_is_raised_but_where_it_looks(whole: Path) -> None:
    """Raised inside the loop, it would be taken for a failure of the request that was just accepted."""
    with endings_heeded() as endings, photo_server(ToServe(whole), Quiet(), print) as (server, _):
        endings.check()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Terminated):
            server.serve_until(endings.check)
        with pytest.raises(Terminated):  # whoever asks again does not wait
            signal.raise_signal(signal.SIGTERM)


def test_who_was_started_deaf_to_ctrl_c_stays_so_and_handlers_come_back() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        with endings_heeded() as endings:
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not terminated
            endings.check()
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == (signal.SIG_IGN, terminated)
    finally:
        signal.signal(signal.SIGINT, before)

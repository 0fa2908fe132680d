"""One connection of a process, told here: labgrid's own refuses a second one while the first is there."""

from __future__ import annotations

import threading
from typing import Any

from edgecnn.devices.labgrid import SharedConnection


class Told:
    """A connection that takes its time to close."""

    open_now = 0
    most = 0
    closing, may_close = threading.Event(), threading.Event()

    def __enter__(self) -> Told:
        Told.open_now += 1
        Told.most = max(Told.most, Told.open_now)
        return self

    def __exit__(self, *given: object) -> None:
        Told.closing.set()
        Told.may_close.wait(10)
        Told.open_now -= 1

    def gone(self) -> None:
        return None


def test_no_second_connection_is_opened_while_the_last_user_s_closes() -> None:
    shared, opened = SharedConnection(), threading.Event()

    def made(where: str) -> Any:
        return Told()

    def use(event: threading.Event) -> None:
        with shared.of(made, "labgrid://lab"):
            event.set()

    first = threading.Thread(target=use, args=(threading.Event(),))
    first.start()
    assert Told.closing.wait(10)
    second = threading.Thread(target=use, args=(opened,))
    second.start()
    assert not opened.wait(0.2)
    Told.may_close.set()
    for each in (first, second):
        each.join(10)
    assert opened.is_set() and (Told.most, Told.open_now) == (1, 0)

"""What ends a server: nothing that asks it to is lost, wherever Python happens to be.

Signals are sent in processes of their own: one that holds every runtime of a whole test run was ended by them without a word.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.house.child import child
from tests.house.source_tree import ROOT

BEGINS = """
import json, signal, sys
from pathlib import Path
from edgecnn.render.page.served import served_page
from edgecnn.render.progress import Quiet
from edgecnn.bundle.serving import Terminated, ServeRequest, raise_end_signals, photo_server

asked, number = ServeRequest(Path(sys.argv[1])), int(sys.argv[2])
said = []


def raised(ask):
    try:
        ask()
    except BaseException as ending:
        return type(ending).__name__
"""

DROPPED = f"""{BEGINS}
class Interrupted:  # in a place where Python drops what a handler raises
    def __del__(self):
        signal.raise_signal(number)


sys.unraisablehook = lambda about: said.append(about.exc_type.__name__)
with raise_end_signals() as endings, photo_server(asked, served_page, Quiet(), print) as (server, _):
    Interrupted()
    said.append(raised(lambda: server.serve_until(endings.check)))
print(json.dumps(said))
"""

LOOKED_AT = f"""{BEGINS}
with raise_end_signals() as endings, photo_server(asked, served_page, Quiet(), print) as (server, _):
    endings.check()
    signal.raise_signal(number)
    said.append(raised(lambda: server.serve_until(endings.check)))
    said.append(raised(lambda: signal.raise_signal(number)))
print(json.dumps(said))
"""

DEAF = f"""{BEGINS}
signal.signal(signal.SIGINT, signal.SIG_IGN)
terminated = signal.getsignal(signal.SIGTERM)
with raise_end_signals() as endings:
    said += [signal.getsignal(signal.SIGINT) is signal.SIG_IGN, signal.getsignal(signal.SIGTERM) == endings.handle]
    endings.check()
said += [signal.getsignal(signal.SIGINT) is signal.SIG_IGN, signal.getsignal(signal.SIGTERM) == terminated]
print(json.dumps(said))
"""


def said_by(program: str, bundle: Path, number: int) -> Any:
    """What a program prints."""
    command = [sys.executable, "-c", program, str(bundle), str(int(number))]
    with child(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        said, talk = process.communicate(timeout=120)
    assert process.returncode == 0, talk
    return json.loads(said)


@pytest.mark.parametrize(("number", "ending"), [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "Terminated")])
def test_an_ending_that_python_dropped_still_ends_the_server(whole: Path, number: int, ending: str) -> None:
    """The first is Python's dropping it, the second the server's ending all the same."""
    assert said_by(DROPPED, whole, number) == [ending, ending]


def test_while_it_serves_nothing_is_raised_but_where_it_looks(whole: Path) -> None:
    """Raised inside the loop, it would be taken for a failure of the request that was just accepted."""
    assert said_by(LOOKED_AT, whole, signal.SIGTERM) == ["Terminated", "Terminated"]


def test_who_was_started_deaf_to_ctrl_c_stays_so_and_handlers_come_back(whole: Path) -> None:
    assert said_by(DEAF, whole, signal.SIGINT) == [True, True, True, True]

"""The only place where a runtime executes: one module a runtime, found by its name in the kit."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from ..failure import RunnerError
from ..installing import lacking
from ..machine.environment import available_cores
from ..model_files import check_model
from ..session_options import check_options
from ..timing import timed_calls

if TYPE_CHECKING:
    from ..feeds import TensorSpec
    from ..kit import Kit


class Session:
    """An opened model. One thread at a time may call ``run``; what it returned stays valid.

    A module of this package also names its ``KNOBS``: the options that change how fast a model runs and not what it answers.
    """

    threads: Optional[int] = None
    """Threads of the processor that one call is spread over; None where the runtime computes elsewhere."""
    least_warmup_s: float = 0.0
    """Seconds of calls that nothing is concluded from, where a schedule's usual ones are too few."""
    elsewhere: Optional[str] = None
    """Where the model runs, if in another process, whose memory and files this one does not have; None where it runs here."""
    conditions: Mapping[str, str] = {}
    """What a time belongs to that only an open session can tell, beside what ``read_conditions`` reads."""
    no_events: Optional[str] = "this session does not ask the GPU's own clock"
    """Why ``event_ns`` may not be asked; None where it may."""

    def inputs(self) -> Sequence[TensorSpec]:
        """The tensors that ``run`` takes."""
        raise NotImplementedError

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        """Arrays by output name, from arrays by input name."""
        raise NotImplementedError

    def timed(self, feeds: Sequence[Mapping[str, Any]], count: int, limit_ns: int) -> List[int]:
        """Nanoseconds of each of these calls, as ``timed_calls`` makes them, by the clock of where they run."""
        return timed_calls(self.run, feeds, count, limit_ns)

    def event_ns(self, feed: Mapping[str, Any]) -> int:
        """Nanoseconds of the network alone by the GPU's own clock, copies outside."""
        raise NotImplementedError

    def close(self) -> None:
        """Release the model; of a traced session this writes the trace."""
        raise NotImplementedError


def load_runtime(kit: Kit) -> Any:
    """Import the kit's session module and with it the runtime.

    Raises:
        RunnerError: unknown-session or missing-package.
    """
    name = kit.manifest.session.module
    try:
        return import_module("." + name, __name__)
    except ModuleNotFoundError as error:
        if error.name == "{}.{}".format(__name__, name):
            raise RunnerError("unknown-session", "kit.json: session.module {!r} is not in this runner".format(name)) from error
        raise lacking("{} needs the package {}".format(name, error.name), str(error.name)) from error


def open_session(
    kit: Kit, knobs: Optional[Mapping[str, str]] = None, batch: Optional[int] = None, trace_folder: Optional[Path] = None
) -> Session:
    """Open the kit's model in the kit's runtime.

    Args:
        kit: whose session module and options are used.
        knobs: options that override the kit's; ``check_knobs`` says which may.
        batch: images in every call, so that a runtime may compile for that shape alone; None: any number.
        trace_folder: an existing folder for the runtime's profile; a traced session is no measure of latency.

    Raises:
        RunnerError: what ``check_options`` or ``check_model`` refuses, unknown-session, missing-package, or the runtime's own
            refusal.
    """
    options: Dict[str, str] = dict(kit.manifest.session.options)
    options.update(knobs or {})
    check_model(kit)
    runtime = load_runtime(kit)
    check_options(kit.manifest.session.module, options)
    session: Session = runtime.open_session(kit, options, trace_folder=trace_folder, batch=batch)
    return session


def threads_of(options: Dict[str, str]) -> int:
    """Take ``threads`` out of the checked options; without it, the cores that this process may use."""
    text = options.pop("threads", None)
    return available_cores() if text is None else int(text)

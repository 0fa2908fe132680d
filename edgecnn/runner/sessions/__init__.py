"""Run models: one module for each runtime. The kit names its module."""

from __future__ import annotations

import time
from importlib import import_module
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence

from ..machine.environment import available_cores
from ..messages import RunnerError
from ..model_files import check_model
from ..packages import lacking
from ..session_options import check_options

if TYPE_CHECKING:
    from ..feeds import TensorSpec
    from ..kit import Kit


class Session:
    """An opened model. One thread at a time may call ``run``; its results stay valid.

    A module of this package also has ``KNOBS``: the options that change a model's speed and not its logits.
    """

    threads: Optional[int] = None
    """CPU threads of a call; None if the runtime does not compute on the CPU."""
    least_warmup_s: float = 0.0
    """Shortest warm-up in seconds, if a schedule's default is too short."""
    elsewhere: Optional[str] = None
    """The other process in which the model runs, whose memory and files are not available; None: this process."""
    conditions: Mapping[str, str] = {}
    """Conditions of a latency that only an open session knows, in addition to ``read_conditions``."""
    no_events: Optional[str] = "this session does not use the GPU's clock"
    """Why ``event_ns`` is not available; None if it is."""

    def inputs(self) -> Sequence[TensorSpec]:
        """Return the inputs of ``run``."""
        raise NotImplementedError

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return arrays by output name, from arrays by input name."""
        raise NotImplementedError

    def timed(self, feeds: Sequence[Mapping[str, Any]], count: int, limit_ns: int) -> List[int]:
        """Return the nanoseconds of calls as in ``timed_calls``, by the clock of the process that runs the model."""
        return timed_calls(self.run, feeds, count, limit_ns)

    def event_ns(self, feed: Mapping[str, Any]) -> int:
        """Return the nanoseconds of the network by the GPU's clock, without copies."""
        raise NotImplementedError

    def close(self) -> None:
        """Release the model; a traced session writes its trace."""
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


def check_knobs(kit: Kit, knobs: Mapping[str, str]) -> None:
    """Refuse options that are not knobs of the kit's session.

    A runtime may silently accept a misspelt option. Options that change logits belong to the kit.

    Raises:
        RunnerError: unknown-knob; the errors of ``check_options`` and ``load_runtime``.
    """
    if not knobs:
        return
    names = load_runtime(kit).KNOBS
    unknown = sorted(set(knobs) - set(names))
    if unknown:
        module = kit.manifest.session.module
        why = "its knobs are {}".format(", ".join(names)) if names else "it has none"
        raise RunnerError("unknown-knob", "{!r} is not a knob of {}".format(unknown[0], module), why)
    check_options(kit.manifest.session.module, knobs)


def open_session(
    kit: Kit, knobs: Optional[Mapping[str, str]] = None, batch: Optional[int] = None, trace_folder: Optional[Path] = None
) -> Session:
    """Open the kit's model in the kit's runtime.

    Args:
        kit: its session module and options are used.
        knobs: options that override the kit's; see ``check_knobs``.
        batch: images in every call, so that a runtime may compile for this shape; None: any number.
        trace_folder: an existing folder for the runtime's profile. Do not time a traced session.

    Raises:
        RunnerError: the errors of ``check_options``, ``check_model`` and ``load_runtime``, or of the runtime.
    """
    options: Dict[str, str] = dict(kit.manifest.session.options)
    options.update(knobs or {})
    check_model(kit)
    runtime = load_runtime(kit)
    check_options(kit.manifest.session.module, options)
    session: Session = runtime.open_session(kit, options, trace_folder=trace_folder, batch=batch)
    return session


def threads_of(options: Dict[str, str]) -> int:
    """Remove ``threads`` from the checked options and return it; the default is the number of available cores."""
    text = options.pop("threads", None)
    return available_cores() if text is None else int(text)


def error_line(error: Exception) -> str:
    """Return a runtime's error on one line of at most 500 characters."""
    return " ".join(str(error).split())[:500] or type(error).__name__


def timed_calls(call: Callable[[Any], Any], inputs: Sequence[Any], count: int, limit_ns: int) -> List[int]:
    """Return the nanoseconds of ``count`` calls, or of as many as begin within ``limit_ns``; at least one.

    Nothing else runs between the two readings of the clock.

    ``inputs``: the calls' arguments in turn.
    """
    clock, following = time.perf_counter_ns, cycle(inputs).__next__
    samples: List[int] = []
    keep = samples.append
    stop = clock() + limit_ns
    for _ in range(count):
        feed = following()
        begin = clock()
        call(feed)
        end = clock()
        keep(end - begin)
        if end >= stop:
            break
    return samples

"""Runtime knobs: how a kit's session is opened, where that changes how fast it answers and not what.

What changes answers is no knob. The precision that OpenVINO computes in, above all, makes another candidate, with an accuracy of
its own; so does everything else that a kit's own session options say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import PositiveInt, ValidationError

from edgecnn.errors.wording import plural
from edgecnn.values.base import Value
from edgecnn.values.verdict import Estimate


class Knobs(Value):
    """A setting. What is None is left to the runtime, or to the runner where the field says so."""

    threads: PositiveInt | None = None
    """Threads of the processor that one inference is spread over. None: the runner gives as many as it has cores.

    ONNX Runtime's ``intra_op_num_threads``, OpenVINO's ``INFERENCE_NUM_THREADS``. Sources:
    https://onnxruntime.ai/docs/performance/tune-performance/threading.html and
    https://docs.openvino.ai/2025/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device/performance-hint-and-thread-scheduling.html
    """
    graph_optimization_level: Literal["disable", "basic", "extended"] | None = None
    """ONNX Runtime: how far a graph is rewritten before it runs. None: as far as it can. ``extended`` leaves out the last step,
    which gives convolutions another memory layout. Source:
    https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html"""
    spinning: bool | None = None
    """ONNX Runtime: whether idle threads wait in a loop, which answers sooner and takes a core meanwhile. None: they do. Source:
    https://onnxruntime.ai/docs/performance/tune-performance/threading.html"""
    pin_threads: bool | None = None
    """ONNX Runtime: whether each of its threads stays on one of the processors that the process may use; the calling thread is
    left alone. None: they may move, since the runner states how many there are. Source: ``session.intra_op_thread_affinities``
    of https://onnxruntime.ai/docs/performance/tune-performance/threading.html"""
    cpu_pinning: bool | None = None
    """OpenVINO: whether each thread stays on one core. None: under Linux it does, where the hint is latency. Source: as
    OpenVINO's of ``threads``."""
    hyper_threading: bool | None = None
    """OpenVINO: whether both logical processors of a core are used. None: one of them, where the hint is latency. Source: as
    OpenVINO's of ``threads``."""

    core_type: Literal["ANY_CORE", "PCORE_ONLY", "ECORE_ONLY"] | None = None
    """OpenVINO, on a processor of performance and efficient cores: which of them are used. None: the runtime chooses by its hint.
    Set by hand and not raced: most processors have one kind. Source: as OpenVINO's of ``threads``."""

    @property
    def options(self) -> dict[str, str]:
        """By the names, and in the words, in which the runner's sessions take them; empty where nothing is set."""
        return {_SPELLED[name].option: _SPELLED[name].text(value) for name, value in self if value is not None}

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Knobs:
        """Back from session options. Raises ValueError: one of them is no knob, or has no value of its kind."""
        names = {spelled.option: name for name, spelled in _SPELLED.items()}
        unknown = sorted(set(options) - set(names))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no knob that this version knows")
        try:
            return cls.model_validate({names[option]: text for option, text in options.items()})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ValueError(f"the knob {first['loc'][0]} is {first['input']!r}") from error

    @property
    def words(self) -> str:
        """For people: ``1 thread, spinning off``, or ``the default``."""
        said = [_SPELLED[name].said(value) for name, value in self if value is not None]
        return ", ".join(said) or "the default"


class _Spelled(NamedTuple):
    option: str
    words: str
    yes_no: tuple[str, str] = ("YES", "NO")

    def text(self, value: int | str | bool) -> str:
        return str(value) if not isinstance(value, bool) else self.yes_no[0] if value else self.yes_no[1]

    def said(self, value: int | str | bool) -> str:
        if isinstance(value, bool):
            return f"{self.words} {'on' if value else 'off'}"
        return f"{self.words} {value}" if isinstance(value, str) else f"{value} {plural(value, self.words)}"


_SPELLED: Mapping[str, _Spelled] = {
    "threads": _Spelled("threads", "thread"),
    "graph_optimization_level": _Spelled("graph_optimization_level", "graph optimization"),
    "spinning": _Spelled("session.intra_op.allow_spinning", "spinning", ("1", "0")),
    "pin_threads": _Spelled("pin_threads", "thread pinning", ("1", "0")),
    "cpu_pinning": _Spelled("ENABLE_CPU_PINNING", "CPU pinning"),
    "hyper_threading": _Spelled("ENABLE_HYPER_THREADING", "hyper-threading"),
    "core_type": _Spelled("SCHEDULING_CORE_TYPE", "core type"),
}

DEFAULT = Knobs()


class KnobTrial(Value):
    """One setting of a kit, raced against the default of the same kit, and what became of it."""

    knobs: Knobs
    ratio: Estimate | None
    """Speed over that of the default, paired, from interleaved runs of one race: above 1 is faster. An estimate alone, since the
    settings are several. None: it was not measured."""
    outcome: Literal["taken", "faster", "disturbed", "not-shown", "unusable"]
    """taken: the fastest whose own interval lies above 1, and what the bundle runs with. faster: so lies its interval too, but
    another setting is faster still. disturbed: faster beside other work or throttling, which says nothing of the machine by
    itself. not-shown: the interval does not lie above 1.
    unusable: it did not finish, or does not answer as the kit must."""
    why: str | None = None
    """Of what is not usable, was disturbed, or has no ratio."""


class KnobRace(Value):
    """What the knobs of one candidate's kit were raced for, and what came out."""

    candidate: str
    knobs: Knobs
    """What the kit runs with from now on."""
    trials: tuple[KnobTrial, ...]
    observed_at: str
    reused: bool

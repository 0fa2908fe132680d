"""Engines, twice: as a proof ahead of time, on a machine without the device, and on the device itself, to be run there.

In both the very file that the kit ships is parsed and built. The engines of the proof are for the GPUs named in its settings,
never for a device whose GPU the builder does not know (TensorRT-RTX knows no Jetson); what carries over is that the file
parses, that it builds, and which precision was planned for each layer.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from edgecnn.errors.graph import BuildLogUnreadable
from edgecnn.errors.hosts.process import RunnerFailed
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Host, Task
from edgecnn.runtimes.tensorrt import BACKEND
from edgecnn.values.device import EngineBuilder
from edgecnn.values.stage import Key, Progress, Role, Stage

LEASE_S = 1800.0
"""An engine for a small network takes a second; the largest on a board takes minutes."""
DISTRIBUTIONS = {"tensorrt_rtx_bindings": "tensorrt-rtx-cu13-bindings", "tensorrt": "tensorrt"}
"""Builder module to the distribution whose version binds the engines' bytes."""
KIT, LOG, PLANNED = "kit", "build.log", "planned.json"
"""Of an engine that was built on its device: the kit with the engine in it, what the builder said, and what it planned."""
_BUILDING = ".building"
_ENGINES = "build"
"""Where the runner's session looks for an engine, inside the kit."""
_TIMING_CACHE = "timing.cache"


class CompileStage(Stage):
    """A kit → its engines, ``build.log``, ``build.json`` and ``planned.json``, by the kit's own ``build-engine``.

    Input: ``kit`` (package). The builder runs in a fresh process: one that failed before leaves later engines bloated.
    """

    kind: ClassVar[str] = "compile"
    revision: ClassVar[int] = 3

    package: Literal["tensorrt_rtx_bindings", "tensorrt"] = "tensorrt_rtx_bindings"
    capabilities: tuple[str, ...] = ()
    """CUDA compute capabilities, as ``8.6``, an engine for each. Empty: the GPU of the machine that builds."""

    @property
    def tools(self) -> tuple[str, ...]:
        """The builder."""
        return (DISTRIBUTIONS[self.package],)

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """``make_on`` this machine."""
        self.make_on(LocalHost(), input_paths, out, tell)

    def make_on(self, host: Host, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Build on a host and read the plan back.

        Raises:
            RunnerFailed: the builder is absent, the file does not parse or build, or uint8 was read as int8.
            BuildLogUnreadable: the builder did not say what it planned.
        """
        words = [word for capability in self.capabilities for word in ("--capability", capability)]
        task = Task(input_paths["kit"], "build-engine", ("--package", self.package, *words), out=out)
        host.run(task, lease_s=LEASE_S, tell=tell)
        _write_planned(input_paths["kit"], out)


def _write_planned(kit: Path, out: Path) -> None:
    from edgecnn.graph.macs import mac_table

    planned = BACKEND.read_planned(out / LOG, mac_table(kit / "model.onnx"))
    (out / PLANNED).write_text(planned.model_dump_json(indent=1) + "\n", encoding="utf-8")


class EngineStage(CompileStage):
    """A kit → the same kit with the engine of one GPU in it, ready to run there; the builder's log and timing cache beside it.

    A kind of its own it is not: the other takes the same kits. What binds the bytes was asked of the machine before anything was
    planned, and is a setting, so that another driver or TensorRT is another key. What a lost link left is gone on with: an
    engine that was finished there is fetched and not built again.
    """

    resumable: ClassVar[bool] = True

    package: Literal["tensorrt_rtx_bindings", "tensorrt"] = "tensorrt"
    builder: EngineBuilder

    @classmethod
    def of(cls, builder: EngineBuilder, kit: Key) -> EngineStage:
        """The engine of a kit. A builder ahead of time is told for which GPU; the full one takes that of its machine."""
        named = builder.package != "tensorrt" and builder.capability is not None
        settings = {"package": builder.package, "builder": builder, "capabilities": (builder.capability,) if named else ()}
        return cls.model_validate({"inputs": {"kit": kit}, **settings})

    @property
    def tools(self) -> tuple[str, ...]:
        """None here: the builder's version is that of the machine that builds, in ``builder``."""
        return ()

    def make_on(self, host: Host, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Build on the machine that ``builder`` describes.

        Raises:
            RunnerFailed: see ``CompileStage.make_on``; the log stays, and a note says where.
            RunnerTimedOut, RunnerCrashed: the builder hung, or took its runner with it.
            LINK_LOST: the same call goes on.
        """
        building = out / _BUILDING
        words = [word for capability in self.capabilities for word in ("--capability", capability)]
        arguments = ("--once", "--package", self.package, *words)
        task = Task(input_paths["kit"], "build-engine", arguments, out=building, outputs={"--timing-cache": _TIMING_CACHE})
        try:
            host.run(task, lease_s=LEASE_S, tell=tell)
        except RunnerFailed:
            if (building / LOG).is_file():
                tell.note(f"what {self.package} said is in {building / LOG}")
            raise
        shutil.copytree(input_paths["kit"], out / KIT, copy_function=shutil.copyfile, dirs_exist_ok=True)
        (out / KIT / _ENGINES).mkdir(exist_ok=True)
        for path in sorted(path for path in building.iterdir() if path.is_file() and not path.name.startswith(".")):
            inside = path.suffix == ".plan" or path.name == "build.json"
            shutil.copyfile(path, (out / KIT / _ENGINES if inside else out) / path.name)
        try:
            _write_planned(input_paths["kit"], out)
        except BuildLogUnreadable as error:  # what runs will be read from what ran: a log of another form costs the plan alone
            tell.note(error.line())

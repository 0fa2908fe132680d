"""The compile stage: build engines of a kit's model ahead of time as a proof, or on the device to run there.

Both parse and build the file that the kit ships. The proof builds engines for the GPUs in its settings, on a machine without the
device. Its builder may not support the device's GPU (TensorRT-RTX supports no Jetson). The proof shows that the file can be
parsed and built, and which precision is planned for each layer.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from edgecnn.errors.graph import BuildLogUnreadable
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Host, Task
from edgecnn.runtimes.tensorrt import BACKEND
from edgecnn.values.device import EngineBuilder
from edgecnn.values.stage import Key, Progress, Role, Stage

LEASE_S = 1800.0
"""Time limit. An engine takes a second for a small network, and minutes for the largest on a board."""
DISTRIBUTIONS = {"tensorrt_rtx_bindings": "tensorrt-rtx-cu13-bindings", "tensorrt": "tensorrt"}
"""Distribution of each builder module. Its version determines the engines' bytes."""
KIT, LOG, PLANNED = "kit", "build.log", "planned.json"
"""Files of an engine that was built on its device: the kit with the engine, the builder's log, and the planned precisions."""


class CompileStage(Stage):
    """Build a kit's engines with its runner's ``build-engine``, as a proof.

    Input: ``kit`` (package). Files: the engines, ``build.log``, ``build.json`` and ``planned.json``. The builder runs in a new
    process, because after a failure it makes later engines too large.
    """

    kind: ClassVar[str] = "compile"
    revision: ClassVar[int] = 3

    package: Literal["tensorrt_rtx_bindings", "tensorrt"] = "tensorrt_rtx_bindings"
    capabilities: tuple[str, ...] = ()
    """CUDA compute capabilities such as ``8.6``, with an engine for each. Empty: the GPU of the build machine."""

    @property
    def tools(self) -> tuple[str, ...]:
        """The builder."""
        return (DISTRIBUTIONS[self.package],)

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Build on this machine (``make_on``)."""
        self.make_on(LocalHost(), input_paths, out, tell)

    def make_on(self, host: Host, input_paths: Mapping[Role, Path], out: Path, tell: Progress, *, made_here: bool = True) -> None:
        """Build on a host, and read the planned precisions. ``made_here``: whether the kit is from this store.

        Raises:
            RunnerFailed: the builder is missing, the file cannot be parsed or built, or uint8 was read as int8.
            BuildLogUnreadable: the log does not contain the planned precisions.
        """
        task = Task(input_paths["kit"], "build-engine", self._options(), out=out, made_here=made_here)
        host.run(task, lease_s=LEASE_S, tell=tell)
        if made_here:
            _write_planned(input_paths["kit"], out)

    def _options(self) -> tuple[str, ...]:
        return ("--package", self.package, *(word for name in self.capabilities for word in ("--capability", name)))


def _write_planned(kit: Path, out: Path) -> None:
    from edgecnn.graph.macs import mac_table

    planned = BACKEND.read_planned(out / LOG, mac_table(kit / "model.onnx"))
    (out / PLANNED).write_text(planned.model_dump_json(indent=1) + "\n", encoding="utf-8")


class EngineStage(CompileStage):
    """Build the engine of one GPU on its device, and write the kit with the engine in it, the log and the timing cache.

    Its kind is ``compile``. The machine's driver and TensorRT determine the engine's bytes. They are read before planning and are
    settings, so another version gives another key. After a lost connection, an engine that was finished on the device is
    downloaded instead of built again.
    """

    resumable: ClassVar[bool] = True

    package: Literal["tensorrt_rtx_bindings", "tensorrt"] = "tensorrt"
    builder: EngineBuilder

    @classmethod
    def of(cls, builder: EngineBuilder, kit: Key) -> EngineStage:
        """Return the stage for a kit. Only a builder ahead of time needs the GPU; the full builder uses its machine's."""
        named = builder.package != "tensorrt" and builder.capability is not None
        settings = {"package": builder.package, "builder": builder, "capabilities": (builder.capability,) if named else ()}
        return cls.model_validate({"inputs": {"kit": kit}, **settings})

    @property
    def tools(self) -> tuple[str, ...]:
        """No packages of this machine: the version of the device's builder is in ``builder``."""
        return ()

    def make_on(self, host: Host, input_paths: Mapping[Role, Path], out: Path, tell: Progress, *, made_here: bool = True) -> None:
        """Build on the machine that ``builder`` describes.

        Raises:
            RunnerFailed: see ``CompileStage.make_on``; a note names the log.
            RunnerTimedOut, RunnerCrashed: the builder hung, or crashed the runner.
            LINK_LOST: the connection broke; the same call continues.
        """
        building, options = out / ".building", ("--once", *self._options())
        files = {"--timing-cache": "timing.cache"}
        task = Task(input_paths["kit"], "build-engine", options, out=building, outputs=files, made_here=made_here)
        try:
            host.run(task, lease_s=LEASE_S, tell=tell)
        except RunnerFailed:
            if (building / LOG).is_file():
                tell.note(f"the log of {self.package} is in {building / LOG}")
            raise
        shutil.copytree(input_paths["kit"], out / KIT, copy_function=shutil.copyfile, dirs_exist_ok=True)
        engines = out / KIT / "build"  # where the runner's session looks for an engine
        engines.mkdir(exist_ok=True)
        for path in sorted(path for path in building.iterdir() if path.is_file() and not path.name.startswith(".")):
            is_of_kit = path.suffix == ".plan" or path.name == "build.json"
            shutil.copyfile(path, (engines if is_of_kit else out) / path.name)
        if not made_here:
            return  # reading them parses the model
        try:
            _write_planned(input_paths["kit"], out)
        except BuildLogUnreadable as error:  # the engine works; only the planned precisions are missing
            tell.note(error.line())

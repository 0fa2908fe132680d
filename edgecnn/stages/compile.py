"""The ahead-of-time proof: the very file that the kit ships is parsed and built, on a machine without the device.

The engines are for the GPUs named in the settings, never for a device whose GPU the builder does not know (TensorRT-RTX knows no
Jetson); what carries over is that the file parses, that it builds, and which precision was planned for each layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from edgecnn.backends.tensorrt import BACKEND
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Host
from edgecnn.hosts.task import Task
from edgecnn.values.stage import Progress, Role, Stage

LEASE_S = 1800.0
"""An engine for a small network takes a second; the largest on a board takes minutes."""
DISTRIBUTIONS = {"tensorrt_rtx_bindings": "tensorrt-rtx-cu13-bindings", "tensorrt": "tensorrt"}
"""Builder module to the distribution whose version binds the engines' bytes."""


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

    def make(self, given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """``make_on`` this machine."""
        self.make_on(LocalHost(), given, out, tell)

    def make_on(self, host: Host, given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Build on a host and read the plan back.

        Raises:
            RunnerFailed: the builder is absent, the file does not parse or build, or uint8 was read as int8.
            BuildLogUnreadable: the builder did not say what it planned.
        """
        from edgecnn.graph.macs import mac_table

        words = [word for capability in self.capabilities for word in ("--capability", capability)]
        task = Task(given["kit"], "build-engine", ("--package", self.package, *words), out=out)
        host.run(task, lease_s=LEASE_S, tell=tell)
        planned = BACKEND.read_planned(out / "build.log", mac_table(given["kit"] / "model.onnx"))
        (out / "planned.json").write_text(planned.model_dump_json(indent=1) + "\n", encoding="utf-8")

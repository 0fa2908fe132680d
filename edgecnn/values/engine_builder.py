"""What an engine is bound to: its builder, and the GPU and driver that it is built on. All of it enters the engine's key."""

from __future__ import annotations

from edgecnn.values.base import Value


class EngineBuilder(Value):
    """A builder on one machine, as that machine's own runner found it."""

    package: str
    """Its Python module, as ``tensorrt``."""
    version: str
    capability: str | None
    """CUDA compute capability, as ``8.7``. None: there is no GPU, and the builder works ahead of time."""
    gpus: tuple[str, ...] = ()
    """Models by name: tactics are timed on one, and of one capability there are several. A Jetson's driver names none."""
    driver: str | None = None
    """NVIDIA's driver, and of a Jetson the release of its Linux."""

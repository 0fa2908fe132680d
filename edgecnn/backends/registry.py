"""From a runtime's name to its module: a new runtime is one module, and nothing here changes."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from edgecnn.backends.protocol import Backend
from edgecnn.runner.runtimes import distribution_of
from edgecnn.values.candidate import Runtime


def backend_for(runtime: Runtime) -> Backend:
    """The backend of a runtime: ``BACKEND`` of the module of that name."""
    return cast(Backend, import_module(f"edgecnn.backends.{runtime.value}").BACKEND)


def versions_taken(runtime: Runtime) -> str:
    """What kits of a runtime need of it: a range of versions."""
    return backend_for(runtime).runtime_packages[distribution_of(runtime)]


def all_backends() -> tuple[Backend, ...]:
    """One backend for each runtime that ships, in the order of ``Runtime``."""
    return tuple(backend_for(runtime) for runtime in Runtime if runtime.ships)

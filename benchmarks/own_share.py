"""How much of a cold build is edgecnn's own: resolving, planning, hashing, copying, storing, judging, publishing.

    python -m benchmarks.own_share [ARCH] [DEVICE]

Counted as work of the libraries: what runs inside a stage's ``make`` and inside the runner's processes. Everything else is ours,
process start included. The limit is 5 %.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from edgecnn.building.build import run_build
from edgecnn.devices.files import target_of
from edgecnn.hosts.local import LocalHost
from edgecnn.planning.request import BuildRequest
from edgecnn.render.progress import Quiet
from edgecnn.store import artifacts
from edgecnn.store.store import Store
from edgecnn.values.recipe import Recipe

inside = {"make": 0.0, "runner": 0.0}
open_now: list[str] = []


def timed(kind: str, call: Any) -> Any:
    """Add up a call's seconds, unless it runs inside another one that is counted already."""

    def wrapper(*args: Any, **named: Any) -> Any:
        began = time.perf_counter()
        open_now.append(kind)
        try:
            return call(*args, **named)
        finally:
            open_now.pop()
            if not open_now:
                inside[kind] += time.perf_counter() - began

    return wrapper


def main(arch: str = "efficientnet-b0", device: str = "jetson") -> None:
    recipe = Recipe.model_validate({"model": {"arch": arch}})
    target, _ = target_of(recipe.target, device)
    original = artifacts.Making.make
    artifacts.Making.make = lambda self, maker, input_paths, tell: original(self, timed("make", maker), input_paths, tell)  # type: ignore[method-assign]
    LocalHost.run = timed("runner", LocalHost.run)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run_build(BuildRequest(recipe=recipe, device=target, out=Path(folder, "out")), Store.open(Path(folder, "store")), Quiet())
        total = time.perf_counter() - began
    ours = total - inside["make"] - inside["runner"]
    print(f"{arch} → {device}: {total:.1f} s, of which stages {inside['make']:.1f} s and runners {inside['runner']:.1f} s")
    print(f"ours: {ours:.2f} s, {ours / total:.1%} (limit 5 %)")


if __name__ == "__main__":
    main(*sys.argv[1:])

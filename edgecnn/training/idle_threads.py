"""Load torch so that its idle threads sleep instead of spinning; light at import, because it must come before torch.

With spinning, a second busy process starves the threads that have work: on 2 loaded cores EfficientNet-B0 at 64 px trained at
7 images/s, with sleeping at 187. OpenMP reads its environment once, when its library is loaded, so the variable is taken away
again: programs that are started later, above all those that are timed, must not inherit it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLE = "OMP_WAIT_POLICY"


@contextmanager
def sleeping_threads() -> Iterator[None]:
    """Import torch inside this. A policy that the user has set stays, and a torch that is already loaded is not changed."""
    if _VARIABLE in os.environ:
        yield
        return
    os.environ[_VARIABLE] = "PASSIVE"
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE, None)

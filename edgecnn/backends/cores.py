"""How many threads are worth trying beside one a core."""

from __future__ import annotations

from edgecnn.values.device import Processor


def fewer_threads(processor: Processor) -> int | None:
    """Half as many threads as cores: where two of them share a physical one, a thread each. None of one core, or where unknown.

    Small networks have too little work for many threads, whose meeting costs more than they save.
    """
    return None if processor.cores is None or processor.cores < 2 else processor.cores // 2

"""Credits each multiplying layer of the trunk to the executed layer that contains it, once, and adds up the shares.

What no executed layer claims is ``unknown``: a runtime that renames its nodes lowers the known share and never raises one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from edgecnn.backends.moved_bytes import byte_facts
from edgecnn.values.layers import LayerMacs, LayerResidency, MacTable, Residency

OVERHEAD = "overhead"
"""Time of layers that only convert or move numbers: quantizing, dequantizing, reordering."""
UNKNOWN = "unknown"


class MacJoin:
    """The trunk's layers, by node name and by the names of the tensors that they make."""

    def __init__(self, macs: MacTable) -> None:
        self._by_name: dict[str, LayerMacs] = {}
        for layer in macs.layers:
            for name in (*layer.outputs, layer.name):
                self._by_name[name] = layer
        self._claimed: set[str] = set()

    def claim(self, names: Iterable[str]) -> tuple[LayerMacs, ...]:
        """The layers that these names stand for and that nobody claimed before."""
        found = {layer.name: layer for name in names if (layer := self._by_name.get(name)) is not None}
        fresh = tuple(layer for name, layer in found.items() if name not in self._claimed)
        self._claimed.update(layer.name for layer in fresh)
        return fresh


def executed_residency(layers: Sequence[LayerResidency], macs: MacTable) -> Residency:
    """The shares of layers that ran; times count where every layer's overhead and arithmetic was timed."""
    by_precision: dict[str, int] = defaultdict(int)
    for layer in layers:
        by_precision[layer.precision] += layer.macs
    by_precision[UNKNOWN] += macs.total - sum(by_precision.values())
    return Residency.model_validate(
        {
            "basis": "executed",
            "layers": tuple(layers),
            "mac_share": {name: count / macs.total for name, count in sorted(by_precision.items()) if count},
            "time_share": _time_share(layers),
            **byte_facts(layers),
        }
    )


def _time_share(layers: Sequence[LayerResidency]) -> Mapping[str, float] | None:
    spent: dict[str, float] = defaultdict(float)
    for layer in layers:
        spent[layer.precision] += layer.time_us or 0.0
    total = sum(spent.values())
    return {name: time / total for name, time in sorted(spent.items()) if time} if total else None

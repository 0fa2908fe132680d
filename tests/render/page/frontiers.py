"""A search inside budgets as its value, counted by nobody."""

from __future__ import annotations

from edgecnn.studies.facts import ScalePoint, ScaleSearch

MIB = 1 << 20


def a_point(scale: tuple[float, float, int], costs: tuple[int, int, float], *, inside: bool = True) -> ScalePoint:
    """Of depth, width and resolution, and of multiply-adds, parameters and MiB."""
    (depth, width, side), (macs, parameters, mib) = scale, costs
    return ScalePoint(
        depth=depth, width=width, resolution=side, parameters=parameters, macs=macs, memory_bytes=int(mib * MIB), imbalance=0.2,
        inside=inside,
    )  # fmt: skip


BEST = a_point((0.75, 0.86, 176), (192_000_000, 3_696_364, 17.6))
SAME_NETWORK = a_point((0.82, 0.86, 176), (192_000_000, 3_696_364, 17.6))
FINER = a_point((0.75, 0.82, 192), (195_900_000, 3_391_216, 17.2))
BEHIND = a_point((0.7, 0.8, 160), (150_000_000, 3_000_000, 15.0))
OUTSIDE = a_point((0.8, 0.9, 192), (260_000_000, 4_500_000, 21.0), inside=False)
FAR = a_point((0.2, 0.4, 32), (2_000_000, 500_000, 2.0))


def a_search(**budgets: int) -> ScaleSearch:
    """Two networks on the frontier at three scales, and three others."""
    return ScaleSearch(
        arch="efficientnet-b0", budgets=budgets or {"macs": 200_000_000, "params": 4_000_000, "memory": 64 * MIB}, on_rule=BEHIND,
        on_rule_phi=-1.5, best=BEST, frontier=(BEST, SAME_NETWORK, FINER), others=(BEHIND, OUTSIDE, FAR), rule="best: counted",
    )  # fmt: skip

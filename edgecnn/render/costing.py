"""What a network costs, as a table of its layers and a few lines of totals."""

from __future__ import annotations

from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.values.layers import LayerCost, NetworkCost

MIB = 1 << 20
COLUMNS = ("layer", "operator", "output", "parameters", "multiply-adds", "held KiB", "sees px")


def show_cost(cost: NetworkCost) -> None:
    """Print layers, then totals."""
    show_rows(COLUMNS, [_row(layer) for layer in cost.layers])
    show_lines(cost_lines(cost))


def show_layer(layer: LayerCost) -> None:
    """Print the arithmetic of one layer."""
    show_lines([f"{layer.name} ({layer.op})", *layer.arithmetic])


def cost_lines(cost: NetworkCost) -> list[str]:
    """The totals as sentences."""
    scaled = f" (--scale {cost.scale})" if cost.scale else ""
    sees = "the whole image" if cost.receptive_field_px is None else f"{cost.receptive_field_px:,} px"
    return [
        f"{cost.network}{scaled} at {cost.resolution_px} px: {cost.parameters:,} parameters, {cost.macs:,} multiply-adds",
        f"activations: {cost.activation_bytes / MIB:.2f} MiB at most, at {cost.activation_peak}; with the weights "
        f"{cost.memory_bytes / MIB:.2f} MiB in float32",
        f"receptive field before the image is pooled: {sees}, gates of squeeze-excite left out",
        *(f"not counted: {count} × {op}" for op, count in cost.not_counted.items()),
        "counted for one image, and not measured",
    ]


def _row(layer: LayerCost) -> tuple[str, ...]:
    sees = "all" if layer.receptive_field_px is None else f"{layer.receptive_field_px:,}"
    return (
        layer.name,
        layer.op,
        "×".join(str(size) for size in layer.output),
        f"{layer.parameters:,}",
        f"{layer.macs:,}",
        f"{layer.live_bytes / 1024:,.0f}",
        sees,
    )

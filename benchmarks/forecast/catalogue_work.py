"""Count every network of the catalogue into ``baselines/public/catalogue-work.json``.

python -m benchmarks.forecast.catalogue_work
"""

from __future__ import annotations

from edgecnn.forecast.networks import (
    COUNTED_FILE,
    TILE_PX,
    CountedCatalogue,
    CountedNetwork,
    count_arch,
    count_parameters_per_class,
)
from edgecnn.installed import resource_folder
from edgecnn.models.catalogue import all_archs
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.arch import ArchSpec

SIDES = ((128, 224), (64, 128))
"""Sides at which a network is counted; the second pair is for a network whose own side is below 128 pixels."""


def growth(spec: ArchSpec) -> tuple[dict[str, int], dict[str, int]]:
    """Return the constant part of each count, and its growth for each tile, from the counts at two sizes."""
    if spec.only_native_px:
        return {}, {}
    sides = SIDES[spec.resolution_px.short_px < SIDES[0][0]]
    small, large = (count_arch(spec, ImageSize.square(side)).model_dump(exclude={"weights", "layers"}) for side in sides)
    tiles = [(side / TILE_PX) ** 2 for side in sides]
    per_tile = {name: round((large[name] - small[name]) / (tiles[1] - tiles[0])) for name in small}
    constant = {name: round(large[name] - grows * tiles[1]) for name, grows in per_tile.items()}
    return {name: count for name, count in constant.items() if count}, {name: count for name, count in per_tile.items() if count}


def counted_network(spec: ArchSpec) -> CountedNetwork:
    """Count one network of the catalogue."""
    constant, per_tile = growth(spec)
    return CountedNetwork(
        resolution_px=spec.resolution_px,
        work=count_arch(spec, spec.resolution_px),
        constant=constant,
        per_tile=per_tile,
        parameters_per_class=count_parameters_per_class(spec),
    )


def main() -> None:
    networks = {spec.name: counted_network(spec) for spec in all_archs()}
    path = resource_folder("baselines") / "public" / COUNTED_FILE
    path.write_text(CountedCatalogue(networks=networks).model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {len(networks)} networks")


if __name__ == "__main__":
    main()

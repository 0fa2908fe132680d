"""Count every network of the catalogue into ``baselines/public/catalogue-work.json``.

python -m benchmarks.forecast.catalogue_work
"""

from __future__ import annotations

from edgecnn.forecast.networks import COUNTED_FILE, CountedCatalogue, CountedNetwork, count_arch, count_parameters_per_class
from edgecnn.installed import resource_folder
from edgecnn.models.catalogue import all_archs
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.arch import ArchSpec
from edgecnn.values.forecast import Work

OTHER_PX = (128, 64)
"""Side at which a network is counted a second time; the second one for a network that is smaller than the first."""


def constant_counts(spec: ArchSpec, work: Work) -> dict[str, int]:
    """Return the part of each count that does not grow with the area, from a second count at another size."""
    if spec.only_native_px:
        return {}
    other = ImageSize.square(OTHER_PX[spec.resolution_px.short_px < OTHER_PX[0]])
    share, counted = other.area_px / spec.resolution_px.area_px, count_arch(spec, other).model_dump()
    native = work.model_dump(exclude={"weights", "layers"})
    constant = {name: round((counted[name] - count * share) / (1 - share)) for name, count in native.items()}
    return {name: count for name, count in constant.items() if count}


def counted_network(spec: ArchSpec) -> CountedNetwork:
    """Count one network of the catalogue."""
    work = count_arch(spec, spec.resolution_px)
    return CountedNetwork(
        resolution_px=spec.resolution_px,
        work=work,
        constant=constant_counts(spec, work),
        parameters_per_class=count_parameters_per_class(spec),
    )


def main() -> None:
    networks = {spec.name: counted_network(spec) for spec in all_archs()}
    path = resource_folder("baselines") / "public" / COUNTED_FILE
    path.write_text(CountedCatalogue(networks=networks).model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {len(networks)} networks")


if __name__ == "__main__":
    main()

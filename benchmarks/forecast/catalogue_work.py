"""Count every network of the catalogue into ``baselines/public/catalogue-work.json``.

python -m benchmarks.forecast.catalogue_work
"""

from __future__ import annotations

from edgecnn.forecast.networks import COUNTED_FILE, CountedCatalogue, CountedNetwork, count_arch, count_parameters_per_class
from edgecnn.installed import resource_folder
from edgecnn.models.catalogue import all_archs


def main() -> None:
    networks = {
        spec.name: CountedNetwork(
            resolution_px=spec.resolution_px,
            work=count_arch(spec, spec.resolution_px),
            parameters_per_class=count_parameters_per_class(spec),
        )
        for spec in all_archs()
    }
    path = resource_folder("baselines") / "public" / COUNTED_FILE
    path.write_text(CountedCatalogue(networks=networks).model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {len(networks)} networks")


if __name__ == "__main__":
    main()

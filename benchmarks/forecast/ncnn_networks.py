"""Write the catalogue's networks as ncnn reads them, without weights, into ``baselines/public/networks/``.

python -m benchmarks.forecast.ncnn_networks [ARCH ...]

A network that is there already is left alone. ``edgecnn forecast`` times these files with zeros for weights, so that it needs
neither torch nor pnnx.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

import torch

from edgecnn.installed import resource_folder
from edgecnn.models.catalogue import all_archs
from edgecnn.models.networks import build_network
from edgecnn.runtimes.ncnn import pnnx_program
from edgecnn.values.arch import ArchSpec

LARGEST = 50_000_000
"""Parameters: larger networks take minutes and gigabytes to convert, and seconds to time."""
LONGEST_S = 60
FOLDER = resource_folder("baselines") / "public" / "networks"


def write_network(spec: ArchSpec) -> str | None:
    """Convert one; why it cannot be, else None."""
    network = build_network(spec).eval()
    if spec.origin == "timm":
        from edgecnn.models.families.from_timm import merge_branches

        network = merge_branches(network)
    height, width = spec.resolution_px
    with tempfile.TemporaryDirectory() as name, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        traced = torch.jit.trace(network, torch.zeros(1, 3, height, width), check_trace=False)  # type: ignore[no-untyped-call]
        traced.save(folder / "network.pt")
        words = [str(pnnx_program()), "network.pt", f"inputshape=[1,3,{height},{width}]f32", "fp16=0", "ncnnparam=made.param"]
        try:
            done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=LONGEST_S)  # noqa: S603
        except subprocess.TimeoutExpired:
            return f"pnnx takes more than {LONGEST_S} s"
        made = folder / "made.param"
        if done.returncode or not made.is_file():
            return f"pnnx ends with {done.returncode}"
        unknown = [kind for line in made.read_text().splitlines()[2:] if "." in (kind := line.split()[0]) or "::" in kind]
        if unknown:
            return f"ncnn has no {unknown[0]}"
        shutil.copyfile(made, FOLDER / f"{spec.name}.param")
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archs", nargs="*")
    wanted = parser.parse_args().archs
    FOLDER.mkdir(exist_ok=True)
    for spec in sorted(all_archs(), key=lambda spec: spec.macs or 0):  # the smallest first
        if (wanted and spec.name not in wanted) or (FOLDER / f"{spec.name}.param").exists():
            continue
        too_large = (spec.parameters or 0) > LARGEST
        why = f"more than {LARGEST:,} parameters" if too_large else write_network(spec)
        print(f"{spec.name}: {why or 'written'}", flush=True)


if __name__ == "__main__":
    main()

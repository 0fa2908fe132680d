"""The library's calls: build, write the results, return the report; and write the page of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgecnn.backends.installed import require_packages
from edgecnn.building.bench import Benched, BenchRequest, bench
from edgecnn.building.brought import network_name
from edgecnn.building.build import run_build
from edgecnn.building.build_folder import BUNDLE, PAGE, REPORT
from edgecnn.building.devices import file_of, settled_target
from edgecnn.building.own_builds import OwnBuild
from edgecnn.building.page_gathering import page_facts
from edgecnn.building.publish import write_text_atomically
from edgecnn.building.request import BuildRequest
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.page import PageFailed, PageIsForeign, PageUnwritable
from edgecnn.models.catalogue import all_archs
from edgecnn.render.bundle import LICENCES, README, bundle_licences, bundle_readme
from edgecnn.render.markdown import report_markdown
from edgecnn.render.progress import Quiet
from edgecnn.store.store import Store
from edgecnn.values.base import Value
from edgecnn.values.catalogue import listed
from edgecnn.values.device import Device
from edgecnn.values.measured_history import MeasuredHistory
from edgecnn.values.recipe import Recipe
from edgecnn.values.report import BuildReport
from edgecnn.values.side_by_side import SideBySide
from edgecnn.values.stage import Progress

GENERATED = b'<meta name="generator" content="edgecnn'
"""Near the beginning of every page."""
_PAGES = {"report.md": report_markdown, f"{BUNDLE}/{README}": bundle_readme, f"{BUNDLE}/{LICENCES}": bundle_licences}
PAGE_PACKAGES = ("altair", "jinja2", "vl-convert-python")


class PageWritten(Value):
    """What ``write_page`` wrote."""

    file: str
    bytes: int
    missing: Mapping[str, str]
    """Sections without figures, with the reason."""


def build(
    recipe: Recipe, device: Device | str | None = None, *, out: Path | str | None = None, tell: Progress | None = None
) -> BuildReport:
    """Run the whole pipeline for one recipe and one device.

    Args:
        recipe: the user's choices.
        device: a device, or ``NAME`` or ``NAME:RUNTIME``; unset, the one that the recipe names.
        out: folder of the results; unset, ``builds/<arch>-<device>``.
        tell: hears progress; unset, nobody does.

    Returns:
        The report, as it stands in ``report.json``.

    Raises:
        EdgecnnError: a named failure; everything finished before it is kept and reused.
    """
    settled, chosen = _device(recipe, device)
    folder = Path(out) if out is not None else Path("builds") / f"{network_name(settled.model)}-{chosen.name}"
    file = None if isinstance(device, Device) else file_of(device or recipe.target.device, chosen)
    return build_and_write(BuildRequest(recipe=settled, device=chosen, device_file=file, out=folder), tell or Quiet())


def build_and_write(request: BuildRequest, tell: Progress) -> BuildReport:
    """Build as asked, with ``report.md`` beside ``report.json``, and ``report.html`` where there is something new to show."""
    store, before = Store.open(), _shown(_previous(request.out))
    report = run_build(request, store, tell, _PAGES)
    if request.goal == "judge" and not ((request.out / PAGE).is_file() and _shown(report) == before):
        write_page_of_build(report, store, request.out, tell)
    return report


def bench_and_write(request: BenchRequest, tell: Progress) -> Benched:
    """Measure a finished build where it runs; its pages are written again with its report."""
    store, before = Store.open(), _shown(_previous(request.build))
    found = bench(request, store, tell, _PAGES)
    if found.written and not ((request.build / PAGE).is_file() and _shown(found.report) == before):
        write_page_of_build(found.report, store, request.build, tell)
    return found


def _previous(folder: Path) -> BuildReport | None:
    """The report that lies there, if this version can read it."""
    try:
        return BuildReport.model_validate_json((folder / REPORT).read_bytes())
    except (OSError, ValueError):
        return None


def _shown(report: BuildReport | None) -> object:
    """What a page is about: not when, how fast and on how warm a machine it was put together, nor whether a step was cached."""
    if report is None:
        return None
    passing = dict.fromkeys(("made_at", "seconds", "timings_s", "outcomes", "notices"), True)
    return report.model_dump(exclude={**passing, "environment": {"observed"}, "candidates": {"__all__": {"outcomes"}}})


def write_page(report: BuildReport, store: Store, file: Path) -> PageWritten:
    """Write the page of a report as one self-contained HTML file.

    Raises:
        MissingPackage: the extra ``report`` is not installed.
        PageUnwritable: the file cannot be written.
        PageFailed: a library below failed in drawing it.
    """
    require_packages(PAGE_PACKAGES, extra="report", needed_for=PAGE)
    from edgecnn.render.page.document import report_page

    facts = page_facts(report, store)
    return PageWritten(file=str(file), bytes=_written(lambda: report_page(facts), file), missing=facts.missing)


def write_comparison_page(found: SideBySide, file: Path) -> int:
    """Write builds side by side as one self-contained HTML file; its bytes.

    Raises:
        MissingPackage: the extra ``report`` is not installed.
        PageIsForeign: the file is there and no page of edgecnn.
        PageUnwritable: the file cannot be written.
    """
    require_packages(PAGE_PACKAGES, extra="report", needed_for="the page")
    from edgecnn.render.page.compared import comparison_page

    return _written_page(lambda: comparison_page(found), file)


def write_history_page(found: MeasuredHistory, file: Path) -> int:
    """Write what was measured over time as one self-contained HTML file; its bytes. Raises as ``write_comparison_page``."""
    require_packages(PAGE_PACKAGES, extra="report", needed_for="the page")
    from edgecnn.render.page.over_time import history_page

    return _written_page(lambda: history_page(found), file)


def write_catalogue_page(own: Sequence[OwnBuild], file: Path) -> int:
    """Write the catalogue's published figures and the user's builds as one self-contained HTML file; its bytes.

    Raises as ``write_comparison_page``.
    """
    require_packages(PAGE_PACKAGES, extra="report", needed_for="the plot")
    from edgecnn.render.page.catalogue import catalogue_page

    rows = [listed(spec) for spec in all_archs()]
    return _written_page(lambda: catalogue_page(rows, own), file)


def _written_page(text: Callable[[], str], file: Path) -> int:
    """A page beside whatever else lies there: what edgecnn did not write is not replaced."""
    with _writable(file):
        foreign = file.exists() and GENERATED not in _beginning(file)
    if foreign:
        raise PageIsForeign(path=file)
    return _written(text, file)


def _written(text: Callable[[], str], file: Path) -> int:
    page = _drawn(text)
    with _writable(file):
        write_text_atomically(file, page)
    return len(page.encode("utf-8"))


@contextmanager
def _writable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PageUnwritable(path=file, because=error.strerror or str(error)) from error


def _drawn(text: Callable[[], str]) -> str:
    try:
        return text()
    except Exception as error:  # noqa: BLE001 - three libraries draw it, whose failures share no class, and the figures stand
        raise PageFailed(because=f"{type(error).__name__}: {error}") from error


def _beginning(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(4096)


def write_page_of_build(report: BuildReport, store: Store, folder: Path, tell: Progress) -> None:
    """The page beside a build's other results. Where it cannot be made, that is a note: the results stand without it."""
    try:
        write_page(report, store, folder / PAGE)
    except EdgecnnError as error:
        tell.note(f"no {PAGE}: {error.line()}")


def _device(recipe: Recipe, device: Device | str | None) -> tuple[Recipe, Device]:
    if isinstance(device, Device):
        return recipe.model_copy(update={"target": recipe.target.model_copy(update={"device": device.name})}), device
    chosen, runtime = settled_target(recipe.target, device)
    return recipe.model_copy(
        update={"target": recipe.target.model_copy(update={"device": chosen.name, "runtime": runtime})}
    ), chosen

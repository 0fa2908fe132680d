"""Every page that edgecnn writes, made from fixed values."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

from edgecnn.render.page.compared import comparison_page
from edgecnn.render.page.fronts import fit_page, fleet_page
from edgecnn.render.page.networks import catalogue_page, networks_page
from edgecnn.render.page.over_time import history_page
from edgecnn.render.page.report import report_page
from edgecnn.render.page.studies import doubt_page, frontier_page
from edgecnn.studies.facts import ClassOutlook, ConfusedPair, DoubtedLabel, LabelDoubt
from tests.judging.made import an_interval
from tests.render.page.comparisons import a_history, some_builds
from tests.render.page.frontiers import a_search
from tests.render.page.pages import a_hostile_page, a_jpeg, a_page, an_empty_page
from tests.render.page.test_catalogue import MINE, ROWS
from tests.render.page.test_networks_for import FOUND as NETWORKS
from tests.render.test_fit import FOUND as SEARCH
from tests.surfaces.reports import REPORTS, page_facts
from tests.sweeps.test_fleet import fleet
from tests.sweeps.written import cells


def a_doubt() -> str:
    """Two doubted labels, two classes and one confused pair."""
    share = an_interval(0.8, 0.75, 0.85, 0.95)
    doubted = tuple(
        DoubtedLabel(
            file=f"cats/{number}.jpg",
            role="train",
            label="cat",
            suggested="dog",
            label_probability=0.01,
            suggested_probability=0.97,
        )
        for number in range(2)
    )
    outlooks = tuple(
        ClassOutlook(name=name, images=100, recall=share, doubted=2, gain_pp=an_interval(2.0, 1.0, 3.0))
        for name in ("cat", "dog")
    )
    doubt = LabelDoubt(
        build="builds/pets", network="resnet-18", root="pets", roles=("train",), images=200, folds=5, top1=share,
        top1_at_twice=share, more_images=100, doubted=doubted, classes=outlooks, not_judged=(), near=(), excluded=(),
        list_file="labels.csv", list_sha256="0" * 64,
        pairs=(ConfusedPair(label="cat", predicted="dog", images=2, examples=("cats/0.jpg", "cats/1.jpg")),),
    )  # fmt: skip
    return doubt_page(doubt, {label.file: a_jpeg(20) for label in doubted}, "doubt")


def a_fleet() -> str:
    """A finished, a failed and a waiting build."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planned = cells(folder, '[grid]\nmodel.arch = ["lenet-5", "mobilenet-v2", "resnet-18"]\ntarget.device = ["cpu"]')
        accuracy, p50 = an_interval(0.6, 0.59, 0.61, 0.95), an_interval(1.0, 0.9, 1.1)
        return fleet_page(fleet(folder, planned, (accuracy, p50), None))


PAGES: Mapping[str, Callable[[], str]] = {
    name: cache(page)
    for name, page in {
        **{name: partial(lambda name: report_page(page_facts(name)), name) for name in REPORTS},
        "ten": lambda: report_page(a_page(10)),
        "empty": lambda: report_page(an_empty_page()),
        "hostile": lambda: report_page(a_hostile_page()),
        "compare": lambda: comparison_page(some_builds()),
        "history": lambda: history_page(a_history()),
        "catalogue": lambda: catalogue_page(ROWS, (MINE,)),
        "networks": lambda: networks_page(NETWORKS),
        "fit": lambda: fit_page(SEARCH),
        "fleet": a_fleet,
        "scale": lambda: frontier_page(a_search()),
        "doubt": a_doubt,
    }.items()
}
"""The name of a page and the function that makes its text, once."""

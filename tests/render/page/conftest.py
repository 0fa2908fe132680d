from __future__ import annotations

import pytest

from edgecnn.render.page.report import report_page
from tests.render.page.pages import a_hostile_page, a_page, an_empty_page


@pytest.fixture(scope="session")
def page() -> str:
    return report_page(a_page())


@pytest.fixture(scope="session")
def ten() -> str:
    return report_page(a_page(10))


@pytest.fixture(scope="session")
def empty() -> str:
    return report_page(an_empty_page())


@pytest.fixture(scope="session")
def hostile() -> str:
    return report_page(a_hostile_page())

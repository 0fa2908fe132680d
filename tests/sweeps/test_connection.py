"""What the machines of a cluster are asked before the first task."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.sweeps import WORKERS_DIFFER
from edgecnn.sweeps.worker import Terms
from tests.sweeps.rays import FOUR_CORES, Rays, cluster_of

ONE, TWO = "1" * 56, "2" * 56
AFAR = "s3://bucket"


@pytest.fixture
def rays() -> Rays:
    return Rays({ONE: FOUR_CORES, TWO: FOUR_CORES})


def test_a_store_afar_is_used_by_all_where_one_machine_does_not_see_the_asking_one_s_and_else_by_none(rays: Rays) -> None:
    cluster = cluster_of(rays, AFAR)
    terms = Terms.of(cluster.shared, (), ())
    assert cluster.check(terms) == replace(terms, shared=replace(cluster.shared, remote=None))
    rays.unmet = lambda node, asked: ("does not see it",) if node == TWO and asked.shared.remote is None else ()
    assert cluster.check(terms) == terms


@pytest.mark.parametrize("remote", [AFAR, None])
def test_what_machines_have_otherwise_is_said_once_each(remote: str | None, rays: Rays) -> None:
    cluster = cluster_of(rays, remote)
    rays.unmet = lambda node, _: ("one has torch 2.13.0, here is 2.14.0", f"{node[0]} cannot read /photos")
    with pytest.raises(EdgecnnError, check=WORKERS_DIFFER.made) as caught:
        cluster.check(Terms.of(cluster.shared, (), ()))
    problems = ["one has torch 2.13.0, here is 2.14.0", "1 cannot read /photos", "2 cannot read /photos"]
    assert list(caught.value.fields["problems"]) == problems

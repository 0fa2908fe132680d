from __future__ import annotations

import pytest

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.sweeps import ClusterUnusable, WorkersDiffer


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ClusterUnusable(address="ray", because="connection refused", hint="`ray start --head` starts one"),
            "the cluster ray cannot be used: connection refused — `ray start --head` starts one [cluster-unusable]",
        ),
        (
            WorkersDiffer(problems=["node-1 has torch 2.13.0, here is 2.14.0", "node-2 cannot read /photos"]),
            "2 things on machines of the cluster would have to be otherwise: node-1 has torch 2.13.0, here is 2.14.0; node-2 "
            "cannot read /photos — install the same versions there as here, or take the machine out of the cluster "
            "[workers-differ]",
        ),
    ],
)
def test_lines(error: EdgecnnError, line: str) -> None:
    assert (error.line(), error.exit_code) == (line, ExitCode.MISSING)

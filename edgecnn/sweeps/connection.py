"""A connection to a Ray cluster: its machines, the machines that get work, and the placement of tasks."""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final

from edgecnn.errors.base import system_reason
from edgecnn.errors.sweeps import CLUSTER_UNUSABLE, CLUSTER_WITHOUT_CORES, WORKERS_DIFFER
from edgecnn.store.failures import named_failures
from edgecnn.store.store import Store
from edgecnn.sweeps.tasks import Demand
from edgecnn.sweeps.worker import Shared, Terms

_FAILURES: Final = 2
"""Failures of a machine, such as a full disk, after which it gets no work: it fails so fast that it would get all the rest."""


class Nodes:
    """The cluster's machines, by the ids that Ray gives them. A machine that joins again has a new id."""

    def __init__(self, listed: Iterable[Mapping[str, Any]]) -> None:
        """``listed``: machines as Ray lists them."""
        self.available = dict[str, Mapping[str, float]]()
        """Resources of the available machines with a core, as Ray reports them."""
        self._names, self._failures = dict[str, str](), Counter[str]()
        self.look(listed)

    def look(self, listed: Iterable[Mapping[str, Any]]) -> list[str]:
        """Update the available machines from Ray's list, and return the names of those that are lost."""
        alive = [node for node in listed if node["Alive"]]
        self.available = {node["NodeID"]: node["Resources"] for node in alive if node["Resources"].get("CPU", 0) >= 1}
        before, self._names = self._names, {
            node["NodeID"]: f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})" for node in alive
        }  # fmt: skip
        return [name for node, name in before.items() if node not in self._names]

    @property
    def avoided(self) -> frozenset[str]:
        """Machines that have failed, as long as there are others."""
        failing = frozenset(node for node in self.available if self._failures[node] >= _FAILURES)
        return failing if self.available.keys() - failing else frozenset()

    @property
    def working(self) -> list[Mapping[str, float]]:
        """Resources of the machines that get work."""
        return [resources for node, resources in self.available.items() if node not in self.avoided]

    def name(self, node: str) -> str:
        """The machine's name for messages."""
        return self._names.get(node, "a machine that is lost")

    def failed(self, node: str) -> bool:
        """Count a failure of a machine; return whether it is avoided from now on."""
        self._failures[node] += 1
        return self._failures[node] == _FAILURES and node in self.avoided

    def can_run(self, demand: Demand, away_from: Collection[str] = ()) -> bool:
        """Whether a machine, other than the named ones, has the demanded resources when it is idle."""
        return any(demand.fits(resources) for node, resources in self.available.items() if node not in away_from)


HERE, AFAR = "ray", "ray://"
"""Addresses of a cluster: the one that this machine belongs to, or one that Ray's client reaches."""
_START: Final = (
    "start a cluster with `ray start --head`, and add machines with `ray start --address=HOST:6379`; if the cluster uses "
    "tokens, set RAY_AUTH_MODE=token"
)
_LATE: Final = (
    "Ray's server for clients did not start within 30 s: run `ray start --head` with "
    "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S=120, or use `--on ray` on a machine of the cluster"
)
_NO_CLIENT_SERVER: Final = re.compile(r"Starting Ray client server failed|Proxy failed to Connect")
_ANSWERS_S: Final = 10.0
_LOOK_S: Final = 120.0


@contextmanager
def joined(address: str, store: Store) -> Iterator[Cluster]:
    """Connect to a cluster for the block. Tasks that still run at the end are cancelled.

    ``address``: ``ray``, or ``ray://HOST:PORT``.

    Raises:
        CLUSTER_UNUSABLE: there is no cluster, or it does not answer.
        StoreFull, StoreUnusable: the store cannot be written.
    """
    import ray

    shared = Shared.of(store, f"work/cluster/{secrets.token_hex(8)}")
    token = store.root / shared.token
    with reached(address, _START):
        _require_answer(os.environ.get("RAY_ADDRESS", "") if address == HERE else address)
        ray.init("auto" if address == HERE else address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        with named_failures(store.root, "joining a cluster"):
            token.parent.mkdir(parents=True, exist_ok=True)
            token.touch()
        yield Cluster(address, shared, ray)
    finally:
        with suppress(OSError):
            token.unlink()
        ray.shutdown()


class Cluster:
    """A Ray cluster to which this process is connected."""

    def __init__(self, address: str, shared: Shared, ray: Any) -> None:
        """Raises CLUSTER_UNUSABLE: the cluster does not answer. CLUSTER_WITHOUT_CORES: no machine has a core."""
        self.address, self.shared, self.ray = address, shared, ray
        with self.reached():
            self.nodes = Nodes(ray.nodes())
        if not self.nodes.available:
            raise CLUSTER_WITHOUT_CORES(address=address)

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Convert Ray's errors in the block. Raises CLUSTER_UNUSABLE: the cluster is lost."""
        with reached(self.address, "rerun the command to continue"):
            yield

    def check(self, terms: Terms) -> Terms:
        """Ask every machine whether it meets the terms, before the first task. Return the terms that all meet.

        They omit the remote store if all machines see this machine's store.

        Raises:
            WORKERS_DIFFER: versions differ, files cannot be read there, or no store is shared.
            CLUSTER_UNUSABLE: a machine does not answer.
        """
        alone = replace(terms, shared=replace(terms.shared, remote=None))
        for tried in (alone, terms) if terms.shared.remote else (terms,):
            if not (problems := self._unmet(tried)):
                return tried
        raise WORKERS_DIFFER(problems=problems)

    def _unmet(self, terms: Terms) -> list[str]:
        with self.reached():
            requests = [
                self.ray.remote(Terms.unmet).options(num_cpus=0, scheduling_strategy=near(node, soft=False)).remote(terms)
                for node in self.nodes.available
            ]
            answers: list[tuple[str, ...]] = self.ray.get(requests, timeout=_LOOK_S)
        return list(dict.fromkeys(problem for problems in answers for problem in problems))


def near(node: str | None, *, soft: bool) -> Any:
    """Ray's strategy that places a task on a machine; ``soft``: or on another one if it is busy or lost."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # `soft` alone would queue a task at a busy machine while others idle
    return "DEFAULT" if node is None else NodeAffinitySchedulingStrategy(node, soft=soft, _spill_on_unavailable=soft)


def away(nodes: Collection[str]) -> dict[str, str] | None:
    """Ray's label selector that excludes these machines."""
    return {"ray.io/node-id": f"!in({', '.join(sorted(nodes))})"} if nodes else None


def _require_answer(address: str) -> None:
    """Connect to the address, since Ray itself waits many minutes for it. Raises OSError: nothing answers there."""
    host, _, port = address.removeprefix(AFAR).rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _ANSWERS_S).close()


@contextmanager
def reached(address: str, hint: str) -> Iterator[None]:
    """Convert Ray's errors in the block. Raises CLUSTER_UNUSABLE: the cluster cannot be reached."""
    import ray

    try:
        yield
    except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as error:
        reason = system_reason(error) if isinstance(error, OSError) else str(error)
        lines = [line.strip().rstrip(":") for line in reason.splitlines() if line.strip()] or [type(error).__name__]
        late = [line.removeprefix("RuntimeError: ") for line in lines if _NO_CLIENT_SERVER.search(line)]
        raise CLUSTER_UNUSABLE(address=address, because=late[-1] if late else lines[0], hint=_LATE if late else hint) from error

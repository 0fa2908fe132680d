"""Downloads that go on where they broke off."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path

from edgecnn.errors.weights import DownloadFailed
from edgecnn.values.stage import Progress

BLOCK_BYTES = 1 << 18
STALLED_AFTER_S = 30.0
"""A server that sends nothing for this long is given up."""


def download(url: str, into: Path, what: str, tell: Progress | None = None) -> None:
    """Fetch ``url`` into the file ``into``, appending to what is there when the server can continue.

    ``what``: is said to be downloaded, where somebody listens.

    Raises DownloadFailed: unreachable, refused, stalled or cut off; the part that arrived stays in ``into``.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    have = into.stat().st_size if into.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=STALLED_AFTER_S) as answer:  # noqa: S310
            _receive(answer, into, have if answer.status == http.HTTPStatus.PARTIAL_CONTENT else 0, what, tell)
    except urllib.error.HTTPError as problem:
        if problem.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # all of it was there already; the digest decides
        raise DownloadFailed(url=url, reason=f"the server answered {problem.code} {problem.reason}", received=have) from problem
    except (OSError, http.client.HTTPException) as problem:
        received = into.stat().st_size if into.exists() else 0
        raise DownloadFailed(url=url, reason=str(getattr(problem, "reason", problem)), received=received) from problem


def _receive(answer: http.client.HTTPResponse, into: Path, have: int, what: str, tell: Progress | None) -> None:
    length = answer.headers.get("Content-Length")
    total = have + int(length) if length else None
    with into.open("ab" if have else "wb") as file:
        while block := answer.read(BLOCK_BYTES):
            file.write(block)
            have += len(block)
            if tell is not None:
                tell.step(f"download {what}", have, total, "bytes")
    if total is not None and have < total:
        raise http.client.IncompleteRead(b"", total - have)

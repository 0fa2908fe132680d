"""How much is measured beyond what every build measures, read from the texts of a command line."""

from __future__ import annotations

import re

from edgecnn.errors.measuring import ShareMisread

LEAST, MOST = 0.001, 0.5
"""Of ``--until``: a clock and a machine give no less, and an interval wider than that needs no rule."""


def share_of(text: str) -> float:
    """``2%`` as 0.02.

    Raises:
        ShareMisread: no percentage, or none that a p50 could be known to.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    share = float(found.group(1)) / 100 if found else 0.0
    if not LEAST <= share <= MOST:
        raise ShareMisread(option="--until", text=text, least=LEAST, most=MOST)
    return share

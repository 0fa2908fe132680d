"""The summary page of a job: what was judged and why, with nothing in it that GitHub would render as something else."""

from __future__ import annotations

from edgecnn.render.ci import summary_markdown
from edgecnn.values.verdict import Verdict
from tests.render.ci.sheets import a_sheet, a_verdict


def test_names_from_data_stay_names() -> None:
    hostile = "<img src=x onerror=alert(1)> | [link](http://x) `code` *b*\nnew line"
    text = summary_markdown(a_sheet(a_verdict(Verdict.PASS, reason=hostile), title=hostile))
    row = next(line for line in text.splitlines() if line.startswith("| ✅"))
    assert row.endswith(r"| always | &lt;img src=x onerror=alert(1)> \| [link\](http://x) `code` \*b\* new line |")
    assert "<img" not in text

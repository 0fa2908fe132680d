"""The summary page of a job: what was judged and why, with nothing in it that GitHub would render as something else."""

from __future__ import annotations

from edgecnn.render.ci import summary_markdown
from edgecnn.values.verdict import Verdict
from tests.render.ci.sheets import a_sheet, a_verdict


def test_it_says_verdict_gates_what_changed_and_what_to_know() -> None:
    sheet = a_sheet(a_verdict(Verdict.FAIL), changed=("onnxruntime: 1.30 → 1.31",), notes=("emulated",))
    assert summary_markdown(sheet) == (
        "### edgecnn: resnet-18 on cpu: FAIL\n\n"
        "onnxruntime-int8 is the fastest\n\n"
        "| verdict | gate | required | figures |\n| --- | --- | --- | --- |\n"
        "| ❌ FAIL | `drop_pp ≤ 1` | always | drop 2.00 pp |\n\n"
        "**Changed, BASE → HEAD**\n\n- onnxruntime: 1.30 → 1.31\n\n"
        "**To know**\n\n- emulated\n\n"
    )


def test_names_from_data_stay_names() -> None:
    hostile = "<img src=x onerror=alert(1)> | [link](http://x) `code` *b*\nnew line"
    text = summary_markdown(a_sheet(a_verdict(Verdict.PASS, reason=hostile), title=hostile))
    row = next(line for line in text.splitlines() if line.startswith("| ✅"))
    assert row.endswith(r"| always | &lt;img src=x onerror=alert(1)> \| [link\](http://x) `code` \*b\* new line |")
    assert "<img" not in text

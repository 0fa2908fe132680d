from __future__ import annotations

import pytest

from edgecnn.values.base import another_schema

READS = "edgecnn.report/2"


@pytest.mark.parametrize("schema", ["edgecnn.report/1", "edgecnn.report/3", "edgecnn.bundle-bench/2"])
def test_a_document_of_another_schema_says_which_one_it_has_and_which_one_is_read(schema: str) -> None:
    said = f"its schema is {schema}, and this version reads {READS}"
    assert another_schema({"schema": schema}, READS) == said
    assert another_schema(f'{{"schema": "{schema}"}}'.encode(), READS) == said
    assert another_schema({"schema_": schema}, READS) == said


@pytest.mark.parametrize(
    "document", [{"schema": READS}, {}, [], {"schema": 3}, {"schema": "edgecnn.report/1\n"}, b"{", b"\xff", b"[" * 100_000]
)
def test_what_is_damaged_or_of_no_schema_at_all_is_not_of_another_version(document: object) -> None:
    assert another_schema(document, READS) is None

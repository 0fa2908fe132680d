"""A file of a megabyte must not take a minute or a gigabyte, and what people write is read."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from edgecnn.values.toml import DEPTH_MAX, parsed

DEEP = {
    "a key of 500,000 parts": ".".join(["a"] * 500_000) + " = 1",
    "keys of 4,000 parts": "\n".join(f"x{number}{'.b' * 4000} = 1" for number in range(100)),
    "keys in quotes": '"a b".' * 100_000 + "c = 1",
    "tables in headings": "\n".join(f"[{'.'.join(['a'] * depth)}]" for depth in range(1, 900)),
    "tables in lines": "a = " + "{b.c.d.e.f.g.h = " * 100 + "1" + "}" * 100,
    "arrays": "a = " + "[" * 300 + "]" * 300,
}


@pytest.mark.parametrize("name", DEEP)
def test_what_is_nested_too_deeply_is_refused_before_it_takes_time_or_memory(name: str) -> None:
    tracemalloc.start()
    begun = time.process_time()
    with pytest.raises(ValueError, match="^it is nested too deeply"):
        parsed(DEEP[name])
    assert time.process_time() - begun < 10
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()


def test_what_only_looks_deep_is_read() -> None:
    floats = ", ".join(["0.5"] * 5000)
    text = f'weights = [{floats}]\n"a.b.c" = "{"x." * 200}"\n{".".join(["t"] * DEPTH_MAX)} = 1.5\n'
    assert parsed(text)["weights"] == [0.5] * 5000

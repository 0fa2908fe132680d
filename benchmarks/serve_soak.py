"""Whether `edgecnn bundle serve` stays as large as it is and goes on answering rightly, over thousands of photographs.

    python -m benchmarks.serve_soak BUNDLE [PHOTOGRAPHS] --requests 10000 --out soak.json --svg soak.svg

Four clients send the photographs of a folder in turn (20 JPEG files and a transparent PNG are drawn where none is named), every
tenth time cut in half, and every fiftieth connection is reset in the middle of one. What `edgecnn predict` says of a photograph
is what must be answered. The server's memory, threads and open files are read a hundred times; the slope is Theil-Sen's, of the
second half.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import altair as alt
import numpy as np
from PIL import Image
from scipy import stats

from benchmarks.decode_rate import Quiet, drawn
from edgecnn.bundle.answering import TOP
from edgecnn.bundle.predicting import predict_photos
from edgecnn.bundle.verify import Trust, verify
from edgecnn.devices.this_machine import local_facts
from edgecnn.render.page.charts import vega
from edgecnn.render.page.charts.vega import svg_of

CLIENTS, READINGS = 4, 100
CUT, RESET = 10, 50
"""Of so many requests one."""


class Photograph(NamedTuple):
    content: bytes
    labels: Any


class Reading(NamedTuple):
    requests: int
    rss_mib: float
    threads: int
    files: int


@dataclass
class Soak:
    """What the server did with ``requests``."""

    requests: int
    readings: list[Reading] = field(default_factory=list)
    right: int = 0
    refused: int = 0
    """Photographs that were cut in half, and named as such."""
    reset: int = 0
    wrong: list[str] = field(default_factory=list)
    answers_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def slope(self) -> float:
        """MiB that a thousand requests add, over the second half."""
        half = [reading for reading in self.readings if reading.requests >= self.requests / 2]
        return 1000 * float(
            stats.theilslopes([reading.rss_mib for reading in half], [reading.requests for reading in half]).slope
        )

    def summary(self) -> str:
        """In two lines."""
        began, ended = self.readings[1].rss_mib, self.readings[-1].rss_mib
        return (
            f"{self.right:,} right, {self.refused:,} cut ones named, {self.reset:,} reset, {len(self.wrong):,} wrong, "
            f"in {self.seconds:,} s\n"
            f"memory {began} MiB to {ended} MiB, {self.slope:+.3f} MiB a thousand requests in the second half"
        )

    def facts(self) -> dict[str, Any]:
        """As they are written down."""
        tails = {f"p{share}_ms": round(float(np.percentile(self.answers_ms, share)), 2) for share in (50, 99)}
        facts = {name: value for name, value in asdict(self).items() if name not in ("answers_ms", "readings")}
        readings = [reading._asdict() for reading in self.readings]
        return {**facts, "wrong": self.wrong[:10], **tails, "slope_mib_per_1000": round(self.slope, 4), "readings": readings}


def photographs(bundle: Path, folder: Path | None, scratch: Path) -> list[Photograph]:
    """Those of a folder, or drawn ones, and what ``predict`` says of each."""
    files = sorted(path for path in (folder or drawn(scratch, 20)).rglob("*") if path.is_file())
    if folder is None:
        pixels = np.random.default_rng(0).integers(0, 256, (120, 90, 4), dtype=np.uint8)
        Image.fromarray(pixels).save(scratch / "transparent.png")
        files.append(scratch / "transparent.png")
    predictions = predict_photos(verify(bundle, Trust(), Quiet()), files, None, TOP, Quiet()).model_dump(mode="json")[
        "predictions"
    ]
    return [Photograph(path.read_bytes(), prediction["labels"]) for path, prediction in zip(files, predictions, strict=True)]


@contextmanager
def served(bundle: Path) -> Iterator[tuple[int, str]]:
    """The server's process, and where it listens."""
    command = [sys.executable, "-m", "edgecnn", "bundle", "serve", str(bundle), "--json", "--per-minute", "1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = list(iter(process.stdout.readline, "}\n"))
        try:
            yield process.pid, urlsplit(json.loads("".join([*lines, "}"]))["url"]).netloc
        finally:
            process.send_signal(signal.SIGTERM)


def read(process: int, requests: int) -> Reading:
    """What Linux says of a process."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    size, threads = int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"])
    return Reading(requests, round(size, 2), threads, len(os.listdir(f"/proc/{process}/fd")))  # noqa: PTH208 - no files


def send(place: str, number: int, photograph: Photograph, soak: Soak) -> None:
    """One request, and whether what came back is right."""
    whole = photograph.content
    if number % RESET == RESET - 1:
        host, _, port = place.partition(":")
        with socket.create_connection((host, int(port)), timeout=60) as line:
            line.sendall(f"POST /predict HTTP/1.1\r\nHost: {place}\r\nContent-Length: {len(whole)}\r\n\r\n".encode())
            line.sendall(whole[: len(whole) // 2])
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        soak.reset += 1
        return
    is_cut, began = number % CUT == CUT - 1, time.perf_counter()
    connection = http.client.HTTPConnection(place, timeout=60)
    connection.request("POST", "/predict", whole[: len(whole) // 2] if is_cut else whole)
    reply = connection.getresponse()
    document = json.loads(reply.read())
    connection.close()
    if is_cut and reply.status == 422:
        soak.refused += 1
    elif not is_cut and reply.status == 200 and document["labels"] == photograph.labels:
        soak.right += 1
        soak.answers_ms.append((time.perf_counter() - began) * 1e3)
    else:
        soak.wrong.append(f"request {number}: {reply.status} {document}")


def soaked(bundle: Path, every: Sequence[Photograph], requests: int, readings: int = READINGS) -> Soak:
    """Send so many."""
    soak, began = Soak(requests), time.perf_counter()
    with served(bundle) as (process, place), ThreadPoolExecutor(CLIENTS) as clients:
        soak.readings.append(read(process, 0))
        for start in range(0, requests, step := max(1, requests // readings)):
            numbers = range(start, min(start + step, requests))
            list(clients.map(lambda number: send(place, number, every[number % len(every)], soak), numbers))
            soak.readings.append(read(process, numbers.stop))
    soak.seconds = round(time.perf_counter() - began, 1)
    return soak


def curve(soak: Soak) -> bytes:
    """Memory over requests, as SVG."""
    rows = [{"requests": reading.requests, "mib": reading.rss_mib} for reading in soak.readings]
    line = alt.Chart(vega.chart_data(rows)).mark_line(strokeWidth=2, color="var(--accent)")
    top = max(reading.rss_mib for reading in soak.readings)
    size = alt.Y("mib:Q", title="resident memory of edgecnn bundle serve, MiB", scale=alt.Scale(domain=[0, top * 1.1]))
    spec = vega.specification(line.encode(x=alt.X("requests:Q", title="requests"), y=size), height=220)
    return svg_of({**spec, "width": 640})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("photographs", type=Path, nargs="?")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--out", type=Path, required=True, help="JSON, everything that was read")
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        every = photographs(options.bundle, options.photographs, Path(scratch))
    soak = soaked(options.bundle, every, options.requests)
    about = {"machine": local_facts().describe(), "measured_at": datetime.now(UTC).isoformat(timespec="seconds")}
    options.out.write_text(json.dumps({**about, **soak.facts()}, indent=1) + "\n", encoding="utf-8")
    if options.svg:
        options.svg.write_bytes(curve(soak))
    print(soak.summary())


if __name__ == "__main__":
    main()

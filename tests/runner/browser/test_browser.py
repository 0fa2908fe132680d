"""A kit for browsers before there is one: what is served and to whom, which browser is taken, and what is said where none is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from edgecnn.runner import packages
from edgecnn.runner.browser import ISOLATED, LACKS_GPU, KitServer, Page, host, pack_message, parse_message
from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.packages import installed_version
from edgecnn.runner.runs.processes import clean_environment
from edgecnn.runner.sessions import wasm_browser
from edgecnn.runner.sessions.webgpu_browser import WebGpuSession


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def server(tmp_path: Path) -> KitServer:
    (tmp_path / "index.html").write_text("<p>page</p>")
    (tmp_path / "secret.txt").write_text("not listed")
    return KitServer(tmp_path, ["index.html"])


def test_listed_files_are_served_isolated_and_nothing_else_is(server: KitServer) -> None:
    with urllib.request.urlopen(server.address("")) as answer:
        assert answer.read() == b"<p>page</p>"
        assert {name: answer.headers[name] for name in ISOLATED} == ISOLATED
    for name in ("secret.txt", "../secret.txt", "%2e%2e/secret.txt", "work/guessed", "index.html/"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(server.address(name))
    server.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.address(""))


def test_work_is_given_to_whoever_knows_the_secret_and_its_answer_comes_back(server: KitServer) -> None:
    server.work.put(pack_message({"do": "run"}, b"\1\2"))
    place = server.address(f"work/{server.secret}")
    with urllib.request.urlopen(place) as answer:
        assert parse_message(answer.read()) == ({"do": "run"}, b"\1\2")
    for data in (pack_message({"shape": [1]}, b"\3"), b"\0"):
        urllib.request.urlopen(urllib.request.Request(place, data)).close()
    assert server.answers.get(timeout=5) == ({"shape": [1]}, b"\3")
    assert "cannot be read" in server.answers.get(timeout=5)[0]["error"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(urllib.request.Request(server.address("work/guessed"), b"\0"))
    server.close()


def test_the_browser_is_the_named_one_or_the_first_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(packages.BROWSER_VARIABLE, raising=False)
    assert installed_version("wasm") is None
    program(tmp_path / "google-chrome", "echo Google Chrome 141.0.7390.54")
    assert installed_version("wasm") == "141.0.7390.54"
    monkeypatch.setenv(packages.BROWSER_VARIABLE, str(program(tmp_path / "mine", "echo Chromium 142.0.1.2 built on Debian")))
    assert installed_version("wasm") == "142.0.1.2"


def test_without_a_browser_the_command_that_installs_one_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(packages.BROWSER_VARIABLE, raising=False)
    with pytest.raises(RunnerError) as caught:
        Page(tmp_path, [], "measure.html")
    assert (caught.value.ref, caught.value.hint, caught.value.missing) == ("missing-package", "apt-get install chromium", True)


def test_a_browser_that_ends_is_said_to_have_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(packages.BROWSER_VARIABLE, str(program(tmp_path / "ends", "echo no display >&2; exit 3")))
    page = Page(tmp_path, [], "measure.html")
    with pytest.raises(RunnerError) as caught:
        page.ask({"do": "open"}, b"", 30.0)
    page.close()
    assert (caught.value.ref, caught.value.because) == ("browser-failed", "no display")


def test_the_browser_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """It is told by its pipe, whose other end the kernel closes: nobody is left to say it."""
    ends = program(tmp_path / "waits", f"echo $$ > {tmp_path}/pid; exec cat <&3")
    made = "from pathlib import Path; from edgecnn.runner.browser import Page; import os, time\n"
    made += f"page = Page(Path({str(tmp_path)!r}), [], 'measure.html')\n"
    made += (
        f"while not os.path.exists({str(tmp_path / 'pid')!r}) or not open({str(tmp_path / 'pid')!r}).read(): time.sleep(0.05)\n"
    )
    made += "os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", made], env={**os.environ, packages.BROWSER_VARIABLE: str(ends)}, check=False)
    assert done.returncode == -9
    pid = int((tmp_path / "pid").read_text())
    until = time.monotonic() + 10
    while not gone(pid):
        assert time.monotonic() < until, "it still runs"
        time.sleep(0.05)


def test_the_variable_that_names_a_browser_reaches_every_process_of_a_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(packages.BROWSER_VARIABLE, "/opt/chrome")
    assert clean_environment(Path())[packages.BROWSER_VARIABLE] == "/opt/chrome"


def test_once_a_page_failed_it_is_asked_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(packages.BROWSER_VARIABLE, str(program(tmp_path / "hangs", "exec sleep 60")))
    page = Page(tmp_path, [], "measure.html")
    begin = time.monotonic()
    for patience_s in (0.6, 60.0):
        with pytest.raises(RunnerError, match="did not answer in 0.6 s"):
            page.ask({"do": "open"}, b"", patience_s)
    page.close()
    assert time.monotonic() - begin < 30


def test_a_browser_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(packages.BROWSER_VARIABLE, str(program(tmp_path / "hangs", "exec sleep 60")))
    page = Page(tmp_path, [], "measure.html")
    with pytest.raises(RunnerError) as caught:
        page.ask({"do": "open"}, b"", 0.6)
    page.close()
    assert caught.value.ref == "browser-silent"


def test_a_kit_without_a_page_is_not_hosted(onnx_kit: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        host(Kit.open(onnx_kit), 0)
    assert caught.value.ref == "no-page"


class _Refusing:
    """Pages of a browser that gives them no GPU, or ends, by the words that it is started with."""

    def __init__(self, **error: RunnerError) -> None:
        self.said, self.started = error, list[str]()

    def __call__(self, folder: Path, names: object, page: str, words: tuple[str, ...]) -> _Refusing:
        self.started.append("vulkan" if "--use-angle=vulkan" in words else "plain")
        return self

    def ask(self, head: object, body: bytes, patience_s: float) -> tuple[dict[str, object], bytes]:
        if (error := self.said.get(self.started[-1])) is not None:
            raise error
        return {"adapter": {"name": "nvidia"}}, b""

    def close(self) -> None:
        pass


SOFTWARE = RunnerError(LACKS_GPU, "no GPU", "software", missing=True)


@pytest.mark.parametrize(
    ("errors", "started", "why"),
    [
        ({}, ["plain"], None),
        ({"plain": SOFTWARE}, ["plain", "vulkan"], None),
        ({"plain": SOFTWARE, "vulkan": RunnerError(LACKS_GPU, "no GPU", "none", missing=True)}, ["plain", "vulkan"], "software"),
        ({"plain": SOFTWARE, "vulkan": RunnerError("browser-failed", "it ended")}, ["plain", "vulkan"], "software"),
        ({"plain": RunnerError("browser-failed", "it ended", "signal 9")}, ["plain"], "signal 9"),
    ],
)
def test_flags_are_tried_in_turn_until_there_is_a_gpu_and_the_first_refusal_is_said(
    onnx_kit: Path, monkeypatch: pytest.MonkeyPatch, errors: dict[str, RunnerError], started: list[str], why: str | None
) -> None:
    pages = _Refusing(**errors)
    monkeypatch.setattr(wasm_browser, "Page", pages)
    if why is None:
        session = WebGpuSession(Kit.open(onnx_kit), {}, None)
        assert session.conditions == {"webgpu_adapter": "nvidia"}
    else:
        with pytest.raises(RunnerError) as caught:
            WebGpuSession(Kit.open(onnx_kit), {}, None)
        assert caught.value.because == why
    assert pages.started == started

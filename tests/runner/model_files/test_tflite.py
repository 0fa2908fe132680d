"""LiteRT trusts every offset and every file name in a ``.tflite`` file, so the runner checks them first."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.model_files import check_model, model_fault
from edgecnn.runner.sessions import open_session
from tests.fuzz.mutations import of_words
from tests.runner.conftest import CopyKit
from tests.runner.kits import rewrite_manifest
from tests.runner.model_files.tflite_files import Number, Numbers, Table, sum_network, tflite_file

ENTRY = "model.tflite"
WEIGHTS = 1
"""The tensor and the buffer that hold numbers."""


def fault(content: bytes) -> str:
    return model_fault(ENTRY, content, {ENTRY: len(content)})


def changed(change: Callable[[Table], object]) -> bytes:
    network = sum_network()
    change(network)
    return tflite_file(network)


def graph(network: Table) -> Table:
    return network[2][0]  # type: ignore[no-any-return]


def tensor(network: Table) -> Table:
    return graph(network)[0][WEIGHTS]  # type: ignore[no-any-return]


def operator(network: Table) -> Table:
    return graph(network)[3][0]  # type: ignore[no-any-return]


def set_field(part: Callable[[Table], Table], field: int, value: Any) -> Callable[[Table], None]:
    return lambda network: part(network).update({field: value})


def model(network: Table) -> Table:
    return network


def code(network: Table) -> Table:
    return network[1][0]  # type: ignore[no-any-return]


def signature(network: Table) -> Table:
    return network[7][0]  # type: ignore[no-any-return]


def reading(file: str) -> Callable[[Table], None]:
    """The weights come from a file, as LiteRT's compiled model reads them."""

    def change(network: Table) -> None:
        network[8] = [{0: file.encode()}]
        network[9] = [{0: Number("I", 1), 1: Number("I", 0), 2: Number("Q", 0), 3: Number("Q", 16), 4: b"unpacked"}]
        tensor(network).pop(2)
        tensor(network)[10] = Number("I", 1)

    return change


def behind(start: int, size: int) -> Callable[[Table], None]:
    return lambda network: network[4].__setitem__(WEIGHTS, {1: Number("Q", start), 2: Number("Q", size)})


def quantized(**fields: Any) -> Callable[[Table], None]:
    return lambda network: tensor(network).__setitem__(4, {int(name[1:]): value for name, value in fields.items()})


def test_a_model_with_its_weights_inside_has_no_fault() -> None:
    assert fault(tflite_file(sum_network())) == ""


@pytest.mark.parametrize(
    "change",
    [
        quantized(_2=Numbers("f", [0.1]), _3=Numbers("q", [3])),
        quantized(_2=Numbers("f", [0.1] * 4), _3=Numbers("q", [0] * 4), _6=Number("i", 3)),
        behind(0, 0),
        set_field(model, 8, []),
        lambda network: operator(network).update({3: Number("B", 17), 4: {0: Numbers("i", [1, 4])}}),
    ],
)
def test_neither_has_what_converters_write(change: Callable[[Table], object]) -> None:
    assert fault(changed(change)) == ""


BIASED = {3: 3, 4: 3, 9: 3, 67: 4}
"""Operators with a bias, and how many inputs they have with it."""


@pytest.mark.parametrize("number", [*BIASED, 0, 22, 36])
def test_only_a_bias_may_be_absent(number: int) -> None:
    def reads(inputs: list[int]) -> str:
        def change(network: Table) -> None:
            code(network).update({0: Number("b", number), 3: Number("i", number)})
            operator(network)[1] = Numbers("i", inputs)

        return fault(changed(change))

    absent = "it is damaged: its operator names entry -1 of 3"
    count = BIASED.get(number, 3)
    assert reads([0] * (count - 1) + [-1]) == ("" if number in BIASED else absent)
    for at in range(count - 1):
        assert reads([0] * at + [-1] + [0] * (count - at - 1)) == absent
    assert reads([0] * (count - 2) + [-1]) == reads([0] * count + [-1]) == absent


def test_tensors_of_more_than_4_gib_together_are_refused() -> None:
    def fault_of_tensors(count: int) -> str:
        gibibyte = {0: Numbers("i", (1, 1 << 28)), 1: Number("b", 0), 2: Number("I", 0), 3: b"z"}
        return fault(changed(lambda network: graph(network)[0].extend([gibibyte] * count)))

    assert fault_of_tensors(3) == ""
    assert fault_of_tensors(4) == "its tensors take more than 4,294,967,296 bytes together"


def test_weights_behind_the_flatbuffer_are_no_fault_while_the_file_holds_them() -> None:
    start = len(changed(behind(1000, 16)))
    content = changed(behind(start, 16))
    assert fault(content + bytes(16)) == ""
    assert fault(content + bytes(15)) == "it is damaged: weights lie outside the file"


@pytest.mark.parametrize("file", ["/etc/passwd", "../x", "weights.bin", ""])
def test_a_model_that_reads_another_file_is_refused(file: str) -> None:
    assert fault(changed(reading(file))) == f"it reads weights from another file, '{file}'"


OUTSIDE = "it is damaged: an offset leads outside the file"


@pytest.mark.parametrize(
    "change, because",
    [
        (set_field(model, 9, [{}]), "it reads weights from another file"),
        (set_field(tensor, 10, Number("I", 1)), "its tensor 'w' is read from another file"),
        (set_field(code, 1, b"ONNX_DET"), "it has a custom operator, 'ONNX_DET'"),
        (set_field(code, 3, Number("i", 32)), "it has a custom operator, ''"),
        (set_field(code, 0, Number("b", 32)), "it has a custom operator, ''"),
        (set_field(operator, 5, b"options"), "it has a custom operator"),
        (set_field(operator, 9, Number("Q", 8)), "it has a custom operator"),
        (
            set_field(code, 3, Number("i", 119)),
            "it has an operator that image classifiers do not need, WHILE",
        ),
        (
            set_field(code, 3, Number("i", 173)),
            "it has an operator that image classifiers do not need, 173",
        ),
        (
            lambda network: network[1][0].update({0: Number("b", -1), 3: Number("i", -1)}),
            "it has an operator that image classifiers do not need, -1",
        ),
        (
            set_field(operator, 3, Number("B", 111)),
            "it has an operator that image classifiers do not need",
        ),
        (lambda network: network.pop(2), "it has 0 graphs, and an image classifier has one"),
        (lambda network: network[2].append(graph(network)), "it has 2 graphs, and an image classifier has one"),
        (set_field(model, 10, Number("I", 7)), "its model has a field that this version does not know"),
        (
            set_field(tensor, 11, Number("I", 7)),
            "its tensor has a field that this version does not know",
        ),
        (set_field(tensor, 2, Number("I", 2)), "it is damaged: its tensor names entry 2 of 2"),
        (set_field(operator, 0, Number("I", 1)), "it is damaged: its operator names entry 1 of 1"),
        (
            set_field(operator, 1, Numbers("i", [0, 3])),
            "it is damaged: its operator names entry 3 of 3",
        ),
        (set_field(operator, 1, Numbers("i", [-1, -1])), "it is damaged: its operator names entry -1 of 3"),
        (set_field(operator, 1, Numbers("i", [0, -1])), "it is damaged: its operator names entry -1 of 3"),
        (set_field(operator, 8, Numbers("i", [-1])), "it is damaged: its operator names entry -1 of 3"),
        (set_field(operator, 2, Numbers("i", [-1])), "it is damaged: its operator names entry -1 of 3"),
        (set_field(graph, 1, Numbers("i", [9])), "it is damaged: its graph names entry 9 of 3"),
        (lambda network: network[6][0].__setitem__(1, Number("I", 9)), "it is damaged: its metadata names entry 9 of 2"),
        (set_field(signature, 4, Number("I", 1)), "it is damaged: its signature names entry 1 of 1"),
        (lambda network: network[7][0][0][0].__setitem__(1, Number("I", 9)), "it is damaged: its signature names entry 9 of 3"),
        (
            set_field(tensor, 0, Numbers("i", [1 << 20, 1 << 20])),
            "its tensor 'w' has the shape [1048576, 1048576]",
        ),
        (set_field(tensor, 0, Numbers("i", [-4])), "its tensor 'w' has the shape [-4]"),
        (set_field(tensor, 0, Numbers("i", [5])), "its tensor 'w' would take 20 bytes, and has 16"),
        (set_field(tensor, 0, Numbers("i", [1] * 9)), "its tensor 'w' has more than 8 dimensions"),
        (set_field(tensor, 1, Number("b", 13)), "its tensor 'w' is of the unknown type 13"),
        (set_field(tensor, 6, {}), "its tensor 'w' is sparse or a variant"),
        (quantized(_2=Numbers("f", [0.1] * 3), _6=Number("i", 3)), "its tensor 'w' is quantized in a form that no kit has"),
        (quantized(_5={}), "its tensor 'w' is quantized in a form that no kit has"),
        (set_field(graph, 1, Numbers("i", [WEIGHTS])), "it would write over its own weights"),
        (set_field(operator, 2, Numbers("i", [WEIGHTS])), "it would write over its own weights"),
        (behind(16, 1 << 40), "it is damaged: weights lie outside the file"),
        (behind((1 << 64) - 8, 16), "it is damaged: weights lie outside the file"),
    ],
)
def test_what_no_image_classifier_needs_is_refused(change: Callable[[Table], object], because: str) -> None:
    assert fault(changed(change)) == because


@pytest.mark.parametrize(
    "content, because",
    [
        (b"", "it is not a TensorFlow Lite model"),
        (b"GIF89a" + bytes(20), "it is not a TensorFlow Lite model"),
        (b"\x1c\0\0\0TFL2" + bytes(60), "it is not a TensorFlow Lite model"),
        (b"\xff\xff\xff\xffTFL3" + bytes(60), OUTSIDE),
        (b"\x08\0\0\0TFL3" + struct.pack("<i", -1 << 31) + bytes(60), OUTSIDE),
        (b"\x0c\0\0\0TFL3" + struct.pack("<HHi", 2, 4, 4) + bytes(60), "it is damaged: a table is shorter than its own header"),
        (b"\x0e\0\0\0TFL3" + struct.pack("<HHHi", 6, 8, 9, 6) + bytes(60), "it is damaged: a field lies outside its table"),
        (tflite_file(sum_network())[:-200], OUTSIDE),
    ],
)
def test_a_file_that_is_damaged_is_refused(content: bytes, because: str) -> None:
    assert fault(content) == because


def test_few_bytes_cannot_ask_for_endless_work() -> None:
    """Every entry of a long vector may be the same table, with a long vector in it."""
    content = bytearray(tflite_file(sum_network()))
    many = changed(lambda network: graph(network).__setitem__(3, [operator(network)] * 2000))
    shared = changed(lambda network: operator(network).__setitem__(1, Numbers("i", [0] * 3000000)))
    assert len(content) < 1000
    assert fault(many) == ""
    assert fault(shared) == ""
    twice = changed(lambda network: graph(network).__setitem__(3, [{1: Numbers("i", [0] * 3000000)}] * 2))
    assert fault(twice) == "it has more tensors and operators than any image classifier"


def test_changed_files_are_refused_or_read_and_never_end_otherwise() -> None:
    content, faults = tflite_file(sum_network()), set()
    for number in range(1000):
        faults.add(fault(of_words(content, Random(number))))
    assert {"", OUTSIDE, "it is not a TensorFlow Lite model"} < faults
    assert all("\n" not in line and len(line) < 300 for line in faults)


def litert_kit(kit: Path, content: bytes) -> Path:
    """A kit that asks for half precision, where LiteRT reads other files."""
    (kit / "model.onnx").unlink()
    (kit / ENTRY).write_bytes(content)

    def described(facts: dict[str, Any]) -> None:
        facts["session"] = {"module": "litert_cpu", "options": {"force_fp16": "1"}}
        facts["model"].update(entry=ENTRY, files=[ENTRY])

    rewrite_manifest(kit, described)
    return kit


@pytest.mark.parametrize("file", ["/etc/passwd", "../x"])
def test_the_runner_refuses_it_before_its_runtime_is_loaded(copy_kit: CopyKit, file: str) -> None:
    with pytest.raises(RunnerError) as caught:
        open_session(Kit.open(litert_kit(copy_kit(), changed(reading(file)))))
    assert (caught.value.ref, caught.value.missing) == ("model-refused", False)
    assert caught.value.because == f"it reads weights from another file, '{file}'"


def test_a_checked_kit_is_checked_again_in_another_folder(copy_kit: CopyKit, tmp_path: Path) -> None:
    kit = Kit.open(litert_kit(copy_kit(), tflite_file(sum_network())))
    check_model(kit)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ENTRY).write_bytes(b"")
    kit.folder = tmp_path / "other"
    with pytest.raises(RunnerError, match=r"model\.tflite: the model file was refused"):
        check_model(kit)

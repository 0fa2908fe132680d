"""OpenVINO's parser ignores XML namespaces, so a namespace must not hide an element from the check."""

from __future__ import annotations

import tracemalloc

import pytest

from edgecnn.runner.model_files import model_fault, openvino_ir

NETWORK = (
    '<?xml version="1.0"?><net name="n" version="11"><layers><layer id="0" name="c" type="Const" version="opset1">'
    '<data element_type="f32" shape="2, 2" offset="0" size="16"/></layer></layers></net>'
)


def fault(text: str) -> str:
    return model_fault("model.xml", text.encode(), {"model.xml": len(text), "model.bin": 16})


def test_constants_inside_the_weights_are_no_fault() -> None:
    assert fault(NETWORK) == ""


@pytest.mark.parametrize(
    "text",
    [
        NETWORK.replace("<net ", '<net xmlns="urn:x" '),
        NETWORK.replace("<data ", '<data xmlns="urn:x" '),
        NETWORK.replace("<net ", '<net xmlns:x="urn:x" ').replace("<data ", "<x:data "),
        NETWORK.replace("<net ", '<net xmlns:x="urn:x" ').replace(" offset=", " x:offset="),
    ],
)
@pytest.mark.parametrize("offset", ["0", "99999999"])
def test_a_namespace_is_refused_whatever_it_hides(text: str, offset: str) -> None:
    assert fault(text.replace('offset="0"', f'offset="{offset}"')).startswith("it has the namespace '{urn:x}")


@pytest.mark.parametrize("element_type", ["string", "dynamic", "f33", ""])
def test_an_element_type_without_a_known_size_is_refused(element_type: str) -> None:
    text = NETWORK.replace('"f32"', f'"{element_type}"')
    assert fault(text) == f"a constant has the unknown element type '{element_type}'"


def test_every_element_type_of_openvino_is_refused_or_has_its_size() -> None:
    openvino = pytest.importorskip("openvino")
    kinds = [kind for kind in vars(openvino.Type).values() if isinstance(kind, openvino.Type)]
    sizes = {kind.get_type_name(): kind.get_bitwidth() for kind in kinds}
    assert {name: bits for name, bits in sizes.items() if name not in ("string", "dynamic")} == openvino_ir._BITS


def test_a_file_of_endless_elements_is_refused_in_little_memory() -> None:
    content = b"<net>" + b"<l/>" * 786432 + b"</net>"
    tracemalloc.start()
    try:
        because = model_fault("model.xml", content, {})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert because == "it has more elements than the network of any image classifier"
    assert most < 16 << 20


def test_a_file_of_more_bytes_than_any_network_is_refused() -> None:
    assert (
        model_fault("model.xml", bytes(openvino_ir._BYTES_MAX + 1), {}) == "it is longer than the network of any image classifier"
    )


@pytest.mark.parametrize("sides", [["1"] * 33, ["9" * 19] * 300000])
def test_a_shape_of_endless_sides_is_refused(sides: list[str]) -> None:
    because = fault(NETWORK.replace("2, 2", ",".join(sides)))
    assert because.startswith("a constant has invalid attributes: ") and len(because) < 300

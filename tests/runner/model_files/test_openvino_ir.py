"""OpenVINO's parser ignores XML namespaces, so a namespace must not hide an element from the check."""

from __future__ import annotations

import pytest

from edgecnn.runner.model_files import model_fault

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

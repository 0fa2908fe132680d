from __future__ import annotations

from edgecnn.render.page.charts.vega import Spot, name_anchors, shorten


def test_a_name_stands_to_the_right_where_there_is_room() -> None:
    assert name_anchors([Spot(0.1, 0.5, "openvino-int8")]) == ["left"]


def test_at_the_right_edge_it_stands_to_the_left() -> None:
    assert name_anchors([Spot(0.98, 0.5, "openvino-int8")]) == ["right"]


def test_two_points_in_one_place_have_their_names_on_two_sides() -> None:
    first, second = name_anchors([Spot(0.5, 0.5, "openvino-int8"), Spot(0.5, 0.5, "openvino-fp32")])
    assert first != second


def test_a_name_does_not_cover_the_next_point() -> None:
    assert name_anchors([Spot(0.5, 0.5, "onnxruntime-int8"), Spot(0.56, 0.53, "x")])[0] != "left"


def test_a_name_of_any_length_is_cut_to_what_fits() -> None:
    assert shorten("x" * 500) == "x" * 33 + "…"
    assert shorten("openvino-int8") == "openvino-int8"

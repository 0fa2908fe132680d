import pytest

from edgecnn.judging.intervals import tango_drop_pp, wilson
from edgecnn.judging.resolution import images_for_proportion, images_needed, resolution_sentence, resolvable_drop_pp


def test_the_sentence_of_a_plan():
    assert resolution_sentence(1000) == "1,000 images at about 2 % disagreement resolve ± 1.0 pp"
    assert resolution_sentence(3000, 0.05) == "3,000 images at about 5 % disagreement resolve ± 0.8 pp"
    assert resolution_sentence(1, 0.02) == "1 image at about 2 % disagreement resolves ± 79.6 pp"
    assert resolution_sentence(0) == "0 images resolve nothing"


def test_what_resolves_is_half_the_interval_that_will_be_reported():
    interval = tango_drop_pp(10, 10, 1000, 0.95)
    assert resolvable_drop_pp(1000, 0.02) == pytest.approx(interval.high)


def test_agreement_expected_does_not_resolve_everything():
    assert round(resolvable_drop_pp(341, 0.0), 2) == 1.11


@pytest.mark.parametrize(("images", "disagreement"), [(1540, 0.01), (3070, 0.02), (7680, 0.05)])
def test_half_a_point_needs_thousands_of_images(images, disagreement):
    assert resolvable_drop_pp(images, disagreement) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("estimate", [0.0, 0.3, 1.8])
def test_images_needed_is_the_number_at_which_the_interval_leaves_the_bound(estimate):
    def settled(images):
        lost, gained = images * (0.03 + estimate / 100) / 2, images * (0.03 - estimate / 100) / 2
        interval = tango_drop_pp(lost, gained, images)
        return interval.high <= 1 or interval.low > 1

    needed = images_needed(1.0, 0.03, estimate)
    assert settled(needed)
    assert not settled(needed - 1)


def test_no_number_settles_an_estimate_on_the_bound():
    assert images_needed(1.0, 0.03, 1.0) is None
    assert images_for_proportion(0.9, 0.9) is None


def test_images_for_a_proportion_agree_with_its_interval():
    needed = images_for_proportion(0.9, 0.92)
    assert wilson(0.92 * needed, needed, 0.90).low >= 0.9 - 1e-4
    assert wilson(0.92 * 0.98 * needed, 0.98 * needed, 0.90).low < 0.9

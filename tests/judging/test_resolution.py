import numpy as np
import pytest

from edgecnn.judging.gates import judge
from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, tango_bounds, tango_drop_pp, two_sided_z, wilson
from edgecnn.judging.resolution import (
    POWER,
    fewest_images_to_pass,
    images_for_proportion,
    images_needed,
    resolution_sentence,
    resolvable_drop_pp,
    two_digits,
)
from edgecnn.values.figures import Groups
from tests.judging.made import a_gate, an_accuracy, facts


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


def settled(counts, images):
    low, high = tango_bounds(counts[:, 0], counts[:, 1], images, two_sided_z(0.90))
    return float(np.mean((high <= 0.01) | (low > 0.01)))


def drawn_counts(images, drop_pp, disagreement=0.03, seed=5):
    lost = (disagreement + drop_pp / 100) / 2
    shares = [lost, disagreement - lost, 1 - disagreement]
    return np.random.default_rng(seed).multinomial(images, shares, 4_000)


@pytest.mark.parametrize("drop_pp", [0.0, 0.3, 1.8])
def test_images_needed_settle_a_drop_in_four_of_five_draws(drop_pp):
    needed = images_needed(1.0, 0.03, drop_pp)
    assert settled(drawn_counts(needed, drop_pp), needed) == pytest.approx(POWER, abs=0.025)


def test_the_advice_of_a_gate_allows_for_more_images_that_differ_than_were_seen():
    """Of 300 images 6 differ where 9 do on average; the number for the 6 alone would settle it in 71 %."""
    advised = judge(a_gate(), facts(test=an_accuracy(3, 3, 300))).images_to_settle
    of_these = images_needed(1.0, 0.02)
    assert settled(drawn_counts(advised, 0.0), advised) > POWER
    assert settled(drawn_counts(of_these, 0.0), of_these) < 0.75


def test_each_judgement_errs_as_stated_and_two_of_one_network_twice_as_often():
    """On the bound, with 300 images and then with 1,500 new ones, alone or together with the first."""
    first, more = drawn_counts(300, 1.0), drawn_counts(1_500, 1.0, seed=6)
    looks = [(first, 300), (more, 1_500), (first + more, 1_800)]
    passed_first, alone, together = (tango_bounds(*c[:, :2].T, images, two_sided_z(0.90))[1] <= 0.01 for c, images in looks)
    assert max(passed_first.mean(), alone[~passed_first].mean()) <= 0.06
    assert min((passed_first | alone).mean(), (passed_first | together).mean()) > 0.08


def test_no_number_settles_an_estimate_on_the_bound():
    assert images_needed(1.0, 0.03, 1.0) is None
    assert images_for_proportion(0.9, 0.9) is None


def test_images_for_a_proportion_settle_it_in_four_of_five_draws():
    needed = images_for_proportion(0.9, 0.92)
    right = np.random.default_rng(6).binomial(needed, 0.92, 2_000)
    assert np.mean([wilson(count, needed, 0.90).low >= 0.9 for count in right]) == pytest.approx(POWER, abs=0.03)


def test_images_in_groups_are_needed_in_as_many_groups_as_independent_images_would_be():
    grouped = an_accuracy(0, 0, 600, groups=Groups(groups=40, independent=40.0, top1_effect=3.0, drop_effect=3.0))
    result = judge(a_gate(), facts(test=grouped))
    alone = judge(a_gate(), facts(test=an_accuracy(0, 0, 200))).images_to_settle
    assert result.images_to_settle == 15 * alone
    assert f"about {two_digits(15 * alone):,} new test images of {two_digits(alone):,} groups" in result.reason


@pytest.mark.parametrize("margin_pp", [0.5, 1.0, 3.0])
def test_the_fewest_images_to_pass_are_those_whose_interval_ends_at_the_bound(margin_pp):
    fewest = fewest_images_to_pass(margin_pp)
    z = two_sided_z(NON_INFERIORITY_CONFIDENCE)
    _, enough = tango_bounds(0, 0, fewest, z)
    _, too_few = tango_bounds(0, 0, fewest - 1, z)
    assert 100 * float(enough) <= margin_pp < 100 * float(too_few)

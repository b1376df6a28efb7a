"""The population of the AIAS study: who makes what, by hand and by limits."""

import numpy as np
import pytest

from lifelong.studies.tracing.aias import BANNED, DIRECTED, REVIEWED, SUPERVISED, Sitting, sat


@pytest.fixture(scope="module")
def score():
    return lambda design, h, **how: sat(Sitting(design, **how), 400, 12, h, 0)[1]


def test_control_makes_helpers_irrelevant_and_breaking_the_rules_is_having_them_do_everything(score):
    np.testing.assert_array_equal(score(SUPERVISED, 0.5, compliance=0.0), score(SUPERVISED, 0.95))
    np.testing.assert_array_equal(score(BANNED, 0.5), score(SUPERVISED, 0.5))
    assert (score(BANNED, 1.0, compliance=0.0) == 1).all()


def test_half_of_the_learners_keep_to_a_ban(score):
    changed = score(BANNED, 1.0, compliance=0.5) != score(BANNED, 1.0)
    assert changed.mean() == pytest.approx(0.5, abs=0.08)
    by_item = score(BANNED, 1.0, compliance=0.5, by_item=True)
    assert (by_item != score(BANNED, 1.0)).mean() > 0.95 and (by_item < 1).mean() > 0.9


def test_a_detector_accuses_some_of_each(score):
    honest, cheats = (score(BANNED, 1.0, compliance=c, detector=True) for c in (1.0, 0.0))
    assert np.mean(honest == 0) == pytest.approx(0.1, abs=0.05) and np.mean(cheats == 0) == pytest.approx(0.7, abs=0.07)


@pytest.mark.parametrize(("design", "latent"), [(SUPERVISED, 0), (REVIEWED, 1), (DIRECTED, 2)])
def test_only_the_latent_that_is_marked_moves_the_score(design, latent):
    latents, scores = sat(Sitting(design), 4000, 12, 0.9, 1)
    found = [abs(np.corrcoef(values, scores)[0, 1]) for values in latents]
    assert int(np.argmax(found)) == latent and found[latent] > 0.4

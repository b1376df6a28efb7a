"""What counts as solved, which environments become targets, and that the arms differ in what they say."""

import equinox as eqx
import jax
import numpy as np
import pytest
import xarray as xr

from lifelong.studies.agents.poet import (
    TARGETS,
    alone,
    difficulty,
    direct_path,
    environments,
    from_scratch,
    poet,
    study,
    targets_of,
    with_targets,
)

ROADS = np.asarray([[0, 0, 0, 0], [0.5, 0, 0, 0], [0, 4, 0, 0.5], [1, 8, 2, 1]], np.float32)
LUCKY, UNLUCKY = (250, 100), (240, 260)


def life(*sittings, seed=3):
    """Return a life of one seed: at each sitting, the number of an environment and its scores, or None, by slot."""
    alive = [[slot is not None for slot in sitting] for sitting in sittings]
    tasks = [[ROADS[slot[0] if slot else 0] for slot in sitting] for sitting in sittings]
    score = [[slot[1] if slot else (300, 300) for slot in sitting] for sitting in sittings]
    return xr.Dataset(
        {
            "alive": (("seed", "exam", "slot"), np.asarray([alive], float)),
            "tasks": (("seed", "exam", "slot", "parameter"), np.asarray([tasks])),
            "score": (("seed", "exam", "slot", "half"), np.asarray([score], float)),
        },
        {"seed": [seed]},
    )


def test_an_environment_is_judged_at_the_sitting_where_its_first_score_is_highest():
    one = life([(1, (200, 300)), (2, LUCKY)], [(2, UNLUCKY), (1, (290, 231))], [(1, (10, 20)), None])
    tasks, scores = environments(one, 3)
    found = {tuple(task): tuple(score) for task, score in zip(tasks, scores, strict=True)}
    assert found == {tuple(ROADS[1]): (290, 231), tuple(ROADS[2]): LUCKY}
    np.testing.assert_array_equal(targets_of(one, 3), np.tile(ROADS[1], (TARGETS, 1)))


def test_empty_slots_count_for_nothing_and_without_anything_solved_the_target_is_flat_ground():
    one = life([(3, (100, 100)), None])
    assert len(environments(one, 3)[0]) == 1
    np.testing.assert_array_equal(targets_of(one, 3), np.zeros((TARGETS, 4)))


def test_targets_are_the_hardest_first_and_measures_read_them():
    good = (300, 300)
    one = with_targets(life([(0, good), (1, good), (2, good), (3, LUCKY)]))
    np.testing.assert_array_equal(one.targets[0], ROADS[[2, 1, 0, 2, 1]])
    measured = {name: study.measures[name](one).item() for name in ("hardest", "solved", "flat", "target")}
    hard = np.sqrt([0.5**2 + 0.5**2, 0.5**2, 0]) / 2
    expected = {"hardest": hard[0], "solved": 1, "flat": 1, "target": hard[[0, 1, 2, 0, 1]].mean()}
    assert measured == pytest.approx(expected)
    other = with_targets(life([(1, good), (2, LUCKY), (3, good), None]), one.targets.values)
    assert study.measures["solved"](other).item() == pytest.approx(2 / 5)
    assert study.measures["hardest"](other).item() == difficulty(ROADS[3:])[0] == 1


def test_arms_share_all_but_what_they_are_named_for():
    settings, goals = study.configured("full"), np.tile(ROADS[1], (TARGETS, 1))
    one, other = poet(settings), alone(settings)
    assert one.transfer and not other.transfer
    parts = [jax.tree.leaves(eqx.filter(arm, eqx.is_array)) for arm in (one, other)]
    assert all((a == b).all() for a, b in zip(*parts, strict=True))
    scratch, path = from_scratch(settings, goals), direct_path(settings, goals)
    assert (scratch.tasks == path.targets).all() and not path.tasks.any()
    for arm in (other, scratch, path):
        assert arm.budget == one.budget and arm.strategy.pairs == one.strategy.pairs and arm.tests == one.tests
        assert arm.strategy.sigma == one.strategy.sigma and arm.good == one.good

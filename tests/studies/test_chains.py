"""Studies whose models of chains teach themselves: with whom they begin, and in what arms differ. Nothing is lived."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from lifelong.feedback import Rollouts
from lifelong.learners import Trained
from lifelong.nets import language_model
from lifelong.studies.language import _chains, b_star, oreal
from lifelong.worlds import OpChain

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def inherited():
    return Trained(language_model("micro", 8, key=KEY))


def leaves(learner):
    """Return the numbers of a learner by their paths."""
    return {jax.tree_util.keystr(path): np.asarray(x) for path, x in jax.tree_util.tree_leaves_with_path(learner)}


def differing(one, other):
    """Return the paths of the numbers in which two learners of one structure differ."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    a, b = leaves(one), leaves(other)
    return {path.removeprefix(".") for path in a if not np.array_equal(a[path], b[path])}


def test_one_chain_in_a_hundred_crosses_a_hole_before_practice(monkeypatch):
    monkeypatch.setattr(_chains, "bases", lambda *parts, **options: SimpleNamespace(model=(parts, options)))
    world = OpChain(holes=True)
    found: Any = _chains.taught_chains(world, 7, (3,))
    (pupil, _, teacher), options = found
    assert options == {"steps": 7, "seeds": (3,)} and pupil.batch == 128
    mixture, _ = teacher.ask(teacher.init(key=KEY), key=KEY)
    shown = world.draw(mixture, 20_000, key=KEY).x[:, 0, : world.prompt_length]
    crossed = np.bincount(world.crossed(shown), minlength=3) / len(shown)
    np.testing.assert_allclose(crossed, [1 - _chains.SEEN, _chains.SEEN, 0], atol=0.003)


def test_arms_of_b_star_choose_otherwise_and_are_else_the_same(inherited):
    settings = b_star.study.configured("quick")
    built = {name: b_star.self_taught(arm, settings, inherited) for name, arm in b_star.study.arms.items()}
    whole = built.pop("b-star")
    assert all(differing(whole, other) == {"grid.choice"} for other in built.values())
    assert len({int(learner.grid.choice) for learner in (whole, *built.values())}) == 4
    temperature, threshold = whole.grid.at(built["online-rft"].grid.fixed)
    assert float(temperature) == 1.0 and float(threshold) == pytest.approx(0.8)


def test_arms_of_oreal_differ_in_what_they_say(inherited):
    settings = oreal.study.configured("quick")
    built: dict[str, Any] = {name: oreal.practising(arm, settings, inherited) for name, arm in oreal.study.arms.items()}
    assert differing(built["oreal"], built["no-reshape"]) == {"feedback.reshaped"}
    assert differing(built["oreal"], built["no-token-rm"]) == {"credited", "frozen"}
    assert differing(built["oreal"], built["bc-pos"]) == {"credited", "frozen", "feedback.wrong_weight"}
    assert differing(built["grpo"], built["reinforce"]) == {"feedback.standardised"}
    assert built["no-token-rm"].frozen == 0 < built["oreal"].frozen, "who weighs nothing waits for nothing"


@pytest.mark.parametrize(("standardised", "expected"), [(0.0, [1, -1, -1, -1]), (1.0, [3**0.5, *[-(3**-0.5)] * 3])])
def test_whole_answers_are_rewarded_with_one_or_measured_by_their_group(standardised, expected):
    tokens = jnp.zeros((1, 4, 2), jnp.int32)
    answers = Rollouts(tokens, tokens == 0, jnp.asarray([[1.0, 0, 0, 0]]))
    found = oreal.Whole(standardised=standardised).advantage(answers)
    np.testing.assert_allclose(found[0], np.repeat(np.array(expected)[:, None], 2, 1), rtol=1e-4)


@pytest.mark.parametrize("accuracy", [oreal.accuracy, b_star.study.measures["accuracy"]])
def test_accuracy_is_of_held_out_chains_across_holes_at_the_end(accuracy):
    solved = np.array([[[0.9, 0.1, 0.2], [0.8, 0.4, 0.6]]])
    assert float(accuracy(xr.Dataset({"solved": (("seed", "exam", "task"), solved)})).item()) == pytest.approx(0.5)

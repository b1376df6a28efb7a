"""The study of one axiom: what its arms are taught, and that no answer without the axiom passes its exams. Nothing is lived."""

import equinox as eqx
import jax
import numpy as np
import pytest

from lifelong.learners import GradientLearner
from lifelong.studies.language import axiomatic_training as study
from lifelong.worlds import Causal, Lesson

KEY = jax.random.key(0)
SETTINGS = study.study.configured("smoke")


class Caught(BaseException):
    """What would have been lived."""


@pytest.fixture
def caught(monkeypatch):
    """Return who would live where, by arm."""

    def catch(learner, world, teacher, **_):
        raise Caught(learner, world)

    def built(name):
        with pytest.raises(Caught) as found:
            study.lifetime(study.study.arms[name], SETTINGS)
        return found.value.args

    monkeypatch.setattr(study, "live", catch)
    return {name: built(name) for name in study.study.arms}


def leaves(tree):
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def test_arms_differ_in_one_thing_each(caught):
    method = caught["flips"]
    for name, changed in {"no-flips": {".flip": 0.0}, "scrambled": {".scrambled": 1.0}, "positionless": {}}.items():
        learner, world = caught[name]
        one, other = leaves(method[1]), leaves(world)
        assert {path: float(other[path]) for path in other if not np.array_equal(one[path], other[path])} == changed
        assert jax.tree.structure(world) == jax.tree.structure(method[1])
        assert (jax.tree.structure(learner) == jax.tree.structure(method[0])) == (name != "positionless")


def test_only_the_variant_has_no_positions(caught):
    def theta(learner: GradientLearner):
        return eqx.filter_eval_shape(learner.model, key=KEY).net.net.theta

    assert {name: theta(learner) for name, (learner, _) in caught.items() if name in ("flips", "positionless")} == {
        "flips": 1e4,
        "positionless": None,
    }


def test_school_asks_several_questions_and_permutes_answers_within_a_graph(caught):
    draw, lesson = eqx.filter_jit(Causal.draw), Lesson(jax.numpy.int32(3), jax.numpy.int32(0))
    (_, true), (_, scrambled) = caught["flips"], caught["scrambled"]
    right, told = (draw(world, lesson, 50, key=KEY) for world in (true, scrambled))
    own = np.asarray(right.x[0, 1]).astype(bool)
    assert own.sum() == SETTINGS.questions > 1
    np.testing.assert_array_equal(right.x[:, 0, ~own], told.x[:, 0, ~own])
    np.testing.assert_array_equal(np.sort(right.x[:, 0, own], 1), np.sort(told.x[:, 0, own], 1))
    assert 0.4 < (right.x[:, 0, own] == told.x[:, 0, own]).mean() < 0.6


@pytest.mark.slow
def test_without_the_axiom_new_places_are_answered_little_better_than_by_a_coin():
    for group in study.NEW:
        found = [study.without_the_axiom(place) for place in study.PLACES if place.startswith(group)]
        assert found and np.mean(found) < 0.65, group

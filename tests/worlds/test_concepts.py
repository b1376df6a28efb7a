"""Boolean concepts against a recursive evaluator, and the promises of their parts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput, UnknownName
from lifelong.worlds import BooleanConcepts, Lesson
from lifelong.worlds import _grammar as grammar

DEPTH, FEATURES = 3, 6
EVERY = grammar.bits(np.arange(2**FEATURES, dtype=np.uint32), FEATURES)


@pytest.fixture(scope="module")
def trees():
    return grammar.grow(np.random.default_rng(0), 400, FEATURES, DEPTH)


def walk(trees, row, node, x):
    """Evaluate a tree from the root down, the long way."""
    kind, feature, wanted = (part[row, node] for part in trees)
    if kind == grammar.LITERAL:
        return bool(x[feature] == wanted)
    left = walk(trees, row, 2 * node + 1, x)
    if kind == grammar.NOT:
        return not left
    right = walk(trees, row, 2 * node + 2, x)
    return left or right if kind == grammar.OR else left and right


def nested(trees, row, node, outer, inner):
    """Say whether an operation is directly below another one, from the root down."""
    kind = trees.kind[row, node]
    if kind == grammar.LITERAL:
        return False
    children = [2 * node + 1] if kind == grammar.NOT else [2 * node + 1, 2 * node + 2]
    here = kind == outer and any(trees.kind[row, child] == inner for child in children)
    return here or any(nested(trees, row, child, outer, inner) for child in children)


def test_concepts_are_evaluated_as_their_trees_say(trees):
    values = grammar.evaluate(trees[:60], EVERY)
    expected = [[walk(trees, row, 0, x) for x in EVERY] for row in range(60)]
    np.testing.assert_array_equal(values, expected)


def test_the_grammar_has_its_chances_and_its_depth(trees):
    many = grammar.grow(np.random.default_rng(1), 4000, 8, DEPTH)
    share = np.bincount(many.kind[:, 0], minlength=4) / 4000
    np.testing.assert_allclose(share, grammar.CHANCES, atol=0.03)
    assert (trees.kind[:, 2**DEPTH - 1 :] == grammar.LITERAL).all()
    depends = grammar.relevant(many, grammar.bits(np.arange(256, dtype=np.uint32), 8))
    single = (depends == 1).sum() / (depends > 0).sum()
    assert abs(single - 0.44) < 0.03, "of concepts that are not constant, 44 % depend on one feature"


def test_relevance_and_nesting_against_brute_force(trees):
    values = grammar.evaluate(trees, EVERY)
    code = EVERY @ (1 << np.arange(FEATURES))
    table = values[:, np.argsort(code)]
    flips = [(table != table[:, np.arange(2**FEATURES) ^ (1 << f)]).any(1) for f in range(FEATURES)]
    np.testing.assert_array_equal(grammar.relevant(trees, EVERY), np.sum(flips, 0))
    found = grammar.nests(trees, grammar.OR, grammar.AND)
    assert found.tolist() == [nested(trees, row, 0, grammar.OR, grammar.AND) for row in range(400)] and found.any()


@pytest.fixture(scope="module")
def world():
    return BooleanConcepts(8, 3, concepts=300, fresh=60, shots=4, queries=5, withheld=("or", "and"))


@eqx.filter_jit
def drawn(world, part, n):
    return world.draw(Lesson(jnp.int32(part), jnp.int32(0)), n, key=jax.random.key(0))


def table_of(world, concept):
    """Return a concept's examples of both labels, by what they are."""
    return [set(np.asarray(world.codes[concept, y, : world.held[concept, y]]).tolist()) for y in (0, 1)]


def test_episodes_are_balanced_and_their_questions_new(world):
    support, query = drawn(world, 0, 50)
    assert set(np.unique(support.x)) == {-1.0, 1.0}
    np.testing.assert_array_equal(np.asarray(support.y), np.tile([0] * 4 + [1] * 4, (50, 1)))
    np.testing.assert_array_equal(np.asarray(query.y), np.tile([0] * 5 + [1] * 5, (50, 1)))
    both = np.concatenate([np.asarray(support.x), np.asarray(query.x)], axis=1)
    assert all(len(np.unique(episode, axis=0)) == 18 for episode in both)


def test_labels_are_those_of_the_concepts(world):
    """All 256 inputs are candidates, so that what is kept of either label never meets."""
    for concept in (0, 7, 320, 400):
        no, yes = table_of(world, concept)
        assert not no & yes and min(len(no), len(yes)) >= 9


def test_unseen_concepts_are_no_concepts_for_training(world):
    """Two concepts are the same where no input is of one and not of the other, among those that are kept."""
    first, count = np.asarray(world.first), np.asarray(world.count)
    training = [table_of(world, i) for i in range(first[0], first[0] + count[0])]
    for i in range(first[1], first[1] + 20):
        no, yes = table_of(world, i)
        assert not any(not (no & other_yes or yes & other_no) and (no, yes) == (other_no, other_yes)
                       for other_no, other_yes in training)  # fmt: skip


def test_every_part_has_concepts_and_the_composition_has_its_own(world):
    assert world.parts[:2] == ("training", "unseen") and world.parts[-1] == "composed"
    assert np.asarray(world.count).min() > 0 and np.asarray(world.count).sum() == len(world.codes)
    plain = BooleanConcepts(8, 2, concepts=20, fresh=20, shots=2, queries=2)
    assert "composed" not in plain.parts


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"features": 4, "shots": 5, "queries": 8}, BadInput, "13 examples of either label do not fit into 16 inputs"),
        ({"shots": 0}, BadInput, "at least 1"),
        ({"features": 0}, BadInput, "1 to 32 features"),
        ({"withheld": ("or", "nand")}, UnknownName, "did you mean 'and'"),
        ({"depth": 0, "withheld": ("or", "and")}, BadInput, "gave 0 concepts of the kind wanted, and 5 were asked for"),
    ],
)
def test_concepts_that_cannot_be_are_refused_when_built(options, error, message):
    with pytest.raises(error, match=message):
        BooleanConcepts(**{"concepts": 5, "fresh": 5, **options})

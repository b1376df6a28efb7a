"""Composed operations: every answer by hand, nothing asked that was taught, parts that make the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput
from lifelong.worlds import ComposedOperations

M, K, Q = 5, 6, 20
BLANK = M + K


@pytest.fixture(scope="module")
def world():
    return ComposedOperations(modulus=M, operations=K, withheld=0.4, questions=Q).open(key=jax.random.key(1))


@pytest.fixture(scope="module")
def taught(world):
    """Every problem of every task, with its answer."""
    batches = [
        world.show(jnp.int32(t), jnp.arange(n), jnp.ones(n)) for t, n in enumerate(world.size(jnp.arange(4)).tolist())
    ]
    return [(np.asarray(b.x), np.asarray(b.y)) for b in batches]


def solved(world, problem):
    x, *operations = problem.tolist()
    for operation in operations:
        x = x if operation == BLANK else int(world.tables[operation - M, x])
    return x


def test_operations_are_what_they_are_called(world):
    tables = np.asarray(world.tables)
    for added in tables[:2]:
        assert added[0] and ((added - np.arange(M)) % M == added[0]).all()
    for times in tables[2:4]:
        assert times[1] and (times == np.arange(M) * times[1] % M).all()
    assert all(sorted(table) == list(range(M)) for table in tables.tolist())


def test_every_answer_is_right_and_lengths_are_those_of_the_task(world, taught):
    for length, (problems, answers) in zip((1, 1, 2, 3), taught, strict=True):
        assert ((problems != BLANK).sum(1) == 1 + length).all()
        assert [solved(world, problem) for problem in problems] == answers.tolist()


def test_lists_have_everything_once_but_for_what_is_asked(world, taught):
    pairs = {tuple(p) for problems, _ in taught[:2] for p in problems.tolist()}
    assert len(pairs) == M * K and len(taught[1][0]) == round(0.4 * M * K)
    asked = {tuple(p) for p in np.asarray(world.composites().whole).tolist()}
    rest = {tuple(p) for problems, _ in taught[2:] for p in problems.tolist()}
    assert len(asked) == 2 * Q and not asked & rest and len(asked | rest) == M * (K**2 + K**3)


def test_parts_make_the_whole_and_withheld_pairs_are_known(world, taught):
    c = jax.tree.map(np.asarray, world.composites())
    withheld = {tuple(p) for p in taught[1][0].tolist()}
    for i in range(2 * Q):
        length = 2 if i < Q else 3
        assert c.present[i].tolist() == [True] * length + [False] * (3 - length)
        x = c.whole[i, 0]
        for j in range(length):
            assert c.parts[i, j].tolist() == [x, c.whole[i, 1 + j], BLANK, BLANK]
            assert c.withheld[i, j] == (tuple(c.parts[i, j].tolist()) in withheld)
            x = c.part_answers[i, j]
            assert x == solved(world, c.parts[i, j])
        assert x == c.answer[i] and not c.withheld[i, length:].any()


def test_the_exam_asks_every_pair_and_every_composite_once(world):
    papers = world.papers(32)
    pages = [papers.page(jnp.int32(i)) for i in range(papers.count)]
    used = np.concatenate([np.asarray(p.weight) for p in pages]) > 0
    x, y, task = (np.concatenate([np.asarray(getattr(p, n)) for p in pages])[used] for n in ("x", "y", "task"))
    assert len({tuple(p) for p in x.tolist()}) == len(x) == M * K + 2 * Q
    assert np.bincount(task).tolist() == [18, 12, Q, Q] and [solved(world, p) for p in x] == y.tolist()


@pytest.mark.parametrize("sizes", [{"modulus": 6}, {"operations": 4}, {"withheld": 1.0}, {"questions": 0}])
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(BadInput, match=r"prime modulus|left to teach"):
        ComposedOperations(**sizes)

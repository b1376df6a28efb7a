"""Questions about one premise, read together, beside each of them read alone."""

from itertools import chain

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.nets import Completion, LanguageModel, QuestionsApart
from lifelong.recipe import Recipe

MARK, PREMISE, EACH = 9, 5, 4
QUESTIONS = [[MARK, 1, 2, 7], [MARK, 3, 4, 8], [MARK, 2, 4, 7]]
TOLD = [-1, 0, 1, 2, 3]
TOKENS = jnp.asarray([[*TOLD, *chain(*QUESTIONS)], [0, *TOLD[:-1], *chain(*reversed(QUESTIONS))]])


SIZES = {"vocabulary": 10, "width": 16, "heads": 2, "kv_heads": 1, "hidden": 12, "layers": 3}
ROTARY, NO_POSITIONS = {}, {"theta": None}


def model(positions):
    net = Recipe(LanguageModel, **SIZES, **positions)
    return QuestionsApart(net, MARK, key=jax.random.key(0))


@eqx.filter_jit
def read(model, tokens):
    return model.read(tokens)


def test_without_positions_every_question_reads_as_if_it_were_the_only_one():
    apart = model(NO_POSITIONS)
    together = read(apart, TOKENS)
    for i in range(len(QUESTIONS)):
        place = slice(PREMISE + i * EACH, PREMISE + (i + 1) * EACH)
        one = jnp.concatenate([TOKENS[:, :PREMISE], TOKENS[:, place]], 1)
        alone = np.asarray(read(apart.net, one))
        np.testing.assert_allclose(together[:, place], alone[:, PREMISE:], atol=1e-5)
        if i:
            assert np.abs(read(apart.net, TOKENS)[:, place] - alone[:, PREMISE:]).max() > 1e-2, "others read on"


@pytest.mark.parametrize("positions", [ROTARY, NO_POSITIONS])
def test_no_question_hears_of_another_ones_answer(positions):
    apart = model(positions)
    before = np.asarray(read(apart, TOKENS))
    after = np.asarray(read(apart, TOKENS.at[:, PREMISE + 3].set(6).at[:, PREMISE + 1].set(5)))
    np.testing.assert_array_equal(before[:, PREMISE + EACH :], after[:, PREMISE + EACH :])
    assert (np.abs(before - after)[:, PREMISE + 1 : PREMISE + EACH].max(-1) > 1e-4).all()


def test_what_is_visible_is_the_premise_and_ones_own_question():
    seen = np.asarray(model(ROTARY).visible(TOKENS))
    for row, tokens in zip(seen, np.asarray(TOKENS), strict=True):
        part = [sum(tokens[: t + 1] == MARK) for t in range(len(tokens))]
        for t in range(len(tokens)):
            for s in range(len(tokens)):
                assert row[t, s] == (s <= t and tokens[s] >= 0 and part[s] in (0, part[t]))


def test_a_completion_takes_it_for_a_language_model():
    net = Recipe(LanguageModel, **SIZES)
    completion = Completion(Recipe(QuestionsApart, net=net, mark=MARK), key=jax.random.key(0))
    asked = TOKENS[0].at[PREMISE + 3 :].set(-1)
    found = eqx.filter_jit(completion)(jnp.stack([asked, jnp.zeros_like(asked)]))
    np.testing.assert_allclose(found, read(completion, TOKENS)[0, PREMISE + 2], atol=1e-5)

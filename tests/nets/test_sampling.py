"""Sampling beside the whole forward pass, its rules beside brute force, and choosing beside counting."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from lifelong.errors import BadInput
from lifelong.nets import LanguageModel, Sampler, beam_search, best_of, blanks_first, majority, sample

KEY = jax.random.key(7)
PROMPTS = jnp.asarray([[3, 4, 5, -1, -1], [1, 2, 3, 4, 5], [-1, -1, -1, -1, 7], [-1, 6, 0, 2, -1]])
SIZES = {"vocabulary": 12, "width": 16, "layers": 2, "heads": 2, "kv_heads": 1, "hidden": 24}
LENGTH = 8


def model_of(key):
    model = LanguageModel(**SIZES, key=key)
    return eqx.tree_at(lambda m: m.embedding, model, 2 * model.embedding)


@pytest.fixture(scope="module")
def model():
    return model_of(jax.random.key(0))


@pytest.fixture(scope="module")
def read(model):
    """Return the logits after a text, from a forward pass of one length for all texts."""
    whole = eqx.filter_jit(model)

    def last(said):
        padded = np.pad(said, (0, 5 + LENGTH - len(said)), constant_values=-1)
        return np.asarray(whole(jnp.asarray(padded)), np.float64)[len(said) - 1]

    return last


def chances(rows, key=KEY):
    return np.array([jax.random.uniform(jax.random.fold_in(key, row), (LENGTH,)) for row in range(rows)])


def written(read, prompt, chance, stop=()):
    """Return the answer to one prompt, from whole forward passes: the likeliest tokens where there is no chance."""
    said, logs = [int(token) for token in prompt if token >= 0], []
    start = len(said)
    for u in chance:
        logits = read(said)
        p = softmax(logits)
        token = int(logits.argmax()) if u is None else int((np.cumsum(p) <= u).sum())
        said.append(token)
        logs.append(log_softmax(logits)[token])
        if token in stop:
            break
    return said[start:], logs


@pytest.mark.parametrize("greedy", [True, False])
def test_answers_and_their_probabilities_are_those_of_whole_forward_passes(model, read, greedy):
    stop = (2, 9)
    sampler = Sampler(temperature=0.0 if greedy else 1.0)
    found = sample(model, PROMPTS, length=LENGTH, key=KEY, stop=stop, sampler=sampler)
    chance = np.full((4, LENGTH), None) if greedy else chances(4)
    ended = 0
    for row, prompt in enumerate(np.asarray(PROMPTS)):
        tokens, logs = written(read, prompt, chance[row], stop)
        whole = np.full(5 + LENGTH, -1)
        given = prompt[prompt >= 0]
        whole[5 - len(given) : 5], whole[5 : 5 + len(tokens)] = given, tokens
        np.testing.assert_array_equal(found.tokens[row], whole)
        place = np.arange(5 + LENGTH)
        np.testing.assert_array_equal(found.own[row], (place >= 5) & (place < 5 + len(tokens)))
        np.testing.assert_allclose(found.log_probability[row, 5 : 5 + len(tokens)], logs, atol=1e-4)
        np.testing.assert_array_equal(found.log_probability[row, 5 + len(tokens) :], 0)
        assert bool(found.finished[row]) == (tokens[-1] in stop)
        ended += tokens[-1] in stop
    assert greedy or 0 < ended


def test_rows_do_not_depend_on_each_other(model):
    together = sample(model, PROMPTS, length=LENGTH, key=KEY)
    others = sample(model, jnp.concatenate([PROMPTS[:2], PROMPTS[:1], PROMPTS[3:], PROMPTS]), length=LENGTH, key=KEY)
    for row in (0, 1, 3):
        np.testing.assert_array_equal(together.tokens[row], others.tokens[row])
        np.testing.assert_allclose(together.log_probability[row], others.log_probability[row], atol=1e-5)


def test_models_side_by_side_write_what_they_write_alone(model):
    keys = jax.random.split(KEY, 2)
    models = eqx.filter_vmap(model_of)(keys)
    together = eqx.filter_vmap(lambda model, key: sample(model, PROMPTS, length=LENGTH, key=key))(models, keys)
    for place, key in enumerate(keys):
        alone = sample(model_of(key), PROMPTS, length=LENGTH, key=key)
        np.testing.assert_array_equal(together.tokens[place], alone.tokens)
        np.testing.assert_allclose(together.log_probability[place], alone.log_probability, atol=1e-5)


def brute(logits, temperature, k, p):
    """Return probabilities after both rules, by sorting and counting."""
    logits = logits / temperature
    order = np.argsort(-logits)
    kept = order[: k or None]
    if p is not None:
        likely = softmax(logits[kept])
        count = next(i + 1 for i in range(len(kept)) if likely[: i + 1].sum() >= p - 1e-9)
        kept = kept[:count]
    found = np.zeros(len(logits))
    found[kept] = softmax(logits[kept])
    return found


@pytest.mark.parametrize(
    ("k", "p"), [(None, None), (1, None), (3, None), (None, 0.5), (None, 0.9), (4, 0.7), (99, 1.0)]
)
def test_the_rules_keep_what_brute_force_keeps(k, p):
    logits = np.random.default_rng(0).standard_normal((20, 12)) * 2
    for temperature in (0.5, 1.0, 2.0):
        found = Sampler(temperature, k, p).probabilities(jnp.asarray(logits, jnp.float32))
        expected = [brute(row, temperature, k, p) for row in logits]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_tokens_come_as_often_as_they_are_likely():
    logits = jnp.asarray([0.0, 1.0, -1.0, 2.0])
    chance = (jnp.arange(1000) + 0.5) / 1000
    drawn = Sampler().choose(jnp.tile(logits, (1000, 1)), chance)
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 1000, softmax(logits), atol=2e-3)
    assert Sampler().choose(logits, jnp.float32(0.0)) == 0
    assert Sampler().choose(logits, jnp.float32(1 - 2**-23)) == 3


def test_a_sweep_over_temperatures_and_rules_is_one_program(model):
    count = 0

    def traced(sampler):
        nonlocal count
        count += 1
        return sampler.choose(jnp.arange(5.0), jnp.float32(0.3))

    program = eqx.filter_jit(traced)
    for sampler in (Sampler(0.0, 2, 0.5), Sampler(1.0, 3, 0.9), Sampler(2.0, 1, 1.0)):
        program(sampler)
    assert count == 1


def echo(state, token):
    """Write 10 and then 11 after every even token that the model wrote."""
    waiting = jnp.where(state > 0, state - 1, jnp.where(token % 2 == 0, 2, 0))
    return waiting, jnp.where(waiting > 0, 12 - waiting, -1)


def test_an_environment_writes_in_between_and_what_it_writes_is_not_own(model, read):
    found = sample(model, PROMPTS, length=LENGTH, key=KEY, environment=echo, state=jnp.zeros(4, jnp.int32), stop=(11,))
    met = 0
    for row in range(4):
        said = [int(token) for token in np.asarray(found.tokens[row, :5]) if token >= 0]
        state, forced, over = 0, -1, False
        for t in range(LENGTH):
            token, own = int(found.tokens[row, 5 + t]), bool(found.own[row, 5 + t])
            if over:
                assert token == -1 and not own
                continue
            assert own == (forced < 0)
            if forced >= 0:
                assert token == forced and found.log_probability[row, 5 + t] == 0
            else:
                logits = read(said)
                assert token == int((np.cumsum(softmax(logits)) <= chances(4)[row, t]).sum())
            said.append(token)
            over = token == 11
            met += over
            state, forced = (int(v) for v in echo(jnp.int32(state), jnp.int32(token)))
        assert found.state[row] == state
    assert met


def test_finished_rows_stay_as_they_are(model):
    over = jnp.asarray([True, False, True, False])
    found = sample(model, PROMPTS, length=3, key=KEY, finished=over)
    assert (np.asarray(found.tokens)[[0, 2], 5:] == -1).all() and not found.own[0].any()
    assert (np.asarray(found.tokens)[[1, 3], 5:] >= 0).all()


def test_blanks_go_to_the_front():
    np.testing.assert_array_equal(blanks_first(jnp.asarray([[1, -1, 2, -1]])), [[-1, -1, 1, 2]])


def test_the_best_of_several_and_the_first_of_equals():
    answers = {"tokens": jnp.arange(12).reshape(6, 2)}
    picked = best_of(answers, jnp.asarray([[0.0, 2.0, 1.0], [5.0, 5.0, 1.0]]))
    np.testing.assert_array_equal(picked["tokens"], [[2, 3], [6, 7]])


def test_the_majority_is_what_counting_finds():
    random = np.random.default_rng(0)
    answers = random.integers(-1, 4, (200, 7))
    chosen, share = jax.jit(majority)(jnp.asarray(answers))
    for row, winner, part in zip(answers, chosen, share, strict=True):
        given = row[row >= 0]
        votes = [int((given == value).sum()) for value in given]
        assert winner == given[int(np.argmax(votes))]
        np.testing.assert_allclose(part, max(votes) / len(given), rtol=1e-6)
    nobody, share = majority(jnp.full((1, 3), -1))
    assert nobody[0] == -1 and share[0] == 0
    weighted, share = majority(jnp.asarray([[1, 1, 2]]), jnp.asarray([[0.2, 0.3, 1.5]]))
    assert weighted[0] == 2 and share[0] == 0.75


def test_a_wide_greedy_search_over_single_tokens_finds_the_best_sequence(model):
    """With as many beams as there are sequences, and branches enough to draw every token, nothing is missed."""

    def sevens(rows):
        return (rows[:, -2:] == 7).sum(-1).astype(jnp.float32)

    found = beam_search(
        model, PROMPTS[:2], sevens, width=4, branches=100, steps=2, step_length=1, key=KEY, sampler=Sampler(5.0)
    )
    np.testing.assert_array_equal(found.tokens[:, 0, -2:], 7)
    np.testing.assert_array_equal(found.score[:, 0], 2.0)
    assert (np.diff(found.score, axis=1) <= 0).all()
    np.testing.assert_array_equal(found.tokens[0, 0, :-2], [-1, -1, 3, 4, 5])


def test_a_search_keeps_finished_transcripts_once_and_ends_steps_where_told(model):
    found = beam_search(
        model, PROMPTS[:1], lambda rows: (rows[:, -1] == 3) * 1.0, width=3, branches=30, steps=3, step_length=2,
        ends=tuple(range(6)), stop=(3,), key=KEY, sampler=Sampler(5.0),
    )  # fmt: skip
    tokens, done = np.asarray(found.tokens[0]), np.asarray(found.finished[0])
    assert done[0] and tokens[0, -1] == 3
    for row in tokens[done]:
        answer = row[row >= 0][3:]
        assert (answer == 3).sum() == 1 and answer[-1] == 3


@pytest.mark.parametrize("numbers", [{"length": 0}, {"prompts": PROMPTS[:, :0]}])
def test_nothing_to_write_is_refused(model, numbers):
    with pytest.raises(BadInput, match="one to write"):
        sample(model, numbers.get("prompts", PROMPTS), length=numbers.get("length", 2), key=KEY)
    with pytest.raises(BadInput, match="width=0"):
        beam_search(model, PROMPTS, lambda rows: rows[:, 0], width=0, branches=1, steps=1, step_length=1, key=KEY)

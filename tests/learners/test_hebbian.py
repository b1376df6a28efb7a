"""The Hebbian memory against the matrix J that it never forms, and against what was derived for diluted patterns."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import spearmanr

from lifelong.errors import BadInput, Mismatch
from lifelong.exams import Mattis, pattern_energy, reconstruction_losses
from lifelong.learners import HebbianLearner
from lifelong.life import live, silent
from lifelong.teachers import OneByOne
from lifelong.worlds import Batch, Patterns, Split

N, BLOCKS = 13, 4
RANDOM = np.random.default_rng(0)


def examples(n, patterns=3, seed=0):
    random = np.random.default_rng(seed)
    x = random.choice([-1.0, 0.0, 1.0], (n, N), p=[0.35, 0.3, 0.35]).astype(np.float32)
    y = jnp.asarray(random.integers(0, patterns, n), jnp.int32)
    return Batch(jnp.asarray(x), y, y, jnp.asarray(np.arange(n) % 5 < 4, jnp.float32))


@eqx.filter_jit
def taught(learner, batches):
    state = learner.init(Patterns(N, 3), key=jax.random.key(0))
    for batch in batches:
        state, info = learner.learn(state, batch, key=jax.random.key(0))
    return state, info


@eqx.filter_jit
def answered(learner, state, x, key=None):
    return learner.answer(state, x, key=key)


def couplings(vectors, weight):
    """Return J by its definition, diagonal 0."""
    j = weight * sum(np.outer(x, x) for x in vectors) / np.mean([x @ x for x in vectors])
    return j - np.diag(np.diag(j))


def stored_by_hand(form, batches):
    kept = [(np.asarray(b.x)[i], int(b.y[i])) for b in batches for i in range(len(b)) if b.weight[i] > 0]
    if form == "unsupervised":
        return [x for x, _ in kept], 1 / len(kept)
    return [np.mean([x for x, label in kept if label == y], 0) for y in sorted({y for _, y in kept})], 1.0


@pytest.mark.parametrize("form", ["supervised", "unsupervised"])
def test_answers_are_those_of_the_matrix_formed_and_updated_block_by_block(form):
    batches = [examples(6, seed=1), examples(6, seed=2)]
    learner = HebbianLearner(form, capacity=10 if form == "unsupervised" else 3, sweeps=5, blocks=BLOCKS)
    state, info = taught(learner, batches)
    vectors, weight = stored_by_hand(form, batches)
    assert info["rows"] == len(vectors)
    j, cues = couplings(vectors, weight), RANDOM.choice([-1.0, 1.0], (7, N)).astype(np.float32)
    size, spins, total = -(-N // BLOCKS), cues.astype(float), 0.0
    for sweep in range(5):
        for start in range(0, N, size):
            part = slice(start, start + size)
            field = spins @ j[:, part]
            spins[:, part] = np.where(np.abs(field) < 1e-6, spins[:, part], np.sign(field))
        total += spins if sweep >= 2 else 0.0
    np.testing.assert_allclose(answered(learner, state, jnp.asarray(cues)), total / 3, atol=1e-6)


def test_a_spin_without_a_field_stays_as_it_is():
    learner = HebbianLearner(sweeps=4, blocks=3)
    cue = jnp.asarray(RANDOM.choice([-1.0, 1.0], (2, N)), jnp.float32)
    empty = eqx.filter_jit(lambda: learner.init(Patterns(N, 3), key=jax.random.key(0)))()
    np.testing.assert_array_equal(answered(learner, empty, cue), cue)
    np.testing.assert_array_equal(
        answered(HebbianLearner(sweeps=4, blocks=3, temperature=0.0), empty, cue, jax.random.key(1)), cue
    )


def test_at_a_temperature_a_spin_points_up_with_the_probability_of_glauber():
    """The first block of many copies of one state: its mean after a sweep is tanh(h/τ)."""
    learner = HebbianLearner(temperature=0.7, sweeps=1, blocks=BLOCKS)
    state, _ = taught(learner, [examples(6, seed=1)])
    vectors, weight = stored_by_hand("supervised", [examples(6, seed=1)])
    spins = np.where(np.arange(N) % 3 == 0, -1.0, 1.0)
    field = couplings(vectors, weight) @ spins
    copies = jnp.broadcast_to(jnp.asarray(spins, jnp.float32), (20_000, N))
    mean = np.asarray(answered(learner, state, copies, jax.random.key(2))).mean(0)
    first = slice(0, -(-N // BLOCKS))
    np.testing.assert_allclose(mean[first], np.tanh(field[first] / 0.7), atol=4 / np.sqrt(len(copies)))
    assert np.abs(mean[first]).max() < 0.999


def test_the_oldest_examples_leave_when_there_is_no_room():
    state, _ = taught(HebbianLearner("unsupervised", capacity=4), [examples(5, seed=1), examples(5, seed=2)])
    kept = np.concatenate([np.asarray(examples(5, seed=s).x)[:4] for s in (1, 2)])
    assert {row.tobytes() for row in np.asarray(state.stored)} == {row.tobytes() for row in kept[4:]}
    assert state.met == 8


def amplitudes(patterns, temperature, dilutions, features=3000, **options):
    """Return sorted amplitudes [dilution, rank], averaged over seeds and cues."""
    world, learner = Patterns(features, patterns, **options), HebbianLearner(temperature=temperature)
    sweep = {"world.dilution": dilutions}
    exam = {"seeds": 4, "sweep": sweep, "at_ends": False, "progress": silent}
    life = live(learner, world, OneByOne(patterns, 1), Mattis(), steps=patterns, **exam)
    return -np.sort(-np.abs(life.exams["overlap"][:, :, -1]), -1).mean((1, 2))


def test_blanks_of_one_pattern_serve_the_next_and_without_blanks_one_is_recalled_alone():
    dilutions = (0.0, 0.4, 0.55)
    free = amplitudes(3, 0.0, dilutions)
    np.testing.assert_allclose(free[1], [1.0, 0.4, 0.16], atol=0.04)
    np.testing.assert_allclose(free[2], [1.0, 0.55, 0.3025], atol=0.04)
    assert free[0, 0] > 0.999 and free[0, 1] < 0.05
    filled = amplitudes(3, 0.0, dilutions, filling=1.0)
    assert (filled[:, 0] > 0.97).all() and (filled[:, 1] < 0.1).all()


def test_told_or_not_one_clean_example_of_each_pattern_is_the_same_memory():
    world = eqx.filter_jit(lambda: Patterns(60, 3, dilution=0.2).open(key=jax.random.key(5)))()
    batch = Batch(world.shown, jnp.arange(3), jnp.arange(3), jnp.ones(3))
    cue = jnp.asarray(RANDOM.choice([-1.0, 1.0], (5, 60)), jnp.float32)

    @eqx.filter_jit
    def both(form):
        learner = HebbianLearner(form, capacity=3, sweeps=6)
        state = learner.init(world, key=jax.random.key(0))
        return learner.answer(learner.learn(state, batch, key=jax.random.key(0))[0], cue)

    np.testing.assert_array_equal(both("supervised"), both("unsupervised"))


def test_what_lowers_the_energy_lowers_the_losses_of_reconstruction():
    """L⁺L⁻ = a² − m² for every pattern of a share a of entries that are not blank, so both agree along any path."""
    world = eqx.filter_jit(lambda: Patterns(200, 3, dilution=0.3).open(key=jax.random.key(1)))()
    xi, random = np.asarray(world.xi), np.random.default_rng(0)
    path = [random.choice([-1.0, 1.0], 200)]
    for i in random.permutation(200):
        spins = path[-1].copy()
        spins[i] = np.sign(xi[:, i] @ (xi @ spins)) or spins[i]
        path.append(spins)
    spins = jnp.asarray(np.array(path), jnp.float32)
    plus, minus = (np.asarray(loss) for loss in reconstruction_losses(world.xi, spins))
    m = np.array(path) @ xi.T / 200
    np.testing.assert_allclose(plus * minus, (np.abs(xi).mean(1) ** 2) - m**2, atol=1e-6)
    energy = np.asarray(pattern_energy(world.xi, spins))
    np.testing.assert_allclose(energy, -0.5 * (m**2).sum(1), atol=1e-6)
    assert spearmanr(energy, (plus * minus).sum(1))[0] > 1 - 1e-6
    assert energy[-1] < energy[0]


@pytest.mark.usefixtures("unchecked")
def test_parts_that_do_not_fit_are_named(tiny):
    with pytest.raises(Mismatch, match=r"this world shows \(8,\) and expects 6; `Patterns` is a world for it"):
        HebbianLearner().init(Split(tiny, 3), key=jax.random.key(0))
    with pytest.raises(BadInput, match="'supervised' or 'unsupervised', not 'hebbian'"):
        HebbianLearner("hebbian")  # pyright: ignore[reportArgumentType]
    with pytest.raises(BadInput, match="at least 1"):
        HebbianLearner(sweeps=0)

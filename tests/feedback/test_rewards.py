"""Advantages against a loop, and the losses of agents against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from lifelong.feedback import Acts, ClippedSurrogate, SquaredBellmanError, Valued, advantages, q_targets
from lifelong.nets import Categorical, Gaussian

T, N, DISCOUNT, TRACE = 9, 4, 0.9, 0.7
RANDOM = np.random.default_rng(0)
KEY = jax.random.key(0)


def played():
    rewards, values, after = RANDOM.normal(size=(3, T, N)).astype(np.float32)
    terminated = RANDOM.random((T, N)) < 0.2
    truncated = (RANDOM.random((T, N)) < 0.2) & ~terminated
    ended = terminated | truncated
    assert terminated[:-1].any() and truncated[:-1].any()
    for t, n in np.argwhere(~ended[:-1]):
        after[t, n] = values[t + 1, n]
    return rewards, values, after, terminated, ended


def by_definition(rewards, values, after, terminated, ended):
    """Return Σ_l (γλ)^l δ_{t+l}, up to the end of the episode that step t is in."""
    gain = np.zeros((T, N))
    for t, n in np.ndindex(T, N):
        for later in range(t, T):
            follows = 0.0 if terminated[later, n] else after[later, n]
            surprise = rewards[later, n] + DISCOUNT * follows - values[later, n]
            gain[t, n] += (DISCOUNT * TRACE) ** (later - t) * surprise
            if ended[later, n]:
                break
    return gain


def test_advantages_are_the_sums_that_define_them():
    given = played()
    ours = jax.jit(lambda *given: advantages(*given, DISCOUNT, TRACE))(*map(jnp.asarray, given))
    np.testing.assert_allclose(ours, by_definition(*given), rtol=1e-4, atol=1e-5)


def test_where_time_is_up_what_would_have_followed_counts_and_at_an_end_it_does_not():
    """One step, r = 1, V = 0.25, V′ = 2: δ = 1 + 0.9·2 − 0.25 = 2.55 where time was up, 0.75 at an end."""
    one = jnp.ones((1, 2))
    terminated = jnp.asarray([[False, True]])
    ended = jnp.ones((1, 2), bool)
    gain = jax.jit(lambda r, v, a: advantages(r, v, a, terminated, ended, DISCOUNT, TRACE))(one, 0.25 * one, 2 * one)
    np.testing.assert_allclose(gain, [[2.55, 0.75]], rtol=1e-6)
    goal = q_targets(jnp.ones(2), jnp.asarray([[2.0, 1.0]] * 2), terminated[0], DISCOUNT)
    np.testing.assert_allclose(goal, [2.8, 1.0], rtol=1e-6)


class Fixed:
    """A model with the same two logits and one value everywhere."""

    def __init__(self, logits, value):
        self.logits, self.value = jnp.asarray(logits), jnp.float32(value)

    def unroll(self, x, fresh, mind):
        n = len(x)
        return Categorical(jnp.broadcast_to(self.logits, (n, 2))), jnp.broadcast_to(self.value, (n,))


def test_the_clipped_surrogate_is_what_it_is_by_hand():
    """π = (0.75, 0.25), π_old = 0.5; advantages 3 and −1, standardised to ±1/√2; V = 0.5, V_old = 0, targets 3 and −1.

    Ratios 1.5 and 0.5: min(1.5·g, 1.2·g) = 1.2 g and min(−0.5·g, −0.8·g) = −0.8 g, with g = 1/√2: mean 0.2 g.
    V held within 0 ± 0.2 is 0.2: errors max(2.5², 2.8²) = 7.84 and max(1.5², 1.2²) = 2.25: ½ mean = 2.5225.
    """
    acts = Acts(
        jnp.zeros((2, 1, 1)),
        jnp.zeros((2, 1), bool),
        None,
        jnp.asarray([[0], [1]]),
        jnp.full((2, 1), jnp.log(0.5)),
        jnp.zeros((2, 1)),
        jnp.asarray([[3.0], [-1.0]]),
    )
    model = Fixed(jnp.log(jnp.asarray([0.75, 0.25])), 0.5)
    loss, info = jax.jit(lambda acts: ClippedSurrogate()(model, acts, key=KEY))(acts)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    np.testing.assert_allclose(info["value_loss"], 2.5225, rtol=1e-5)
    np.testing.assert_allclose(info["entropy"], entropy, rtol=1e-5)
    np.testing.assert_allclose(info["clipped"], 1.0)
    np.testing.assert_allclose(loss, -0.2 / np.sqrt(2) + 0.5 * 2.5225 - 0.01 * entropy, rtol=1e-5)
    free, _ = jax.jit(lambda acts: ClippedSurrogate(clip_value=False)(model, acts, key=KEY))(acts)
    np.testing.assert_allclose(loss - free, 0.5 * (2.5225 - (2.5**2 + 1.5**2) / 4), rtol=1e-4)


def test_the_bellman_error_is_what_it_is_by_hand():
    batch = Valued(jnp.asarray([[1.0, 3.0], [2.0, 4.0]]), jnp.asarray([0, 1]), jnp.asarray([0.0, 5.0]))
    loss, info = SquaredBellmanError()(lambda x: x, batch, key=KEY)
    assert (float(loss), float(info["value"])) == (1.0, 2.5)


def test_policies_sample_what_they_say():
    """Frequencies and moments of 40,000 draws, and entropies as means of −log π."""
    n, key = 40_000, jax.random.key(1)
    choice = Categorical(jnp.broadcast_to(jnp.log(jnp.asarray([0.2, 0.5, 0.3])), (n, 3)))
    bell = Gaussian(jnp.full((n, 2), 1.5), jnp.broadcast_to(jnp.log(jnp.asarray([0.5, 2.0])), (n, 2)))

    @jax.jit
    def drawn(choice, bell):
        chance = jax.random.uniform(key, (n, 3))
        action, place = choice.sample(chance), bell.sample(chance[:, :2])
        return action, place, choice.log_probability(action), bell.log_probability(place)

    action, place, of_action, of_place = map(np.asarray, drawn(choice, bell))
    np.testing.assert_allclose(np.bincount(action) / n, [0.2, 0.5, 0.3], atol=4 * 0.5 / np.sqrt(n))
    np.testing.assert_allclose(place.mean(0), 1.5, atol=4 * 2 / np.sqrt(n))
    np.testing.assert_allclose(place.std(0), [0.5, 2.0], rtol=0.02)
    np.testing.assert_allclose(-of_action.mean(), choice.entropy()[0], atol=0.02)
    np.testing.assert_allclose(-of_place.mean(), bell.entropy()[0], atol=0.02)

"""Five methods are one objective: CE + α·D_Φ(z, h_θ(x)) + β·D_Ψ(θ, θ_old) (Wang et al. 2024, section 3).

Each memory's penalty is compared with the Bregman divergence it should be, by its gradient in every weight. For the
negative entropy the divergence is taken from target to answer, KL(z ‖ h): the other way round it is infinite for labels.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.feedback import CrossEntropy, bregman, half_square, negative_entropy, quadratic
from lifelong.memory import EWC, L2, LwF, Replay, Step, chain
from lifelong.memory._anchors import Held
from lifelong.memory._distillation import LwFState
from lifelong.nets import MLP
from lifelong.worlds import Batch

OUTPUTS, ROWS = 4, 10


def loss(model, batch, feedback=None):
    return (feedback or CrossEntropy())(model, batch, key=jax.random.key(0))[0]


def net(seed):
    return MLP(inputs=3, outputs=OUTPUTS, width=5, depth=1, key=jax.random.key(seed))


def examples(seed):
    for_x, for_y = jax.random.split(jax.random.key(seed))
    y = jax.random.randint(for_y, (ROWS,), 0, OUTPUTS)
    return Batch(jax.random.normal(for_x, (ROWS, 3)), y, jnp.zeros(ROWS, jnp.int32), jnp.ones(ROWS))


MODEL, OLD, NOW, PAST = net(0), net(1), examples(2), examples(3)
FISHER = jax.tree.map(lambda leaf: jax.random.uniform(jax.random.key(4), leaf.shape), MODEL)
KNOWN = jnp.asarray([True, True, True, False])


def answers(model, x, temperature=1.0):
    return jax.nn.softmax(jax.vmap(model)(x) / temperature)


def outputs_apart(generator, targets, given):
    """Return the mean over examples of the divergence from targets to what is given for them."""
    return jax.vmap(bregman(generator))(targets, given).mean()


def distilled(model, temperature, known):
    """Return the divergence from the old model's answers on new examples, among some classes."""
    old, new = (jax.vmap(m)(NOW.x)[:, known] / temperature for m in (OLD, model))
    return outputs_apart(negative_entropy, jax.nn.softmax(old), jax.nn.softmax(new))


def lwf_state(known):
    return LwFState(OLD, jnp.where(known, 0, -1), jnp.int32(1))


@eqx.filter_jit
def replay_state(memory):
    m = memory.init(MODEL, PAST, key=jax.random.key(5))
    return memory.keep(m, Step(PAST, m.recalled, OLD, OLD, None), key=jax.random.key(6))


REPLAY = {"capacity": ROWS, "batch": ROWS}
INSTANCES = {
    "L2": (
        L2(0.3),
        lambda memory: Held(jax.tree.map(jnp.ones_like, MODEL), OLD),
        lambda model: 0.3 * bregman(half_square)(model, OLD),
    ),
    "EWC": (
        EWC(7.0),
        lambda memory: Held(FISHER, OLD),
        lambda model: 7.0 * bregman(quadratic(FISHER))(model, OLD),
    ),
    "LwF": (
        LwF(0.8, temperature=1.0, classes="all"),
        lambda memory: lwf_state(jnp.ones(OUTPUTS, bool)),
        lambda model: 0.8 * distilled(model, 1.0, np.arange(OUTPUTS)),
    ),
    "LwF on old classes, softened": (
        LwF(0.8, temperature=2.0),
        lambda memory: lwf_state(KNOWN),
        lambda model: 0.8 * 4.0 * distilled(model, 2.0, np.flatnonzero(KNOWN)),
    ),
    "ER": (
        Replay(**REPLAY, labels=0.6),
        replay_state,
        lambda model: 0.6 * outputs_apart(negative_entropy, jax.nn.one_hot(PAST.y, OUTPUTS), answers(model, PAST.x)),
    ),
    "DER": (
        Replay(**REPLAY, labels=0.0, logits=0.4),
        replay_state,
        lambda model: 0.4 * 2 / OUTPUTS * outputs_apart(half_square, jax.vmap(OLD)(PAST.x), jax.vmap(model)(PAST.x)),
    ),
}


@eqx.filter_jit
def gradients(memory, m, expected):
    """Return the gradient of a step's objective, and of cross-entropy plus a divergence."""
    recalled = memory.recall(m, key=jax.random.key(7))

    def objective(model):
        return memory.weigh(m, NOW, recalled) * loss(model, NOW) + memory.penalty(m, model, NOW, recalled, loss)

    plain = eqx.filter_grad(lambda model: loss(model, NOW))(MODEL)
    return (
        eqx.filter_grad(objective)(MODEL),
        eqx.filter_grad(lambda model: loss(model, NOW) + expected(model))(MODEL),
        plain,
    )


def check(memory, m, expected):
    step, unified, plain = (jax.tree.leaves(g) for g in gradients(memory, m, expected))
    for a, b in zip(step, unified, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=0)
    assert max(float(abs(a - b).max()) for a, b in zip(step, plain, strict=True)) > 1e-3, "the penalty counts"


@pytest.mark.parametrize("name", INSTANCES)
def test_a_method_is_an_instance_of_the_unified_objective(name):
    memory, state, expected = INSTANCES[name]
    check(memory, state(memory), expected)


def test_chained_they_are_its_sum():
    parts = [INSTANCES[name] for name in ("DER", "EWC", "LwF")]
    states = tuple(state(memory) for memory, state, _ in parts)
    check(chain(*(memory for memory, _, _ in parts)), states, lambda model: sum(term(model) for _, _, term in parts))

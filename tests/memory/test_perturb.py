"""Steps away before learning: what they minimise, how long they are, and that a step of length 0 is none."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

from lifelong.errors import BadInput
from lifelong.feedback import CrossEntropy
from lifelong.learners import GradientLearner, GradientState
from lifelong.memory import Memory, Replay, chain, random_perturbation, refresh, sam
from lifelong.memory._perturb import Damped, Inverse, Perturb, uphill
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.worlds import Batch, Pages


class Bowl(eqx.Module):
    """A model whose loss is ½ θᵀAθ, with θ in two tensors."""

    a: jax.Array
    b: jax.Array

    @property
    def theta(self):
        return jnp.concatenate([self.a, self.b])


A = jnp.asarray([[3.0, 0.5, 0.2, 0.0], [0.5, 2.0, 0.1, 0.3], [0.2, 0.1, 1.0, 0.4], [0.0, 0.3, 0.4, 0.5]])
BOWL = Bowl(jnp.asarray([1.0, -2.0]), jnp.asarray([0.5, 3.0]))
BATCH = Batch(jnp.zeros((1, 1)), jnp.zeros(1, jnp.int32), jnp.zeros(1, jnp.int32), jnp.ones(1))
FISHER = Bowl(jnp.asarray([0.4, 4.0]), jnp.asarray([1.0, 0.0]))


def bowl_loss(model, batch):
    return 0.5 * model.theta @ A @ model.theta


def step_of(memory, *, state=FISHER, key=0, objective=None):
    """Return the model where the gradient is taken and the one that is updated."""
    step = jax.jit(lambda memory, key: memory.perturb(state, BOWL, BATCH, None, bowl_loss, objective, key=key))
    return step(memory, jax.random.key(key))


def test_to_first_order_refresh_minimises_the_loss_plus_a_fisher_weighted_gradient_norm():
    """On a quadratic loss the first order is exact: ∇L(θ + γH⁻¹∇L) = ∇[L + γ/2 · ∇Lᵀ H⁻¹ ∇L]."""
    gamma, stiffness = 0.05, FISHER.theta + 1e-3 * FISHER.theta.max()
    point, base = step_of(refresh(gamma, "paper", noise=0.0))

    def penalised(theta):
        slope = A @ theta
        return 0.5 * theta @ A @ theta + gamma / 2 * slope @ (slope / stiffness)

    there = jax.grad(bowl_loss)(point, None)
    np.testing.assert_allclose(there.theta, jax.grad(penalised)(BOWL.theta), rtol=1e-4)
    assert not np.allclose(there.theta, A @ BOWL.theta, rtol=0.01)
    np.testing.assert_array_equal(base.theta, point.theta)
    np.testing.assert_allclose(point.theta, BOWL.theta + gamma * (A @ BOWL.theta) / stiffness, rtol=1e-5)


def test_the_noise_of_the_paper_form_is_that_of_langevin_dynamics():
    """Its variance is γ²·2γH⁻¹, around the step without noise."""
    gamma, stiffness = 0.5, FISHER.theta + 1e-3 * FISHER.theta.max()
    memory = refresh(gamma, "paper")
    keys = jax.random.split(jax.random.key(1), 4000)
    points = jax.jit(jax.vmap(lambda key: memory.perturb(FISHER, BOWL, BATCH, None, bowl_loss, key=key)[0].theta))(keys)
    np.testing.assert_allclose(points.std(0), gamma * np.sqrt(2 * gamma / stiffness), rtol=0.05)
    centre = BOWL.theta + gamma * (A @ BOWL.theta) / stiffness
    assert (abs(points.mean(0) - centre) < 5 * points.std(0) / np.sqrt(4000)).all()


def test_the_repository_form_by_hand():
    """θ_p + δ·(‖θ_p‖·u_p/‖u_p‖ + 0.001·ε) / (1 + 0.001·F), and the gradient is taken and applied there."""
    point, base = step_of(refresh(0.1, noise=0.0))
    slope = np.asarray(A @ BOWL.theta)
    for name, u in (("a", slope[:2]), ("b", slope[2:])):
        theta, information = np.asarray(getattr(BOWL, name)), np.asarray(getattr(FISHER, name))
        step = 0.1 * np.linalg.norm(theta) / np.linalg.norm(u) * u / (1 + 0.001 * information)
        np.testing.assert_allclose(getattr(point, name), theta + step, rtol=1e-6)
        np.testing.assert_array_equal(getattr(base, name), getattr(point, name))


def test_arms_share_the_noise():
    """Refresh and its random control differ in direction alone; the scale of the noise is 0.001·δ."""
    keys = jax.random.split(jax.random.key(2), 2000)

    def noise_of(make):
        with_noise, without = make(noise=1e-3), make(noise=0.0)
        theta = jax.vmap(
            lambda memory, k: memory.perturb(FISHER, BOWL, BATCH, None, bowl_loss, key=k)[0].theta, (None, 0)
        )
        run = jax.jit(theta)
        return (np.asarray(run(with_noise, keys)) - np.asarray(run(without, keys))) / 100.0

    up, random = noise_of(lambda **k: refresh(100.0, **k)), noise_of(lambda **k: random_perturbation(100.0, **k))
    np.testing.assert_allclose(up, random, atol=2e-6)
    np.testing.assert_allclose(up.std(0), 1e-3 / (1 + 1e-3 * FISHER.theta), rtol=0.06)


def test_the_random_control_steps_as_far_in_every_tensor_but_elsewhere():
    up, _ = step_of(refresh(0.1, noise=0.0, fisher_weight=0.0))
    random, _ = step_of(random_perturbation(0.1, noise=0.0, fisher_weight=0.0))
    other, _ = step_of(random_perturbation(0.1, noise=0.0, fisher_weight=0.0), key=1)
    for name in ("a", "b"):
        start = getattr(BOWL, name)
        for point in (up, random, other):
            np.testing.assert_allclose(
                jnp.linalg.norm(getattr(point, name) - start), 0.1 * jnp.linalg.norm(start), rtol=1e-4
            )
        assert not np.allclose(getattr(random, name), getattr(up, name), atol=1e-3)
        assert not np.allclose(getattr(random, name), getattr(other, name), atol=1e-3)


@pytest.mark.parametrize("form", ["repository", "paper"])
def test_a_fisher_weight_of_0_leaves_the_fisher_out(form):
    memory = refresh(0.1, form, fisher_weight=0.0)
    none = jax.tree.map(jnp.zeros_like, FISHER)
    np.testing.assert_array_equal(step_of(memory)[0].theta, step_of(memory, state=none)[0].theta)
    assert not np.allclose(step_of(refresh(0.1, form))[0].theta, step_of(memory)[0].theta, rtol=1e-5)


def test_before_the_first_task_has_ended_the_paper_form_has_no_preconditioner():
    none = jax.tree.map(jnp.zeros_like, FISHER)
    point, _ = step_of(refresh(0.1, "paper", noise=0.0), state=none)
    np.testing.assert_allclose(point.theta, BOWL.theta + 0.1 * A @ BOWL.theta, rtol=1e-5)


def test_sam_takes_the_gradient_uphill_and_applies_it_where_it_began():
    slope = A @ BOWL.theta
    point, base = step_of(sam(0.3), state=None)
    np.testing.assert_allclose(point.theta, BOWL.theta + 0.3 * slope / jnp.linalg.norm(slope), rtol=1e-5)
    np.testing.assert_array_equal(base.theta, BOWL.theta)
    assert not sam().consolidates and refresh().consolidates


class Spring(Memory):
    """Pull all weights towards 0."""

    def penalty(self, m, model, batch, recalled, loss):
        return 0.5 * (model.theta**2).sum()

    def weigh(self, m, batch, recalled):
        return 0.5


def test_ascent_is_on_the_batch_or_on_the_whole_objective():
    states, recalled = (None, FISHER), (None, None)
    plain = {"form": "paper", "noise": 0.0, "fisher_weight": 0.0}
    for ascend_on, slope in (("batch", A @ BOWL.theta), ("objective", 0.5 * A @ BOWL.theta + BOWL.theta)):
        both = chain(Spring(), refresh(0.1, ascend_on=ascend_on, **plain))
        point, _ = both.perturb(states, BOWL, BATCH, recalled, bowl_loss, key=jax.random.key(0))
        np.testing.assert_allclose(point.theta, BOWL.theta + 0.1 * slope, rtol=1e-5)
    assert refresh().ascend_on == "batch" and refresh(form="paper").ascend_on == "objective"


@pytest.mark.parametrize("sam_first", [True, False])
def test_in_a_chain_only_the_step_of_sam_is_taken_back(sam_first):
    away = refresh(0.1, "paper", noise=0.0, fisher_weight=0.0)
    pair = chain(sam(0.3), away) if sam_first else chain(away, sam(0.3))
    states = (None, FISHER) if sam_first else (FISHER, None)
    point, base = pair.perturb(states, BOWL, BATCH, (None, None), bowl_loss, key=jax.random.key(0))
    first = step_of(sam(0.3), state=None)[0] if sam_first else step_of(away)[0]
    at_away = first if sam_first else BOWL
    moved = 0.1 * A @ at_away.theta
    np.testing.assert_allclose(base.theta, BOWL.theta + moved, rtol=1e-5)
    assert not np.allclose(point.theta, base.theta, rtol=1e-3)


class Sheet(Pages):
    """One page."""

    only: Batch
    count: int = eqx.field(static=True, default=1)

    def page(self, i):
        return self.only


def some_examples(n=12):
    x = jax.random.normal(jax.random.key(3), (n, 3))
    return Batch(x, jnp.arange(n) % 4, jnp.zeros(n, jnp.int32), jnp.ones(n).at[-1].set(0.0))


def cross_entropy(model, batch):
    return CrossEntropy()(model, batch, key=jax.random.key(0))[0]


def net(key):
    return MLP(inputs=3, outputs=4, width=5, depth=1, key=key)


def test_the_fisher_of_a_finished_task_is_weighted_by_the_probability_of_the_label():
    """F ← τF + mean over examples of p(y|x)(∂ log p(y|x)/∂θ)², example by example, padding apart."""
    model, batch, memory = net(jax.random.key(0)), some_examples(), refresh(decay=0.25)
    before = jax.tree.map(lambda leaf: jnp.full_like(leaf, 2.0), model)
    consolidate = jax.jit(lambda m: memory.consolidate(m, model, Sheet(batch), cross_entropy, key=jax.random.key(0))[1])
    one = jax.value_and_grad(lambda model, x, y: jax.nn.log_softmax(model(x))[y])
    log_p, slopes = jax.jit(jax.vmap(one, (None, 0, 0)))(model, batch.x[:-1], batch.y[:-1])
    expected = jax.tree.map(lambda g: 0.25 * 2.0 + np.tensordot(np.exp(log_p), g**2, 1) / 11, slopes)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), consolidate(before), expected)


@eqx.filter_jit
def life_of(memory):
    """Return the weights after the end of a task and a few steps."""
    learner = GradientLearner(Recipe(net), optimizer=Recipe(optax.sgd, learning_rate=0.1), memory=memory)
    model = net(jax.random.key(0))
    m = memory.init(model, some_examples(4), key=jax.random.key(1))
    model, m = memory.consolidate(m, model, Sheet(some_examples()), cross_entropy, key=jax.random.key(2))
    start = GradientState(model, optax.sgd(0.1).init(model), m, jnp.ones(4, bool))

    def step(state, key):
        for_x, for_learn = jax.random.split(key)
        x = jax.random.normal(for_x, (4, 3))
        batch = Batch(x, jnp.argmax(x @ jnp.eye(3, 4), 1), jnp.zeros(4, jnp.int32), jnp.ones(4))
        return learner.learn(state, batch, key=for_learn)[0], None

    return jax.tree.leaves(jax.lax.scan(step, start, jax.random.split(jax.random.key(3), 8))[0].model)


PERTURBATIONS = {
    "refresh": (refresh, 1e-2),
    "paper": (lambda size: refresh(size, "paper"), 1e-6),
    "sam": (sam, 1e-2),
    "random": (random_perturbation, 1e-2),
}


@pytest.fixture(scope="module")
def unperturbed():
    return life_of(Replay(8, 4))


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_step_of_size_0_changes_nothing_bit_for_bit(name, unperturbed):
    make, size = PERTURBATIONS[name]
    none, some = life_of(chain(Replay(8, 4), make(0.0))), life_of(chain(Replay(8, 4), make(size)))
    assert all((a == b).all() for a, b in zip(unperturbed, none, strict=True))
    assert not any((a == b).all() for a, b in zip(unperturbed, some, strict=True))
    assert all(np.isfinite(a).all() for a in some)


@pytest.fixture
def unchecked():
    """Let wrong types through to the library's own checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_names_are_checked(unchecked):
    with pytest.raises(BadInput, match="form of refresh"):
        refresh(form="code")
    with pytest.raises(BadInput, match="ascends on"):
        refresh(ascend_on="task")


def test_a_direction_and_a_preconditioner_of_ones_own_can_be_combined():
    mine = Perturb(0.1, uphill, Damped(fisher_weight=1.0, noise=0.0), ascend_on="batch", restore=True)
    point, base = step_of(mine)
    np.testing.assert_allclose(point.theta, BOWL.theta + 0.1 * (A @ BOWL.theta) / (1 + FISHER.theta), rtol=1e-5)
    np.testing.assert_array_equal(base.theta, BOWL.theta)
    assert Inverse().fisher_weight == 1.0

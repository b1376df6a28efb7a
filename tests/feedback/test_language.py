"""The loss of next tokens beside sums by hand, and lives of language models."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import log_softmax

from lifelong.feedback import NextToken, token_log_probabilities
from lifelong.lab import bases
from lifelong.learners import GradientLearner
from lifelong.life import live, silent
from lifelong.memory import Replay
from lifelong.nets import Completion, LanguageModel
from lifelong.recipe import Recipe
from lifelong.teachers import AllAtOnce
from lifelong.worlds import Batch, Pages, World

NET = Recipe(LanguageModel, vocabulary=13, width=16, layers=2, heads=2, kv_heads=1, hidden=24)

READ = eqx.filter_jit(lambda model, tokens: model.read(tokens))
LOSS = eqx.filter_jit(lambda model, batch: NextToken()(model, batch, key=jax.random.key(0)))


class Page(Pages):
    batch: Batch
    count: int = eqx.field(static=True, default=1)

    def page(self, i):
        return self.batch


class Successors(World):
    """`12 a = a+1 a+2 a+3` over the numbers 0 … 9; only what follows the sign (11) is to be learned, `noise` of it wrong."""

    noise: jax.Array = eqx.field(converter=jnp.asarray, default=0.0)
    tasks: int = eqx.field(static=True, default=1)
    outputs: int = eqx.field(static=True, default=13)

    def draw(self, lesson, n, *, key):
        a = jax.random.randint(key, (n, 1), 0, 10)
        wrong = jax.random.uniform(jax.random.fold_in(key, 1), (n, 3)) < self.noise
        chain = jnp.where(wrong, jax.random.randint(key, (n, 3), 0, 10), (a + jnp.arange(1, 4)) % 10)
        tokens = jnp.concatenate([jnp.full((n, 1), 12), a, jnp.full((n, 1), 11), chain, jnp.full((n, 1), -1)], 1)
        counts = jnp.broadcast_to(jnp.arange(7) // 3 == 1, tokens.shape).astype(jnp.int32)
        nothing = jnp.zeros(n, jnp.int32)
        return Batch(jnp.stack([tokens, counts], 1), chain[:, 2], nothing, jnp.ones(n))

    def papers(self, n):
        batch = self.draw(None, n, key=jax.random.key(3))
        return Page(Batch(batch.x.at[:, 0, 5].set(-1), batch.y, batch.task, batch.weight))


def test_the_loss_is_the_mean_over_tokens_that_count():
    model = Completion(NET, key=jax.random.key(0))
    batch = Successors().draw(None, 4, key=jax.random.key(1))
    weight = jnp.asarray([1.0, 0.0, 2.0, 0.5])
    loss, info = LOSS(model, Batch(batch.x, batch.y, batch.task, weight))
    read = np.asarray(READ(model, batch.x[:, 0]), np.float64)
    total = counted = right = 0.0
    logs = np.zeros((4, 7))
    for row in range(4):
        logits = read[row]
        for t in range(1, 6):
            token = int(batch.x[row, 0, t])
            logs[row, t] = log_softmax(logits[t - 1])[token]
            w = float(weight[row] * batch.x[row, 1, t])
            total, counted, right = total - w * logs[row, t], counted + w, right + w * (logits[t - 1].argmax() == token)
    np.testing.assert_allclose(loss, total / counted, rtol=1e-4)
    np.testing.assert_allclose(info["accuracy"], right / counted, rtol=1e-5)
    np.testing.assert_allclose(token_log_probabilities(model, batch.x[:, 0]), logs, atol=1e-4)


def test_what_does_not_count_has_no_part_in_the_gradient():
    model = Completion(NET, key=jax.random.key(0))
    batch = Successors().draw(None, 4, key=jax.random.key(1))

    slope = eqx.filter_jit(eqx.filter_grad(lambda model, batch: LOSS(model, batch)[0]))

    def gradient(x):
        return jax.tree.leaves(slope(model, Batch(x, batch.y, batch.task, batch.weight)))

    changed = batch.x.at[:, 0, 6].set(5)  # a blank after the answer becomes a token that does not count
    for one, other in zip(gradient(batch.x), gradient(changed), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert all((np.asarray(leaf) == 0).all() for leaf in gradient(batch.x.at[:, 1].set(0)))


def learner(model=None, **changes):
    adam = Recipe(optax.adam, learning_rate=changes.pop("learning_rate", 1e-2))
    return GradientLearner(model or Recipe(Completion, net=NET), NextToken(), adam, batch=16, active="all", **changes)


def lived(one, world=None, steps=60, seeds=2):
    return live(one, world or Successors(), AllAtOnce(1), steps=steps, seeds=seeds, progress=silent)


@pytest.fixture(scope="module")
def life():
    return lived(learner(memory=Replay(32, batch=4)))


def test_a_gradient_learner_with_a_memory_learns_to_continue(life):
    assert (life.final > 0.9).all() and (life.exams["accuracy"][:, 0] < 0.5).all()
    losses = life.records["loss"]
    assert (losses[:, -5:].mean(1) < 0.3 * losses[:, :5].mean(1)).all()


def test_from_noise_nothing_is_learned():
    life = lived(learner(memory=Replay(32, batch=4)), Successors(noise=1.0))
    assert (life.final < 0.45).all()


def test_bases_are_trained_once_and_every_lane_begins_with_its_own(tmp_path, life):
    def trained(seeds):
        return bases(learner(), Successors(), AllAtOnce(1), steps=30, seeds=seeds, out=tmp_path)

    first = trained([0, 1])
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    again = trained([1, 0])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == files and len(files) == 2
    np.testing.assert_array_equal(first.model.models.net.embedding, again.model.models.net.embedding[::-1])
    assert float(first.seconds) == float(again.seconds) > 0

    still = lived(learner(again.model, learning_rate=0.0), steps=1)
    np.testing.assert_array_equal(still.state.learner.model.net.embedding, first.model.models.net.embedding)
    whole = lived(learner(), steps=30)
    np.testing.assert_allclose(whole.state.learner.model.net.embedding, first.model.models.net.embedding, atol=1e-4)
    assert still.final.shape == (2,) and (still.final == whole.final).all()

    stranger = lived(learner(again.model, learning_rate=0.0), steps=1, seeds=[0, 5])
    assert [result.name for result in stranger.results] == ["finished", "diverged"]

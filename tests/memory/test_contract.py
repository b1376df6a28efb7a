"""What holds for every memory: fixed structure, every transformation, no NaN, any company."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.feedback import CrossEntropy
from lifelong.learners import GradientLearner, GradientState
from lifelong.memory import (
    AGEM,
    EWC,
    GEM,
    L2,
    MAS,
    SI,
    GDumb,
    ICaRL,
    LwF,
    NearestMean,
    Nothing,
    OnlineEWC,
    Replay,
    RWalk,
    chain,
    random_perturbation,
    refresh,
    sam,
)
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.worlds import Batch, Pages

OUTPUTS, BATCH = 4, 5

MEMORIES = {
    "nothing": Nothing(),
    "er": Replay(8, 3),
    "der++, class-balanced": Replay(8, 3, logits=0.5, policy="balanced"),
    "er by task": Replay(8, 3, policy="greedy", mix="by_task"),
    "er, concatenated": Replay(8, 3, mix="concatenate"),
    "refresh": refresh(1e-3),
    "refresh as in the paper": refresh(1e-6, "paper"),
    "sam": sam(0.05),
    "random perturbation": random_perturbation(1e-3),
    "nearest mean": NearestMean(),
    "nearest mean of a buffer": NearestMean(8),
    "icarl": ICaRL(8, 3),
    "icarl with the learner's loss": ICaRL(8, 3, temperature=2.0, form="learner"),
    "gdumb": GDumb(8, 3, passes=2),
    "l2": L2(0.1),
    "ewc": EWC(0.1),
    "online ewc": OnlineEWC(0.1, decay=0.9, labels="all"),
    "si": SI(0.1),
    "mas": MAS(0.1),
    "rwalk": RWalk(0.1),
    "lwf": LwF(),
    "agem": AGEM(8, 3),
    "gem": GEM(3, 2),
}


class Sheets(Pages):
    """Two pages of a task's examples, the last of them padding."""

    all: Batch
    count: int = eqx.field(static=True, default=2)

    def page(self, i):
        return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, i * 6, 6), self.all)


def net(key):
    return MLP(inputs=3, outputs=OUTPUTS, width=4, depth=1, activation=jnp.tanh, key=key)


def examples(n, key):
    x = jax.random.normal(key, (n, 3))
    y = (x[:, 0] > 0).astype(jnp.int32)
    return Batch(x, y, jnp.zeros(n, jnp.int32), jnp.ones(n).at[-1].set(0.0))


def loss(model, batch, feedback=None):
    return (feedback or CrossEntropy())(model, batch, key=jax.random.key(0))[0]


def live(memory, key):
    """Return the state at birth, after steps, after a task and after more steps, and answers at birth and at the end."""
    learner = GradientLearner(Recipe(net), optimizer=Recipe(optax.sgd, learning_rate=0.1), memory=memory)
    keys = jax.random.split(key, 6)
    model, x = net(keys[0]), jax.random.normal(keys[1], (7, 3))
    m = memory.init(model, examples(BATCH, keys[2]), key=keys[2])
    born = GradientState(model, optax.sgd(0.1).init(model), m, jnp.ones(OUTPUTS, bool))

    def stretch(state, keys):
        step = lambda state, k: (learner.learn(state, examples(BATCH, k), key=k)[0], None)  # noqa: E731
        return jax.lax.scan(step, state, keys)[0]

    stages = [born]
    for k in jax.random.split(keys[3]):
        stages.append(stretch(stages[-1], jax.random.split(k, 3)))
        model, m = memory.consolidate(stages[-1].memory, stages[-1].model, Sheets(examples(12, k)), loss, key=k)
        stages.append(GradientState(model, stages[-1].optimizer, m, stages[-1].seen))
    final = stretch(stages[-1], jax.random.split(keys[4], 3))
    return [*stages, final], [memory.answer(s.memory, s.model, x) for s in (born, final)]


def shape_of(tree):
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), arrays), jax.tree.structure(rest)


@pytest.mark.parametrize("name", MEMORIES)
def test_under_jit_scan_and_vmap_nothing_changes_shape_or_becomes_nan(name):
    """The scan itself refuses a state that changes structure, shape or type between steps."""
    memory = MEMORIES[name]
    keys = jax.random.split(jax.random.key(0), 2)
    stages, answers = eqx.filter_jit(eqx.filter_vmap(live, in_axes=(None, 0)))(memory, keys)
    for stage in stages[1:]:
        assert shape_of(stage.memory) == shape_of(stages[0].memory)
        assert shape_of(stage.model) == shape_of(stages[0].model)
    for leaf in jax.tree.leaves(eqx.filter((stages, answers), eqx.is_inexact_array)):
        assert np.isfinite(leaf).all()
    for answer in answers:
        assert answer.shape == (2, 7, OUTPUTS)


@pytest.mark.parametrize("name", MEMORIES)
def test_it_can_be_chained_with_another_before_and_after(name):
    """Traced only: shapes and types of a whole life in company."""
    memory, replay = MEMORIES[name], Replay(8, 3, logits=0.5)
    for pair in (chain(replay, memory), chain(memory, replay)):
        stages, answers = eqx.filter_eval_shape(live, pair, jax.random.key(0))
        assert len(stages[0].memory) == 2
        assert jax.tree.structure(stages[-1]) == jax.tree.structure(stages[0])
        assert answers[0].shape == (7, OUTPUTS)


def test_all_of_them_go_together():
    everything = chain(*MEMORIES.values())
    stages, answers = eqx.filter_eval_shape(live, everything, jax.random.key(0))
    assert len(stages[-1].memory) == len(MEMORIES)
    assert answers[1].shape == (7, OUTPUTS)
    assert everything.consolidates and everything.answers


@pytest.mark.parametrize("name", MEMORIES)
def test_what_does_nothing_at_the_end_of_a_task_says_so(name):
    """A memory that does not consolidate, for which no program is compiled, returns model and state as they were."""
    memory = MEMORIES[name]
    if memory.consolidates:
        return
    model = net(jax.random.key(0))
    m = memory.init(model, examples(BATCH, jax.random.key(1)), key=jax.random.key(2))
    after, same = memory.consolidate(m, model, Sheets(examples(12, jax.random.key(3))), loss, key=jax.random.key(4))
    assert after is model
    if not isinstance(memory, Replay):
        assert same is m


def test_a_memory_at_the_head_of_a_chain_draws_as_if_it_were_alone():
    keys = jax.random.split(jax.random.key(5), 1)
    alone, _ = eqx.filter_jit(eqx.filter_vmap(live, in_axes=(None, 0)))(Replay(8, 3), keys)
    ahead, _ = eqx.filter_jit(eqx.filter_vmap(live, in_axes=(None, 0)))(chain(Replay(8, 3), NearestMean()), keys)
    jax.tree.map(np.testing.assert_array_equal, alone[-1].memory, ahead[-1].memory[0])
    jax.tree.map(np.testing.assert_array_equal, alone[-1].model, ahead[-1].model)

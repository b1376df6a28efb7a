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
    MIR,
    SI,
    GDumb,
    GenerativeReplay,
    ICaRL,
    LwF,
    NearestMean,
    Nothing,
    OnlineEWC,
    OnPro,
    OutputPreservation,
    PosteriorAnchor,
    Replay,
    RWalk,
    SetReplay,
    Step,
    chain,
    random_perturbation,
    refresh,
    sam,
)
from lifelong.nets import MLP, VAE, Hypernetwork, Projected
from lifelong.recipe import Recipe
from lifelong.worlds import Batch, Pages, RandomViews

OUTPUTS, BATCH = 4, 5


class Still(RandomViews):
    """Views that change nothing, of examples that are no images."""

    def __call__(self, x, *, key):
        return x


DREAMS = Recipe(VAE, latent=2, width=4, depth=1, likelihood="gaussian")

FAMILIES = {
    "rehearsal": {
        "er": Replay(8, 3, mix="concatenate"),
        "der++": Replay(8, 3, logits=0.5, policy="balanced"),
        "er by task": Replay(8, 3, policy="greedy", mix="by_task"),
        "er in shares": Replay(8, BATCH, logits=0.5, policy="by_task", mix="blend"),
        "mir": MIR(8, 2, 5),
        "er of whole tasks": SetReplay(8, 3),
    },
    "perturbations": {
        "nothing": Nothing(),
        "refresh": refresh(1e-3),
        "refresh as in the paper": refresh(1e-6, "paper"),
        "sam": sam(0.05),
        "random perturbation": random_perturbation(1e-3),
    },
    "prototypes": {
        "nearest mean": NearestMean(),
        "nearest mean of a buffer": NearestMean(8),
        "prototypes": NearestMean(unit=False),
        "icarl": ICaRL(8, 3),
        "icarl with the learner's loss": ICaRL(8, 3, temperature=2.0, form="learner", classes=OUTPUTS),
        "icarl among the batch": ICaRL(8, BATCH, temperature=2.0, form="softened", mix="among"),
        "gdumb": GDumb(8, 3, passes=2),
    },
    "anchors": {
        "l2": L2(0.1),
        "ewc": EWC(0.1),
        "online ewc": OnlineEWC(0.1, decay=0.9, labels="all"),
        "si": SI(0.1),
        "mas": MAS(0.1),
        "mas of pages": MAS(0.1, of="page"),
        "si, signed": SI(0.1, signed=True),
        "rwalk": RWalk(0.1),
        "posterior": PosteriorAnchor(0.1),
        "posterior of the step before": PosteriorAnchor(0.1, "step", "mean"),
    },
    "generators": {
        "generative replay": GenerativeReplay(DREAMS, batch=3),
        "generative replay, distilled": GenerativeReplay(DREAMS, batch=3, targets="soft", share=0.5),
    },
    "distillation and projection": {
        "lwf": LwF(),
        "lwf by task": LwF(classes="seen", mix="by_task"),
        "agem": AGEM(8, 3),
        "gem": GEM(3, 2),
    },
}
MEMORIES = {name: memory for family in FAMILIES.values() for name, memory in family.items()}


class Sheets(Pages):
    """Two pages of a task's examples, the last of them padding."""

    all: Batch
    count: int = eqx.field(static=True, default=2)

    def page(self, i):
        return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, i * 6, 6), self.all)


def net(key):
    return MLP(inputs=3, outputs=OUTPUTS, width=4, depth=1, activation=jnp.tanh, key=key)


def projecting_net(key):
    return Projected(net, width=2, key=key)


def writing_net(key):
    return Hypernetwork(Recipe(MLP, inputs=3, outputs=OUTPUTS // 2, width=4, depth=1), tasks=2, chunks=3, key=key)


def examples(n, seed=0):
    """Examples of two classes, every fifth of them padding."""
    x = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    leaves = (x, (x[:, 0] > 0).astype(np.int32), np.zeros(n, np.int32), np.float32(np.arange(n) % 5 < 4))
    return Batch(*(jnp.asarray(leaf) for leaf in leaves))


def parted(batch, *shape):
    return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), batch)


def loss(model, batch, feedback=None):
    return (feedback or CrossEntropy())(model, batch, key=jax.random.key(0))[0]


def live(memory, key, lessons, tasks, asked, net=net, rate=0.1):
    """Return the states at birth and after two tasks of three steps, and the answers after each task.

    A scan refuses a state that changes structure, shape or type from one step, or one task, to the next.
    """
    learner = GradientLearner(Recipe(net), optimizer=Recipe(optax.sgd, learning_rate=rate), memory=memory)
    like = jax.tree.map(lambda leaf: leaf[0, 0], lessons)
    model, m = net(key), memory.init(net(key), like, key=key)
    born = GradientState(model, optax.sgd(0.1).init(model), m, jnp.ones(OUTPUTS, bool))

    def step(state, lesson_and_key):
        lesson, k = lesson_and_key
        return learner.learn(state, lesson, key=k)[0], None

    def task(state, parts):
        lessons, whole, keys = parts
        state, _ = jax.lax.scan(step, state, (lessons, keys))
        model, m = memory.consolidate(state.memory, state.model, Sheets(whole), loss, key=keys[0])
        return GradientState(model, state.optimizer, m, state.seen), memory.answer(m, model, asked)

    keys = jax.random.split(key, (2, 3))
    grown, answers = jax.lax.scan(task, born, (lessons, tasks, keys))
    return born, grown, answers


DATA = (parted(examples(30, seed=1), 2, 3, BATCH), parted(examples(24, seed=2), 2, 12), examples(7, seed=3).x)
vmapped = eqx.filter_vmap(live, in_axes=(None, 0, None, None, None))
run = eqx.filter_jit(vmapped)
KEYS = jax.random.split(jax.random.key(0), 2)


@pytest.mark.parametrize("name", MEMORIES)
def test_its_state_keeps_its_structure_in_any_company(name):
    """Under scan and vmap; before another memory, after it, and beside another of its kind. Traced only."""
    company = chain(MEMORIES[name], Replay(8, 3, logits=0.5), MEMORIES[name])
    born, grown, answers = eqx.filter_eval_shape(vmapped, company, KEYS, *DATA)
    assert jax.tree.structure(born) == jax.tree.structure(grown)
    assert answers.shape == (2, 2, 7, OUTPUTS)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.slow
def test_it_lives_without_nan(family):
    """One compiled life a family, its members chained."""
    members = FAMILIES[family]
    born, grown, answers = run(chain(*members.values()), KEYS, *DATA)
    assert all(np.isfinite(leaf).all() for leaf in numbers_in((grown.model, answers)))
    assert all((a != b).any() for a, b in zip(numbers_in(born.model), numbers_in(grown.model), strict=True))
    for name, m in zip(members, grown.memory, strict=True):
        assert all(np.isfinite(leaf).all() for leaf in numbers_in(m)), name


@pytest.mark.slow
def test_what_is_written_by_a_hypernetwork_is_kept_in_any_company():
    company = chain(OutputPreservation(1e-4), Replay(8, 3, logits=0.5), OutputPreservation(1e-4, forgotten=0.0))
    lived = eqx.filter_vmap(lambda key: live(company, key, *DATA, net=writing_net, rate=1e-3))
    born, grown, answers = eqx.filter_jit(lived)(KEYS)
    assert jax.tree.structure(born) == jax.tree.structure(grown)
    assert answers.shape == (2, 2, 7, OUTPUTS)
    assert all(np.isfinite(leaf).all() for leaf in numbers_in((grown.model, grown.memory, answers)))
    assert grown.memory[0].finished.any(1).all() and company.consolidates


@pytest.mark.slow
def test_prototypes_keep_apart_in_any_company():
    company = chain(OnPro(8, 4, Still()), Replay(8, 3, logits=0.5), OnPro(8, 4, Still(), mixing=1.0))
    lived = eqx.filter_vmap(lambda key: live(company, key, *DATA, net=projecting_net))
    born, grown, answers = eqx.filter_jit(lived)(KEYS)
    assert jax.tree.structure(born) == jax.tree.structure(grown)
    assert all(np.isfinite(leaf).all() for leaf in numbers_in((grown.model, grown.memory, answers)))
    assert all((a != b).any() for a, b in zip(numbers_in(born.model), numbers_in(grown.model), strict=True))


HOLDING = ["er", "mir", "der++", "er by task", "nearest mean of a buffer", "icarl", "gdumb", "agem", "gem"]


@pytest.mark.parametrize("name", HOLDING)
def test_what_is_released_is_nowhere_in_the_state_and_the_rest_is(name):
    """Examples of class 1 must go: their inputs are in no leaf any more, those of class 0 still are."""

    @eqx.filter_jit
    def released(memory):
        _, grown, _ = live(memory, KEYS[0], *DATA)
        return grown.memory, memory.release(grown.memory, lambda batch: batch.y == 1)

    every = np.concatenate([np.asarray(leaf).reshape(-1, 3) for leaf in (DATA[0].x, DATA[1].x)])
    labels = np.concatenate([np.asarray(leaf).reshape(-1) for leaf in (DATA[0].y, DATA[1].y)])
    held = [[row in _rows(m) for row in every[:, 0]] for m in released(MEMORIES[name])]
    before, after = np.asarray(held)
    assert before[labels == 1].any() and before[labels == 0].any()
    assert not after[labels == 1].any()
    np.testing.assert_array_equal(after[labels == 0], before[labels == 0])


def _rows(m):
    """Return all numbers that stand first in a row of inputs, wherever in a state."""
    leaves = [np.asarray(leaf) for leaf in numbers_in(m) if leaf.ndim >= 2 and leaf.shape[-1] == 3]
    return np.concatenate([leaf[..., 0].ravel() for leaf in leaves])


def numbers_in(tree):
    return jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))


def test_all_of_them_go_together():
    everything = chain(*MEMORIES.values())
    _, grown, answers = eqx.filter_eval_shape(live, everything, jax.random.key(0), *DATA)
    assert len(grown.memory) == len(MEMORIES)
    assert answers.shape == (2, 7, OUTPUTS)
    assert everything.consolidates and everything.answers


IDLE = [name for name, memory in MEMORIES.items() if not memory.consolidates]


@pytest.mark.parametrize("name", IDLE)
def test_no_program_is_compiled_for_the_end_of_a_task_only_where_nothing_would_happen(name):
    memory, batch = MEMORIES[name], examples(BATCH)
    model = net(jax.random.key(0))
    m = eqx.filter_jit(memory.init)(model, batch, key=jax.random.key(2))
    after, same = memory.consolidate(m, model, Sheets(examples(12)), loss, key=jax.random.key(4))
    assert after is model
    if not isinstance(memory, Replay):  # it counts tasks, which only the 'by_task' mix looks at
        assert same is m


@jax.jit
def met_once(key):
    """Return the states of a memory alone and at the head of a chain, after one batch."""
    memory, model, batch = Replay(20, 8), net(key), examples(20)
    states = []
    for m in (memory, chain(memory, memory)):
        state = m.init(model, batch, key=key)
        states.append(m.keep(state, Step(batch, m.recall(state, key=key), model, model, None), key=key))
    return states


def test_a_memory_at_the_head_of_a_chain_draws_as_if_it_were_alone_and_others_for_themselves():
    alone, (head, tail) = met_once(jax.random.key(5))
    jax.tree.map(np.testing.assert_array_equal, alone, head)
    assert not np.array_equal(head.recalled.labelled.x, tail.recalled.labelled.x)

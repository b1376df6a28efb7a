"""What every learner owes the loop: a state that keeps its structure, and answers that depend on nobody else and no chance."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from circle import Circle, Table, write

from lifelong.feedback import BYOL, CounterCurrent, InfoNCE, SwappedClusters
from lifelong.learners import (
    ANIL,
    DQN,
    MAML,
    POET,
    PPO,
    BalancedLearner,
    BatchLearner,
    Configurations,
    CubeLearner,
    DirectPath,
    EntropyLearner,
    EvolutionStrategy,
    FactorLearner,
    GenerativeClassifier,
    GradientLearner,
    HebbianLearner,
    InTurn,
    KeepingBest,
    MetaSGD,
    MultiTask,
    NicheLearner,
    PolicyLearner,
    PretrainedRegressor,
    ProtoNet,
    Regressor,
    Reptile,
    SelectiveLearner,
    TokenCreditLearner,
    UnlearningLearner,
    ViewLearner,
    clipped_apart,
)
from lifelong.memory import GradientAscent
from lifelong.nets import MLP, VAE, ActorCritic, DualNetwork, FeedbackAligned, NormedMLP, SigmoidNet, Stack, ViewNetwork
from lifelong.recipe import Recipe
from lifelong.worlds import (
    CartPole,
    Cubes,
    FewShotClasses,
    LatentFactors,
    Leap,
    Lesson,
    NeuralPopulation,
    NeuralViews,
    Patterns,
    Sines,
    Split,
)

KEYS = jax.random.split(jax.random.key(0), 2)
LESSON = Lesson(jnp.int32(0), jnp.int32(0))
NET = Recipe(MLP, inputs=8, outputs=6, width=5, depth=1)
STACK = Recipe(Stack, inputs=8, outputs=6, width=5, depth=2)
WAVES = Sines(shots=3, queries=3)
STUDENT = Regressor(Recipe(MLP, inputs=1, outputs=1, width=4, depth=1), batch=3)
PUPIL = GradientLearner(Recipe(MLP, inputs=6, outputs=3, width=4, depth=1))
NEURONS = NeuralPopulation(neurons=8, angles=4, trials=8, test_trials=4, bins=3)
SIAMESE = Recipe(
    ViewNetwork, encoder=Recipe(NormedMLP, inputs=8, outputs=4, width=(5,)), features=4, projection=3, width=4
)
RUNNER, FLAT = Recipe(MLP, inputs=10, outputs=2, width=4, depth=1), jnp.zeros((2, 4))
TABLE = {"write": write, "samples": 4}


def numbers(**options):
    return GradientLearner(batch=10, **options)


def views(feedback=None):
    return ViewLearner(SIAMESE, NeuralViews(), feedback, batch=10, candidates=12)


def images():
    return np.random.default_rng(0).random((8, 6, 6), np.float32)


DATA = {
    "gradient": (lambda: numbers(model=NET), Split),
    "gradient, in turn": (lambda: InTurn(numbers(model=NET)), Split),
    "local: counter-current": (
        lambda: numbers(
            model=Recipe(DualNetwork, model=STACK),
            feedback=CounterCurrent(),
            optimizer=Recipe(clipped_apart, learning_rate=0.1),
        ),
        Split,
    ),
    "local: feedback alignment": (lambda: numbers(model=Recipe(FeedbackAligned, model=STACK)), Split),
    "local: entropy": (lambda: EntropyLearner(Recipe(SigmoidNet, sizes=(8, 5, 6)), batch=10), Split),
    "generative": (lambda: GenerativeClassifier(Recipe(VAE, latent=2, width=4, depth=1), batch=10, samples=3), Split),
    "hebbian": (lambda: HebbianLearner(capacity=4, sweeps=2, blocks=2), lambda *_: Patterns(8, 3, examples=9)),
    "unlearning": (lambda: UnlearningLearner(NET, GradientAscent(), batch=10), Split),
    "views: mined": (views, lambda *_: NEURONS),
    "views: of any data world": (views, Split),
    "views: byol": (lambda: views(BYOL()), lambda *_: NEURONS),
    "views: contrast": (lambda: views(InfoNCE()), lambda *_: NEURONS),
    "views: clusters": (lambda: views(SwappedClusters()), lambda *_: NEURONS),
    "factors": (lambda: FactorLearner(2, batch=10), Split),
    "pretrained": (lambda: PretrainedRegressor(2, batch=10), lambda *_: LatentFactors(8, 2, questions=6)),
    "numbers": (
        lambda: Regressor(Recipe(MLP, inputs=8, outputs=1, width=4), batch=10),
        lambda *_: LatentFactors(8, 2, questions=6),
    ),
}
"""Learners that answer the questions of a data world."""

EPISODES = {
    "maml": (lambda: MAML(STUDENT, inner_steps=2, episodes=2), lambda: WAVES),
    "maml of whole batches": (
        lambda: MAML(
            BatchLearner(Recipe(NormedMLP, inputs=6, outputs=3), batch=6), inner_steps=2, episodes=2, at_once=1
        ),
        lambda: FewShotClasses(images(), ways=3, shots=2, queries=2),
    ),
    "anil": (lambda: ANIL(STUDENT, inner_steps=2, episodes=2), lambda: WAVES),
    "meta-sgd": (lambda: MetaSGD(STUDENT, inner_steps=2, episodes=2), lambda: WAVES),
    "reptile": (lambda: Reptile(STUDENT, inner_steps=2, episodes=2), lambda: WAVES),
    "multi-task": (lambda: MultiTask(STUDENT, inner_steps=2, episodes=2), lambda: WAVES),
    "prototypes": (
        lambda: ProtoNet(PUPIL, episodes=2),
        lambda: FewShotClasses(images(), ways=3, shots=2, queries=2),
    ),
}
OTHERS = {
    "ppo": (
        lambda: PPO(Recipe(ActorCritic, inputs=4, outputs=2, width=4, depth=1), bodies=2, steps=4, parts=2),
        CartPole,
    ),
    "dqn": (lambda: DQN(Recipe(MLP, inputs=4, outputs=2, width=4), capacity=40, bodies=2, steps=4), CartPole),
    "cubes": (CubeLearner, Cubes),
    "niches": (lambda: NicheLearner(RUNNER, FLAT, EvolutionStrategy(2)), Leap),
    "niches on a path": (lambda: DirectPath(RUNNER, FLAT, EvolutionStrategy(2), targets=FLAT + 0.5), Leap),
    "poet": (lambda: POET(RUNNER, FLAT, EvolutionStrategy(2), slots=3, archive=4), Leap),
    "policy": (lambda: PolicyLearner(Recipe(Table), prompts=4, **TABLE), Circle),
    "policy, its best kept": (lambda: KeepingBest(PolicyLearner(Recipe(Table), prompts=4, **TABLE), 3, 2), Circle),
    "policy, half known": (
        lambda: SelectiveLearner(Recipe(Table), None, pool=3, prompts=4, tasks=(0,), **TABLE),
        Circle,
    ),
    "policy, balanced": (
        lambda: BalancedLearner(Recipe(Table), grid=Configurations((0.5, 1.0), (0.5, 1.0)), prompts=4, **TABLE),
        Circle,
    ),
    "policy, tokens weighed": (
        lambda: TokenCreditLearner(Recipe(Table), None, pool=3, prompts=4, tasks=(0,), **TABLE),
        Circle,
    ),
}
"""Learners whose answers are asked for in another way than by papers."""


def case(name, data):
    """Return a learner, a world it fits, and a lesson there."""
    if name in DATA:
        learner, world = DATA[name]
        return learner(), world(data, 1), LESSON
    learner, world = {**EPISODES, **OTHERS}[name]
    lesson = Lesson(jnp.zeros(2), jnp.int32(0)) if name == "cubes" else LESSON
    return learner(), world(), lesson


def born(learner, world, key):
    here = world.open(key=key)
    return here, learner.init(here, key=jax.random.fold_in(key, 1))


def lived(learner, world, lesson, key):
    """Return the state at birth and after three steps, what was reported, and the state after the end of a task."""
    here, start = born(learner, world, key)
    arrays, static = eqx.partition(start, eqx.is_array)

    def step(arrays, k):
        state = eqx.combine(arrays, static)
        experience = learner.meet(state, here, lesson, key=k)
        new, info = learner.learn(state, experience, key=jax.random.fold_in(k, 1))
        return eqx.filter(new, eqx.is_array), info

    grown, infos = jax.lax.scan(step, arrays, jax.random.split(jax.random.fold_in(key, 2), 3))
    grown = eqx.combine(grown, static)
    return start, grown, infos, learner.consolidate(grown, here, lesson, key=key)


@pytest.mark.parametrize("name", [*DATA, *EPISODES, *OTHERS])
def test_its_state_keeps_its_structure(name, tiny):
    """Under scan and vmap, and over the end of a task. Traced only: a scan refuses a state whose shapes or types change."""
    start, grown, infos, ended = eqx.filter_eval_shape(
        eqx.filter_vmap(lived, in_axes=(None, None, None, 0)), *case(name, tiny), KEYS
    )
    kinds = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), eqx.filter(tree, eqx.is_array))  # noqa: E731
    assert jax.tree.structure(start) == jax.tree.structure(grown) == jax.tree.structure(ended)
    assert kinds(start) == kinds(grown) == kinds(ended)
    assert isinstance(infos, dict) and all(leaf.shape[:2] == (2, 3) for leaf in infos.values())


@eqx.filter_jit
def answered(learner, world, lesson, key, some):
    """Return what is answered to a page of questions, to a few of them, and by the examinee."""
    here, _ = born(learner, world, key)
    _, state, _, _ = lived(learner, world, lesson, key)
    asked = here.papers(6).page(jnp.int32(0)).x
    examinee, examined = learner.examinee(), learner.examined(state)
    return state, learner.answer(state, asked), learner.answer(state, asked[:some]), examinee.answer(examined, asked)


QUICK = ("local: entropy", "factors", "pretrained")
SLOW = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in DATA if name != "hebbian"]


@pytest.mark.parametrize("name", SLOW)
def test_its_answers_depend_on_nobody_else_and_on_no_chance(name, tiny):
    learner, world, lesson = case(name, tiny)
    state, answers, few, examined = answered(learner, world, lesson, KEYS[0], 2)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(eqx.filter(state, eqx.is_inexact_array)))
    np.testing.assert_allclose(few, answers[:2], atol=1e-5)
    np.testing.assert_allclose(examined, answers, atol=1e-5)
    _, again, _, _ = answered(learner, world, lesson, KEYS[0], 2)
    np.testing.assert_array_equal(again, answers)


@pytest.mark.parametrize("name", SLOW)
def test_side_by_side_is_one_by_one(name, tiny):
    learner, world, lesson = case(name, tiny)
    side = eqx.filter_jit(eqx.filter_vmap(lived, in_axes=(None, None, None, 0)))(learner, world, lesson, KEYS)[1]
    alone = eqx.filter_jit(lived)
    for lane, key in enumerate(KEYS):
        one = alone(learner, world, lesson, key)[1]
        for a, b in zip(
            *(jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)) for tree in (side, one)), strict=True
        ):
            np.testing.assert_allclose(a[lane], b, rtol=1e-3, atol=1e-4)

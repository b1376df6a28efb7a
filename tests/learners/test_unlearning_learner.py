"""A learner that unlearns on request, in whole lives: what a request does, and what it does not touch."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.errors import Mismatch
from lifelong.exams import forgotten_accuracy, retained_accuracy, spill
from lifelong.learners import GradientLearner, UnlearningLearner
from lifelong.life import live, silent
from lifelong.memory import L2, NPO, GradientAscent, NoiseAlignment, OutputPreservation, Replay, chain
from lifelong.nets import MLP, Hypernetwork
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne, Requests
from lifelong.worlds import Lesson, Split

REQUESTS = "L0 L1 U0 L2"
TEACHER = Requests(REQUESTS, learn=30, unlearn=25)
ADAM = Recipe(optax.adam, learning_rate=5e-3)
PERCEPTRON = Recipe(MLP, inputs=8, outputs=6, width=16, depth=1)
WRITTEN = Recipe(MLP, inputs=8, outputs=2, width=16, depth=1)
HYPER = Recipe(Hypernetwork, network=WRITTEN, tasks=3, chunks=4, width=32)
lived = partial(live, steps=115, seeds=3, progress=silent)


def world(data):
    return Split(data, tasks=3, scenario="task")


def writer(unlearner, memory, **options):
    return UnlearningLearner(
        HYPER, unlearner, optimizer=ADAM, memory=memory, batch=10, active="all", reset_optimizer=True, **options
    )


@pytest.fixture(scope="module")
def aligned(tiny):
    return lived(writer(NoiseAlignment(0.01), OutputPreservation(0.1)), world(tiny), TEACHER)


@pytest.mark.slow
def test_noise_alignment_forgets_on_request_and_spares_the_others(aligned, tiny):
    assert retained_accuracy(aligned.matrix, REQUESTS).min() > 0.9
    assert aligned.matrix[:, 1, 0].min() > 0.9
    assert forgotten_accuracy(aligned.matrix, REQUESTS).mean() < 0.8  # chance is a half
    written = aligned.state.learner.memory.written
    assert float((written[:, 0] ** 2).mean()) < 0.3 * float((written[:, 1:] ** 2).mean())
    idle = lived(writer(NoiseAlignment(0.0), OutputPreservation(0.1)), world(tiny), TEACHER)
    assert idle.matrix[:, -1, 0].min() > 0.9  # the control: without strength nothing is forgotten


def test_in_vain_would_be_preservation_of_nothing(aligned, tiny):
    """Without preservation, what was learned before goes when something is unlearned or learned."""
    loose = lived(writer(NoiseAlignment(0.01), OutputPreservation(0.0)), world(tiny), TEACHER)
    assert retained_accuracy(loose.matrix, REQUESTS).mean() < retained_accuracy(aligned.matrix, REQUESTS).mean() - 0.05
    assert spill(loose.matrix, REQUESTS).mean() > spill(aligned.matrix, REQUESTS).mean()


def test_codes_stay_once_their_task_is_finished(aligned, tiny):
    early = lived(writer(NoiseAlignment(0.01), OutputPreservation(0.1)), world(tiny), TEACHER, steps=60)
    then, now = early.state.learner.model, aligned.state.learner.model
    np.testing.assert_array_equal(then.codes[:, :2], now.codes[:, :2])
    np.testing.assert_array_equal(then.chunks, now.chunks)
    assert (then.codes[:, 2] != now.codes[:, 2]).all()


@pytest.mark.slow
def test_without_requests_to_unlearn_it_is_a_gradient_learner(tiny):
    options = {"optimizer": ADAM, "memory": chain(L2(0.1), Replay(20, 10)), "batch": 10}
    teacher = OneByOne(3, 12)
    one, other = (
        lived(learner, world(tiny), teacher, steps=36)
        for learner in (GradientLearner(PERCEPTRON, **options), UnlearningLearner(PERCEPTRON, NPO(), **options))
    )
    np.testing.assert_array_equal(one.matrix, other.matrix)
    for a, b in zip(*(jax.tree.leaves(life.state.learner.model) for life in (one, other)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.fixture(scope="module")
def rehearsing(tiny):
    options = {"memory": Replay(40, 10), "batch": 10, "reset_optimizer": True}
    learner = UnlearningLearner(PERCEPTRON, GradientAscent(), optimizer=ADAM, **options)
    return lived(learner, world(tiny), TEACHER)


def test_ascent_forgets_and_rehearsal_protects(rehearsing):
    assert rehearsing.matrix[:, 1, 0].min() > 0.9
    assert rehearsing.matrix[:, 2, 0].mean() < 0.8
    assert retained_accuracy(rehearsing.matrix, REQUESTS).min() > 0.9


def test_memory_holds_nothing_of_what_was_unlearned_and_all_else(rehearsing):
    memory = rehearsing.state.learner.memory
    for lane in range(3):
        buffer = jax.tree.map(lambda leaf, lane=lane: leaf[lane], memory.buffer)
        tasks = np.asarray(buffer.examples.task)[: int(buffer.filled)]
        assert set(tasks.tolist()) == {1, 2}
    assert not ((memory.recalled.labelled.task == 0) & (memory.recalled.labelled.weight > 0)).any()


def step_of(learner, data, poison):
    """Return the model after one step to unlearn, on a batch that may have been exchanged for another."""
    here, key = world(data), jax.random.key(0)
    state = learner.init(here, key=key)
    lesson = Lesson(jnp.int32(1), jnp.int32(0), jnp.bool_(True))
    met = learner.meet(state, here, lesson, key=key)
    met = eqx.tree_at(lambda m: m.batch.x, met, met.batch.x + poison)
    return eqx.filter_jit(learner.learn)(state, met, key=key)[0].model


@pytest.mark.parametrize("unlearner", [NoiseAlignment(0.01), GradientAscent()])
def test_an_unlearner_that_needs_no_data_gets_none(tiny, unlearner):
    learner = writer(unlearner, OutputPreservation(0.1))
    one, other = step_of(learner, tiny, 0.0), step_of(learner, tiny, 1.0)
    assert eqx.tree_equal(one, other) == (not unlearner.needs_data)


def test_a_checkpoint_of_a_hypernetwork_is_resumed(tiny, tmp_path, aligned):
    learner, path = writer(NoiseAlignment(0.01), OutputPreservation(0.1)), tmp_path / "life"

    def stop(moment):
        if moment.step >= 60:
            raise KeyboardInterrupt

    broken = lived(learner, world(tiny), TEACHER, checkpoint=path, progress=stop)
    assert not broken.finished
    resumed = lived(learner, world(tiny), TEACHER, checkpoint=path)
    np.testing.assert_array_equal(resumed.matrix, aligned.matrix)


def test_parts_that_do_not_fit_are_refused(tiny):
    with pytest.raises(Mismatch, match="NoiseAlignment works on what a Hypernetwork writes"):
        lived(UnlearningLearner(PERCEPTRON, NoiseAlignment()), world(tiny), TEACHER)

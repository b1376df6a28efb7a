import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from lives import STEPS, TEACHER, learner, quiet_life, remembering, world

from lifelong.errors import BadInput, Mismatch, UnknownName
from lifelong.keys import key_for
from lifelong.life import Result, live, silent
from lifelong.life import _live as loop
from lifelong.memory import Replay
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import AllAtOnce, OneByOne
from lifelong.worlds import Lesson, Split


def same(a, b) -> None:
    """Two lives are equal bit for bit: exams, records and final state."""
    for ours, theirs in ((a.exams, b.exams), (a.records, b.records)):
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    leaves = zip(jax.tree.leaves(a.state), jax.tree.leaves(b.state), strict=True)
    assert all(np.array_equal(np.asarray(x), np.asarray(y), equal_nan=True) for x, y in leaves)


def lane(life, i):
    return jax.tree.map(lambda leaf: leaf[i], eqx.filter(life.state.learner.model, eqx.is_array))


def test_seeds_side_by_side_equal_seeds_one_by_one(tiny):
    together = quiet_life(remembering(), world(tiny), seeds=16)
    for seed in (0, 7, 15):
        alone = quiet_life(remembering(), world(tiny), seeds=[seed])
        np.testing.assert_allclose(together.matrix[seed], alone.matrix[0], atol=0.02)
        np.testing.assert_allclose(together.records["loss"][seed], alone.records["loss"][0], atol=2e-3)
        for ours, theirs in zip(jax.tree.leaves(lane(together, seed)), jax.tree.leaves(lane(alone, 0)), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-3)


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_a_chunked_life_equals_a_whole_one_bit_for_bit(tiny, monkeypatch, chunk):
    whole = quiet_life(remembering(), world(tiny), seeds=16)

    class Fixed(loop.Pace):
        def measured(self, steps, seconds):
            self.steps = chunk

    monkeypatch.setattr(loop, "Pace", Fixed)
    same(whole, quiet_life(remembering(), world(tiny), seeds=16))


def test_a_swept_life_equals_separate_lives(tiny):
    swept = quiet_life(
        remembering(), world(tiny), seeds=4, sweep={"memory.labels": [0.0, 1.0], "memory.logits": [0.5, 2.0]}
    )
    assert swept.final.shape == (2, 2, 4)
    for i, labels in enumerate([0.0, 1.0]):
        for j, logits in enumerate([0.5, 2.0]):
            alone = quiet_life(learner(Replay(30, 10, labels=labels, logits=logits)), world(tiny), seeds=4)
            np.testing.assert_allclose(swept.records["loss"][i, j], alone.records["loss"], atol=2e-3)


def test_a_learning_rate_can_be_swept(tiny):
    life = quiet_life(learner(), world(tiny), seeds=4, sweep={"optimizer.numbers.learning_rate": [0.0, 0.05]})
    assert np.allclose(life.exams["accuracy"][0, :, 0], life.exams["accuracy"][0, :, -1], atol=0.5)
    before, after = life.records["loss"][0], life.records["loss"][1]
    assert after[:, 11].mean() < 0.5 * before[:, 11].mean()


def test_thinned_records_are_those_of_every_third_step(tiny):
    every = quiet_life(remembering(), world(tiny), seeds=16)
    third = quiet_life(remembering(), world(tiny), seeds=16, record=3)
    np.testing.assert_array_equal(every.records["loss"][:, 2::3], third.records["loss"])
    assert third.record_steps.tolist() == list(range(3, STEPS + 1, 3))


def test_exams_are_sat_at_the_start_the_ends_of_tasks_and_on_request(tiny):
    assert quiet_life(remembering(), world(tiny), seeds=16).exam_steps.tolist() == [0, 12, 24, 36]
    often = quiet_life(remembering(), world(tiny), seeds=16, every=5)
    assert often.exam_steps.tolist() == sorted({0, 12, 24, 36, *range(5, 36, 5)})
    np.testing.assert_array_equal(often.matrix, quiet_life(remembering(), world(tiny), seeds=16).matrix)


def test_where_exams_at_the_ends_are_not_asked_for_life_goes_on_as_with_them(tiny):
    few = quiet_life(remembering(), world(tiny), seeds=16, at_ends=False)
    assert few.exam_steps.tolist() == [0, STEPS] and not len(few.ends)
    np.testing.assert_array_equal(few.final, quiet_life(remembering(), world(tiny), seeds=16).final)
    with pytest.raises(BadInput, match="read `exams` instead"):
        _ = few.matrix


@pytest.mark.slow
def test_fine_tuning_forgets_replay_remembers_and_joint_is_best(tiny):
    forgets = quiet_life(learner(), world(tiny), seeds=16).final
    remembers = quiet_life(learner(Replay(60, 10)), world(tiny), seeds=16).final
    joint = quiet_life(learner(), world(tiny), teacher=AllAtOnce(3), seeds=16).final
    assert forgets.mean() < 0.5 < remembers.mean() <= joint.mean() + 0.05


def test_shuffled_labels_leave_accuracy_at_chance(tiny):
    joint = quiet_life(learner(), world(tiny.shuffled_labels()), teacher=AllAtOnce(3), seeds=16).final
    assert abs(joint.mean() - 1 / 6) < 0.06


@pytest.mark.slow
def test_one_task_is_ordinary_training(tiny):
    """A one-task life equals a training loop written by hand with Optax."""
    ours, steps = Split(tiny, tasks=1), 20
    life = live(learner(active="all"), ours, OneByOne(1, steps), steps=steps, seeds=[3], progress=silent)
    key = jax.random.fold_in(jax.random.key(0), 3)
    here = ours.open(key=key_for(key, "world"))
    for_model, _ = jax.random.split(key_for(key, "learner"))
    model = MLP(8, 6, width=16, depth=1, key=for_model)
    optimizer = optax.sgd(0.05, momentum=0.9)
    state = optimizer.init(eqx.filter(model, eqx.is_array))

    def loss(model, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(x), y).mean()

    losses = []
    for turn in range(steps):
        batch = here.draw(Lesson(jnp.int32(0), jnp.int32(turn)), 10, key=key)
        value, slope = eqx.filter_value_and_grad(loss)(model, batch.x, batch.y)
        updates, state = optimizer.update(slope, state)
        model = eqx.apply_updates(model, updates)
        losses.append(float(value))
    np.testing.assert_allclose(life.records["loss"][0], losses, rtol=1e-3, atol=1e-4)


def test_a_diverging_lane_is_reported_and_leaves_the_others_alone(tiny):
    rates = [0.05, 1e20, 0.02]
    life = quiet_life(learner(), world(tiny), seeds=2, sweep={"optimizer.numbers.learning_rate": rates})
    diverged = [result is Result.diverged for result in life.results]
    assert diverged == [False, False, True, True, False, False]
    assert np.isnan(life.final[1]).all()
    assert np.isfinite(life.final[[0, 2]]).all()
    calm = quiet_life(learner(), world(tiny), seeds=2, sweep={"optimizer.numbers.learning_rate": [0.05, 0.05, 0.02]})
    np.testing.assert_array_equal(life.final[[0, 2]], calm.final[[0, 2]])
    assert "finite" in str(Result.diverged)


def test_equal_components_and_new_numbers_compile_nothing_new(tiny):
    here = world(tiny)
    quiet_life(remembering(), here, seeds=4)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, duration_secs, **_: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )
    quiet_life(remembering(), here, seeds=4)
    quiet_life(learner(Replay(30, 10, labels=3.0, logits=0.1), learning_rate=0.01), here, seeds=[5, 6, 7, 8])
    assert compiled == []


def test_nothing_in_the_state_grows_with_the_tasks(tiny):
    short = quiet_life(remembering(), world(tiny), seeds=16)
    long = live(remembering(), world(tiny), TEACHER, steps=2 * STEPS, seeds=16, progress=silent)
    sizes = [[leaf.nbytes for leaf in jax.tree.leaves(eqx.filter(life.state, eqx.is_array))] for life in (short, long)]
    assert sizes[0] == sizes[1]


def test_data_is_not_copied_for_every_lane(tiny):
    life = quiet_life(learner(), world(tiny), seeds=16)
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(eqx.filter(life.state, eqx.is_array))) / 16
    assert held < tiny.x_train.nbytes


def test_the_record_is_labelled(tiny):
    record = quiet_life(
        remembering(), world(tiny), seeds=4, sweep={"memory.labels": [0.0, 1.0], "memory.logits": [0.5, 2.0]}
    ).to_xarray()
    assert record.accuracy.dims == ("memory.labels", "memory.logits", "seed", "exam", "task")
    assert record.learning_loss.dims == ("memory.labels", "memory.logits", "seed", "step")
    assert record.exam.values.tolist() == [0, 12, 24, 36]
    assert record.attrs["ends"].tolist() == [12, 24, 36]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"steps": 0}, BadInput, "steps must be at least 1"),
        ({"record": 0}, BadInput, "record must be at least 1"),
        ({"every": -1}, BadInput, "every must be at least 1"),
        ({"seeds": 0}, BadInput, "at least one seed"),
        ({"seeds": [1, 1]}, BadInput, "differ"),
        ({"sweep": {"memory.labls": [1.0]}}, UnknownName, "did you mean 'labels'"),
        ({"sweep": {"memory.capacity": [1.0]}}, BadInput, "not an array leaf"),
        ({"sweep": {"memory.labels": []}}, BadInput, "no values"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(tiny, change, error, words):
    with pytest.raises(error, match=words):
        quiet_life(remembering(), world(tiny), **{"seeds": 2, **change})


def test_a_model_that_does_not_fit_is_refused(tiny):
    with pytest.raises(Mismatch, match="outputs=6"):
        quiet_life(learner(outputs=5), world(tiny), seeds=2)
    wide = eqx.tree_at(lambda one: one.model, learner(), Recipe(MLP, inputs=9, outputs=6))
    with pytest.raises(Mismatch, match="cannot take the world's inputs of shape"):
        quiet_life(wide, world(tiny), seeds=2)


def test_no_task_matrix_without_ends(tiny):
    with pytest.raises(BadInput, match="no announced ends"):
        _ = live(learner(), world(tiny), AllAtOnce(3), steps=4, seeds=1, progress=silent).matrix

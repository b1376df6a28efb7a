"""What holds for every teacher that searches a space of tasks: compiled, vmapped, in a plain loop, told nonsense."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadFile, BadInput, Mismatch
from lifelong.exams import Mastery
from lifelong.learners import CubeLearner
from lifelong.life import Teaching, live, silent
from lifelong.teachers import (
    ADR,
    ALPGMM,
    OMNI,
    PLR,
    RIAC,
    AllAtOnce,
    CovarGMM,
    InOrder,
    Learnability,
    OneByOne,
    Uniform,
    Window,
)
from lifelong.teachers._searching import sometimes
from lifelong.worlds import Cubes, TaskBox, TaskList, TaskMaker, Trial

BOX = TaskBox([-1.0, 0.0], [1.0, 3.0], ["slope", "gap"])
LIST = TaskList(["walk", "run", "jump", "fly"])


def maze(*, key):
    """A level that is a tree: walls, and where to go."""
    walls = jax.random.bernoulli(key, 0.3, (3, 3))
    return {"walls": walls, "goal": jax.random.uniform(key, (2,))}


def moved_goal(level, *, key):
    return {**level, "goal": jax.random.uniform(key, (2,))}


MAZES = TaskMaker(maze)
SMALL = {"capacity": 6, "fill": 0.5, "measure": "return"}
TEACHERS = {
    "uniform": Uniform(BOX),
    "uniform of a list": Uniform(LIST),
    "uniform of mazes": Uniform(MAZES),
    "in order": InOrder(BOX, [[0.0, 1.0], [1.0, 3.0]], 5),
    "window": Window(BOX, [0.1, -0.2], good=0.2, tries=3),
    "alp-gmm": ALPGMM(BOX, every=12, sizes=(1, 2, 3), history=30),
    "covar-gmm": CovarGMM(BOX, every=12, sizes=(1, 2, 3)),
    "riac": RIAC(BOX, room=8, regions=9, attempts=8),
    "adr": ADR(BOX, good=0.3, tries=2),
    "plr": PLR(BOX, **SMALL),
    "robust plr of mazes": PLR(MAZES, robust=True, **SMALL),
    "accel": PLR(MAZES, edit=moved_goal, **SMALL),
    "learnability": Learnability(LIST, **SMALL),
    "omni": OMNI(LIST, np.tri(4).T.astype(bool), every=3),
}
STEPS, LANES = 60, 3
KEYS = jax.random.split(jax.random.key(0), LANES)


def leaves_of(tree):
    return [np.asarray(leaf, np.float32) for leaf in jax.tree.leaves(tree)]


def returns_of(task, i):
    """A return that grows with time, differs between tasks, and is not told in every fifth try."""
    place = sum(jnp.mean(jnp.asarray(leaf, jnp.float32)) for leaf in jax.tree.leaves(task))
    value = jnp.clip(0.5 + 0.3 * jnp.sin(5 * place) * i / STEPS, 0, 1)
    return jnp.where(i % 5 == 4, jnp.nan, value)


def schooling(teacher, key):
    def step(plan, i):
        lesson, plan = teacher.ask(plan, key=jax.random.fold_in(key, 2 * i))
        report = {"return": returns_of(lesson.task, i)}
        return teacher.tell(plan, lesson, report, key=jax.random.fold_in(key, 2 * i + 1)), lesson

    return jax.lax.scan(step, teacher.init(key=key), jnp.arange(STEPS))


@pytest.fixture(scope="module", params=TEACHERS)
def schooled(request):
    teacher = TEACHERS[request.param]
    plan, lessons = eqx.filter_jit(eqx.filter_vmap(schooling, in_axes=(None, 0)))(teacher, KEYS)
    return teacher, plan, lessons


def test_lanes_ask_for_tasks_of_the_space_whatever_they_are_told(schooled):
    teacher, plan, lessons = schooled
    tasks = jax.tree.map(lambda leaf: leaf.reshape(LANES * STEPS, *leaf.shape[2:]), lessons.task)
    for i in range(0, LANES * STEPS, 7):
        teacher.space.checked(jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), tasks))
    assert all(not np.isnan(leaf).any() for leaf in leaves_of(plan))
    assert isinstance(teacher, InOrder) or any((leaf[0] != leaf[1]).any() for leaf in leaves_of(lessons.task))


def test_what_is_told_as_nan_changes_nothing(schooled):
    teacher, plan, lessons = schooled
    one = jax.tree.map(lambda leaf: leaf[0], plan)
    last = jax.tree.map(lambda leaf: leaf[0, -16:], lessons.task)

    @eqx.filter_jit
    def tell(value):
        return jax.vmap(lambda task: teacher.tell(one, Trial(task), {"return": value}, key=KEYS[0]))(last)

    for before, after in zip(leaves_of(one), leaves_of(tell(jnp.float32(jnp.nan))), strict=True):
        np.testing.assert_array_equal(np.broadcast_to(before, after.shape), after)
    told = zip(leaves_of(one), leaves_of(tell(jnp.float32(0.9))), strict=True)
    assert isinstance(teacher, Uniform) or any((before != after).any() for before, after in told)


CUBES = Cubes(cubes=3)
CUBE_TEACHER = ALPGMM(CUBES.space, every=12, sizes=(1, 2), history=50)


@pytest.fixture(scope="module")
def lived():
    options = {"steps": 40, "every": 20, "seeds": [0, 3], "progress": silent}
    return live(CubeLearner(most=3.0), CUBES, CUBE_TEACHER, Mastery(), **options)


def test_a_plain_loop_asks_for_the_tasks_of_the_compiled_life(lived, tmp_path):
    """Saved and taken up again half-way."""
    teaching, competence, returns = Teaching(CUBE_TEACHER, seed=3), np.zeros((3, 3)), []
    for i in range(40):
        if i == 20:
            teaching.save(tmp_path / "plan")
            teaching = Teaching.load(tmp_path / "plan", CUBE_TEACHER, seed=3)
        task = teaching.ask()
        returns.append(visited(competence, task, most=3))
        teaching.tell(task, returns[-1])
    np.testing.assert_allclose(lived.records["return"][1], returns, atol=1e-6)
    assert not np.allclose(lived.records["return"][0], returns)
    np.testing.assert_allclose(lived.exams["mastered"][1, -1], (competence > 2.25).mean())
    with pytest.raises(BadFile, match="another teacher"):
        Teaching.load(tmp_path / "plan", CUBE_TEACHER, seed=4)


def visited(competence, task, most):
    """The original rule, by brute force: a visit to the cell of a task, in place; return the return."""
    cell = tuple(min(int(x * len(competence)), len(competence) - 1) for x in task)
    behind = [np.maximum(np.subtract(cell, step), 0) for step in np.ndindex(*(2,) * len(cell))]
    ready = [competence[tuple(one)] >= 0.75 * most for one in behind if tuple(one) != cell]
    if not any(cell) or any(ready):
        competence[cell] = min(competence[cell] + 1, most)
    return competence[cell] / most


def test_a_space_that_does_not_fit_the_world_is_refused():
    for space, wrong in ((TaskBox([0.0], [1.0]), "1 numbers"), (TaskBox([0, 0], [1, 2]), "beyond"), (LIST, "TaskList")):
        with pytest.raises(Mismatch, match=wrong):
            live(CubeLearner(), CUBES, Uniform(space), Mastery(), steps=1, seeds=1, progress=silent)


def test_a_teacher_says_what_it_listens_to():
    with pytest.raises(Mismatch, match=r"PLR listens to 'regret'.*reports return"):
        Teaching(PLR(BOX)).tell([0.0, 1.0], **{"return": 1.0})


def test_asked_in_numpy():
    assert isinstance(Teaching(Uniform(LIST)).ask(), int)
    assert Teaching(Uniform(BOX)).ask().shape == (2,)
    level = Teaching(Uniform(MAZES)).ask()
    assert level["walls"].dtype == bool
    assert int(Teaching(OneByOne(3, 5)).ask().task) == 0
    np.testing.assert_array_equal(Teaching(AllAtOnce(3)).ask().weights, np.ones(3))


@pytest.mark.parametrize(
    ("task", "value", "match"),
    [
        ([0.0, 4.0], 1.0, "'gap' lies between 0 and 3, and this task has 4"),
        ([0.0], 1.0, r"2 numbers \(slope, gap\)"),
        ([0.0, np.nan], 1.0, "this task has nan"),
        ([0.0, 1.0], np.nan, "tell finite numbers"),
        ([0.0, 1.0], "well", "must be told as a number"),
    ],
)
def test_nonsense_is_refused_in_a_plain_loop(task, value, match):
    teaching = Teaching(Uniform(BOX))
    with pytest.raises(BadInput, match=match):
        teaching.tell(task, value)


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: TaskBox([0.0], [0.0], ["height"]), "'height' runs from 0 to 0: no width"),
        (lambda: TaskBox([0.0], [np.inf]), "finite"),
        (lambda: TaskBox([0.0], [1.0, 2.0]), "as many lowest"),
        (lambda: TaskBox([0.0, 0.0], [1.0, 2.0], ["a", "a"]), "different names"),
        (lambda: TaskList(0), "at least one"),
        (lambda: Uniform("everything"), "needs a space of tasks"),
        (lambda: ALPGMM(LIST), "searches a TaskBox, not a TaskList"),
        (lambda: OMNI(BOX), "chooses from a TaskList"),
        (lambda: ALPGMM(BOX, sizes=(300,)), "components"),
        (lambda: ALPGMM(BOX, history=5), "too short"),
        (lambda: RIAC(BOX, room=1), "room for 4"),
        (lambda: ADR(BOX, start=[5.0, 1.0]), "'slope' lies between"),
        (lambda: PLR(BOX, capacity=0), "at least one"),
        (lambda: OMNI(LIST, np.ones((2, 2))), "4×4"),
        (lambda: Teaching(Uniform(BOX), seed=-1), "whole number"),
        (lambda: InOrder(LIST, [7]), "from 0 to 3"),
    ],
)
def test_what_cannot_be_taught_is_refused(build, match):
    with pytest.raises(BadInput, match=match):
        build()


def test_lanes_share_the_condition_of_what_is_due_now_and_then():
    """Each lane changes when it is due alone, and the lanes keep a true conditional, which costs nothing where none is."""
    due, states = jnp.asarray([True, False, True]), jnp.arange(3.0)

    def lane(due, state):
        return sometimes(due, lambda state: jnp.sin(state) + 5, state)

    np.testing.assert_allclose(jax.vmap(lane)(due, states), np.where(due, np.sin(states) + 5, states), rtol=1e-6)
    np.testing.assert_allclose(
        jax.vmap(jax.vmap(lane))(due[:, None], states[:, None])[:, 0], jax.vmap(lane)(due, states)
    )
    nested = jax.make_jaxpr(jax.vmap(jax.vmap(lane)))(due[:, None], states[:, None])
    assert [equation.primitive.name for equation in nested.eqns].count("cond") == 1

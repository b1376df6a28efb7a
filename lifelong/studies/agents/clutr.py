"""CLUTR: a teacher learns to make tasks in a latent space that was learned before, where a task is a single act.

Tasks are mazes, written as sequences: walls in the order of their cells, the start, the goal. A recurrent variational
autoencoder learns random ones once; then its decoder stands still. In each round the teacher, a PPO agent that sees only
noise, names 32 latent vectors, and two students, protagonist and antagonist, live the mazes that these spell out. The teacher
is paid with regret, the antagonist's best return less the protagonist's mean. PAIRED is the same with a teacher that places
goal, start and walls cell after cell, and has one reward for ten acts.

One knock-out leaves the decoder untrained: the teacher acts in one step, but on a space without meaning. The other trains the
autoencoder on walls in random order: there is no single sequence for a maze. Domain randomisation is a single student in the
random mazes that the autoencoder learned from.

What is not the paper's: a vector is squashed to 4·tanh(z) within the decoder, so a newborn teacher's normal acts are those of
the prior; the spread of the teacher's acts has a floor, for with 32 tasks a round it may not collapse to one; rates are
larger than the paper's 10⁻⁴, whose rounds are many more, and teachers, which descend on 32 regrets a round, have the larger.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from lifelong.exams import Returns
from lifelong.feedback import ClippedSurrogate
from lifelong.keys import key_for
from lifelong.lab import Arm, Claim, Control, Settings, Study
from lifelong.learners import PPO, Pair, clipped_adam
from lifelong.life import Life, live
from lifelong.nets import ActorCritic, SequenceVAE, WideActorCritic, trained_on_sequences
from lifelong.recipe import Recipe
from lifelong.teachers import Designer, Group, Teacher, Uniform
from lifelong.worlds import (
    MAZE_SUITE,
    LatentMazes,
    Making,
    Maze,
    MazeLevel,
    MazeSequences,
    PlacingMazes,
    any_maze,
    maze_suite,
    shortest_path,
)

REFERENCE = 1000
"""The seed of the autoencoders and of the held-out random mazes: none of the verdict's."""

SIDE = 7


@cache
def autoencoder(kind: str, **given) -> SequenceVAE:
    """Return the autoencoder of an arm: trained on sorted or shuffled walls, or untrained."""
    settings, key = Settings(given), jax.random.key(REFERENCE)
    vae = SequenceVAE(SIDE**2 + 1, settings.walls + 3, settings.latent, settings.memory, key=key_for(key, "newborn"))
    if kind == "untrained":
        return vae
    draw = MazeSequences(SIDE, settings.walls, settings.batch, shuffled=kind == "shuffled")
    return trained_on_sequences(vae, draw, settings.pretraining, settings.pretraining_rate, key=key)[0]


def held_out(settings: Settings) -> MazeLevel:
    """Return the mazes of the exam: drawn ones, and random ones with all walls that can be solved."""
    several = Maze.random(4 * settings.held_out, SIDE, settings.walls, key=jax.random.key(REFERENCE))
    some = np.flatnonzero(np.asarray(jax.vmap(shortest_path)(several)) > 0)[: settings.held_out]
    return jax.tree.map(lambda drawn, random: jnp.concatenate([drawn, random[some]]), maze_suite(), several)


def agent(model: Recipe, steps: int, settings: Settings, learning_rate: float, **descent: Any) -> PPO:
    """Return an agent with a body for each task of a round, that begins every round with new episodes."""
    return PPO(
        model,
        ClippedSurrogate(entropy_weight=settings.entropy),
        Recipe(clipped_adam, learning_rate=learning_rate),
        discount=settings.discount,
        bodies=settings.tasks,
        steps=steps,
        restart=True,
        **descent,
    )


def student(world: Maze, settings: Settings) -> PPO:
    """Return a student, who has time for at least four episodes of its task."""
    model = Recipe(ActorCritic, inputs=world.observations.shape[0], outputs=world.outputs, width=settings.width)
    steps, rate = settings.episodes * world.limit, settings.learning_rate
    return agent(model, steps, settings, rate, epochs=1, parts=settings.parts)


def designer(world: Making, model: Recipe, settings: Settings) -> Designer:
    """Return a teacher that makes its tasks in a world."""
    return Designer(world, agent(model, world.limit, settings, settings.teacher_rate, epochs=settings.epochs, parts=1))


def by_vector(kind: str) -> Callable[[Settings], Teacher]:
    """Return how CLUTR's teacher is built on an autoencoder."""

    def build(settings: Settings) -> Teacher:
        vae = autoencoder(kind, **settings)
        world = LatentMazes(vae.spell, vae.latent, SIDE)
        inputs = world.observations.shape[0]
        model = Recipe(WideActorCritic, inputs=inputs, outputs=vae.latent, width=settings.width, floor=settings.floor)
        return designer(world, model, settings)

    return build


def by_placing(settings: Settings) -> Teacher:
    """Return PAIRED's teacher."""
    world = PlacingMazes(SIDE, settings.walls)
    model = Recipe(ActorCritic, inputs=world.observations.shape[0], outputs=world.outputs, width=settings.width)
    return designer(world, model, settings)


def at_random(settings: Settings) -> Teacher:
    """Return domain randomisation."""
    return Group(Uniform(lambda *, key: any_maze(SIDE, settings.walls, key=key)), settings.tasks)


class Way(NamedTuple):
    """How an arm is taught, and whether there are two students."""

    teacher: Callable[[Settings], Teacher]
    pair: bool = True


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Train students on what their teacher makes."""
    world = Maze(held_out(settings), settings.limit, haste=settings.haste)
    teacher, one = arm.build.teacher(settings), student(world, settings)
    learner, exam = Pair(one) if arm.build.pair else one, Returns(settings.tries, greedy=False)
    rounds, every = settings.rounds, -(-settings.rounds // settings.exams)
    life = live(learner, world, teacher, exam, steps=rounds, every=every, record=every, **options)
    return life.to_xarray().assign({name: ("seed", values) for name, values in asked_last(life, teacher).items()})


def asked_last(life: Life, teacher: Teacher) -> dict[str, np.ndarray]:
    """Return which share of the tasks a teacher makes at the end can be solved, how long they take, and their walls."""

    @eqx.filter_jit
    @eqx.filter_vmap(in_axes=(eqx.if_array(0), 0, None))
    def describe(plan, key, teacher):
        tasks = teacher.ask(plan, key=key)[0].task
        way = jax.vmap(shortest_path)(tasks)
        solvable = way > 0
        steps = jnp.where(solvable, way, 0).sum() / jnp.maximum(solvable.sum(), 1)
        return {"solvable": solvable.mean(), "way": steps, "walls": tasks.walls.sum((1, 2)).mean()}

    keys = jax.random.split(jax.random.key(REFERENCE), len(life.dims["seed"]))
    return {name: np.asarray(values) for name, values in describe(life.state.plan, keys, teacher).items()}


def solved(life: xr.Dataset) -> xr.DataArray:
    """Return the share of held-out mazes solved in time, at every exam."""
    return life.terminated.mean("task")


def late(life: xr.Dataset) -> xr.DataArray:
    """Return how much of them is solved at the exams of the last quarter of the life."""
    return solved(life).isel(exam=slice(-(life.sizes["exam"] // 4), None))


def across(lives: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.DataArray]]:
    """Return the mean regret of the last quarter of all rounds, where there are two students."""
    each = {arm: life.learning_each_regret for arm, life in lives.items() if "learning_each_regret" in life}
    last = {arm: regret.isel(step=slice(-(regret.sizes["step"] // 4), None)) for arm, regret in each.items()}
    return {arm: {"regret": regret.mean(["step", "each_regret_0"])} for arm, regret in last.items()}


study = Study(
    slug="clutr",
    question="Does a teacher that makes tasks in a latent space learned before teach better than one that places every cell?",
    arms={
        "clutr": Arm("method", "latent vectors, sorted walls", Way(by_vector("sorted"))),
        "paired": Arm("baseline", "cell after cell", Way(by_placing)),
        "untrained": Arm("knock-out", "a decoder as it was born", Way(by_vector("untrained")), like="clutr"),
        "unsorted": Arm("knock-out", "walls in any order", Way(by_vector("shuffled")), like="clutr"),
        "random": Arm("baseline", "random mazes, one student", Way(at_random, pair=False)),
    },
    lifetime=lifetime,
    measures={
        "solved": lambda life: solved(life).isel(exam=-1),
        "solved_drawn": lambda life: solved(life.isel(task=slice(len(MAZE_SUITE)))).isel(exam=-1),
        "gained": lambda life: solved(life).isel(exam=-1) - solved(life).isel(exam=0),
        "wavering": lambda life: late(life).std("exam"),
        "solvable": lambda life: life.solvable,
        "way": lambda life: life.way,
        "walls": lambda life: life.walls,
    },
    across=across,
    claim=Claim(
        better="clutr",
        than="paired",
        on="solved",
        by=0.05,
        knockout="untrained",
        sentence="CLUTR's student solves at least five points more of the held-out mazes at the end than PAIRED's does, and an "
        "untrained decoder loses the gain.",
    ),
    controls=(Control("random", "gained", at_least=0.05, because="random mazes teach a student to walk to goals"),),
    secondary=(
        Claim("clutr", "unsorted", "solved", sentence="An order of the walls helps the latent space."),
        Claim("clutr", "random", "solved", sentence="CLUTR beats domain randomisation."),
        Claim("paired", "random", "solved", sentence="PAIRED beats domain randomisation."),
        Claim("clutr", "paired", "wavering", 0.0, None, False, "CLUTR's student wavers less at the end than PAIRED's."),
    ),
    settings={
        "seeds": 8,
        "rounds": 125,
        "tasks": 32,
        "episodes": 4,
        "limit": 24,
        "walls": 8,
        "haste": 0.9,
        "width": 48,
        "learning_rate": 1e-3,
        "teacher_rate": 3e-3,
        "discount": 0.97,
        "entropy": 0.01,
        "epochs": 5,
        "parts": 4,
        "floor": 0.2,
        "latent": 8,
        "memory": 48,
        "batch": 128,
        "pretraining": 2000,
        "pretraining_rate": 3e-3,
        "held_out": 64,
        "tries": 4,
        "exams": 16,
    },
    budgets={
        "smoke": {"seeds": 2, "rounds": 4, "tasks": 4, "pretraining": 20, "batch": 16, "held_out": 4, "exams": 4},
        "quick": {"rounds": 40, "tasks": 16, "pretraining": 500},
        "full": {},
    },
    simplified="Mazes of 7×7 with up to 8 walls and 24 moves for 13×13 with 50 and 250; perceptrons of 2×48 with a compass for "
    "LSTMs of 256; 125 rounds of 32 tasks, 384,000 steps of each student, for 500 million. The autoencoder has LSTMs of 48 and "
    "8 latent numbers for 600, 800 and 64; it sees 256,000 sequences for ten million, and is the same for all seeds. Students "
    "learn each step once, in four parts, teachers five times. Half of the specification's rounds and two thirds of its "
    "autoencoder's steps, cut before the first run for two cores. Domain randomisation has one student.",
    curve="terminated",
)

"""Time training and sampling of a small language model with lifelong, many seeds at once.

    python benchmarks/own_language.py SETTINGS SEEDS

Both are lives: a `GradientLearner` that learns transcripts, whose lanes learn in turn, and a learner that writes in every
step. Prints one line of JSON: tokens per second of all seeds together, and per second of a core, from lives of two lengths;
and by how much the first life took longer.
"""

import json
import sys
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from lifelong.feedback import NextToken
from lifelong.lab._bases import Unexamined
from lifelong.learners import GradientLearner, InTurn, Learner
from lifelong.life import live, silent
from lifelong.nets import Completion, language_model, sample
from lifelong.recipe import Recipe
from lifelong.teachers import AllAtOnce
from lifelong.worlds import Batch, World


class Noise(World):
    """Random tokens, all of which count."""

    length: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    tasks: int = eqx.field(static=True, default=1)

    def draw(self, lesson: Any, n: int, *, key: jax.Array) -> Batch:
        """Return random transcripts."""
        tokens = jax.random.randint(key, (n, self.length), 0, self.outputs)
        none = jnp.zeros(n, jnp.int32)
        return Batch(jnp.stack([tokens, jnp.ones_like(tokens)], 1), none, none, jnp.ones(n))


class Writer(Learner):
    """Writes answers to what it meets, and learns nothing."""

    model: Recipe
    batch: int = eqx.field(static=True)
    new: int = eqx.field(static=True)

    def init(self, world: World, *, key: jax.Array) -> Any:
        """Return a fresh model."""
        return self.model(key=key)

    def meet(self, state: Any, world: World, lesson: Any, *, key: jax.Array) -> Any:
        """Write answers to prompts."""
        prompts = world.draw(lesson, self.batch, key=key).x[:, 0]
        return sample(state, prompts, length=self.new, key=key)

    def learn(self, state: Any, experience: Any, *, key: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        """Return the model as it was."""
        return state, {"log_probability": experience.log_probability.mean()}


def main(given: str, seeds: int) -> None:
    settings = json.loads(given)
    net = Recipe(language_model, preset="micro", vocabulary=settings["vocabulary"], **settings["model"])
    adam = Recipe(clipped_adamw, learning_rate=3e-3)
    learner = GradientLearner(Recipe(Completion, net=net), NextToken(), adam, batch=settings["batch"], active="all")
    writer = Writer(net, settings["batch"], settings["new"])
    train = timed(InTurn(learner), settings["length"], settings, seeds, settings["length"])
    write = timed(writer, settings["prompt"], settings, seeds, settings["new"])
    print(json.dumps({"seeds": seeds, "train": train, "sample": write, "jax": jax.__version__}))


def clipped_adamw(learning_rate: Any) -> optax.GradientTransformation:
    adamw = optax.adamw(learning_rate, b1=0.9, b2=0.95, weight_decay=0.01)
    return optax.chain(optax.clip_by_global_norm(1.0), adamw)


def timed(learner: Learner, length: int, settings: dict, seeds: int, tokens: int) -> dict[str, float]:
    world = Noise(length, settings["vocabulary"])

    def seconds(steps: int) -> np.ndarray:
        start = np.array([time.perf_counter(), time.process_time()])
        live(learner, world, AllAtOnce(1), Unexamined(), steps=steps, seeds=seeds, record=steps, progress=silent)
        return np.array([time.perf_counter(), time.process_time()]) - start

    few = 10
    first, again = seconds(few), np.min([seconds(few) for _ in range(3)], axis=0)
    many = few + max(few, round(settings["seconds"] * few / again[0] / 3))
    longer = np.min([seconds(many) for _ in range(3)], axis=0)
    wall, core = (many - few) * seeds * settings["batch"] * tokens / (longer - again)
    return {"wall": wall, "core": core, "compiling": (first - again)[0], "steps": many}


if __name__ == "__main__":
    jax.config.update("jax_enable_compilation_cache", False)
    main(sys.argv[1], int(sys.argv[2]))

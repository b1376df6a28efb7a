"""The agents of `agents.py` with lifelong.

    python benchmarks/own_agents.py '{"bodies": 8, …}' SEEDS

Trains them once, so that everything is compiled, then again, at least twice and for at least ten seconds; the rate is the
median's. Prints one line of JSON.
"""

import json
import sys
import time
from importlib.metadata import version

import jax
import numpy as np

from lifelong.exams import Returns
from lifelong.feedback import ClippedSurrogate
from lifelong.learners import PPO, clipped_adam
from lifelong.life import Life, live, silent
from lifelong.nets import ActorCritic
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Box, CartPole, Environment, Walker

WORLDS = {"CartPole-v1": CartPole, "BipedalWalker-v3": lambda: Walker(limit=1600)}
"""What stands beside each of Gymnasium's worlds: the same equations for CartPole, a walker of other physics for Box2D's."""

WARM_SECONDS, WARM_LIVES = 10.0, 2


def main(settings: str, seeds: str) -> None:
    life, count = json.loads(settings), int(seeds)
    start = time.perf_counter()
    trained(life, count)
    cold, warm = time.perf_counter() - start, []
    while len(warm) < WARM_LIVES or sum(warm) < WARM_SECONDS:
        start = time.perf_counter()
        lived = trained(life, count)
        warm.append(time.perf_counter() - start)
    steps = life["rounds"] * life["bodies"] * life["steps"] * count
    report = {
        "rate": steps / float(np.median(warm)),
        "cold_seconds": cold,
        "warm_seconds": warm,
        "return": lived.records["recent"][:, -1].tolist(),
        "versions": {name: version(name) for name in ("lifelong", "jax", "equinox", "optax")},
    }
    print(json.dumps(report))


def trained(life: dict, seeds: int) -> Life:
    world = WORLDS[life["world"]]()
    agent = PPO(
        network(world, life["width"]),
        ClippedSurrogate(entropy_weight=0.0, clip_value=False),
        Recipe(clipped_adam, learning_rate=life["rate"]),
        bodies=life["bodies"],
        steps=life["steps"],
        epochs=life["epochs"],
        parts=life["bodies"] * life["steps"] // life["batch"],
    )
    rounds = life["rounds"]
    return live(agent, world, OneByOne(1, rounds), Returns(episodes=1), steps=rounds, seeds=seeds, progress=silent)


def network(world: Environment, width: int) -> Recipe:
    """Return the recipe of an actor and a critic that fit a world."""
    (inputs,), continuous = world.observations.shape, isinstance(world.actions, Box)
    return Recipe(ActorCritic, inputs=inputs, outputs=world.outputs, width=width, continuous=continuous)


if __name__ == "__main__":
    jax.config.update("jax_enable_compilation_cache", False)
    main(*sys.argv[1:])

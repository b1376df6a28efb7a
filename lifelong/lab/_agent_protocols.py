"""The protocols behind published numbers of agents: CleanRL's scripts for classic control."""

from dataclasses import dataclass

import jax
import numpy as np
import optax

from lifelong.learners import DQN, PPO, Agent, clipped_adam, falling
from lifelong.life import Life
from lifelong.nets import MLP, ActorCritic
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne, Teacher
from lifelong.worlds import Acrobot, CartPole, Environment, MountainCar

from ._anchors import Anchor

STEPS = 500_000
"""Steps in the world, in every script."""

MAKES = {"cart-pole": CartPole, "acrobot": Acrobot, "mountain-car": MountainCar}


@dataclass(frozen=True)
class AgentProtocol:
    """All that an agent's life needs: world, learner, teacher, and how many steps of life."""

    world: Environment
    learner: Agent
    teacher: Teacher
    steps: int


def agent_protocol(anchor: Anchor, part: float = 1.0) -> AgentProtocol:
    """Return the protocol of a published number of an agent; `part` of its steps are taken."""
    world, steps = MAKES[anchor.scenario](), round(part * STEPS)
    learner, taken = (_ppo if anchor.method == "ppo" else _dqn)(world, steps)
    return AgentProtocol(world, learner, OneByOne(1, steps // taken), steps // taken)


def _ppo(world: Environment, steps: int) -> tuple[Agent, int]:
    """Return ppo.py: 4 bodies, 128 steps, 4 epochs of 4 parts, a rate that falls to 0; time that is up is an end."""
    taken, updates = 4 * 128, 4 * 4
    rate = Recipe(falling, start=2.5e-4, over=steps // taken * updates, hold=updates)
    model = Recipe(ActorCritic, inputs=world.observations.shape[0], outputs=world.outputs)
    return PPO(model, optimizer=Recipe(clipped_adam, learning_rate=rate), bootstrap=False), taken


def _dqn(world: Environment, steps: int) -> tuple[Agent, int]:
    """Return dqn.py and dqn_jax.py: 120 and 84 units, one body, a step of the optimizer every 10 steps."""
    model = Recipe(MLP, inputs=world.observations.shape[0], outputs=world.outputs, width=(120, 84))
    return DQN(model, Recipe(optax.adam, learning_rate=2.5e-4), fall=steps / 2, patience=min(10_000, steps // 10)), 10


def recent_returns(life: Life) -> np.ndarray:
    """Return each lane's mean return of the last hundred episodes of training, which is what CleanRL reports."""
    return np.asarray(jax.vmap(lambda fortunes: fortunes.mean)(life.state.learner.crew.fortunes))

"""Old tasks come back, the likelier the more recently they were met."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.recipe import Number, number
from lifelong.worlds import Lesson, Mixture

from ._teacher import Teacher


class Recency(Teacher):
    """Introduce one task after the other, and let earlier ones come back with the need that recency predicts.

    Of the examples in a phase a share `rehearsal` comes from earlier tasks, task i with a need probability

        p_i ∝ ℓ_i^(−exponent) · exp(−rate·(ℓ_i − 1)),        ℓ_i = time since task i was last met,

    so exponent = 1, rate = 0 is the power law of human environments (Anderson and Schooler 1991), exponent = 0, rate > 0
    is exponential forgetting of the environment, both 0 uniform, a large rate the last task only, and a negative
    exponent time reversed. The rest, and all of the first phase, is the phase's own task; the last phase has no end.

    Args:
        tasks: how many tasks, and phases.
        steps: lessons a phase.
        rehearsal: the share of examples of earlier tasks.
        exponent, rate: the shape of the need probability.
        form: 'quantity': ℓ counts phases since the task was introduced, and every batch mixes tasks in proportion.
            'encounter': each lesson is one task drawn from p, ℓ counts lessons since it was last drawn (in units of a
            phase), and being drawn resets it.
    """

    rehearsal: Number = number(1 / 3)
    exponent: Number = number(1.0)
    rate: Number = number(0.0)
    tasks: int = eqx.field(static=True, default=10)
    steps: int = eqx.field(static=True, default=100)
    form: Literal["quantity", "encounter"] = eqx.field(static=True, default="quantity")

    def __check_init__(self):
        if min(self.tasks, self.steps) < 1:
            raise BadInput(f"a teacher needs tasks and steps of at least 1: tasks={self.tasks}, steps={self.steps}")
        if self.form not in ("quantity", "encounter"):
            raise BadInput(f"the form must be 'quantity' or 'encounter', not '{self.form}'")

    def init(self, *, key: PRNGKeyArray) -> tuple[Int[Array, ""], Float[Array, " tasks"]]:
        """Return the clock, and for every task the lesson at which it was last met."""
        return jnp.int32(0), jnp.zeros(self.tasks)

    def ask(self, plan, *, key: PRNGKeyArray) -> tuple[Mixture, tuple[Int[Array, ""], Float[Array, " tasks"]]]:
        """Return the mixture of this moment (of a single task in the 'encounter' form)."""
        clock, met = plan
        phase = jnp.minimum(clock // self.steps, self.tasks - 1)
        if self.form == "quantity":
            lag = (phase - jnp.arange(self.tasks)).astype(jnp.float32)
            return Mixture(self.weights(phase, lag)), (clock + 1, met)
        lag = jnp.maximum((clock - met) / self.steps, 1 / self.steps)
        task = jax.random.categorical(key, jnp.log(self.weights(phase, lag)))
        return Mixture(jax.nn.one_hot(task, self.tasks)), (clock + 1, met.at[task].set(clock))

    def weights(self, phase: Int[Array, ""], lag: Float[Array, " tasks"]) -> Float[Array, " tasks"]:
        """Return the share of every task in a phase, given the time since each was last met."""
        tasks = jnp.arange(self.tasks)
        current, earlier = (tasks == phase).astype(jnp.float32), tasks < phase
        lag = jnp.maximum(lag, 1e-6)
        need = jnp.where(earlier, -self.exponent * jnp.log(lag) - self.rate * (lag - 1), -jnp.inf)
        share = jnp.where(phase > 0, self.rehearsal, 0.0)
        return (1 - share) * current + share * jnp.where(phase > 0, jax.nn.softmax(need), 0.0)

    def boundaries(self, steps: int) -> tuple[int, ...]:
        """Return the ends of the phases."""
        return tuple(range(self.steps, steps + 1, self.steps))


class Only(Teacher):
    """Teach one task for ever: the single-task expert of lifelong metrics. The task can be swept."""

    task: Int[Array, ""] = eqx.field(converter=lambda task: jnp.asarray(task, jnp.int32), default=0)

    def init(self, *, key: PRNGKeyArray) -> Int[Array, ""]:
        """Return the clock."""
        return jnp.int32(0)

    def ask(self, plan: Int[Array, ""], *, key: PRNGKeyArray) -> tuple[Lesson, Int[Array, ""]]:
        """Return the next lesson of the task."""
        return Lesson(self.task, plan), plan + 1

"""Learning from what a teacher would say at every token."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.recipe import Number, number

from ._bregman import kullback_leibler
from ._labels import Info
from ._rollouts import Rollouts, over_tokens


class TokenDistillation(eqx.Module):
    """Say what a frozen teacher would: the mean divergence over own tokens, at a temperature τ, times τ².

    Forward KL(T ‖ S) spreads over all that the teacher might say, reverse KL(S ‖ T) settles on some of it (Gu et al. 2024,
    "MiniLLM"). On a teacher's answers this is distillation of sequences, on the student's own it is on-policy (Agarwal et
    al. 2024, "On-Policy Distillation of Language Models").

    Args:
        teacher: a language model; no gradient flows into it.
        temperature: τ, 1; the factor τ² keeps gradients of one size (Hinton et al. 2015).
        reverse: whether the divergence is KL(S ‖ T).
    """

    teacher: PyTree
    temperature: Number = number(1.0)
    reverse: bool = eqx.field(static=True, default=False)

    def __call__(self, model: PyTree, experience: Rollouts, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean divergence, and how often both would say the same."""
        before = experience.tokens[..., :-1]
        student, teacher = (m.read(before) / self.temperature for m in (model, self.teacher))
        teacher = jax.lax.stop_gradient(teacher)
        truth, guess = (student, teacher) if self.reverse else (teacher, student)
        apart = jax.vmap(jax.vmap(kullback_leibler))(jax.nn.softmax(truth), guess)
        own, weight = experience.own[..., 1:], experience.weights
        loss = self.temperature**2 * over_tokens(apart, own, weight, "token")
        same = (student.argmax(-1) == teacher.argmax(-1)).astype(jnp.float32)
        return loss, {"loss": loss, "agreement": over_tokens(same, own, weight, "token")}

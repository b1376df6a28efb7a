"""What a policy says of one situation: a distribution over actions."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Categorical(eqx.Module):
    """One of several actions, with probability softmax(logits)."""

    logits: Float[Array, "*n actions"]

    def sample(self, chance: Float[Array, "*n actions"]) -> Int[Array, "*n"]:
        """Return an action: the maximum of logits − log(−log u) for `chance` u uniform in 0 … 1 (Gumbel's way)."""
        tiny = jnp.finfo(jnp.float32).tiny
        return jnp.argmax(self.logits - jnp.log(-jnp.log(jnp.maximum(chance, tiny))), -1).astype(jnp.int32)

    def best(self) -> Int[Array, "*n"]:
        """Return the likeliest action."""
        return jnp.argmax(self.logits, -1).astype(jnp.int32)

    def log_probability(self, action: Int[Array, "*n"]) -> Float[Array, "*n"]:
        """Return log π(a)."""
        picked = jax.nn.one_hot(action, self.logits.shape[-1])
        return (jax.nn.log_softmax(self.logits) * picked).sum(-1)

    def entropy(self) -> Float[Array, "*n"]:
        """Return −Σ π log π, in nats."""
        logs = jax.nn.log_softmax(self.logits)
        return -(jnp.exp(logs) * logs).sum(-1)


class Gaussian(eqx.Module):
    """Numbers around a mean, each with a spread of its own."""

    mean: Float[Array, "*n actions"]
    log_spread: Float[Array, "*n actions"]

    def sample(self, chance: Float[Array, "*n actions"]) -> Float[Array, "*n actions"]:
        """Return an action: the quantile of `chance`, uniform in 0 … 1."""
        normal = jax.scipy.special.ndtri(jnp.clip(chance, 1e-6, 1 - 1e-6))
        return self.mean + jnp.exp(self.log_spread) * normal

    def best(self) -> Float[Array, "*n actions"]:
        """Return the mean."""
        return self.mean

    def log_probability(self, action: Float[Array, "*n actions"]) -> Float[Array, "*n"]:
        """Return log π(a)."""
        away = (action - self.mean) * jnp.exp(-self.log_spread)
        return (-0.5 * away**2 - self.log_spread - 0.5 * jnp.log(2 * jnp.pi)).sum(-1)

    def entropy(self) -> Float[Array, "*n"]:
        """Return ½ log(2πe σ²), summed over the numbers, in nats."""
        return (self.log_spread + 0.5 * jnp.log(2 * jnp.pi * jnp.e)).sum(-1)


class EpsilonGreedy(eqx.Module):
    """The action of highest value, but with probability ε any of them."""

    values: Float[Array, "*n actions"]
    epsilon: Float[Array, "*n"]

    def sample(self, chance: Float[Array, "*n actions"]) -> Int[Array, "*n"]:
        """Return an action; of `chance`, uniform in 0 … 1, the first number decides: below ε it names an action by itself."""
        count, first = self.values.shape[-1], chance[..., 0]
        named = jnp.minimum((first / jnp.maximum(self.epsilon, 1e-9) * count).astype(jnp.int32), count - 1)
        return jnp.where(first < self.epsilon, named, self.best())

    def best(self) -> Int[Array, "*n"]:
        """Return the action of highest value."""
        return jnp.argmax(self.values, -1).astype(jnp.int32)


Policy = Categorical | Gaussian | EpsilonGreedy
"""How actions are distributed, as a model of an agent says it."""

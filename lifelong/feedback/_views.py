"""Learning without labels: views of the same thing, or of things alike, should be represented alike."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import Mismatch
from lifelong.nets import ViewNetwork
from lifelong.recipe import Number, number

from ._contrastive import unit_length
from ._labels import Info, cosines

hold = jax.lax.stop_gradient


class Views(eqx.Module):
    """What a step of self-supervised learning sees.

    `one` and `other` are two views of the same things; `asked` are things whose mined views, from among others, the target
    network represents as `mined`, None where nothing is mined; `target` is that network, a slow copy of the model; `step`
    counts from 0.
    """

    one: Float[Array, "n *shape"]
    other: Float[Array, "n *shape"]
    asked: Float[Array, "n *shape"]
    mined: Float[Array, "n features"] | None
    target: ViewNetwork
    step: Int[Array, ""]


def cosine_distance(a: Float[Array, "n width"], b: Float[Array, "n width"]) -> Float[Array, ""]:
    """Return the mean of 2 − 2 cos(a_i, b_i), the squared distance of unit vectors: 0 for the same directions, 4 at most."""
    return (2 - 2 * (unit_length(a) * unit_length(b)).sum(-1)).mean()


def info_nce(
    one: Float[Array, "n width"], other: Float[Array, "n width"], temperature: Number = 0.1
) -> Float[Array, ""]:
    """Return the InfoNCE loss: how badly each vector picks its partner from among those of all.

        mean over i of  −log( exp(cos(a_i, b_i)/τ) / Σ_j exp(cos(a_i, b_j)/τ) )

    (van den Oord et al. 2018, "Representation Learning with Contrastive Predictive Coding", equation 4). log n where it can
    tell nothing; log n − loss bounds the mutual information of both from below.
    """
    return -jnp.diagonal(jax.nn.log_softmax(cosines(one, other) / temperature)).mean()


def balanced_codes(
    scores: Float[Array, "n prototypes"], temperature: Number = 0.05, rounds: int = 3
) -> Float[Array, "n prototypes"]:
    """Return soft assignments of a batch to prototypes that use all of them alike, one distribution a row.

    exp(scores/ε) with columns and rows scaled in turn (Sinkhorn-Knopp) until, in the limit, every column sums to n/K.
    (Caron et al. 2020, "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", section 3; ε = 0.05
    and three rounds are theirs.)
    """
    log_q = scores / temperature
    for _ in range(rounds):
        log_q = jax.nn.log_softmax(log_q, axis=0)
        log_q = jax.nn.log_softmax(log_q, axis=1)
    return jnp.exp(log_q)


class BYOL(eqx.Module):
    """Predict, from one view, what a slow copy of the network makes of the other: mean of 2 − 2 cos( q(g(f(x))), g′(f′(x′)) ).

    The target f′, g′ gets no gradient (Grill et al. 2020, "Bootstrap Your Own Latent", equation 2, one direction only, as
    in the code of Azabou et al. 2021).
    """

    def __call__(self, model: ViewNetwork, experience: Views, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the loss, and it as info."""
        target = experience.target
        goal = hold(target.project(target.represent(experience.other)))
        loss = cosine_distance(model.predict(model.project(model.represent(experience.one))), goal)
        return loss, {"loss": loss}


class MYOW(eqx.Module):
    """Predict augmented views, and mined ones besides: ( L_aug + λ_t L_mined ) / (1 + λ_t).

    L_aug is `BYOL`, and L_mined the mean of 2 − 2 cos( r(v(x)), v′(mined) ), whose gradient goes through the online branch
    alone. λ_t is 0 for `warm_up` steps and then rises in a straight line to `weight` at step `ramp` (Azabou et al. 2021,
    "Mine Your Own vieW", section 3 and code).

    Args:
        weight: λ at the end; 0.1 for recordings of neurons.
        mining: the weight of L_mined beside λ_t: 0 leaves it out at the same schedule.
        warm_up, ramp: steps.
    """

    augmented: BYOL = BYOL()
    weight: Number = number(0.1)
    mining: Number = number(1.0)
    warm_up: Number = number(200.0)
    ramp: Number = number(800.0)

    def strength(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """Return λ_t."""
        risen = (step - self.warm_up) / jnp.maximum(self.ramp - self.warm_up, 1.0)
        return self.weight * jnp.clip(risen, 0.0, 1.0)

    def __call__(self, model: ViewNetwork, experience: Views, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the loss, and both its parts as info."""
        augmented, _ = self.augmented(model, experience, key=key)
        if experience.mined is None:
            raise Mismatch("MYOW predicts mined views, and none were mined: give `Views.mined`, as ViewLearner does")
        goal = hold(experience.target.project_mined(experience.mined))
        mined = cosine_distance(model.predict_mined(model.project_mined(model.represent(experience.asked))), goal)
        strength = self.strength(experience.step)
        loss = (augmented + strength * self.mining * mined) / (1 + strength)
        return loss, {"loss": loss, "augmented": augmented, "mined": mined}


class InfoNCE(eqx.Module):
    """Tell the partner of every view from those of all others, in both directions, with the same network for both views.

    Args:
        temperature: τ, 0.1 as in Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations".
    """

    temperature: Number = number(0.1)

    def __call__(self, model: ViewNetwork, experience: Views, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean of both directions, and it as info."""
        one, other = (model.project(model.represent(x)) for x in (experience.one, experience.other))
        loss = 0.5 * (info_nce(one, other, self.temperature) + info_nce(other, one, self.temperature))
        return loss, {"loss": loss}


class SwappedClusters(eqx.Module):
    """Predict, from each view, to which prototypes the other one belongs: −Σ_k code_k(x′) log softmax_k( cos(z(x), c)/τ ).

    Codes are balanced over the batch (`balanced_codes`) and get no gradient; both directions count half (Caron et al. 2020,
    "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", equation 2).

    Args:
        temperature: τ, 0.1.
    """

    temperature: Number = number(0.1)

    def __call__(self, model: ViewNetwork, experience: Views, *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Info]:
        """Return the mean of both directions, and it as info."""
        views = (model.project(model.represent(x)) for x in (experience.one, experience.other))
        one, other = (cosines(z, model.prototypes) for z in views)
        loss = 0.5 * (self._cross_entropy(one, other) + self._cross_entropy(other, one))
        return loss, {"loss": loss}

    def _cross_entropy(
        self, scores: Float[Array, "n prototypes"], swapped: Float[Array, "n prototypes"]
    ) -> Float[Array, ""]:
        codes = hold(balanced_codes(swapped))
        return -(codes * jax.nn.log_softmax(scores / self.temperature)).sum(-1).mean()

"""An audit of unlearning: is anything left of what was to be forgotten? Asked in more ways than one.

That a model no longer answers does not show that it no longer knows. So the audit also asks whether losses give away
what was learned, how fast it comes back when its data return, and how far the model is from one that never met the data.
"""

from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from lifelong.errors import BadInput
from lifelong.memory import Loss
from lifelong.memory._unlearning import losses
from lifelong.recipe import Recipe
from lifelong.worlds import Batch

from ._remains import Auc, accuracy_on, agreement, membership_auc, prediction_distance, relearning_curve, steps_to_reach
from ._statistics import mean_interval

ORDERS = 12
"""Orders of examples in which relearning is tried."""


@dataclass(frozen=True)
class Finding:
    """One thing an audit found: numbers by name, and a sentence that says what they show and what they do not."""

    numbers: dict[str, float]
    sentence: str


@dataclass(frozen=True)
class Audit:
    """What an audit found; `print(audit)` shows its sentences."""

    findings: tuple[Finding, ...]

    @property
    def numbers(self) -> dict[str, float]:
        """All numbers by name."""
        return {name: value for finding in self.findings for name, value in finding.numbers.items()}

    def __str__(self) -> str:
        return "\n".join(finding.sentence for finding in self.findings)


def audit(
    before: PyTree,
    after: PyTree,
    forgotten: Batch,
    held_out: Batch,
    loss: Loss,
    *,
    retrained: PyTree | None = None,
    never: tuple[Batch, Batch] | None = None,
    regain: float = 0.9,
    steps: int = 200,
    optimizer: Recipe | optax.GradientTransformation | None = None,
    key: PRNGKeyArray,
) -> Audit:
    """Ask how much of the forgotten examples is left in a model.

    Args:
        before, after: the model before and after unlearning.
        forgotten: the examples that were unlearned.
        held_out: examples of the same kind that the model never learned from.
        loss: `loss(model, batch)`, the loss it was trained with.
        retrained: a model trained in the same way without the forgotten examples, if there is one: how fast it learns them
            is what relearning is compared with.
        never: where there is no such model, examples as difficult but of a kind that the model never met, to learn from
            and to be tested on: how fast it learns those is what relearning is compared with.
        regain: the share of the accuracy before unlearning, on held-out examples, at which they count as relearned.
        steps: for how long relearning is tried.
        optimizer: how the model relearns, as in `relearning_curve`.
        key: draws the orders of examples, and halves of the held-out ones for the control.

    Raises `BadInput` for fewer than two forgotten or four held-out examples, or a `regain` outside (0, 1].
    """
    if not 0 < regain <= 1:
        raise BadInput(f"the share to be regained must lie above 0 and be at most 1, as in 0.9, and it is {regain}")
    gone, kept = (np.flatnonzero(np.asarray(batch.weight) > 0) for batch in (forgotten, held_out))
    if len(gone) < 2 or len(kept) < 4:
        raise BadInput(f"an audit needs 2 forgotten and 4 held-out examples, and has {len(gone)} and {len(kept)}")

    @eqx.filter_jit
    def look(model: PyTree, batch: Batch) -> tuple[Float[Array, ""], Float[Array, " n"]]:
        return accuracy_on(model, batch), losses(loss, model, batch)

    @eqx.filter_jit
    def curves(model: PyTree, train: Batch, test: Batch) -> Float[Array, "orders looks"]:
        relearn = partial(relearning_curve, model, train, test, loss, optimizer=optimizer, steps=steps)
        return jax.vmap(lambda k: relearn(key=k))(jax.random.split(key, ORDERS))

    known = float(look(before, held_out)[0])
    (answered, lost), (guessed, expected) = look(after, forgotten), look(after, held_out)
    lost, expected = np.asarray(lost)[gone], np.asarray(expected)[kept]
    anew = (retrained, forgotten, held_out) if retrained is not None else never and (after, *never)
    taken = [steps_to_reach(curves(*who), regain * known) for who in ((after, forgotten, held_out), anew) if who]
    findings = [
        _of_answers(known, float(answered), float(guessed), lost, expected),
        _of_membership(lost, np.asarray(jax.random.permutation(key, expected))),
        _of_relearning(taken, regain * known, steps),
    ]
    if retrained is not None:
        findings.append(_of_reference(after, retrained, forgotten, held_out))
    return Audit(tuple(findings))


def _of_answers(known: float, answered: float, guessed: float, lost: np.ndarray, expected: np.ndarray) -> Finding:
    numbers = {"accuracy_before": known, "accuracy_forgotten": answered, "accuracy_held_out": guessed}
    numbers |= {"loss_forgotten": float(lost.mean()), "loss_held_out": float(expected.mean())}
    return Finding(
        numbers,
        f"Answers: {answered:.3f} of the forgotten examples and {guessed:.3f} of others of their kind are answered "
        f"correctly, and {known:.3f} of those were before unlearning. That they are not answered does not show that "
        "nothing is left.",
    )


def _of_membership(lost: np.ndarray, expected: np.ndarray) -> Finding:
    """Compare forgotten with held-out losses, and as a control one half of the held-out losses with the other."""
    found, half = membership_auc(lost, expected), len(expected) // 2
    control = membership_auc(expected[:half], expected[half:])
    if found.low > 0.5:
        meaning = "forgotten examples still show by lower losses"
    elif found.high < 0.5:
        meaning = "forgotten examples stand out by higher losses than examples never seen, which gives them away too"
    else:
        meaning = "this attack does not tell them apart; a stronger one might"
    numbers = {"membership_auc": found.value, "membership_auc_low": found.low, "membership_auc_high": found.high}
    return Finding(
        numbers | {"membership_auc_control": control.value},
        f"Membership: a threshold on the loss tells forgotten from held-out examples with an AUC of {_in_words(found)}: "
        f"{meaning}. Among examples never seen, the AUC is {_in_words(control)}.",
    )


def _in_words(auc: Auc) -> str:
    return f"{auc.value:.3f} (95 % interval {auc.low:.3f} to {auc.high:.3f})"


def _of_relearning(taken: list[np.ndarray], level: float, steps: int) -> Finding:
    """Say how fast forgotten data are learned again, and by a newcomer or for the first time if there is anything such."""
    again = float(taken[0].mean())
    most = f" (counting {steps + 1} where {steps} did not suffice)" if max(t.max() for t in taken) > steps else ""
    sentence = f"Relearning: an accuracy of {level:.3f} is reached again after {again:.1f} steps{most}"
    if len(taken) == 1:
        return Finding(
            {"steps_to_relearn": again},
            f"{sentence}; with nothing never learned to compare it with, that does not say whether anything is left.",
        )
    saved, interval = float((taken[1] - taken[0]).mean()), mean_interval(taken[1] - taken[0])
    if interval.low > 0:
        meaning = "something is left that relearning starts from"
    else:
        meaning = "no head start is found" if interval.high >= 0 else "learning is even hindered"
    return Finding(
        {"steps_to_relearn": again, "steps_to_learn_anew": float(taken[1].mean()), "steps_saved": saved}
        | {"steps_saved_low": interval.low, "steps_saved_high": interval.high},
        f"{sentence}, {saved:.1f} sooner than where the data were never learned (95 % interval over {len(taken[0])} orders "
        f"of examples {interval.low:.1f} to {interval.high:.1f}): {meaning}.",
    )


def _of_reference(after: PyTree, retrained: PyTree, forgotten: Batch, held_out: Batch) -> Finding:
    compare = eqx.filter_jit(
        lambda batch: (agreement(after, retrained, batch), prediction_distance(after, retrained, batch))
    )
    (same, apart), (same_held, apart_held) = ([float(v) for v in compare(batch)] for batch in (forgotten, held_out))
    return Finding(
        {
            "agreement_forgotten": same,
            "agreement_held_out": same_held,
            "distance_forgotten": apart,
            "distance_held_out": apart_held,
        },
        f"Reference: a model retrained without them gives the same answer to {same:.3f} of the forgotten and "
        f"{same_held:.3f} of the held-out examples; squared distances of predictions are {apart:.3f} and {apart_held:.3f}. "
        "How far two retrained models are from each other is the yardstick for these.",
    )

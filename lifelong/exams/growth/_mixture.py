"""Classes of curves, fitted and asked like any estimator."""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float

from lifelong.errors import BadInput, UnknownName

from ._curves import Curves, scaled
from ._estimates import Estimate, estimated, listed
from ._fit import Growths, fit_growths, memberships
from ._importance import Importance, importances
from ._shapes import SHAPES


@dataclass
class GrowthMixture:
    """A mixture of experts: a gate says who belongs to a class, experts how its curves run (Liu and Perera 2020).

    Covariates of the curves say which of four models it is: gate and experts (full), gate only, experts only, or neither
    (a finite mixture). Scores are modelled given covariates, whose own distribution is left open.

    Args:
        classes: how many there are; compare by `bic`.
        shape: "bilinear" (two lines that meet at a knot) or "exponential" (an approach at a rate).
        starts: from how many starts the likelihood is climbed; the best end counts.
        steps: steps of a climb at most.

    Raises:
        BadInput: fewer than one class, start or step.
        UnknownName: a shape that is not in `SHAPES`.
    """

    classes: int = 2
    shape: str = "bilinear"
    starts: int = 5
    steps: int = 300

    def __post_init__(self):
        if min(self.classes, self.starts, self.steps) < 1:
            least = f"classes={self.classes}, starts={self.starts}, steps={self.steps}"
            raise BadInput(f"a mixture needs one class, one start and one step at least: {least}")
        if self.shape not in SHAPES:
            raise UnknownName("shape of curves", self.shape, SHAPES)
        self._fits: Growths | None = None

    def fit(self, curves: Curves, seed: int = 0) -> "GrowthMixture":
        """Fit the curves, by maximum likelihood, and return self; `seed` draws the starts.

        Raises:
            BadInput: fewer persons than classes need; scores, or values of a covariate, that are all the same.
        """
        options = {"starts": self.starts, "steps": self.steps, "seeds": (seed,)}
        self._fits = fit_growths([curves], self.classes, self.shape, **options)
        values, errors = (jax.tree.map(lambda leaf: leaf[0], part) for part in estimated(self._fits, self.shape))
        self._estimates = listed(values, errors, SHAPES[self.shape])
        return self

    @property
    def estimates(self) -> list[Estimate]:
        """Every parameter with standard error and interval, classes in the order in which they bend (or by their rate)."""
        self._fitted()
        return self._estimates

    @property
    def log_likelihood(self) -> float:
        """ln L of the curves that were fitted."""
        return float(self._fitted().log_likelihood[0])

    @property
    def bic(self) -> float:
        """−2 ln L + parameters · ln persons: lower is better, for models of the same scores."""
        return float(self._fitted().bic[0])

    def predict_proba(self, curves: Curves) -> Float[np.ndarray, "persons classes"]:
        """Return P(class | scores, covariates) of every person."""
        fits = self._of(curves)
        return np.asarray(memberships(fits.growth, fits.curves, self.shape)[0])

    def importance(self, curves: Curves, seed: int = 0) -> Importance:
        """Return how much ln L per person falls when a covariate is permuted over persons, for every covariate."""
        return jax.tree.map(lambda leaf: leaf[0], importances(self._of(curves), self.shape, seeds=(seed,)))

    def _fitted(self) -> Growths:
        if self._fits is None:
            raise BadInput("this mixture is not fitted yet: call fit(curves) first")
        return self._fits

    def _of(self, curves: Curves) -> Growths:
        """Return the fit with other curves, in its units; raise BadInput where their covariates are others in number."""
        fits = self._fitted()
        given, known = ([part.shape[-1] for part in one[2:]] for one in (curves, fits.curves))
        if given != known:
            raise BadInput(f"{known} covariates of gate and experts were fitted, and these curves have {given}")
        own = scaled(curves, jax.tree.map(lambda leaf: leaf[0], fits.scale))
        return fits._replace(curves=jax.tree.map(lambda leaf: leaf[None], own))

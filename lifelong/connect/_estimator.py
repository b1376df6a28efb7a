"""A classifier for production: learns from every batch that comes, keeps what it knows, and forgets on request."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import optax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from lifelong.errors import BadInput
from lifelong.exams import Audit
from lifelong.feedback import FORBIDDEN
from lifelong.memory import Memory, Unlearner
from lifelong.recipe import Recipe

from ._forgetting import Known, forget
from ._lived import Lived, Plan
from ._report import Report
from ._saved import Portable, load, packed, save, unpacked


class ContinualClassifier(ClassifierMixin, BaseEstimator):
    """A scikit-learn classifier that goes on learning: a `GradientLearner` with any memory, fed by rows of a table.

    Day to day: `partial_fit` with whatever has come, of any size, new classes included; `predict`; now and then
    `report()` and `save`. `fit` starts afresh. Batches of any size run the same few compiled programs: one that learns and
    one that answers, again whenever the outputs double, which they do when there are more classes than outputs.

    Parameters
    ----------
    memory : str or Memory
        What is kept of the past, by name (`lifelong.connect.memories()` lists them) or as an object, such as
        `Replay(2000, 64)` or `chain(EWC(100.0), Replay(500))`.
    model : callable, Recipe or None
        Makes the model, called as `model(inputs=…, outputs=…, key=…)`; only its last layer may depend on `outputs` if
        classes are to be added. An MLP of its default size unless given.
    optimizer : optax.GradientTransformation, Recipe or None
        Adam with a learning rate of 10⁻³ unless given. The inputs are taken as they are: scale them.
    batch_size : int
        Rows in a step.
    epochs : int
        Passes of `fit` through the rows; only in the last are they offered to the memory, so that each counts once.
    update_epochs : int
        Passes of `partial_fit` through the rows.
    task_rows : int
        Rows of the current task that are kept until `end_task`, where the memory looks back at them (EWC and its kind,
        iCaRL …); of more a uniform sample. Other memories keep none.
    random_state : int, RandomState or None
        Where all randomness comes from; with a number everything is reproducible, also across `save` and `load`.

    Attributes
    ----------
    classes_ : array
        The classes known so far, sorted; columns of `predict_proba` are in this order.
    n_features_in_, feature_names_in_
        As in scikit-learn; names where the first rows came with names of columns.
    """

    def __init__(
        self,
        memory: str | Memory = "replay",
        model: Callable[..., Any] | Recipe | None = None,
        optimizer: optax.GradientTransformation | Recipe | None = None,
        *,
        batch_size: int = 32,
        epochs: int = 20,
        update_epochs: int = 1,
        task_rows: int = 10_000,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.memory = memory
        self.model = model
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.epochs = epochs
        self.update_epochs = update_epochs
        self.task_rows = task_rows
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "ContinualClassifier":
        """Learn rows and labels from scratch, as one task that then ends.

        Raises `BadInput` for rows, labels or parameters that cannot be used, or where learning diverges; `UnknownName`
        for an unknown memory, `Mismatch` for a model that does not fit.
        """
        x, y = self._rows(X, y, first=True)
        newborn = self._newborn(np.unique(y))
        self.lived_ = newborn.taught(x, y, self.epochs).task_ended()
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> "ContinualClassifier":
        """Go on learning with more rows, in `update_epochs` passes; new classes may come at any time.

        `classes` announces classes by name before they come, so that the outputs need not grow. Raises as `fit` does,
        and leaves the estimator as it was.
        """
        first = not hasattr(self, "lived_")
        x, y = self._rows(X, y, first=first)
        announced = np.array([], np.asarray(y).dtype) if classes is None else np.unique(np.asarray(classes))
        known = np.unique(np.concatenate([announced, np.unique(y)])) if first else announced
        lived = self._newborn(known) if first else self.lived_.told(known, x[0])
        self.lived_ = lived.taught(x, y, self.update_epochs)
        return self

    def end_task(self) -> "ContinualClassifier":
        """Say that a task has ended, so that a memory which looks back (EWC and its kind, iCaRL …) can do so.

        Optional: without it learning goes on as one long task. Raises `BadInput` where learning diverges.
        """
        check_is_fitted(self, "lived_")
        self.lived_ = self.lived_.task_ended()
        return self

    def forget(
        self,
        X: Any,
        y: Any,
        *,
        method: str | Unlearner = "npo",
        retain: tuple[Any, Any] | None = None,
        held_out: tuple[Any, Any] | None = None,
    ) -> Audit:
        """Forget rows that were learned, and say what is left of them.

        They are taken out of all buffers, exactly; then the model unlearns them by a method. Only 'retrain' leaves nothing
        behind for certain; print the audit to see how far another came.

        Parameters
        ----------
        X, y : rows and labels as they were learned
        method : str or Unlearner
            'npo', 'simnpo', 'ascent', 'random-labels', 'release' (leave the model as it is), 'retrain', or an
            unlearner of `lifelong.memory`, such as `NPO(steps=200)`.
        retain : (X, y) or None
            Rows that must stay known. They are rehearsed meanwhile (else what the buffers hold; with neither, nothing
            protects what else was learned), 'retrain' learns
            from them, and with `held_out` the audit compares with a model retrained from them.
        held_out : (X, y) or None
            Rows of the same kind that were never learned, for the audit of the model; without them only the buffers are
            looked at.

        Raises `UnknownName` for an unknown method, `BadInput` for rows that cannot be used or labels never learned; the
        estimator is then left as it was.
        """
        check_is_fitted(self)
        asked, kept, others = (
            pair and Known.of(self.lived_, *self._rows(*pair)) for pair in ((X, y), retain, held_out)
        )
        self.lived_, found = forget(self.lived_, cast(Known, asked), method, kept, others)
        return found

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest of the classes met so far for every row."""
        lived, logits = self._answered(X)
        return lived.labels[logits.argmax(1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of all classes in the order of `classes_`; 0 for one announced and not yet met."""
        lived, logits = self._answered(X)
        logits = logits.astype(np.float64)
        odds = np.exp(logits - logits.max(1, keepdims=True)) * (logits > FORBIDDEN / 2)
        return (odds / odds.sum(1, keepdims=True))[:, np.argsort(lived.labels)]

    def report(self) -> Report:
        """Return what has been learned and kept so far; it prints itself as a table."""
        check_is_fitted(self, "lived_")
        return Report.of(self.lived_)

    def save(self, path: str | Path) -> None:
        """Write all that was learned to one safetensors file, atomically; arrays have readable names in it.

        Its header holds the parameters as JSON. What has no public name in this library, JAX or Optax (a model function
        of your own, an optimizer that is no `Recipe`) is not stored and must be given to `load` again. Raises `BadFile`
        where the file cannot be written.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        save(Path(path), self.lived_, {"names": None if names is None else names.tolist()})

    @classmethod
    def load(cls, path: str | Path, **given: Any) -> "ContinualClassifier":
        """Return a saved estimator, which goes on as the one that was saved would have.

        `given` are parameters that a file cannot hold, such as `model=`. Raises `BadFile` where the file is missing,
        corrupt or foreign (it is left as it is), `BadInput` where a parameter must be given.
        """
        lived, about = load(Path(path), given)
        estimator = cls(**lived.plan.parameters)
        estimator._resume(lived, about["names"])
        return estimator

    def _resume(self, lived: Lived, names: Any) -> None:
        self.n_features_in_ = lived.plan.features
        if names is not None:
            self.feature_names_in_ = np.array(names, object)
        self.lived_ = lived

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(cast(Mapping[str, Any], super().__getstate__()))
        parameters = self.get_params(deep=False)
        state["parameters"] = Portable.of({name: state.pop(name) for name in parameters})
        if lived := state.pop("lived_", None):
            state["packed"] = (Portable.of(lived.plan.parameters), *packed(lived))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        parameters, life = state.pop("parameters"), state.pop("packed", None)
        super().__setstate__({**state, **parameters.restored()})
        if life is not None:
            portable, tensors, learned = life
            self.lived_ = unpacked(Plan.of(portable.restored(), learned["features"]), tensors, learned)

    @property
    def classes_(self) -> np.ndarray:
        """The classes known so far, sorted."""
        return np.sort(self.lived_.labels)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "lived_")

    def _newborn(self, labels: np.ndarray) -> Lived:
        parameters = self.get_params(deep=False)
        seed = int(check_random_state(self.random_state).randint(2**31))
        return Lived.begin(Plan.of(parameters, self.n_features_in_), labels, seed)

    def _answered(self, X: Any) -> tuple[Lived, np.ndarray]:
        check_is_fitted(self)
        return self.lived_, self.lived_.logits(self._rows(X))

    def _rows(self, X: Any, y: Any = "no_validation", first: bool = False) -> Any:
        """Return checked rows as float32, with their labels where there are any; scikit-learn words what is wrong."""
        try:
            checked = validate_data(self, X, y, reset=first, dtype=np.float32)
            if not isinstance(checked, np.ndarray):
                check_classification_targets(checked[1])
            return checked
        except ValueError as error:
            raise BadInput(str(error)) from error

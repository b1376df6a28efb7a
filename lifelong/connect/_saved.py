"""Estimators on disk: one safetensors file whose header holds the configuration as JSON. Nothing is pickled."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import lifelong
from lifelong.errors import BadFile, BadInput, UnknownName
from lifelong.life._checkpoint import read_tensors, write_tensors

from ._described import Unnamed, described, restored
from ._lived import Lived, Plan, Unfinished, Update

FORMAT = "lifelong-estimator-1"

Tensors = dict[str, np.ndarray]


def save(path: Path, lived: Lived, about: Mapping[str, Any]) -> None:
    """Write an estimator atomically; `about` is stored beside it."""
    tensors, learned = packed(lived)
    configuration = {name: _described(value) for name, value in lived.plan.parameters.items()}
    metadata = {"format": FORMAT, "lifelong": lifelong.__version__, "configuration": json.dumps(configuration)}
    write_tensors(path, tensors, {**metadata, "learned": json.dumps({**learned, **about})})


def _described(value: Any) -> Any:
    try:
        return described(value)
    except Unnamed as thing:
        return {"is": "given", "was": str(thing)}


class Portable(dict):
    """Parameters as plain values where they can be described, for pickling: JAX's functions cannot be pickled."""

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> "Portable":
        """Return parameters in a form that can be pickled, but for those of no public name."""
        plain = {name: _described(value) for name, value in parameters.items()}
        return cls({name: {"raw": parameters[name]} if _lost(one) else one for name, one in plain.items()})

    def restored(self) -> dict[str, Any]:
        """Return the parameters again."""
        return {n: v["raw"] if isinstance(v, dict) and "raw" in v else restored(v) for n, v in self.items()}


def _lost(plain: Any) -> bool:
    return isinstance(plain, dict) and plain.get("is") == "given"


def load(path: Path, given: Mapping[str, Any]) -> tuple[Lived, dict[str, Any]]:
    """Return an estimator's life and what was stored about it.

    `given` are parameters that a file cannot hold: functions, classes and optimizers that have no public name. Raises
    `BadFile` where the file is missing, corrupt or foreign, `BadInput` where such a parameter is missing.
    """
    tensors, metadata = read_tensors(path, FORMAT, "saved estimator")
    configuration, learned = (json.loads(metadata[name]) for name in ("configuration", "learned"))
    for name in given:
        if name not in configuration:
            raise UnknownName("parameter of an estimator", name, configuration)
    parameters = {name: _restored(path, name, plain, given) for name, plain in configuration.items()}
    plan = Plan.of(parameters, learned["features"])
    try:
        return unpacked(plan, tensors, learned), learned
    except (KeyError, ValueError) as error:
        raise BadFile(f"'{path}' does not hold what its configuration needs ({error}); it was left as it is") from error


def _restored(path: Path, name: str, plain: Any, given: Mapping[str, Any]) -> Any:
    if name in given:
        return given[name]
    if _lost(plain):
        raise BadInput(
            f"'{path}' was saved with {name}={plain['was']}, which a file cannot hold; give it again: "
            f"ContinualClassifier.load(path, {name}=…)"
        )
    return restored(plain)


def packed(lived: Lived) -> tuple[Tensors, dict[str, Any]]:
    """Return an estimator's life as named arrays and plain values."""
    labels = lived.labels.tolist()
    if not all(isinstance(label, str | int | float) for label in labels):
        raise BadInput(
            "classes can be saved whose labels are texts, whole numbers, floats or truth values, not objects"
        )
    tensors = {f"state.{name}": np.asarray(leaf) for name, leaf in _leaves(lived.state).items()}
    tensors |= {f"unfinished.{name}": part for name, part in lived.unfinished._asdict().items()}
    learned = {
        "features": lived.plan.features,
        "outputs": lived.outputs,
        "labels": labels,
        "labels_type": lived.labels.dtype.str,
        "rows": lived.rows.tolist(),
        "updates": [list(update) for update in lived.updates],
        **{name: getattr(lived, name) for name in ("seed", "steps", "tasks", "forgotten")},
    }
    return tensors, learned


def unpacked(plan: Plan, tensors: Tensors, learned: Mapping[str, Any]) -> Lived:
    """Return the life that was packed; raise `KeyError` or `ValueError` where the arrays are not those it needs."""
    outputs = learned["outputs"]
    learner = plan.learner(outputs)
    like = eqx.filter_eval_shape(learner.init, plan.blank(outputs), key=jax.random.key(0))
    leaves = [_checked(tensors, f"state.{name}", leaf) for name, leaf in _leaves(like).items()]
    arrays = iter(leaves)
    state = jax.tree.map(lambda leaf: next(arrays) if _is_array(leaf) else leaf, like)
    return Lived(
        plan=plan,
        learner=learner,
        state=state,
        labels=np.array(learned["labels"], learned["labels_type"]),
        rows=np.array(learned["rows"], int),
        unfinished=Unfinished(*(tensors[f"unfinished.{name}"] for name in Unfinished._fields)),
        updates=tuple(Update(*update) for update in learned["updates"]),
        **{name: learned[name] for name in ("seed", "steps", "tasks", "forgotten")},
    )


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | jax.ShapeDtypeStruct)


def _leaves(tree: Any) -> dict[str, Any]:
    """Return the arrays of a tree by their names in it."""
    named = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in named if _is_array(leaf)}


def _checked(tensors: Tensors, name: str, like: Any) -> jax.Array:
    tensor = tensors[name]
    if tensor.shape != like.shape or tensor.dtype != like.dtype:
        raise ValueError(f"{name} is {tensor.dtype} of shape {tensor.shape}, not {like.dtype} of shape {like.shape}")
    return jnp.asarray(tensor)

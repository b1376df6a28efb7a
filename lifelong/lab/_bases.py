"""Models trained beforehand, once for each seed, from which all arms of a study begin."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from lifelong.errors import BadFile
from lifelong.exams import Exam
from lifelong.learners import GradientLearner, Inherited
from lifelong.life import Progress, Result, fingerprint, live, silent
from lifelong.life._checkpoint import read_tensors, write_tensors
from lifelong.teachers import Teacher
from lifelong.worlds import World

from ._folders import default_folder
from ._store import code_fingerprint

FORMAT = "lifelong-base-1"

_training = threading.Lock()
"""Arms that are lived side by side ask for the same bases: the second waits for what the first has trained."""


class Bases(NamedTuple):
    """Models trained beforehand: `model` gives each lane that of its seed; `seconds` is how long training took, whenever."""

    model: Inherited
    seconds: float


class Unexamined(Exam):
    """Ask nothing."""

    def sit(self, state: PyTree, learner: PyTree, world: World, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Return a number, for a record needs one."""
        return {"nothing": jnp.zeros(())}


def bases(
    learner: GradientLearner,
    world: World,
    teacher: Teacher,
    *,
    steps: int,
    seeds: Sequence[int],
    key: PRNGKeyArray | None = None,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> Bases:
    """Return the models that a learner has after a life of so many steps, one for each seed, trained or from disk.

    Each is kept in a file of its own, `OUT/bases/ADDRESS/SEED.safetensors`, whose address is the hash of learner, world,
    teacher, steps, key and this library's code: what has been trained is not trained again, more seeds are added.

    Raises BadFile where a file is corrupt, and what `live` raises. Ctrl-C keeps nothing of seeds that were not finished.
    """
    root = jax.random.key(0) if key is None else key
    address = fingerprint(learner, world, teacher, steps, np.asarray(jax.random.key_data(root)), code_fingerprint())
    folder = Path(out or default_folder()) / "bases" / address
    like = eqx.filter_eval_shape(learner.model, key=root)
    with _training:
        missing = [seed for seed in seeds if not _file(folder, seed).exists()]
        if missing:
            start = time.perf_counter()
            life = live(
                learner,
                world,
                teacher,
                Unexamined(),
                steps=steps,
                seeds=missing,
                key=root,
                record=steps,
                progress=progress,
            )
            if Result.interrupted in life.results:
                raise KeyboardInterrupt
            _keep(folder, life.state.learner.model, missing, time.perf_counter() - start)
    kept = [_kept(_file(folder, seed), like) for seed in seeds]
    models = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(model for model, _ in kept))
    return Bases(Inherited(models, seeds, root), sum(seconds for _, seconds in kept))


def _file(folder: Path, seed: int) -> Path:
    return folder / f"{seed}.safetensors"


def _keep(folder: Path, models: PyTree, seeds: Sequence[int], seconds: float) -> None:
    for place, seed in enumerate(seeds):
        leaves = [np.asarray(leaf[place]) for leaf in jax.tree.leaves(models) if eqx.is_array(leaf)]
        tensors = {f"leaf.{number:04d}": leaf for number, leaf in enumerate(leaves)}
        write_tensors(_file(folder, seed), tensors, {"format": FORMAT, "seconds": str(seconds / len(seeds))})


def _kept(file: Path, like: PyTree) -> tuple[PyTree, float]:
    """Return the model of a file, and its share of the seconds that training took."""
    tensors, about = read_tensors(file, FORMAT, "base")
    leaves, structure = jax.tree.flatten(like)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.ShapeDtypeStruct)]
    if [leaves[place].shape for place in places] != [tensors[name].shape for name in sorted(tensors)]:
        raise BadFile(f"'{file}' holds another model; it was left as it is: move it away")
    for place, name in zip(places, sorted(tensors), strict=True):
        leaves[place] = jnp.asarray(tensors[name])
    return jax.tree.unflatten(structure, leaves), float(about["seconds"])

"""Lives over two devices and over one; run in a process of its own, for devices are counted when JAX starts."""

import json
import sys

import jax
import numpy as np
from conftest import gaussians
from lives import STEPS, TEACHER, quiet_life, remembering, world

from lifelong.exams import Accuracy
from lifelong.life import _abreast as abreast
from lifelong.life import _programs as programs
from lifelong.life._abreast import Abreast
from lifelong.life._lanes import lay_out

COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter")
SWEEP = {"memory.labels": [0.0, 1.0]}


def lived(**options):
    return quiet_life(remembering(), world(gaussians()), seeds=4, sweep=SWEEP, **options)


def resumed(path):
    """Return a life that was interrupted after its first exam, and gone on with."""

    def stop(moment):
        if moment.step >= 12:
            raise KeyboardInterrupt

    lived(checkpoint=path, progress=stop)
    return lived(checkpoint=path)


def advancing():
    """Return the compiled program of a chunk of life."""
    parts = programs.Parts(remembering(), world(gaussians()), TEACHER, Accuracy())
    call = Abreast(lay_out(parts, 4, SWEEP, jax.random.key(0)))
    group, (state,) = call.groups[0], call(programs.begin, ())
    numbers = map(np.int32, (0, STEPS, 1))
    return programs.advance.lower(group.swept, call.shared, group.keys, state, *numbers).compile().compiled.as_text()


if __name__ == "__main__":
    both, again, program = lived(), resumed(sys.argv[1]), advancing()
    found = {
        "devices": len(jax.tree.leaves(both.state)[0].devices()),
        "collectives": [name for name in COLLECTIVES if name in program],
        "resumed": bool((again.matrix == both.matrix).all() and (again.records["loss"] == both.records["loss"]).all()),
        "odd": quiet_life(remembering(), world(gaussians()), seeds=3).matrix.shape[0],
    }
    abreast._devices = lambda lanes: np.asarray(jax.devices()[:1])
    one = lived()
    found["losses"] = [life.records["loss"].tolist() for life in (one, both)]
    found["matrices"] = [life.matrix.tolist() for life in (one, both)]
    print(json.dumps(found))

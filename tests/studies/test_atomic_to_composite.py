"""The study of atoms and composites: what its schools show, and in what its arms differ. Nothing is lived."""

import jax
import numpy as np
import pytest

from lifelong.learners import Trained
from lifelong.nets import language_model
from lifelong.studies.language import atomic_to_composite as study
from lifelong.worlds import KvBio, Mixture

KEY = jax.random.key(0)
SETTINGS = study.study.configured("quick")


def shown(weights, n=2000):
    """Return what a mixture demonstrates, in words: prompts with their answers."""
    world = KvBio().open(key=KEY)
    tokens = np.asarray(world.draw(Mixture(np.asarray(weights, np.float32)), n, key=KEY).x[:, 0])
    return [world.lexicon.decode(row[row >= 0]) for row in tokens]


def relations_asked(text):
    """Return the relations between Q and ?."""
    return text.split(" Q ")[1].split(" ? ")[0].split()[1:]


@pytest.mark.parametrize("phase", range(2))
@pytest.mark.parametrize("kind", study.SCHOOLS)
def test_every_school_tells_facts_and_none_shows_what_is_asked_at_the_end(kind, phase):
    weights = study.SCHOOLS[kind][phase]
    assert sum(weights) == pytest.approx(1) and weights[study.FACTS] == study.TOLD
    assert weights[study.NEW_PATHS] == weights[study.NEW_RELATIONS] == 0


def test_composites_never_hold_relations_met_alone_and_atoms_hold_all():
    composites = [relations_asked(text) for text in shown(study.COMPOSITES) if " Q " in text]
    assert {len(asked) for asked in composites} == {2}
    assert {name for asked in composites for name in asked} == {f"{kind}{i}" for kind in "pc" for i in range(1, 5)}
    assert len({tuple(asked) for asked in composites}) == 16
    atoms = [relations_asked(text) for text in shown(study.ATOMS) if " Q " in text]
    assert {len(asked) for asked in atoms} == {1}
    assert {asked[0] for asked in atoms} == {f"{kind}{i}" for kind in "pc" for i in range(1, 7)}
    without = [text for text in shown(study.NO_CONTEXT) if " Q " in text]
    assert not any("[" in text for text in without), "the knock-out never sees a profile"
    assert len(without) == pytest.approx(len(atoms), rel=0.1)


def test_arms_differ_in_their_school_and_in_the_rate_of_reinforcement():
    model = Trained(language_model("micro", 8, key=KEY))
    rates = {
        name: float(study.reinforced(arm, SETTINGS, model).optimizer.numbers["learning_rate"])
        for name, arm in study.study.arms.items()
    }
    assert {name for name, rate in rates.items() if rate > 0} == {"atoms+rl", "mem+rl"}
    schools = {name: arm.build["school"] for name, arm in study.study.arms.items()}
    assert schools["atoms+rl"] == schools["atoms"] and len(set(schools.values())) == 4

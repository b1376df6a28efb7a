"""CLUTR's arms: what the knock-outs lack, that they run one program, and the exam's mazes. Nothing is lived or trained."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.studies.agents import clutr
from lifelong.teachers import Designer, Group
from lifelong.worlds import MAZE_SUITE, PlacingMazes, shortest_path

SETTINGS = clutr.study.configured("smoke")


@pytest.fixture(scope="module")
def teachers():
    """The teacher of every arm, with autoencoders that remember what they would have been trained on."""
    drawn = []

    def trained(vae, draw, *_, **__):
        drawn.append(draw)
        return eqx.tree_at(lambda v: v.output.bias, vae, vae.output.bias + len(drawn)), None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clutr, "trained_on_sequences", trained)
        clutr.autoencoder.cache_clear()
        yield {name: arm.build.teacher(SETTINGS) for name, arm in clutr.study.arms.items()}, drawn
        clutr.autoencoder.cache_clear()


def test_knock_outs_differ_in_the_decoder_alone_and_run_the_same_program(teachers):
    arms, _ = teachers
    for name in ("untrained", "unsorted"):
        one, other = (eqx.filter(arms[arm], eqx.is_array) for arm in ("clutr", name))
        assert clutr.study.arms[name].like == "clutr"
        assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), one) == jax.tree.map(
            lambda leaf: (leaf.shape, leaf.dtype), other
        )
        paths = jax.tree_util.tree_leaves_with_path(one)
        changed = [
            jax.tree_util.keystr(path)
            for (path, mine), theirs in zip(paths, jax.tree.leaves(other), strict=True)
            if (mine != theirs).any()
        ]
        assert changed and all(path.startswith(".world.spell") for path in changed)


def test_the_autoencoders_see_the_same_mazes_sorted_and_not(teachers):
    _, (ordered, shuffled) = teachers
    assert not ordered.shuffled and shuffled.shuffled
    assert eqx.tree_equal(ordered, eqx.tree_at(lambda draw: draw.shuffled, shuffled, jnp.asarray(False)))


def test_baselines_are_what_they_say(teachers):
    arms, _ = teachers
    assert isinstance(arms["paired"], Designer) and isinstance(arms["paired"].world, PlacingMazes)
    assert arms["paired"].world.limit == SETTINGS.walls + 2
    assert isinstance(arms["random"], Group) and not clutr.study.arms["random"].build.pair
    assert all(arm.build.pair for name, arm in clutr.study.arms.items() if name != "random")


def test_the_exam_has_drawn_and_random_mazes_that_can_be_solved_in_time():
    mazes = clutr.held_out(SETTINGS)
    ways = np.asarray(jax.vmap(shortest_path)(mazes))
    assert len(ways) == len(MAZE_SUITE) + SETTINGS.held_out
    assert ((ways > 0) & (ways < SETTINGS.limit)).all()
    walls = np.asarray(mazes.walls.sum((1, 2)))
    assert (walls[len(MAZE_SUITE) :] == SETTINGS.walls).all()

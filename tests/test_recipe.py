"""Recipes: what is a number and can be swept, what is not, and when two of them share a program."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.nets import MLP
from lifelong.recipe import Recipe


def power(base, *, by, shift=0.0, name=""):
    return base**by + shift, name


def test_a_call_gets_the_configuration_and_the_arguments_of_now():
    assert Recipe(power, by=2, name="square")(3.0) == (9.0, "square")
    assert Recipe(power, by=2)(3.0, shift=1.0) == (10.0, "")


def test_floats_and_arrays_are_leaves_and_everything_else_is_static():
    recipe = Recipe(power, by=2, shift=0.5, base=jnp.ones(3), name="x")
    leaves = jax.tree.leaves(recipe)
    assert sorted(leaf.shape for leaf in leaves) == [(), (3,)]
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("float32")}
    assert recipe.settings == (("by", 2), ("name", "x"))


def test_recipes_that_differ_in_numbers_alone_share_a_program_and_others_do_not():
    traced = []

    @jax.jit
    def run(recipe):
        traced.append(1)
        return recipe(jnp.float32(3.0))[0]

    assert run(Recipe(power, by=2, shift=0.5)) == 9.5
    assert run(Recipe(power, by=2, shift=1.5)) == 10.5
    assert len(traced) == 1
    assert run(Recipe(power, by=3, shift=0.5)) == 27.5
    assert len(traced) == 2


def test_a_learning_rate_can_be_a_vmapped_axis():
    def moved(rate):
        recipe = Recipe(optax.sgd, learning_rate=0.1)
        optimizer = jax.tree.map(lambda _: rate, recipe)()
        updates, _ = optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)))
        return updates

    rates = jnp.array([0.0, 0.1, 1.0])
    np.testing.assert_allclose(jax.vmap(moved)(rates), -rates[:, None] * np.ones(2))


def test_a_model_recipe_waits_for_its_key():
    model = Recipe(MLP, inputs=4, outputs=3, width=5)(key=jax.random.key(0))
    assert model(jnp.ones(4)).shape == (3,)


def test_whole_numbers_in_arrays_stay_whole():
    """An array of labels or a key is no less exact for being an argument of a recipe."""
    exact = 2**24 + 1
    assert int(Recipe(power, by=jnp.int32(exact)).numbers["by"]) == exact
    key = jax.random.key(1)
    assert Recipe(power, by=key).numbers["by"].dtype == key.dtype


@pytest.mark.parametrize("setting", [[1, 2], {"a": 1}, np.ones(2).tolist()])
def test_a_setting_that_cannot_be_compared_is_refused_with_its_name(setting):
    """A list would only fail later, inside JAX, with a message about hashing."""
    with pytest.raises(ValueError, match="'by'"):
        Recipe(power, by=setting)


def test_a_recipe_within_a_recipe_keeps_its_numbers_to_be_swept():
    def halved(part):
        return part()[0] / 2

    outer = Recipe(halved, part=Recipe(power, base=3.0, by=2))
    assert outer() == 4.5
    assert [float(leaf) for leaf in jax.tree.leaves(outer)] == [3.0]
    swept = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf + 1]), outer)
    np.testing.assert_allclose(jax.vmap(lambda recipe: recipe())(swept), [4.5, 8.0])

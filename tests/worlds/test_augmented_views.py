"""Random views: each of their parts alone, exactly, and in the proportions promised."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from lifelong.errors import BadInput, Mismatch
from lifelong.worlds import RandomViews

KEY, RANDOM = jax.random.key(0), np.random.default_rng(0)
IMAGES = jnp.asarray(RANDOM.random((300, 6, 9)), jnp.float32)


@jax.jit
def seen(views, x, key=KEY):
    return views(x, key=key)


def test_with_all_parts_off_an_image_is_seen_as_it_is():
    np.testing.assert_array_equal(seen(RandomViews(0.0, 0.0, 1.0), IMAGES), IMAGES)


def test_mirrors_are_left_for_right_and_as_frequent_as_asked():
    np.testing.assert_array_equal(seen(RandomViews(0.0, 1.0, 1.0), IMAGES), IMAGES[:, :, ::-1])
    views = np.asarray(seen(RandomViews(0.0, 0.3, 1.0), IMAGES))
    mirrored = (views == IMAGES[:, :, ::-1]).all((1, 2))
    assert (mirrored | (views == IMAGES).all((1, 2))).all()
    assert abs(mirrored.mean() - 0.3) < 5 * np.sqrt(0.21 / 300)


def moved(image, down, right):
    """Return an image shifted by whole pixels, zeros behind it."""
    height, width = image.shape
    wide = np.pad(image, 4)
    return wide[4 + down : 4 + down + height, 4 + right : 4 + right + width]


def test_shifts_are_whole_pixels_uniform_in_both_directions():
    views, images = np.asarray(seen(RandomViews(2.0, 0.0, 1.0), IMAGES)), np.asarray(IMAGES)
    offsets = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
    matches = np.stack([[np.array_equal(v, moved(i, *o)) for o in offsets] for v, i in zip(views, images, strict=True)])
    assert (matches.sum(1) == 1).all()
    assert chisquare(matches.sum(0)).pvalue > 1e-3


def test_crops_lie_within_the_image_and_keep_its_shape():
    """On a ramp every pixel says where it was read: rows 0 … 5, columns 10, 20 … 90."""
    ramp = jnp.tile(jnp.arange(6.0)[:, None] + 10 * jnp.arange(1.0, 10.0), (300, 1, 1))
    views = np.asarray(seen(RandomViews(0.0, 0.0, 0.5), ramp))
    row, column = np.gradient(views, axis=(1, 2))
    share = row.mean((1, 2))
    np.testing.assert_allclose(row, np.broadcast_to(share[:, None, None], row.shape), atol=1e-4)
    np.testing.assert_allclose(column / 10, row[:, :, :], atol=1e-4)
    assert kstest(share, "uniform", args=(0.5, 0.5)).pvalue > 1e-3
    assert views.min() > 10 - 1e-3 and views.max() < 95 + 1e-3
    top = views[:, 0, 0] % 10
    assert top.max() > 1.0 and top.min() < 0.2


def test_channels_are_seen_alike_and_keys_decide():
    colours = jnp.stack([IMAGES, 2 * IMAGES], axis=-1)
    views = RandomViews()
    both = seen(views, colours)
    np.testing.assert_allclose(both[..., 0], seen(views, IMAGES), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(both[..., 1], 2 * both[..., 0], rtol=1e-5, atol=1e-6)
    other = seen(views, IMAGES, jax.random.key(1))
    assert not np.allclose(other, seen(views, IMAGES))


@pytest.mark.parametrize("wrong", [{"shift": -1.0}, {"flip": 1.5}, {"crop": 0.0}, {"crop": 1.1}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(BadInput, match="views need"):
        RandomViews(**wrong)


def test_only_images_have_views():
    with pytest.raises(Mismatch, match=r"shape \(5,\)"):
        RandomViews()(jnp.zeros((3, 5)), key=KEY)

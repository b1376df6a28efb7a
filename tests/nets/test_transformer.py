"""The transformer beside plain NumPy, its gradients beside those JAX derives, its cache and blanks beside whole sequences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, softmax

from lifelong.errors import BadInput, UnknownName
from lifelong.nets import PRESETS, Completion, Experts, LanguageModel, language_model
from lifelong.nets._feedforward import gated
from lifelong.nets._product import product
from lifelong.recipe import Recipe

SIZES = {"vocabulary": 11, "width": 16, "layers": 2, "heads": 4, "kv_heads": 2, "hidden": 10}
TOKENS = np.random.default_rng(0).integers(0, 11, (3, 7))


def shaken(model, seed=0):
    """Return the model with all weights moved, so that no norm is 1 and no bias 0."""
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: leaf + 0.3 * random.standard_normal(leaf.shape).astype(np.float32), model)


@pytest.fixture(scope="module")
def model():
    return shaken(LanguageModel(**SIZES, bias=True, tied=False, theta=100.0, key=jax.random.key(0)))


@pytest.fixture(scope="module")
def logits(model):
    return np.asarray(eqx.filter_jit(model)(jnp.asarray(TOKENS)))


def normed(x, scale):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale


def turned(x, place, theta):
    """Return one head's numbers as complex ones, each turned by an angle of its own."""
    half = len(x) // 2
    whole = (x[:half] + 1j * x[half:]) * np.exp(1j * place * theta ** (-np.arange(half) / half))
    return np.concatenate([whole.real, whole.imag])


def by_hand(model, tokens):
    """Return the logits after each token of one sequence: loops over layers, places and heads."""
    model = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), model)
    x, size, group = model.embedding[tokens], model.head_width, model.heads // model.kv_heads
    for number in range(model.depth):
        layer = jax.tree.map(lambda leaf, number=number: leaf[number], model.layers)
        made = normed(x, layer.before_attention) @ layer.qkv + layer.qkv_bias
        made = made.reshape(len(tokens), -1, size)
        heard = np.zeros((len(tokens), model.heads, size))
        for t in range(len(tokens)):
            for head in range(model.heads):
                query = turned(made[t, head], t, model.theta)
                keys = [turned(made[s, model.heads + head // group], s, model.theta) for s in range(t + 1)]
                values = made[: t + 1, model.heads + model.kv_heads + head // group]
                heard[t, head] = softmax(np.array(keys) @ query / np.sqrt(size)) @ values
        x = x + heard.reshape(len(tokens), -1) @ layer.out
        x = x + fed_forward(layer.feedforward, normed(x, layer.before_feedforward))
    return normed(x, model.norm) @ (model.embedding.T if model.head is None else model.head)


def fed_forward(net, x):
    if not isinstance(net, Experts):
        opened = x @ net.gate
        return (opened * expit(opened) * (x @ net.up)) @ net.down
    made = np.zeros_like(x)
    for t, one in enumerate(x):
        p = softmax(one @ net.router)
        best = np.argsort(-p)[: net.chosen]
        for e in best:
            opened = one @ net.gate[e]
            made[t] += p[e] / p[best].sum() * (opened * expit(opened) * (one @ net.up[e])) @ net.down[e]
    return made


def test_logits_are_those_of_plain_numpy(model, logits):
    for row, found in zip(TOKENS, logits, strict=True):
        np.testing.assert_allclose(found, by_hand(model, row), atol=1e-4)


def test_experts_and_a_tied_head_too():
    model = shaken(LanguageModel(**SIZES, bias=True, experts=3, chosen=2, key=jax.random.key(1)))
    np.testing.assert_allclose(model(jnp.asarray(TOKENS[0])), by_hand(model, TOKENS[0]), atol=1e-4)
    routed = np.asarray(model.routing(jnp.asarray(TOKENS)))
    assert routed.shape == (2, 3, 7, 3)
    np.testing.assert_allclose(routed.sum(-1), 1.0, rtol=1e-5)


def test_what_comes_later_changes_nothing_before(model, logits):
    changed = TOKENS.copy()
    changed[:, 4] = (changed[:, 4] + 1) % 11
    again = np.asarray(eqx.filter_jit(model)(jnp.asarray(changed)))
    np.testing.assert_array_equal(again[:, :4], logits[:, :4])
    assert (np.abs(again[:, 4:] - logits[:, 4:]).max(-1) > 1e-3).all()


@pytest.mark.parametrize(("left", "right"), [(3, 0), (0, 2), (2, 1)])
def test_blanks_on_either_side_change_nothing(model, logits, left, right):
    padded = jnp.pad(jnp.asarray(TOKENS), ((0, 0), (left, right)), constant_values=-1)
    found = np.asarray(model(padded))[:, left : left + 7]
    np.testing.assert_allclose(found, logits, atol=1e-4)


@pytest.mark.parametrize("pieces", [[1] * 7, [4, 1, 2], [7]])
def test_a_cache_spares_work_and_changes_nothing(model, logits, pieces):
    cache, found = model.blank_cache(3, 9), []
    extend = eqx.filter_jit(lambda cache, tokens: model.extend(cache, tokens))
    for piece in np.split(TOKENS, np.cumsum(pieces)[:-1], axis=1):
        cache, said = extend(cache, jnp.asarray(piece))
        found.append(said)
    np.testing.assert_allclose(np.concatenate(found, 1), logits, atol=1e-4)
    assert int(cache.length) == 7 and cache.capacity == 9


def test_models_side_by_side_are_models_one_by_one():
    keys = jax.random.split(jax.random.key(2), 3)
    models = eqx.filter_vmap(lambda key: LanguageModel(**SIZES, key=key))(keys)
    together = eqx.filter_vmap(lambda model: model(jnp.asarray(TOKENS)))(models)
    for key, found in zip(keys, together, strict=True):
        np.testing.assert_allclose(found, LanguageModel(**SIZES, key=key)(jnp.asarray(TOKENS)), atol=1e-5)


def test_products_have_the_gradients_that_jax_derives():
    random = np.random.default_rng(3)
    x, gate, up, down, wanted = (
        jnp.asarray(random.standard_normal(shape), jnp.float32)
        for shape in ((2, 3, 4), (4, 5), (4, 5), (5, 4), (2, 3, 4))
    )
    plain = lambda x, gate, up, down: (jax.nn.silu(x @ gate) * (x @ up)) @ down  # noqa: E731
    pairs = [(gated, plain, (x, gate, up, down)), (product, lambda x, w: x @ w, (x, gate @ down))]
    for ours, theirs, given in pairs:
        np.testing.assert_allclose(ours(*given), theirs(*given), rtol=1e-4, atol=1e-5)
        slopes = [
            jax.grad(lambda *args, f=f: (f(*args) * wanted).sum(), range(len(given)))(*given) for f in (ours, theirs)
        ]
        for one, other in zip(*slopes, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_presets_have_the_sizes_they_promise():
    counts = {}
    for name in PRESETS:
        model = eqx.filter_eval_shape(lambda key, name=name: language_model(name, 64, key=key), jax.random.key(0))
        counts[name] = sum(leaf.size for leaf in jax.tree.leaves(model) if hasattr(leaf, "size"))
    assert counts == {"micro": 96_576, "mini": 310_944, "small": 701_568}


def test_first_logits_are_of_the_order_of_one():
    model = language_model("micro", 64, key=jax.random.key(0))
    assert 0.3 < np.std(model(jnp.arange(20))) < 3


def test_a_completion_answers_with_what_comes_after_the_last_token(model, logits):
    completion = Completion(lambda key: model, key=jax.random.key(0))
    tokens = np.pad(TOKENS[0, :5], (1, 3), constant_values=-1)
    found = completion(jnp.asarray(np.stack([tokens, np.zeros_like(tokens)])))
    np.testing.assert_allclose(found, logits[0, 4], atol=1e-4)
    np.testing.assert_allclose(completion.read(jnp.asarray(TOKENS)), logits, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers=0"),
        ({"kv_heads": 3}, "multiple of kv_heads"),
        ({"head_width": 5}, "head_width even"),
        ({"experts": 2, "chosen": 3}, "1 up to 2 experts, not to 3"),
    ],
)
def test_sizes_that_cannot_be_are_refused(changes, message):
    with pytest.raises(BadInput, match=message):
        LanguageModel(**{**SIZES, **changes}, key=jax.random.key(0))


def test_unknown_presets_and_routes_are_refused(model):
    with pytest.raises(UnknownName, match="did you mean 'micro'"):
        language_model("mikro", 8, key=jax.random.key(0))
    with pytest.raises(BadInput, match="no experts"):
        model.routing(jnp.asarray(TOKENS))
    assert Recipe(language_model, preset="micro", vocabulary=8) == Recipe(language_model, vocabulary=8, preset="micro")

"""What is saved comes back bit for bit, whatever is damaged is named, and no code is ever stored."""

import json
import os
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from test_continual_classifier import SMALL, blobs, made, same, weights

import lifelong
from lifelong import MLP, ContinualClassifier, Recipe, Replay, chain
from lifelong.connect import memories
from lifelong.connect._described import Unnamed, described, named, public_name, restored
from lifelong.connect._names import memory_named
from lifelong.errors import BadFile, BadInput, UnknownName
from lifelong.memory import EWC, NearestMean, refresh


@pytest.fixture
def learned():
    return made("ewc", batch_size=16).partial_fit(*blobs(range(3))).end_task().partial_fit(*blobs(range(4), seed=1))


@pytest.mark.parametrize("how", ["saved", "pickled"])
def test_it_goes_on_as_if_nothing_had_happened(learned, tmp_path, how):
    learned.save(tmp_path / "model.safetensors")
    again = ContinualClassifier.load(tmp_path / "model.safetensors")
    again = pickle.loads(pickle.dumps(learned)) if how == "pickled" else again
    assert repr(again.get_params()) == repr(learned.get_params())
    assert again.report() == learned.report()
    for estimator in (learned, again):
        estimator.partial_fit(*blobs(range(6), seed=2)).end_task()
    assert same(jax.tree.leaves(learned.lived_.state), jax.tree.leaves(again.lived_.state))
    x, _ = blobs(range(6), seed=3)
    np.testing.assert_array_equal(learned.predict_proba(x), again.predict_proba(x))


def test_labels_and_names_of_columns_come_back(tmp_path):
    x, y = blobs(range(3))
    labels = np.array(["ä", "bee", "sea"])[y].astype(object)
    made().partial_fit(pd.DataFrame(x, columns=list("abcd")), labels).save(tmp_path / "m")
    again = ContinualClassifier.load(tmp_path / "m")
    assert again.classes_.tolist() == ["bee", "sea", "ä"] and again.classes_.dtype == object
    assert again.feature_names_in_.tolist() == list("abcd") and again.n_features_in_ == 4
    with pytest.raises(BadInput, match="names"):
        again.predict(pd.DataFrame(x, columns=list("wxyz")))


def test_its_header_says_what_it_is_in_plain_words(learned, tmp_path):
    learned.save(tmp_path / "m")
    with safe_open(tmp_path / "m", "numpy") as file:
        names, header = set(file.keys()), file.metadata()
    assert header["format"] == "lifelong-estimator-1" and header["lifelong"] == lifelong.__version__
    configuration = json.loads(header["configuration"])
    assert configuration["memory"] == "ewc" and configuration["model"]["name"] == "lifelong.recipe.Recipe"
    assert json.loads(header["learned"])["labels"] == [0, 1, 2, 3]
    assert {"state.model.head.weight", "state.memory.within.importance.head.weight", "state.seen"} <= names


def damaged(path, how):
    data = bytearray(path.read_bytes())
    if how == "foreign":
        return save_file({"weights": np.zeros(3)}, path)
    if how == "another format":
        return path.write_bytes(bytes(data).replace(b"lifelong-estimator-1", b"lifelong-estimator-9"))
    if how == "header changed":
        return path.write_bytes(bytes(data).replace(rb"\"tasks\": 1", rb"\"tasks\": 2"))
    data = {"truncated": data[: len(data) // 2], "empty": b"", "text": b"no model"}.get(how, data)
    if how == "flipped":
        data[-3] ^= 0xFF
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "how", ["truncated", "flipped", "empty", "text", "foreign", "another format", "header changed"]
)
def test_a_damaged_file_is_named_and_left_alone(learned, tmp_path, how):
    path = tmp_path / "model.safetensors"
    learned.save(path)
    whole = path.read_bytes()
    damaged(path, how)
    before = path.read_bytes()
    assert before != whole
    with pytest.raises(BadFile, match=r"model.safetensors.*left as it is"):
        ContinualClassifier.load(path)
    assert path.read_bytes() == before


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadFile, match=r"nothing.safetensors"):
        ContinualClassifier.load(tmp_path / "nothing.safetensors")


def test_a_failed_write_leaves_the_old_file(learned, tmp_path, monkeypatch):
    learned.save(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(BadFile, match="No space left"):
        learned.partial_fit(*blobs(range(3))).save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["m"]


def my_net(inputs, outputs, *, key):
    return MLP(inputs, outputs, width=4, depth=1, key=key)


def test_what_has_no_public_name_is_not_stored_and_must_be_given_again(tmp_path):
    estimator = made(model=my_net, optimizer=optax.sgd(0.1)).partial_fit(*blobs(range(3)))
    estimator.save(tmp_path / "m")
    with pytest.raises(BadInput, match=r"model=<function my_net.*load\(path, model=…\)"):
        ContinualClassifier.load(tmp_path / "m")
    with pytest.raises(BadInput, match=r"load\(path, optimizer=…\)"):
        ContinualClassifier.load(tmp_path / "m", model=my_net)
    again = ContinualClassifier.load(tmp_path / "m", model=my_net, optimizer=optax.sgd(0.1))
    assert same(weights(again), weights(estimator))
    with pytest.raises(BadFile, match=r"does not hold what its configuration needs.*left as it is"):
        ContinualClassifier.load(tmp_path / "m", model=SMALL, optimizer=optax.sgd(0.1))
    with pytest.raises(UnknownName, match="did you mean 'model'"):
        ContinualClassifier.load(tmp_path / "m", modle=my_net)


def test_labels_that_no_file_can_hold_are_refused(tmp_path):
    x, y = blobs(range(2))
    estimator = made().partial_fit(x, np.array(["2020-01-01", "2021-01-01"], "M8[D]")[y])
    with pytest.raises(BadInput, match="not objects"):
        estimator.save(tmp_path / "m")


COMPONENTS = {
    **{name: memory_named(name) for name in memories()},
    "chain": chain(Replay(100, 10, logits=0.5), EWC(10.0), refresh(1e-3), NearestMean()),
    "recipe": Recipe(MLP, width=8, activation=jax.nn.gelu, head_bias=False),
    "optimizer": Recipe(optax.adamw, learning_rate=1e-3, nesterov=True),
    "values": {"a": (1, 2.5, None, True), "b": [np.float32(1.5), "text"], "c": jnp.arange(3)},
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_components_survive_as_json(name):
    component = COMPONENTS[name]
    again = restored(json.loads(json.dumps(described(component))))
    assert jax.tree.structure(again) == jax.tree.structure(component)
    assert same(jax.tree.leaves(again), jax.tree.leaves(component))


@pytest.mark.parametrize("thing", [os.system, pickle.loads, lambda: 0, my_net, eval, optax.adam(0.1).update])
def test_only_public_names_of_trusted_packages_are_stored(thing):
    with pytest.raises(Unnamed):
        public_name(thing)


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "lifelong.nets.Gone", "lifelong_evil.x", "optax"])
def test_only_names_of_trusted_packages_are_read(name):
    with pytest.raises(BadInput, match="is no name in"):
        named(name)
    with pytest.raises(BadInput):
        restored({"is": "component", "name": "optax.adam", "parts": {}})

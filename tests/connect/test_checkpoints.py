"""Checkpoints beside what transformers makes of them, stored and live, and what is damaged or foreign is named."""

import json
import warnings
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from make_transformers_oracle import CONFIGS, TOKENS, drawn
from safetensors.numpy import load_file, save_file

from lifelong.connect import load_language_model, save_language_model
from lifelong.errors import BadFile, BadInput, Mismatch
from lifelong.nets import LanguageModel

ORACLE = json.loads((Path(__file__).parent / "transformers_oracle.json").read_text())
READ = eqx.filter_jit(lambda model: model(jnp.asarray(TOKENS)))


def written(folder, name, shards=1):
    """Write a checkpoint of the oracle, in one file or several; return its weights."""
    folder.mkdir()
    tensors = drawn(ORACLE[name]["shapes"])
    (folder / "config.json").write_text(json.dumps(ORACLE[name]["config"]))
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return tensors
    places = {key: f"model-{i % shards}.safetensors" for i, key in enumerate(tensors)}
    for place in set(places.values()):
        save_file({key: value for key, value in tensors.items() if places[key] == place}, folder / place)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return tensors


@pytest.fixture
def folder(tmp_path):
    written(tmp_path / "model", "qwen2-tied")
    return tmp_path / "model"


@pytest.mark.parametrize(("name", "shards"), [("qwen2-tied", 3), ("qwen2-untied", 1), ("llama", 2)])
def test_logits_are_those_of_transformers_and_weights_come_back_bit_for_bit(tmp_path, name, shards):
    tensors = written(tmp_path / "theirs", name, shards)
    model = load_language_model(tmp_path / "theirs", vocabulary=20)
    np.testing.assert_allclose(READ(model), ORACLE[name]["logits"], atol=1e-4)
    save_language_model(model, tmp_path / "ours", texts={"notes.txt": "ours"})
    again = load_file(tmp_path / "ours" / "model.safetensors")
    assert again.keys() == tensors.keys()
    assert all(np.array_equal(again[key], tensors[key]) for key in tensors)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "theirs"]
    assert (tmp_path / "ours" / "notes.txt").read_text() == "ours"
    np.testing.assert_array_equal(READ(load_language_model(tmp_path / "ours")), READ(model))


@pytest.mark.parametrize("name", CONFIGS)
def test_transformers_itself_agrees_and_reads_what_we_save(tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
        written(tmp_path / "theirs", name)
        model = load_language_model(tmp_path / "theirs")
        save_language_model(model, tmp_path / "ours")
        for folder in ("theirs", "ours"):
            read, about = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / folder, output_loading_info=True)
            assert not any(about.values())
            with torch.no_grad():
                logits = read.eval()(torch.from_numpy(TOKENS)).logits.numpy()
            np.testing.assert_allclose(READ(model), logits, atol=1e-4)


def test_half_precision_becomes_float32(folder):
    bfloat16 = jnp.bfloat16.dtype
    tensors = {name: value.astype(bfloat16) for name, value in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors")
    model = load_language_model(folder)
    assert model.embedding.dtype == jnp.float32
    np.testing.assert_allclose(READ(model), ORACLE["qwen2-tied"]["logits"], atol=0.2)


def test_tensors_that_are_missing_too_many_or_of_another_shape_are_named(folder):
    file = folder / "model.safetensors"
    tensors = load_file(file)
    spare = {
        "lm_head.weight": tensors["model.embed_tokens.weight"],
        "model.layers.0.self_attn.rotary_emb.inv_freq": TOKENS,
    }
    save_file(tensors | spare, file)
    load_language_model(folder)
    save_file({key: value for key, value in tensors.items() if key != "model.norm.weight"} | {"odd": TOKENS}, file)
    with pytest.raises(BadFile, match=r"model\.norm\.weight is missing; odd is too many"):
        load_language_model(folder)
    save_file(tensors | {"model.norm.weight": np.ones(3, np.float32)}, file)
    with pytest.raises(BadFile, match=r"'model.norm.weight' in .* has shape \(3,\), and config.json says \(16,\)"):
        load_language_model(folder)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, Mismatch, "holds GPT2LMHeadModel; supported are Qwen2"),
        ({"rope_scaling": {"rope_type": "llama3"}, "rope_parameters": None}, Mismatch, "rotary positions of type 'llama3'"),
        ({"hidden_act": "gelu"}, Mismatch, "the activation 'gelu'"),
        ({"vocab_size": None}, BadFile, "nothing usable of vocab_size"),
        ({"vocab_size": 30}, BadFile, "embed_tokens.weight' in .* shape"),
    ],
)  # fmt: skip
def test_other_architectures_are_refused(folder, changes, kind, message):
    config = ORACLE["qwen2-tied"]["config"]
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(kind, match=message):
        load_language_model(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_corrupt_and_missing_files_are_named_and_left_alone(folder, name):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadFile, match=f"{name}.*left as it is"):
        load_language_model(folder)
    assert (folder / name).read_bytes() == whole[: len(whole) // 2]
    (folder / name).unlink()
    with pytest.raises(BadFile, match=f"there is no .*{name}"):
        load_language_model(folder)


def test_a_vocabulary_that_does_not_fit_is_refused(folder):
    with pytest.raises(Mismatch, match=r"has 21 tokens, and the model in .* knows 20"):
        load_language_model(folder, vocabulary=21)


def test_nothing_is_written_over_and_nothing_is_left_half_written(tmp_path, folder, monkeypatch):
    model = LanguageModel(8, 4, 1, 2, 1, 6, key=jax.random.key(0))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(BadFile, match=r"something in .* already"):
        save_language_model(model, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    monkeypatch.setattr("os.rename", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(BadFile, match="No space left"):
        save_language_model(model, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
    with pytest.raises(BadInput, match="experts"):
        save_language_model(LanguageModel(8, 4, 1, 2, 1, 6, experts=2, key=jax.random.key(0)), tmp_path / "new")

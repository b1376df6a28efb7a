"""Language models from folders as `transformers` has them (config.json and safetensors), and back."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lifelong.errors import BadFile, BadInput, Mismatch
from lifelong.life import write_atomically
from lifelong.nets import Experts, LanguageModel, Layer, SwiGLU

ARCHITECTURES = {"qwen2": "Qwen2ForCausalLM", "llama": "LlamaForCausalLM"}
"""The kinds of models that can be read: those whose every layer is one of `LanguageModel`'s."""

IGNORED = ("rotary_emb.inv_freq",)
"""What old checkpoints hold besides weights."""

SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")


def load_language_model(folder: str | Path, *, vocabulary: int | None = None) -> LanguageModel:
    """Return the model of a Qwen2, Qwen2.5 or Llama checkpoint: config.json beside one or several safetensors files.

    Weights become float32. `vocabulary` is how many tokens the tokenizer has, where that is to be checked.

    Raises BadFile where a file is missing, corrupt (it is named and left alone), or lacks tensors or has others;
    Mismatch for another architecture, or a model of fewer tokens than the tokenizer has.
    """
    folder = Path(folder)
    config = _config(folder)
    like = eqx.filter_eval_shape(_blank_model, config, key=jax.random.key(0))
    if vocabulary is not None and vocabulary > like.vocabulary:
        raise Mismatch(
            f"the tokenizer has {vocabulary} tokens, and the model in '{folder}' knows {like.vocabulary}; load the "
            "tokenizer that belongs to it"
        )
    return from_tensors(like, _checked(folder, _tensors(folder), jax.eval_shape(tensors_of, like)))


def save_language_model(model: LanguageModel, folder: str | Path, *, texts: Mapping[str, str] | None = None) -> None:
    """Write a model as a folder that `transformers` reads: as Qwen2 where it has biases, else as Llama.

    `texts` are further files by name, such as a tokenizer's. The folder appears whole or not at all.
    Raises BadFile where there is something already, or nothing can be written; BadInput for a model with experts, or
    without positions.
    """
    folder = Path(folder)
    if isinstance(model.layers.feedforward, Experts):
        raise BadInput("models with experts cannot be saved as Qwen2 or Llama, which have none")
    if model.theta is None:
        raise BadInput(
            "a model without positions cannot be saved as Qwen2 or Llama, which rotate theirs; give it a theta"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadFile(f"there is something in '{folder}' already; it was left as it is: choose another folder")
    arrays = {name: np.ascontiguousarray(value) for name, value in tensors_of(model).items()}
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        write_atomically(temporary / "model.safetensors", save(arrays, {"format": "pt"}))
        write_atomically(temporary / "config.json", json.dumps(_described(model), indent=2).encode())
        for name, text in (texts or {}).items():
            write_atomically(temporary / name, text.encode())
        os.rename(temporary, folder)
    except OSError as error:
        raise BadFile(f"'{folder}' cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def tensors_of(model: LanguageModel) -> dict[str, Array]:
    """Return a model's weights by the names they have in `transformers`, where matrices are [outputs, inputs]."""
    found = {"model.embed_tokens.weight": model.embedding, "model.norm.weight": model.norm}
    if model.head is not None:
        found["lm_head.weight"] = model.head.T
    for number in range(model.depth):
        layer = jax.tree.map(lambda leaf, number=number: leaf[number], model.layers)
        found |= {f"model.layers.{number}.{name}": value for name, value in _tensors_of_layer(model, layer).items()}
    return found


def _cuts(model: LanguageModel) -> tuple[int, int]:
    return model.heads * model.head_width, (model.heads + model.kv_heads) * model.head_width


def _tensors_of_layer(model: LanguageModel, layer: Layer) -> dict[str, Array]:
    net, found = layer.feedforward, {}
    for name, weight in zip("qkv", jnp.split(layer.qkv.T, _cuts(model)), strict=True):
        found[f"self_attn.{name}_proj.weight"] = weight
    if layer.qkv_bias is not None:
        for name, bias in zip("qkv", jnp.split(layer.qkv_bias, _cuts(model)), strict=True):
            found[f"self_attn.{name}_proj.bias"] = bias
    return found | {
        "self_attn.o_proj.weight": layer.out.T,
        "mlp.gate_proj.weight": net.gate.T,
        "mlp.up_proj.weight": net.up.T,
        "mlp.down_proj.weight": net.down.T,
        "input_layernorm.weight": layer.before_attention,
        "post_attention_layernorm.weight": layer.before_feedforward,
    }


def from_tensors(like: LanguageModel, tensors: Mapping[str, np.ndarray]) -> LanguageModel:
    """Return a model of the shapes of `like` with the weights of these names."""

    def stacked(name: str) -> Array:
        return _float32(np.stack([tensors[f"model.layers.{number}.{name}"] for number in range(like.depth)]))

    def joined(kind: str) -> Array:
        return jnp.concatenate([stacked(f"self_attn.{name}_proj.{kind}") for name in "qkv"], axis=1)

    gate, up, down = (jnp.swapaxes(stacked(f"mlp.{name}_proj.weight"), 1, 2) for name in ("gate", "up", "down"))
    layers = Layer(
        before_attention=stacked("input_layernorm.weight"),
        qkv=jnp.swapaxes(joined("weight"), 1, 2),
        qkv_bias=None if like.layers.qkv_bias is None else joined("bias"),
        out=jnp.swapaxes(stacked("self_attn.o_proj.weight"), 1, 2),
        before_feedforward=stacked("post_attention_layernorm.weight"),
        feedforward=SwiGLU(gate, up, down),
    )
    head = None if like.head is None else _float32(tensors["lm_head.weight"]).T
    weights = _float32(tensors["model.embed_tokens.weight"]), layers, _float32(tensors["model.norm.weight"]), head
    return eqx.tree_at(
        lambda m: (m.embedding, m.layers, m.norm, m.head), like, weights, is_leaf=lambda node: node is None
    )


def _float32(value: np.ndarray) -> Array:
    return jnp.asarray(value, jnp.float32)


def _described(model: LanguageModel) -> dict[str, Any]:
    """Return the content of config.json."""
    kind = "llama" if model.layers.qkv_bias is None else "qwen2"
    return {
        "architectures": [ARCHITECTURES[kind]],
        "model_type": kind,
        "hidden_act": "silu",
        "hidden_size": model.width,
        "intermediate_size": model.layers.feedforward.down.shape[-2],
        "num_hidden_layers": model.depth,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.head_width,
        "rms_norm_eps": model.epsilon,
        "rope_theta": model.theta,
        "tie_word_embeddings": model.head is None,
        "torch_dtype": "float32",
        "vocab_size": model.vocabulary,
    }


def _blank_model(config: Mapping[str, Any], *, key: Any) -> LanguageModel:
    heads = config["num_attention_heads"]
    return LanguageModel(
        config["vocab_size"],
        config["hidden_size"],
        config["num_hidden_layers"],
        heads,
        config.get("num_key_value_heads") or heads,
        config["intermediate_size"],
        head_width=config.get("head_dim"),
        bias=config["model_type"] == "qwen2",
        tied=bool(config.get("tie_word_embeddings", False)),
        theta=float(_rotary(config).get("rope_theta") or config.get("rope_theta") or 1e4),
        epsilon=float(config.get("rms_norm_eps", 1e-6)),
        key=key,
    )


def _rotary(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return config.get("rope_parameters") or config.get("rope_scaling") or {}


def _config(folder: Path) -> dict[str, Any]:
    """Return config.json, if it describes a model that `LanguageModel` can be."""
    config = _json(folder / "config.json", "the configuration of a model")
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        named = ", ".join(config.get("architectures") or [f"a model of type '{kind}'"])
        raise Mismatch(f"'{folder}' holds {named}; supported are {', '.join(ARCHITECTURES.values())}")
    if lacking := [name for name in SIZES if not isinstance(config.get(name), int)]:
        raise BadFile(f"'{folder / 'config.json'}' says nothing usable of {', '.join(lacking)}; it was left as it is")
    rotary = _rotary(config).get("rope_type", _rotary(config).get("type", "default"))
    departures = {
        f"rotary positions of type '{rotary}'": rotary != "default",
        f"the activation '{config.get('hidden_act')}'": config.get("hidden_act", "silu") != "silu",
        "sliding windows": bool(config.get("use_sliding_window")),
        "biases after attention": kind == "llama" and bool(config.get("attention_bias")),
        "biases in its feed-forward networks": bool(config.get("mlp_bias")),
    }
    if found := [name for name, there in departures.items() if there]:
        raise Mismatch(f"the model in '{folder}' has {', '.join(found)}, which `LanguageModel` has not")
    return config


def _json(path: Path, what: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadFile(f"there is no '{path}': {what} was expected there") from None
    except (OSError, ValueError) as error:
        raise BadFile(f"'{path}' is not readable JSON ({error}); it was left as it is") from error
    if not isinstance(content, dict):
        raise BadFile(f"'{path}' holds no {what}, but a {type(content).__name__}; it was left as it is")
    return content


def _tensors(folder: Path) -> dict[str, np.ndarray]:
    """Return the arrays of all files of a checkpoint."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return _read(folder / "model.safetensors")
    places = _json(index, "an index of tensors").get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise BadFile(f"'{index}' has no weight_map; it was left as it is")
    found: dict[str, np.ndarray] = {}
    for name in sorted(set(places.values())):
        found |= _read(folder / Path(name).name)
    return found


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        raise BadFile(f"there is no '{path}': the weights of a model were expected there, as safetensors")
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise BadFile(f"'{path}' is not a readable safetensors file ({error}); it was left as it is") from error


def _checked(
    folder: Path, tensors: dict[str, np.ndarray], like: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, np.ndarray]:
    """Return the tensors that a model is made of; raise BadFile where some are missing, too many or of another shape."""
    spare = () if "lm_head.weight" in like else ("lm_head.weight",)  # some tied checkpoints store the embedding twice
    tensors = {name: value for name, value in tensors.items() if name not in spare and not name.endswith(IGNORED)}
    missing, others = sorted(like.keys() - tensors.keys()), sorted(tensors.keys() - like.keys())
    if missing or others:
        faults = [f"{_named(missing)} missing"] * bool(missing) + [f"{_named(others)} too many"] * bool(others)
        raise BadFile(f"the tensors in '{folder}' are not those its config.json describes: {'; '.join(faults)}")
    for name, value in tensors.items():
        if value.shape != like[name].shape:
            raise BadFile(f"'{name}' in '{folder}' has shape {value.shape}, and config.json says {like[name].shape}")
    return tensors


def _named(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more + (" is" if len(names) == 1 else " are")

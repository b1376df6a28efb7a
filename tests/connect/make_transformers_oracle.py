"""What transformers makes of three tiny checkpoints: writes transformers_oracle.json.

    python tests/connect/make_transformers_oracle.py     needs transformers and torch==2.13.0

The weights are drawn by NumPy, tensor by tensor in the order of their names (`drawn`), so the test that reads the file makes
the same checkpoints without either package.
"""

import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "transformers_oracle.json"
SIZES = {
    "vocab_size": 20,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
}
CONFIGS = {
    "qwen2-tied": {"model_type": "qwen2", "tie_word_embeddings": True, "rms_norm_eps": 1e-6},
    "qwen2-untied": {"model_type": "qwen2", "tie_word_embeddings": False, "rope_theta": 1e6},
    "llama": {"model_type": "llama", "head_dim": 8, "tie_word_embeddings": False, "rms_norm_eps": 1e-5},
}
TOKENS = np.random.default_rng(1).integers(0, 20, (2, 7))


def drawn(shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """Return weights of these shapes: normal, of spread 0.4, those of norms around 1."""
    random = np.random.default_rng(0)
    return {
        name: (random.normal(float("norm" in name), 0.4, shapes[name])).astype(np.float32) for name in sorted(shapes)
    }


def main() -> None:
    import torch
    import transformers

    found = {"versions": {"transformers": transformers.__version__, "torch": torch.__version__}}
    for name, config in CONFIGS.items():
        made = transformers.AutoConfig.for_model(**SIZES | config)
        model = transformers.AutoModelForCausalLM.from_config(made).eval()
        shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
        if config["tie_word_embeddings"]:
            del shapes["lm_head.weight"]
        weights = {key: torch.from_numpy(value) for key, value in drawn(shapes).items()}
        model.load_state_dict(weights, strict=not config["tie_word_embeddings"])
        with torch.no_grad():
            logits = model(torch.from_numpy(TOKENS)).logits.numpy()
        described = made.to_dict()
        kept = {key: described[key] for key in [*SIZES, *config, "hidden_act", "rope_parameters"] if key in described}
        found[name] = {"config": kept, "shapes": shapes, "logits": logits.round(6).tolist()}
    FILE.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

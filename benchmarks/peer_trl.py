"""The rounds of `grpo.py` with TRL; runs in the environment of install_peers.sh.

    .peers/trl/bin/python benchmarks/peer_trl.py FOLDER '{"prompts": 8, …}' THREADS

Prints one line of JSON.
"""

import json
import sys
import time
from pathlib import Path

import torch
import transformers
import trl
from datasets import Dataset
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

WARM_UP = 10


class Clock(TrainerCallback):
    """When each round ended."""

    def __init__(self):
        self.ends = []

    def on_step_end(self, args, state, control, **kwargs):
        """Note the time."""
        self.ends.append(time.perf_counter())


def main(folder: str, settings: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    transformers.logging.set_verbosity_error()
    life, clock = json.loads(settings), Clock()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=f"{folder}/model/tokenizer.json", eos_token="EOS", pad_token="EOS", padding_side="left"
    )
    rows = json.loads((Path(folder) / "problems.json").read_text())
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(f"{folder}/model"),
        reward_funcs=right,
        args=config(life, folder),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[clock],
    )
    trainer.train()
    rewards = [line["reward"] for line in trainer.state.log_history if "reward" in line]
    report = {
        "rate": life["rounds"] / (clock.ends[-1] - clock.ends[-1 - life["rounds"]]),
        "reward": sum(rewards[-10:]) / 10,
        "threads": int(threads),
        "versions": {"trl": trl.__version__, "transformers": transformers.__version__, "torch": torch.__version__},
    }
    print(json.dumps(report))


def right(prompts: list[str], completions: list[str], end: list[str], **rest) -> list[float]:
    """Return 1 for every answer that ends where it should."""
    return [float(said.split()[-1:] == [wanted]) for said, wanted in zip(completions, end, strict=True)]


def config(life: dict, folder: str) -> GRPOConfig:
    return GRPOConfig(
        output_dir=f"{folder}/trl",
        per_device_train_batch_size=life["prompts"] * life["samples"],
        num_generations=life["samples"],
        max_completion_length=life["tokens"],
        learning_rate=life["rate"],
        lr_scheduler_type="constant",
        max_grad_norm=1.0,
        max_steps=life["rounds"] + WARM_UP,
        beta=0.0,
        loss_type="grpo",
        temperature=1.0,
        top_k=0,
        use_cpu=True,
        gradient_checkpointing=False,
        bf16=False,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        seed=0,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

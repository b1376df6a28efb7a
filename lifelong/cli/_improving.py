"""Letting a checkpoint improve itself: `improve`."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from lifelong.errors import BadInput

from ._cache import keep_compiled
from ._options import Command, command_line, number, option, whole_number
from ._output import say, show, show_json, table
from ._progress import saving_first

if TYPE_CHECKING:
    from lifelong.connect import Improvement

SECONDS = 2.0
"""How long a call of a verifier may take."""


@dataclass(frozen=True, kw_only=True)
class Improve(Command):
    """Let a language model improve by its own answers to problems that can be verified, and save it.

    The checkpoint is a folder as `transformers` saves it (Qwen2 or Llama, with tokenizer.json); problems are lines of
    JSON with a "prompt", an "answer" where no verifier judges, and whatever else the verifier wants to see. The
    verifier is a function in a Python file, check(problem, answer), that returns a truth value or a number from 0 to 1.
    A tenth of the problems takes no part and is asked before and after; another tenth decides which model is kept. The
    checkpoint is not written to. Ctrl-C saves, and the same command goes on from there.
    """

    model: Annotated[Path, option("the checkpoint's folder", type=Path, metavar="MODEL_DIR")]
    problems: Annotated[Path | None, option("problems, in JSON Lines", type=Path, metavar="FILE")] = None
    verifier: Annotated[str | None, option("who judges answers (default: they must equal)", metavar="FILE.py:NAME")] = (
        None
    )
    method: Annotated[
        str, option("how it learns: grpo, rloo, reinforce, rejection, oreal, dpo or b-star", metavar="NAME")
    ] = "grpo"
    rounds: Annotated[int, option("rounds of answering and learning", type=whole_number, metavar="N")] = 50
    every: Annotated[int, option("rounds between two looks at which model is best", type=whole_number, metavar="N")] = (
        10
    )
    prompts: Annotated[int, option("problems in a round", type=whole_number, metavar="N")] = 8
    samples: Annotated[int, option("answers to each", type=whole_number, metavar="N")] = 8
    learning_rate: Annotated[float, option("of Adam", type=number, metavar="RATE")] = 1e-4
    tokens: Annotated[
        int | None, option("of the longest answer (default: as in the file)", type=whole_number, metavar="N")
    ] = None
    context: Annotated[int, option("tokens of prompt and answer together", type=whole_number, metavar="N")] = 512
    k: Annotated[int, option("answers sampled to every held-out problem", type=whole_number, metavar="N")] = 8
    seconds: Annotated[float, option("how long a call of the verifier may take", type=number, metavar="S")] = SECONDS
    seed: Annotated[int, option("of all randomness", type=whole_number, metavar="N")] = 0
    out: Annotated[Path | None, option("the new folder (default: MODEL_DIR-improved)", type=Path, metavar="DIR")] = None

    def __call__(self) -> int:
        """Improve the model, print what is solved before and after, save it."""
        if self.problems is None:
            raise BadInput("no problems to improve by: name a file with --problems FILE")
        keep_compiled()
        out, began = self.out or self.model.resolve().with_name(f"{self.model.resolve().name}-improved"), time.time()
        try:
            with saving_first():
                found = self._improved(out)
        except KeyboardInterrupt:
            say(f"lifelong: interrupted; to go on: {command_line(self, 'improve')}")
            return 130
        if self.json:
            show_json(found.to_dict() | {"out": str(out)})
        else:
            _show(found, out, time.time() - began)
        return 0

    def _improved(self, out: Path) -> "Improvement":
        from lifelong.connect import Verifier, improve

        assert self.problems is not None
        return improve(
            self.model,
            self.problems,
            Verifier(self.verifier, self.seconds) if self.verifier else None,
            out,
            method=self.method,
            rounds=self.rounds,
            every=self.every,
            prompts=self.prompts,
            samples=self.samples,
            learning_rate=self.learning_rate,
            answer_length=self.tokens,
            context=self.context,
            k=self.k,
            seed=self.seed,
        )


def _show(found: "Improvement", out: Path, seconds: float) -> None:
    pairs = (
        ("pass@1", found.one_before, found.one_after),
        (f"pass@{found.k}", found.any_before, found.any_after),
    )
    rows = [(name, *(f"{r.share:.1%} ({r.low:.1%} to {r.high:.1%})" for r in both)) for name, *both in pairs]
    show(table((f"{found.held_out} held-out problems", "before", "after"), rows), "")
    if not found.kept:
        print(f"No model was better than the checkpoint on the {found.chosen_by} problems to choose by: it was kept.")
    rewards = found.rewards
    print(
        f"{found.method}, {found.rounds} rounds: mean reward {rewards[0]:.3f} in the first, {rewards[-1]:.3f} in the last"
    )
    if found.verifier:
        print(found.verifier)
    print(f"saved: {out} ({seconds:.0f} s)")

"""Improving a checkpoint by its own answers to problems that can be verified."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PyTree

from lifelong.errors import BadFile, BadInput, Mismatch, UnknownName
from lifelong.exams import Solved, mean_interval
from lifelong.feedback import DPO, GRPO, OREAL, RLOO, Feedback, Imitation, Reinforce, RejectionSampling
from lifelong.learners import BalancedLearner, Configurations, KeepingBest, PolicyLearner, Trained, clipped_adam
from lifelong.learners._policy_learner import Prepare, as_sampled, right_and_wrong
from lifelong.life import Progress, check_writable, live, on_stderr
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne

from ._checkpoints import load_language_model, save_language_model
from ._problem_file import ProblemFile
from ._tokenizer import Tokenizer
from ._verifier import Verifier

ACCOMPANY = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json")
"""Files beside a checkpoint that go with the improved one as they are."""

REPORT = "improvement.json"

MOST_QUESTIONS = 64
"""Problems by which models are compared at the most."""


TEMPERATURES, THRESHOLDS = (1.0, 0.4, 0.7, 1.3), (0.25, 0.5, 0.75, 1.0)
"""What `b-star` chooses from: the temperatures of the study, and quarters of a reward. Of equals the first is taken, so that a
model which solves nothing yet is sampled as it is."""


def balanced(*parts: Any, **more: Any) -> BalancedLearner:
    """Return the learner of `b-star`."""
    return BalancedLearner(*parts, grid=Configurations(TEMPERATURES, THRESHOLDS), **more)


class Method(NamedTuple):
    """A feedback, what is made of answers for it, in a few words what it does, and the learner it does it in."""

    feedback: Callable[[], Feedback]
    prepare: Prepare
    note: str
    learner: Callable[..., PolicyLearner] = PolicyLearner


METHODS: Mapping[str, Method] = {
    "grpo": Method(GRPO, as_sampled, "group-relative policy gradient, clipped, near the checkpoint"),
    "rloo": Method(RLOO, as_sampled, "policy gradient against the mean of the other answers"),
    "reinforce": Method(Reinforce, as_sampled, "policy gradient against the mean of all answers"),
    "rejection": Method(RejectionSampling, as_sampled, "right answers are imitated"),
    "oreal": Method(
        OREAL, right_and_wrong, "a right answer is cloned, a wrong one pushed down by as much as theory says"
    ),
    "dpo": Method(DPO, right_and_wrong, "a right answer is preferred to a wrong one"),
    "b-star": Method(
        Imitation, as_sampled, "the best answers are imitated, at a temperature and a threshold chosen anew", balanced
    ),
}
"""How a model may learn from its answers, by name."""


@dataclass(frozen=True)
class Rate:
    """A share of held-out problems with its 95 % interval over them."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Improvement:
    """What improving found: shares solved before and after on problems that took no part, and how it came about.

    `one` is pass@1 (the share of right answers among k sampled ones), `any` pass@k; `kept` says whether any round's model was
    better than the checkpoint on the problems that models are chosen by.
    """

    method: str
    rounds: int
    problems: int
    chosen_by: int
    held_out: int
    k: int
    one_before: Rate
    any_before: Rate
    one_after: Rate
    any_after: Rate
    kept: bool
    rewards: list[float]
    verifier: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def improve(
    folder: str | Path,
    problems: str | Path,
    verifier: str | Verifier | None,
    out: str | Path,
    *,
    method: str = "grpo",
    rounds: int = 50,
    every: int = 10,
    prompts: int = 8,
    samples: int = 8,
    learning_rate: float = 1e-4,
    answer_length: int | None = None,
    context: int = 512,
    k: int = 8,
    seed: int = 0,
    progress: Progress = on_stderr,
) -> Improvement:
    """Let a checkpoint answer problems, learn from verdicts, and save the best model as a folder that `transformers` loads.

    A tenth of the problems takes no part and is asked before and after; another tenth decides, every `every` rounds, which
    model is kept. The checkpoint itself is never written to. Ctrl-C saves, and the same call goes on from there.

    Args:
        folder: a Qwen2 or Llama checkpoint with its tokenizer.json.
        problems, verifier: see `ProblemFile`.
        out: the folder that is made; an interrupted life is kept beside it.
        method: one of `METHODS`.
        rounds, prompts, samples: rounds, problems in each, and answers to each problem.
        learning_rate: of Adam, whose gradients are clipped to a norm of 1.
        answer_length, context: tokens of an answer, and of prompt and answer together.
        k: answers sampled to each held-out problem.
        seed: of all randomness.

    Raises UnknownName for a method that there is not, BadInput or BadFile for what cannot be read or does not fit, Mismatch
    where tokenizer and checkpoint do not belong together, KeyboardInterrupt after saving.
    """
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    if min(rounds, every, prompts, samples, k) < 1:
        raise BadInput(f"sizes must be at least 1: {rounds=}, {every=}, {prompts=}, {samples=}, {k=}")
    folder, out = Path(folder), Path(out)
    unfinished = _unfinished(out)
    model = load_language_model(folder)
    world = _world(folder, problems, verifier, model.vocabulary, answer_length, context)
    policy = _policy(model, METHODS[method], prompts, samples, learning_rate)
    best, rewards = _lived(policy, world, rounds, every, seed, unfinished, progress)
    before, after = (_examined(one, policy, world, k, seed) for one in (model, best))
    found = _found(before, after, world, method=method, k=k, kept=_differ(model, best), rewards=rewards)
    _save(folder, out, best, world.end, found)
    unfinished.unlink(missing_ok=True)
    return found


def _lived(
    policy: PolicyLearner,
    world: ProblemFile,
    rounds: int,
    every: int,
    seed: int,
    unfinished: Path,
    progress: Progress,
) -> tuple[PyTree, list[float]]:
    """Live all rounds, the last look at which model is best included; return that model, and the rewards of every round."""
    choosing = world.for_choosing()
    life = live(
        KeepingBest(policy, questions=min(MOST_QUESTIONS, int(choosing.count[0, 1]))),
        choosing,
        OneByOne(1, steps=every),
        Solved(questions=1),
        steps=-(-rounds // every) * every,
        seeds=[seed],
        at_ends=False,
        checkpoint=unfinished,
        progress=progress,
    )
    if not life.finished:
        raise KeyboardInterrupt
    best = jax.tree.map(lambda leaf: leaf[0] if isinstance(leaf, jax.Array) else leaf, life.state.learner.best)
    return best, [round(float(value), 4) for value in life.records["reward"][0]]


def _found(
    before: Bool[np.ndarray, "n k"],
    after: Bool[np.ndarray, "n k"],
    world: ProblemFile,
    *,
    rewards: list[float],
    **more: Any,
) -> Improvement:
    """Return the report: pass@1 and pass@k from which answers are right before and after."""
    return Improvement(
        rounds=len(rewards),
        problems=len(world.lines),
        chosen_by=int(world.for_choosing().count[0, 1]),
        held_out=len(before),
        one_before=_rate(before.mean(1)),
        any_before=_rate(before.max(1)),
        one_after=_rate(after.mean(1)),
        any_after=_rate(after.max(1)),
        rewards=rewards,
        verifier=world.verifier.account if world.verifier else "",
        **more,
    )


def _unfinished(out: Path) -> Path:
    """Return where an interrupted life is saved: beside the folder that is to be made.

    Raises BadInput where the folder is there already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"'{out}' is there already, and nothing was written; name a folder that is not there yet")
    path = out.with_name(f"{out.name}.unfinished.safetensors")
    check_writable(path)
    return path


def _world(
    folder: Path,
    problems: str | Path,
    verifier: str | Verifier | None,
    vocabulary: int,
    answer_length: int | None,
    context: int,
) -> ProblemFile:
    tokenizer = Tokenizer.load(folder)
    if len(tokenizer) > vocabulary:
        raise Mismatch(
            f"the tokenizer in '{folder}' has {len(tokenizer)} tokens, and the model {vocabulary}; take the tokenizer that it "
            "was trained with"
        )
    return ProblemFile(
        problems,
        verifier,
        lexicon=tokenizer,
        end=_end(folder, vocabulary),
        vocabulary=vocabulary,
        answer_length=answer_length,
        context=context,
    )


def _end(folder: Path, vocabulary: int) -> int:
    """Return the token that ends answers, as the checkpoint's configuration names it."""
    for name in ("generation_config.json", "config.json"):
        path = folder / name
        found = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id") if path.exists() else None
        first = found[0] if isinstance(found, list) and found else found
        if isinstance(first, int) and 0 <= first < vocabulary:
            return first
    raise BadFile(f"'{folder}/config.json' does not say which token ends a text; add its number as \"eos_token_id\"")


def _policy(model: PyTree, method: Method, prompts: int, samples: int, rate: float) -> PolicyLearner:
    return method.learner(
        Trained(model),
        method.feedback(),
        Recipe(clipped_adam, learning_rate=rate, max_norm=1.0),
        prepare=method.prepare,
        prompts=prompts,
        samples=samples,
    )


def _examined(model: PyTree, learner: PolicyLearner, world: ProblemFile, k: int, seed: int) -> Bool[np.ndarray, "n k"]:
    """Return which of k sampled answers to every held-out problem are right."""
    asked = jnp.repeat(world.exam_set(0, int(world.count[0, 1])), k, axis=0)
    answers = _answered(model, learner, asked, world.answer_length, world.stop, jax.random.key(seed))
    return np.asarray(world.judge(asked, answers).right).reshape(-1, k)


def _answered(model: PyTree, learner: PolicyLearner, asked: Array, length: int, stop: tuple, key: Any) -> Array:
    written = jax.jit(learner.write, static_argnames=("length", "stop"))(
        model, asked, length=length, stop=stop, key=key, sampler=learner.sampler
    )
    return written.tokens[:, asked.shape[1] :]


def _rate(solved: np.ndarray) -> Rate:
    """Return the mean over problems with its interval; of a single problem the interval is all there is."""
    share = float(np.mean(solved))
    if len(solved) < 2:
        return Rate(share, 0.0, 1.0)
    interval = mean_interval(np.asarray(solved, float))
    return Rate(share, max(0.0, float(interval.low)), min(1.0, float(interval.high)))


def _differ(one: PyTree, other: PyTree) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return any(not np.array_equal(a, b) for a, b in pairs)


def _save(folder: Path, out: Path, model: PyTree, end: int, found: Improvement) -> None:
    """Write the improved checkpoint with all that goes with it, whole or not at all."""
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in ACCOMPANY if (folder / name).exists()}
    texts.setdefault("generation_config.json", json.dumps({"eos_token_id": end}))
    save_language_model(model, out, texts=texts | {REPORT: json.dumps(found.to_dict(), indent=1) + "\n"})

"""Problems of one's own, from a file in JSON Lines, as a world that learners of language live in."""

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from lifelong.errors import BadFile, BadInput, Mismatch, UnknownName, suggestion
from lifelong.worlds import Lexicon, Verdicts, padded
from lifelong.worlds._problems import Listed, listed

from ._verifier import Verifier

SHOWN = 5
"""Mistakes in a file that are told at once."""


class ProblemFile(Listed):
    """Problems from a file with one JSON object in every line: `{"id": "a1", "prompt": "2 + 3 =", "answer": "5"}`.

    Words have spaces between them. A prompt is `BOS` and its words, an answer its words and `EOS`; with a tokenizer, a prompt
    is what it makes of the text, and an answer its tokens and `end`. Without a verifier an answer is right that has the words
    of `answer`; with one, `answer` may be missing, and other fields are handed on to the verifier. A tenth of the problems,
    by the hash of their ids, is held out, one at least. An `id` is the number of the line unless given.

    Args:
        path: the file; UTF-8, with or without a byte order mark. Empty lines are skipped.
        verifier: file and function, `my.py:check`, or a `Verifier`; see there.
        lexicon: the words, `BOS` and `EOS` among them; those of the file unless stated. Or a `Tokenizer`.
        end: the token that ends an answer, `EOS` unless stated; a tokenizer needs one.
        vocabulary: how many tokens a model has, if they are more than the words.
        answer_length: tokens of the longest answer, `EOS` included; as the file's longest answer unless stated.
        context: tokens that prompt and answer may have together.

    Raises BadFile where the file is missing, empty or has mistakes: the first five are named, with their lines. BadInput where
    sizes do not fit.
    """

    prompts: Int[Array, "problems prompt"]
    answers: Int[Array, "problems answer"]
    lines: tuple[str, ...] = eqx.field(static=True)
    verifier: Verifier | None = eqx.field(static=True)
    lexicon: Any = eqx.field(static=True)
    end: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    prompt_length: int = eqx.field(static=True)
    answer_length: int = eqx.field(static=True)
    tasks: int = eqx.field(static=True, default=1)

    def __init__(
        self,
        path: str | os.PathLike[str],
        verifier: str | Verifier | None = None,
        *,
        lexicon: Any = None,
        end: int | None = None,
        vocabulary: int | None = None,
        answer_length: int | None = None,
        context: int = 256,
    ):
        problems = read_problems(path, needs_answer=verifier is None)
        self.lexicon = lexicon or _words(problems)
        self.end = self.lexicon["EOS"] if end is None else end
        prompts, answers = _numbered(problems, self.lexicon, self.end, Path(path))
        self.answer_length = answer_length or _longest(problems, answers, Path(path))
        _check_sizes(problems, prompts, answers, self.answer_length, context, Path(path))
        self.prompts = jnp.asarray(padded(prompts, left=True))
        self.answers = jnp.asarray(padded(answers, self.answer_length))
        self.prompt_length, self.outputs = self.prompts.shape[1], vocabulary or len(self.lexicon)
        self.lines = tuple(json.dumps(problem, sort_keys=True) for problem in problems)
        self.verifier = Verifier(verifier) if isinstance(verifier, str) else verifier
        self.codes, self.first, self.count = self._split(np.arange(len(problems)))

    def _split(self, rows: Int[np.ndarray, " n"]) -> tuple[Array, Array, Array]:
        """Return some problems as `listed` does, the tenth of the smallest hashes held out."""
        hashes = [crc32(str(json.loads(self.lines[row])["id"]).encode()) for row in rows]
        held = np.argsort(np.argsort(hashes, kind="stable")) < -(-len(rows) // 10)
        return listed(rows, np.zeros(len(rows), int), held, 1)

    def for_choosing(self) -> "ProblemFile":
        """Return the problems that are not held out, a tenth of which is asked in exams and taught no longer.

        To choose among models by them, so that what is held out here stays for telling how good the choice is.
        """
        taught = np.sort(np.asarray(self.codes[: int(self.count[0, 0])]))
        if len(taught) < 2:
            raise BadInput(f"{len(self.lines)} problems are too few to choose by; give ten at least")
        return eqx.tree_at(lambda world: (world.codes, world.first, world.count), self, self._split(taught))

    @property
    def stop(self) -> tuple[int, ...]:
        """What ends an answer."""
        return (self.end,)

    def read(self, code: Int[Array, " n"]) -> Int[Array, "n prompt"]:
        """Return the problems in some lines."""
        return self.prompts[code]

    def row(self, prompts: Int[Array, "n prompt"]) -> Int[Array, " n"]:
        """Return which problems prompts are."""
        return (prompts[:, None] == self.prompts).all(-1).argmax(1).astype(jnp.int32)

    def demonstrate(self, prompts: Int[Array, "n prompt"], *, key: PRNGKeyArray) -> Int[Array, "n answer"]:
        """Return the answers of the file; raise `Mismatch` where it has none for some problem."""
        if missing := [i for i, line in enumerate(self.lines) if "answer" not in json.loads(line)]:
            raise Mismatch(
                f"problem {json.loads(self.lines[missing[0]])['id']} has no 'answer' that could be shown; add it"
            )
        return self.answers[self.row(prompts)]

    def judge(self, prompts: Int[Array, "n prompt"], answers: Int[Array, "n answer"]) -> Verdicts:
        """Return what the verifier says; under `jit` and `vmap` it is called back on the host. Right is above one half."""
        row = self.row(prompts)
        if self.verifier is None:
            right = (answers == self.answers[row]).all(1)
            return Verdicts(right.astype(jnp.float32), right)
        shape = jax.ShapeDtypeStruct(row.shape, jnp.float32)
        verify = partial(_verified, self.verifier, self.lines, self.lexicon, self.end)
        reward = jax.pure_callback(verify, shape, row, answers, vmap_method="expand_dims")
        return Verdicts(reward, reward > 0.5)


def _verified(verifier: Verifier, lines: tuple[str, ...], lexicon: Any, end: int, row: Any, answers: Any) -> np.ndarray:
    """Return what a verifier says of answers to the problems in some lines, of whatever leading axes."""
    row, answers = np.asarray(row), np.asarray(answers)
    shape = np.broadcast_shapes(row.shape, answers.shape[:-1])
    rows = np.broadcast_to(row, shape).ravel()
    said = np.broadcast_to(answers, (*shape, answers.shape[-1])).reshape(len(rows), -1)
    worth = [verifier(json.loads(lines[i]), _text(each, lexicon, end)) for i, each in zip(rows, said, strict=True)]
    return np.asarray(worth, np.float32).reshape(shape)


def _text(answer: np.ndarray, lexicon: Any, end: int) -> str:
    """Return the words of an answer up to its end."""
    ends = np.flatnonzero(answer == end)
    return lexicon.decode(answer[: ends[0]] if len(ends) else answer)


def read_problems(path: str | os.PathLike[str], needs_answer: bool = True) -> list[dict[str, Any]]:
    """Return the problems of a file in JSON Lines, each with its `id`.

    Raises BadFile as `ProblemFile` says.
    """
    path = Path(path)
    try:
        raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise BadFile(f"'{path}' cannot be read: {error.strerror}") from error
    wanted = ("prompt", "answer") if needs_answer else ("prompt",)
    problems, mistakes = [], []
    for number, line in enumerate(raw, 1):
        if not line.strip():
            continue
        try:
            problems.append((number, _problem(line, number, wanted)))
        except ValueError as error:
            mistakes.append(f"line {number}: {error}")
    mistakes += _repeated(problems, "id") + _repeated(problems, "prompt")
    if mistakes:
        more = f"; and {len(mistakes) - SHOWN} more" if len(mistakes) > SHOWN else ""
        raise BadFile(f"'{path}' has mistakes, nothing was read: {'; '.join(mistakes[:SHOWN])}{more}")
    if len(problems) < 2:
        raise BadFile(f"'{path}' holds {len(problems)} problems; one to learn from and one to ask are the least")
    return [problem for _, problem in problems]


def _problem(line: bytes, number: int, wanted: Sequence[str]) -> dict[str, Any]:
    """Return one problem; raise ValueError, with a sentence that says what is wrong, where it is none."""
    try:
        found = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON at column {error.colno} ({error.msg})") from None
    if not isinstance(found, dict):
        raise ValueError(f"an object, {{…}}, is expected, and it is a {type(found).__name__}")
    for name in wanted:
        if name not in found:
            near = suggestion(name, found)
            raise ValueError(f"no '{name}' among {', '.join(found) or 'no fields'}{near if 'mean' in near else ''}")
    for name in ("prompt", "answer"):
        if name in found and (not isinstance(found[name], str) or not found[name].strip()):
            raise ValueError(f"'{name}' must be text that is not empty, and it is {found[name]!r}")
    return {"id": str(number), **found}


def _repeated(problems: list[tuple[int, dict[str, Any]]], name: str) -> list[str]:
    first: dict[str, int] = {}
    found = []
    for number, problem in problems:
        value = " ".join(str(problem[name]).split())
        if value in first:
            found.append(f"line {number}: the {name} '{value}' is that of line {first[value]}")
        first.setdefault(value, number)
    return found


def _words(problems: Sequence[dict[str, Any]]) -> Lexicon:
    texts = [f"{problem['prompt']} {problem.get('answer', '')}" for problem in problems]
    return Lexicon(tuple(dict.fromkeys(["BOS", "EOS", *(word for text in texts for word in text.split())])))


def _numbered(
    problems: Sequence[dict[str, Any]], lexicon: Any, end: int, path: Path
) -> tuple[list[Int[np.ndarray, " t"]], list[Int[np.ndarray, " t"]]]:
    """Return prompts and answers in numbers; raise BadFile for a word that is not in the lexicon."""
    prompts, answers = [], []
    for problem in problems:
        try:
            words = isinstance(lexicon, Lexicon)
            prompts.append(lexicon.encode(f"BOS {problem['prompt']}") if words else lexicon.begun(problem["prompt"]))
            answers.append(np.append(lexicon.encode(problem.get("answer", "")), end))
        except UnknownName as error:
            raise BadFile(f"'{path}', problem {problem['id']}: {error}") from error
    return prompts, answers


def _longest(problems: Sequence[dict[str, Any]], answers: list, path: Path) -> int:
    if not any("answer" in problem for problem in problems):
        raise BadInput(
            f"no problem in '{path}' has an answer that tells how long one may be; give answer_length (--tokens)"
        )
    return max(map(len, answers))


def _check_sizes(
    problems: Sequence[dict[str, Any]], prompts: list, answers: list, answer_length: int, context: int, path: Path
) -> None:
    for problem, prompt, answer in zip(problems, prompts, answers, strict=True):
        if len(answer) > answer_length:
            raise BadInput(
                f"'{path}': the answer of problem {problem['id']} has {len(answer)} tokens with its EOS, and answer_length is "
                f"{answer_length}; give answer_length={len(answer)}"
            )
        if len(prompt) + answer_length > context:
            raise BadInput(
                f"'{path}': problem {problem['id']} has {len(prompt)} tokens, with {answer_length} for an answer more than the "
                f"context of {context}; give context={len(prompt) + answer_length}, or shorten it"
            )

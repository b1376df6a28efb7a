"""A checkpoint that improves by its own answers, from the command line."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lifelong.cli import main
from lifelong.connect import (
    METHODS,
    ProblemFile,
    Tokenizer,
    _improving,
    improve,
    load_language_model,
    save_language_model,
)
from lifelong.errors import BadFile, BadInput, Mismatch, UnknownName
from lifelong.exams import Solved
from lifelong.feedback import RejectionSampling
from lifelong.learners import BalancedLearner, KeepingBest, PolicyLearner, Trained
from lifelong.life import _live, live
from lifelong.nets import LanguageModel
from lifelong.recipe import Recipe
from lifelong.teachers import OneByOne
from lifelong.worlds import Lexicon

WORDS = Lexicon(("BOS", "EOS", "after", "=", *"abcde"))
SIZES = {"width": 8, "layers": 1, "heads": 2, "kv_heads": 1, "hidden": 8}
CHECK = """
def check(problem, answer):
    if problem["id"] == "p3":
        raise ValueError("no verdict")
    return answer == problem["next"]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a checkpoint, forty problems and a verifier."""
    folder = tmp_path_factory.mktemp("improving")
    model = LanguageModel(len(WORDS), **SIZES, key=jax.random.key(0))
    texts = {"tokenizer.json": Tokenizer.of_words(WORDS).to_json(), "generation_config.json": '{"eos_token_id": [1]}'}
    save_language_model(model, folder / "model", texts=texts)
    letters = "abcde"
    rows = [(a, b) for a in letters for b in letters] + [(a, f"{b} {c}") for a in "ab" for b in "abc" for c in "ab"]
    lines = [
        json.dumps({"id": f"p{i}", "prompt": f"{x} {a} after {b} =", "next": letters[(letters.index(a) + 1) % 5]})
        for i, (a, b) in enumerate(rows)
        for x in ["c" if i % 2 else "d"]
    ]
    (folder / "problems.jsonl").write_text("\n".join(lines))
    (folder / "my.py").write_text(CHECK)
    return folder


COMMAND = ["--tokens", "2", "--rounds", "4", "--every", "2", "--prompts", "4", "--samples", "4", "--k", "4"]


@pytest.fixture(scope="module")
def report(place):
    before = {path: path.read_bytes() for path in (place / "model").iterdir()}
    arguments = ["--problems", str(place / "problems.jsonl"), "--verifier", f"{place / 'my.py'}:check", *COMMAND]
    arguments += ["--learning-rate", "0.02", "--out", str(place / "better"), "--json"]
    assert main(["improve", str(place / "model"), *arguments]) == 0
    assert {path: path.read_bytes() for path in (place / "model").iterdir()} == before, "the checkpoint is only read"
    return json.loads((place / "better" / "improvement.json").read_text())


def test_the_report_counts_problems_and_verdicts(report):
    assert (report["problems"], report["held_out"], report["chosen_by"], report["rounds"]) == (37, 4, 4, 4)
    assert len(report["rewards"]) == 4 and all(0 <= reward <= 1 for reward in report["rewards"])
    for rate in (report[f"{which}_{when}"] for which in ("one", "any") for when in ("before", "after")):
        assert 0 <= rate["low"] <= rate["share"] <= rate["high"] <= 1
    assert report["one_before"]["share"] <= report["any_before"]["share"]
    assert "answers judged by my.py:check" in report["verifier"]


def test_the_folder_is_a_checkpoint_with_its_tokenizer(place, report):
    model, tokenizer = load_language_model(place / "better"), Tokenizer.load(place / "better")
    assert tokenizer.begun("a =").tolist() == [0, 4, 3] and tokenizer.decode([4, 3]) == "a ="
    same = [
        np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(model), jax.tree.leaves(load_language_model(place / "model")), strict=True)
    ]
    assert all(same) != report["kept"]
    assert not list(place.glob("*unfinished*"))


class RoundByRound(_live.Pace):
    """A pace of one round at a time."""

    def measured(self, steps, seconds):
        self.steps = 1


@pytest.mark.slow
def test_ctrl_c_and_the_same_call_again_end_like_a_whole_life(place, tmp_path, monkeypatch):
    """With the learner that chooses how to sample; its answers are judged by their texts."""
    monkeypatch.setattr(_live, "Pace", RoundByRound)
    world = ProblemFile(place / "problems.jsonl", f"{place / 'my.py'}:check", answer_length=1, lexicon=WORDS)
    model = LanguageModel(len(WORDS), **SIZES, key=jax.random.key(0))
    policy = _improving._policy(model, METHODS["b-star"], prompts=2, samples=2, rate=0.05)
    assert isinstance(policy, BalancedLearner)

    def lived(name, progress):
        return _improving._lived(policy, world, 4, 2, 0, tmp_path / name, progress)

    def strike(moment):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lived("cut", strike)
    assert (tmp_path / "cut").exists() and not (tmp_path / "whole").exists()
    (cut, rewards), (whole, others) = (lived(name, lambda _: None) for name in ("cut", "whole"))
    assert rewards == others and len(rewards) == 4
    same = jax.tree.map(np.array_equal, cut, whole)
    assert all(jax.tree.leaves(same))


def test_what_is_chosen_by_is_neither_taught_nor_held_out(place):
    whole = ProblemFile(place / "problems.jsonl", f"{place / 'my.py'}:check", answer_length=2)
    choosing = whole.for_choosing()

    def parts(world):
        cut = int(world.count[0, 0])
        return set(world.codes[:cut].tolist()), set(world.codes[cut:].tolist())

    (taught, held), (less, chosen) = parts(whole), parts(choosing)
    assert less | chosen == taught and not (less & chosen) and not (chosen & held)
    assert (len(less), len(chosen), len(held)) == (29, 4, 4)


@pytest.mark.slow
def test_the_best_model_is_never_worse_than_the_first(place):
    world = ProblemFile(place / "problems.jsonl", f"{place / 'my.py'}:check", answer_length=2, lexicon=WORDS)
    model = LanguageModel(len(WORDS), **SIZES, key=jax.random.key(0))
    policy = PolicyLearner(Trained(model), RejectionSampling(), Recipe(_useless), prompts=2, samples=2)
    learner = KeepingBest(policy, questions=4, samples=8)
    life = live(learner, world, OneByOne(1, steps=1), Solved(1), steps=2, seeds=2, progress=lambda _: None)
    scores, state = life.records["best"], life.state.learner
    assert (np.diff(scores) >= 0).all() and (np.asarray(state.score) >= scores[:, -1]).all()
    changed = np.asarray(state.best.embedding) != np.asarray(model.embedding)
    for lane in range(2):
        assert changed[lane].any() == (float(state.score[lane]) > scores[lane, 0])


def _useless():
    """A step that ruins the model: all weights become 0."""
    return optax.GradientTransformation(
        lambda params: None, lambda gradient, state, params: (jax.tree.map(lambda p: -p, params), state)
    )


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"method": "gpro"}, UnknownName, "did you mean 'grpo'"),
        ({"rounds": 0}, BadInput, "rounds=0"),
        ({"method": "b-star", "prompts": 0}, BadInput, "prompts=0"),
        ({"out": "model"}, BadInput, "is there already, and nothing was written"),
        ({"answer_length": None}, BadInput, r"give answer_length \(--tokens\)"),
        ({"context": 4}, BadInput, "more than the context of 4"),
        ({"problems": "none.jsonl"}, BadFile, "cannot be read"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_compiled(place, changes, error, message):
    given = {"problems": "problems.jsonl", "out": "elsewhere", "answer_length": 2} | changes
    files = {name: place / given.pop(name) for name in ("problems", "out")}
    with pytest.raises(error, match=message):
        improve(place / "model", verifier=f"{place / 'my.py'}:check", **files, **given)
    assert not (place / "elsewhere").exists()


def test_a_tokenizer_of_more_tokens_than_the_model_is_refused(place, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((place / "model" / name).read_bytes())
    more = Lexicon((*WORDS.words, "f"))
    (tmp_path / "tokenizer.json").write_text(Tokenizer.of_words(more).to_json())
    with pytest.raises(Mismatch, match="has 10 tokens, and the model 9"):
        improve(tmp_path, place / "problems.jsonl", None, tmp_path / "out")
    (tmp_path / "tokenizer.json").write_text(Tokenizer.of_words(WORDS).to_json())
    with pytest.raises(BadFile, match='add its number as "eos_token_id"'):
        improve(tmp_path, place / "problems.jsonl", None, tmp_path / "out")


def test_every_method_makes_a_loss_of_the_same_answers():
    """From answers of which some are right and some wrong every method has something to learn."""
    from lifelong.feedback import Rollouts
    from lifelong.feedback._rollouts import with_reference

    model = LanguageModel(len(WORDS), **SIZES, key=jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (3, 4, 6), 0, len(WORDS))
    own = jnp.arange(6) >= 4
    told = Rollouts(tokens, jnp.broadcast_to(own, tokens.shape), jnp.eye(3, 4), jnp.zeros(tokens.shape))
    told = with_reference(told, model)

    @jax.jit
    def slopes(model):
        def loss(model, method):
            ready = method.prepare(told, model, key=jax.random.key(2))
            return method.feedback()(model, ready, key=jax.random.key(3))[0]

        found = {name: eqx.filter_value_and_grad(loss)(model, method) for name, method in METHODS.items()}
        return {name: (value, optax.tree.norm(gradient)) for name, (value, gradient) in found.items()}

    for name, (value, slope) in slopes(model).items():
        assert np.isfinite(value) and slope > 0, name

"""What every world of problems owes its learners: fixed shapes, right demonstrations, exact verdicts, honest splits."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.errors import BadInput, UnknownName
from lifelong.worlds import Blocks, Causal, Game24, KvBio, Lesson, Mixture, OpChain, OpSearch

N = 64
KEY = jax.random.key(0)
WORLDS = {
    "chains": OpChain(),
    "chains with holes": OpChain(holes=True, coarse=True),
    "search": OpSearch(),
    "biographies": KvBio(known=0.5),
    "causes": Causal(),
    "blocks": Blocks(),
    "game of 24": Game24(None),
}
FACTS = {"biographies": 2}
"""Tasks, from 0 on, in which nothing can be held out."""


@eqx.filter_jit
def lived(world, key):
    """Return problems of all tasks, taught and held out, with right and corrupted answers, and verdicts."""
    task = jnp.arange(N) % world.tasks
    taught = world.pose(task, N, key=key)
    asked = world.pose(task, N, key=key, held_out=True)
    answers = world.demonstrate(taught, key=key)
    spoilt = jnp.where(answers >= 0, jax.random.randint(key, answers.shape, 0, world.outputs), -1)
    batch = world.draw(Mixture(jnp.ones(world.tasks)), N, key=key)
    asked_again = world.demonstrate(asked, key=key)
    exam = world.exam_set(world.tasks - 1, N)
    return {
        "task": task,
        "taught": taught,
        "asked": asked,
        "answers": answers,
        "spoilt": spoilt,
        "verdicts": (world.judge(taught, answers), world.judge(taught, spoilt), world.judge(asked, asked_again)),
        "batch": batch,
        "exam": exam,
    }


@pytest.fixture(scope="module", params=list(WORLDS))
def life(request):
    world = WORLDS[request.param]
    return world, lived(world, KEY), FACTS.get(request.param, 0)


def test_a_world_is_the_same_tree_once_taken_apart(life):
    """Or no life can be lived in it."""
    world = life[0]
    assert jax.tree.structure(jax.tree.map(lambda leaf: leaf, world)) == jax.tree.structure(world)


def test_prompts_and_answers_are_words_of_one_length(life):
    world, seen, _ = life
    assert len(world.lexicon) == world.outputs
    for name, length in {
        "taught": world.prompt_length,
        "asked": world.prompt_length,
        "answers": world.answer_length,
    }.items():
        tokens = np.asarray(seen[name])
        assert tokens.shape == (N, length) and tokens.dtype == np.int32
        assert (tokens >= -1).all() and (tokens < world.outputs).all()
        blank = tokens < 0
        assert (np.diff(blank.astype(int), axis=1) * (1 if name == "answers" else -1) >= 0).all(), "blanks at one end"
        text = world.lexicon.decode(tokens[0])
        np.testing.assert_array_equal(world.lexicon.encode(text), tokens[0][~blank[0]])
    assert all(text.startswith("BOS") for text in map(world.lexicon.decode, np.asarray(seen["taught"])))


def test_demonstrations_are_right_and_corrupted_ones_are_not(life):
    _, seen, _ = life
    shown, spoilt, asked = seen["verdicts"]
    assert shown.right.all() and asked.right.all() and (shown.reward > 0.5).all()
    same = (seen["answers"] == seen["spoilt"]).all(1)
    assert np.asarray(spoilt.right)[~np.asarray(same)].mean() < 0.1
    assert spoilt.reward.mean() < shown.reward.mean() / 2


def test_what_is_held_out_is_never_taught(life):
    world, seen, facts = life
    later = lived(world, jax.random.key(1))
    rows = [np.asarray(part["task"]) >= facts for part in (seen, later)]
    taught = {
        tuple(row) for part, keep in zip((seen, later), rows, strict=True) for row in np.asarray(part["taught"])[keep]
    }
    asked = {
        tuple(row) for part, keep in zip((seen, later), rows, strict=True) for row in np.asarray(part["asked"])[keep]
    }
    asked |= {tuple(row) for row in np.asarray(seen["exam"])}
    assert taught and asked and not taught & asked
    assert len(taught) > N / 4, "problems vary"


def test_the_same_key_poses_the_same_problems_and_an_exam_is_always_the_same(life):
    world, seen, _ = life
    again, later = lived(world, KEY), lived(world, jax.random.key(1))
    jax.tree.map(np.testing.assert_array_equal, jax.tree.leaves(seen), jax.tree.leaves(again))
    np.testing.assert_array_equal(seen["exam"], later["exam"])
    assert not np.array_equal(seen["taught"], later["taught"])


def test_batches_are_transcripts_of_demonstrations(life):
    world, seen, _ = life
    batch, p = seen["batch"], world.prompt_length
    assert batch.x.shape == (N, 2, p + world.answer_length) and batch.weight.shape == (N,)
    tokens, own = np.asarray(batch.x[:, 0]), np.asarray(batch.x[:, 1])
    assert (own[:, :p] == 0).all() and (own[:, p:] == (tokens[:, p:] >= 0)).all()
    np.testing.assert_array_equal(batch.y, tokens[:, p])
    assert set(np.asarray(batch.task)) == set(range(world.tasks))


def test_a_lesson_is_of_its_task_and_papers_hide_the_answers():
    world, p = WORLDS["chains with holes"], WORLDS["chains with holes"].prompt_length

    @eqx.filter_jit
    def seen(world):
        papers = world.papers(160)
        batch = world.draw(Lesson(jnp.int32(2), jnp.int32(3)), 20, key=KEY)
        return world.crossed(batch.x[:, 0, :p]), papers, papers.page(1), world.exam_set(2, 300)

    crossed, papers, page, exam = seen(world)
    assert (crossed == 2).all() and papers.count == 2 and page.weight.sum() == 140
    assert (page.x[:, 0, p:] == -1).all() and (page.x[:, 1] == 0).all()
    np.testing.assert_array_equal(page.x[40:140, 0, :p], exam[:100])
    assert len(np.unique(np.asarray(exam), axis=0)) == 300, "none comes twice before all have come"


def test_compiled_for_many_keys_or_not_the_problems_are_the_same():
    world = WORLDS["chains with holes"]
    keys = jax.random.split(KEY, 3)
    many = eqx.filter_jit(eqx.filter_vmap(lambda key: world.pose(jnp.int32(1), 5, key=key)))(keys)
    np.testing.assert_array_equal(many, [world.pose(jnp.int32(1), 5, key=key) for key in keys])


def test_options_that_make_no_world_are_refused(unchecked):
    for make, match in (
        (lambda: OpChain(lengths=(2, 9)), "1 … 5 operations"),
        (lambda: OpChain(lengths=()), "1 … 5 operations"),
        (lambda: KvBio(known=0.0), "between 0 and 1"),
        (lambda: Causal((6, 3)), "the fewest first"),
        (lambda: Causal(questions=3), "an even number, not 3"),
        (lambda: Causal(scrambled=1.0), "several questions"),
        (lambda: Blocks(moves=9), "1 … 6 moves"),
        (lambda: Blocks(least=100_000), "no problem to teach"),
        (lambda: Game24(100), "between 1 and 99"),
    ):
        with pytest.raises(BadInput, match=match):
            make()
    with pytest.raises(UnknownName, match="did you mean 'search'"):
        OpSearch("serch")
    with pytest.raises(UnknownName, match="did you mean 'shuffled'"):
        Causal(order="shufled")

"""Worlds of problems against plain Python: an interpreter, brute force, breadth-first search."""

from collections import deque
from fractions import Fraction
from itertools import permutations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.worlds import Blocks, Causal, Game24, KvBio, Lesson, Mixture, OpChain, OpSearch
from lifelong.worlds._blocks import configurations, plan_counts, plans, transitions

KEY = jax.random.key(0)
DO = {
    "add1": lambda x: x + 1,
    "add3": lambda x: x + 3,
    "add4": lambda x: x + 4,
    "mul2": lambda x: 2 * x,
    "mul3": lambda x: 3 * x,
    "mul5": lambda x: 5 * x,
    "sq": lambda x: x * x,
    "neg": lambda x: -x,
    "id": lambda x: x,
}


def words(world, rows):
    return [world.lexicon.decode(row).split() for row in np.asarray(rows)]


def test_chains_agree_with_an_interpreter():
    """Answers with random errors: every verdict, and the first error, as an interpreter has them."""
    world = OpChain(holes=True, coarse=True)
    n = 200
    prompts = jax.jit(lambda: world.pose(jnp.arange(n) % 3, n, key=KEY))()
    answers = np.array(eqx.filter_jit(world.demonstrate)(prompts, key=KEY))
    random = np.random.default_rng(0)
    zero = world.lexicon["0"]
    wrong = random.random((n, 5)) < 0.2
    answers[:, :5] = np.where(wrong, zero + random.integers(0, 11, (n, 5)), answers[:, :5])
    answers[::3, 5] = world.lexicon["a:0"] + random.integers(0, 4, len(answers[::3]))
    answers[::17, 2] = world.lexicon["BOS"]
    answers[::19, 6] = -1
    verdict, steps = (eqx.filter_jit(f)(prompts, jnp.asarray(answers)) for f in (world.judge, world.steps))
    verdict, steps, met = jax.tree.map(np.asarray, (verdict, steps, world.crossed(prompts)))
    hole = {(str(o), int(v)) for o, v in np.argwhere(np.asarray(world.hole))}
    for i, (prompt, answer) in enumerate(zip(words(world, prompts), answers, strict=True)):
        said = [int(w) if (w := world.lexicon.words[t]).isdigit() else None for t in answer[:5]]
        true, value, crossed = [], int(prompt[1]), 0
        for o in prompt[2:7]:
            crossed += (str(list(DO).index(o)), value) in hole
            value = DO[o](value) % 11
            true.append(value)
        before = [int(prompt[1]), *said[:-1]]
        local = [b is not None and s == DO[o](b) % 11 for b, s, o in zip(before, said, prompt[2:7], strict=True)]
        assert steps.local[i].tolist() == local
        assert steps.true[i].tolist() == [s == t for s, t in zip(said, true, strict=True)]
        assert steps.first_error[i] == next((j for j in range(5) if said[j] != true[j]), 5)
        ended = answer[6] == world.lexicon["EOS"]
        assert bool(verdict.right[i]) == (ended and said[4] == true[4])
        assert verdict.reward[i] == (ended and answer[5] == world.lexicon[f"a:{true[4] % 4}"])
        assert crossed == i % 3 == met[i]
    assert 0 < verdict.right.mean() < 1 and (np.asarray(verdict.reward) > np.asarray(verdict.right)).any()


def test_some_wrong_chains_are_rewarded_where_answers_are_coarse_and_holes_are_never_taught():
    world = OpChain(holes=True, coarse=True)
    prompts = jax.jit(lambda: world.pose(jnp.int32(0), 2000, key=KEY))()
    guess = jax.random.randint(KEY, (2000, 5), 0, 11)
    verdict = eqx.filter_jit(lambda p, g: world.judge(p, world.written(g)))(prompts, guess)
    wrong = ~np.asarray(verdict.right)
    share = np.asarray(verdict.reward)[wrong].mean()
    assert abs(share - 20 / 110) < 0.05, "of 110 pairs of different numbers, 20 are equal modulo 4"
    assert (world.crossed(prompts) == 0).all() and world.hole.sum() == 18
    assert (
        sum(map(len, (world.codes,)))
        == world.count.sum()
        < OpChain().count.sum()
        == 11 * sum(8**n for n in (2, 3, 4, 5))
    )


def test_searches_agree_with_brute_force():
    world = OpSearch()
    n = 200
    prompts = jax.jit(lambda: world.pose(jnp.int32(0), n, key=KEY))()
    traces = words(world, jax.jit(lambda p: world.demonstrate(p, key=KEY))(prompts))
    pairs = np.asarray(world.right_pairs(prompts))
    longest = 0
    for prompt, trace, right in zip(words(world, prompts), traces, pairs, strict=True):
        start, target = int(prompt[1]), int(prompt[5][2:])
        menu = dict(word.split(":") for word in prompt[2:5])
        after = {a + b: DO[menu[b]](DO[menu[a]](start) % 11) % 11 for a in "ABC" for b in "ABC"}
        assert {p for p, end in after.items() if end == target} == {
            a + b for (a, b), ok in zip(after, right, strict=True) if ok
        }
        longest = max(longest, len(trace))
        read(trace, menu, start, target)
    assert longest > 20


def read(trace, menu, start, target):
    """Check a trace step by step: values, verdicts, going back only where all has failed, the end at the first success."""
    steps, tried = iter(trace), set()
    while True:
        first = next(steps)
        value = int(next(steps))
        assert value == DO[menu[first]](start) % 11 and first not in {t[0] for t in tried}
        while (letter := next(steps)) != "back":
            end, verdict = int(next(steps)), next(steps)
            assert end == DO[menu[letter]](value) % 11 and verdict == ("ok" if end == target else "no")
            assert first + letter not in tried
            tried.add(first + letter)
            if verdict == "ok":
                assert list(steps) == ["ANS", first, letter, "EOS"]
                return
        assert {t[1] for t in tried if t[0] == first} == set("ABC")


def test_the_longest_search_has_39_tokens_and_one_blind_guess_in_six_is_right():
    world = OpSearch()
    prompts = eqx.filter_jit(world.read)(world.codes)
    right = np.asarray(eqx.filter_jit(world.right_pairs)(prompts))
    assert right.any(1).all() and abs(right.mean() - 0.17) < 0.01
    hard = np.flatnonzero(right[:, 8] & ~right[:, :8].any(1))[:8]
    shown = eqx.filter_jit(eqx.filter_vmap(lambda key: world.demonstrate(prompts[hard], key=key)))
    lengths = (np.asarray(shown(jax.random.split(KEY, 20))) >= 0).sum(-1)
    assert lengths.max() == 39 and len(np.unique(np.asarray(world.codes))) == len(world.codes) == 22026
    menus = [{tuple(sorted(w.split(":")[1] for w in p[2:5])) for p in words(world, world.exam_set(0, 300))}]
    assert len(menus[0]) == 10, "as many menus are held out"


def test_causes_agree_with_reachability():
    for world in (Causal(), Causal((7, 9), order="reversed"), Causal((5, 7), branching=1.4, order="shuffled")):
        prompts = jax.jit(lambda w=world: w.pose(jnp.arange(300) % w.tasks, 300, key=KEY))()
        labels = np.asarray(eqx.filter_jit(world.causes)(prompts))
        assert abs(labels.mean() - 0.5) < 0.1
        adjacent = np.asarray(world.adjacent(prompts))
        for i, (text, yes) in enumerate(zip(words(world, prompts), labels, strict=True)):
            edges = [tuple(e.split()) for e in " ".join(text[1:-3]).rstrip(" ;").split(" ; ")]
            x, y = text[-2:]
            assert reaches(edges, x, y) == yes and bool(adjacent[i]) == ((x, y) in edges) and x != y
            assert len({node for edge in edges for node in edge}) <= world.fewest + i % world.tasks
            if world.branching is None:
                assert len(edges) == world.fewest + i % world.tasks - 1
            assert not any(reaches(edges, v, u) for u, v in edges), "no cycles"


def reaches(edges, x, y):
    seen, waiting = {x}, deque([x])
    while waiting:
        here = waiting.popleft()
        for u, v in edges:
            if u == here and v not in seen:
                seen.add(v)
                waiting.append(v)
    return y in seen


def test_chains_that_never_flip_are_given_away_by_the_order_of_mention_and_others_are_not():
    n = 1000
    for flip, low, high in ((0.0, 0.99, 1.0), (0.5, 0.4, 0.75)):
        world = Causal(flip=flip)
        prompts = jax.jit(lambda w=world: w.pose(jnp.int32(3), n, key=KEY))()
        right = (np.asarray(world.mentioned_first(prompts)) == np.asarray(world.causes(prompts))).mean()
        assert low <= right <= high


@pytest.mark.parametrize(
    "world", [Causal(questions=6, distant=0.8), Causal((6, 8), branching=1.4, order="shuffled", questions=2)]
)
def test_several_questions_about_one_graph_are_answered_by_reachability_half_of_them_yes(world):
    n = 200
    batch = eqx.filter_jit(world.draw)(Mixture(jnp.ones(world.tasks)), n, key=KEY)
    tokens, own = np.asarray(batch.x[:, 0]), np.asarray(batch.x[:, 1])
    assert tokens.shape == (n, world.prompt_length + 1 + 4 * (world.questions - 1))
    pairs = set()
    for text, told in zip(words(world, tokens), own, strict=True):
        assert [text[i - len(told)] in ("yes", "no") for i in range(len(told)) if told[i]] == [True] * world.questions
        premise, *questions = " ".join(text).split(" ? ")
        edges = [tuple(edge.split()) for edge in premise.removeprefix("BOS ").rstrip(" ;").split(" ; ")]
        answers = [(*question.split(), premise) for question in questions]
        assert len(answers) == world.questions == 2 * sum(answer == "yes" for _, _, answer, _ in answers)
        for x, y, answer, _ in answers:
            assert x != y and reaches(edges, x, y) == (answer == "yes")
        pairs |= {(x, y, premise) for x, y, *_ in answers}
    assert len(pairs) > 0.6 * n * world.questions, "questions differ"
    first = tokens[np.arange(n), own.argmax(1)] == world.lexicon["yes"]
    assert abs(first.mean() - 0.5) < 0.12, "half are yes at every place"
    np.testing.assert_array_equal(batch.y == world.lexicon["yes"], first)


def test_scrambling_permutes_the_answers_about_a_graph_and_a_permuted_answer_tells_nothing():
    n, questions, lesson = 1000, 4, Lesson(jnp.int32(2), jnp.int32(0))

    def drawn(scrambled):
        batch = eqx.filter_jit(Causal(questions=questions, scrambled=scrambled).draw)(lesson, n, key=KEY)
        return np.asarray(batch.x[:, 0]), np.asarray(batch.x[0, 1]).astype(bool)

    (plain, own), (permuted, _), (some, _) = (drawn(share) for share in (0.0, 1.0, 0.5))
    np.testing.assert_array_equal(plain[:, ~own], permuted[:, ~own], "graphs and questions stay")
    np.testing.assert_array_equal(
        np.sort(plain[:, own], 1), np.sort(permuted[:, own], 1), "so do the answers of each graph"
    )
    right = (plain[:, own] == permuted[:, own]).mean()
    assert abs(right - 0.5) < 0.04, "one in two is right by luck, as two questions in four are answered yes"
    moved = [(plain[:, own] != other[:, own]).any(1).mean() for other in (permuted, some)]
    np.testing.assert_allclose(moved, [5 / 6, 5 / 12], atol=0.06)


@eqx.filter_jit
def opened(known=1.0):
    return KvBio(known).open(key=KEY)


def test_biographies_are_read_and_remembered():
    """Follow questions through the facts and profiles in plain Python; paths and relations belong to their tasks."""
    world = opened(0.5)
    n = 300
    maps, known = np.asarray(world.maps), np.asarray(world.known)
    assert (maps != np.arange(32)).all() and known.sum() == 96
    prompts = jax.jit(lambda: world.pose(jnp.arange(n) % 6, n, key=KEY))()
    answers = words(world, jax.jit(lambda p: world.demonstrate(p, key=KEY))(prompts))
    paths = {3: set(), 4: set()}
    for i, (text, answer) in enumerate(zip(words(world, prompts), answers, strict=True)):
        task = i % 6
        profile = dict(word.split(":") for word in text if ":" in word)
        owner = text[2] if "[" in text else None
        question = text[text.index("Q") + 1 : -1] if "Q" in text else text[1:]
        here, asked = question[0], question[1:]
        for relation in asked:
            number = int(relation[1]) - 1
            if relation[0] == "p":
                assert task > 1 or known[number, int(here[1:])]
                here = f"e{maps[number, int(here[1:])]}"
            else:
                assert owner == here
                here = profile[relation]
        assert answer[-2:] == [here, "EOS"] and len(asked) == (2 if task > 2 else 1)
        assert len(profile) == (0 if task < 2 else 3)
        new = any(r[1] in "56" for r in asked)
        assert task < 3 or new == (task == 5)
        if task in paths:
            paths[task].add(tuple(asked))
    assert not paths[3] & paths[4] and len(paths[3] | paths[4]) > 20


def test_facts_can_be_looked_up():
    world = opened()
    state, written = jnp.full(3, -1), []
    for token in world.lexicon.encode("Q S e7 p3"):
        state, forced = world.look_up(state, jnp.int32(token))
        written.append(int(forced))
    for _ in range(2):
        state, forced = world.look_up(state, forced)
        written.append(int(forced))
    assert written[:3] == [-1] * 3 and written[5] == -1
    assert world.lexicon.decode(written[3:5]) == f"= e{int(world.maps[2, 7])}"
    state = jnp.full(3, -1)
    for token in world.lexicon.encode("S e7 c3"):
        state, forced = world.look_up(state, jnp.int32(token))
    assert forced == -1, "what only a prompt can tell cannot be looked up"


def test_four_blocks_stand_in_73_ways_and_all_plans_are_counted():
    places, leads, counts = configurations(), transitions(), plan_counts()
    assert len(places) == 73 and places.shape[1] == 4
    for i in (0, 17, 72):
        assert len(plans(i, None, 3)) == counts[3, i].sum()
        for goal in range(73):
            assert len(plans(i, goal, 3)) == counts[3, i, goal]
    back = {(i, int(j)) for i in range(73) for j in leads[i] if j >= 0}
    assert all((j, i) in back for i, j in back), "every move can be taken back"
    under = [tuple(place) for place in places]
    assert len(set(under)) == 73 and ((leads >= 0).sum(1).min(), (leads >= 0).sum(1).max()) == (1, 12)


def test_plans_are_judged_by_what_they_come_to_and_demonstrated_evenly():
    world = Blocks()
    n = 100
    prompts = jax.jit(lambda: world.pose(jnp.int32(0), n, key=KEY))()
    state, goal = map(np.asarray, world.state_and_goal(prompts))
    first = world.lexicon["a>table"]
    random = np.random.default_rng(0)
    tried = jnp.asarray(first + random.integers(0, 16, (n, 4)), jnp.int32)
    verdict = jax.tree.map(np.asarray, eqx.filter_jit(world.judge)(prompts, tried))
    leads, places = transitions(), configurations()
    for i in range(n):
        here, legal = state[i], True
        for move in np.asarray(tried[i]) - first:
            legal &= leads[here, move] >= 0
            here = leads[here, move] if leads[here, move] >= 0 else here
        right = legal and here == goal[i]
        assert bool(verdict.right[i]) == right
        assert verdict.reward[i] == (100 if right else 10 * (places[here] == places[goal[i]]).mean())
    one = jnp.broadcast_to(prompts[:1], (3000, world.prompt_length))
    shown = np.asarray(jax.jit(lambda p: world.demonstrate(p, key=KEY))(one)) - first
    all_of_them = {tuple(plan) for plan in plans(int(state[0]), int(goal[0]), 4)}
    seen, times = np.unique(shown, axis=0, return_counts=True)
    assert {tuple(plan) for plan in seen} == all_of_them and len(all_of_them) >= 4
    np.testing.assert_allclose(times / 3000, 1 / len(all_of_them), atol=0.04)
    assert (np.asarray(world.allowed(jnp.asarray(state)))[:, first:] == (leads[state] >= 0)).all()


@pytest.mark.parametrize("numbers", [(1, 5, 5), (2, 3, 4), (9, 9, 9), (3, 8, 1)])
def test_the_game_of_24_agrees_with_all_orders_and_brackets(numbers):
    """Every value of (x ∘ y) ∘ z over all orders, with exact fractions."""
    world = Game24(None)
    given = " ".join(map(str, numbers))
    values = set()
    for x, y, z in permutations(map(Fraction, numbers)):
        for one in both(x, y):
            values |= set(both(one, z)) | set(both(z, one))
    for target in (1, 6, 10, 24, 45, 81, 99):
        prompt = jnp.asarray(world.lexicon.encode(f"BOS {given} T:{target} ="))[None]
        found = np.asarray(world.solutions(prompt))
        assert found.shape == (1, 108) and found.any() == (target in values)


def both(x, y):
    return [x + y, x - y, x * y, *([x / y] if y else [])]

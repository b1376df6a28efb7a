"""Problems of one's own: files with every mistake, and verifiers that raise, hang, print and die."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lifelong.connect import ProblemFile, Verifier, read_problems
from lifelong.errors import BadFile, BadInput, Mismatch, UnknownName
from lifelong.worlds import Lexicon

KEY = jax.random.key(0)
CHECK = """
import os, time
limit = 3

def check(problem, answer):
    print("a word to whoever watches" if answer == "5" else "")
    if answer == "5":
        return True
    if answer == "half":
        return 0.25
    if answer == "raise":
        raise ZeroDivisionError("by nought")
    if answer == "hang":
        time.sleep(60)
    if answer == "die":
        os._exit(3)
    if answer == "words":
        return "yes"
    return answer == problem["answer"]
"""


def written(tmp_path, *lines, bom=False):
    path = tmp_path / "problems.jsonl"
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_bytes(b"\xef\xbb\xbf" * bom + text.encode())
    return path


def sums(n=20):
    return [{"id": f"s{i}", "prompt": f"{i} + {i} =", "answer": str(2 * i)} for i in range(n)]


@pytest.fixture(scope="module")
def verifier(tmp_path_factory):
    path = tmp_path_factory.mktemp("verifier") / "my.py"
    path.write_text(CHECK)
    with Verifier(f"{path}:check", seconds=0.3) as verifier:
        yield verifier


def test_problems_are_posed_demonstrated_and_judged(tmp_path):
    world = ProblemFile(written(tmp_path, *sums(), "", bom=True))

    @eqx.filter_jit
    def lived(world):
        taught, asked = (world.pose(jnp.int32(0), 50, key=KEY, held_out=held) for held in (False, True))
        answers = world.demonstrate(taught, key=KEY)
        return taught, asked, answers, world.judge(taught, answers).right, world.judge(taught, answers[::-1]).right

    taught, asked, answers, right, turned = lived(world)
    assert right.all() and turned.mean() < 0.5
    texts = [{world.lexicon.decode(row) for row in np.asarray(part)} for part in (taught, asked)]
    assert len(texts[0]) > 10 and len(texts[1]) == 2 and not texts[0] & texts[1]
    first = world.lexicon.decode(taught[0]).split()
    assert first[0] == "BOS" and world.lexicon.decode(answers[0]) == f"{2 * int(first[1])} EOS"


def test_a_verifier_judges_on_the_host_also_under_jit_and_vmap(tmp_path, verifier):
    words = Lexicon(("BOS", "EOS", "+", "=", "half", *map(str, range(10))))
    world = ProblemFile(written(tmp_path, *sums(5)), verifier, lexicon=words)
    prompts = world.prompts[:3]
    said = jnp.asarray([words.encode("0 EOS"), words.encode("5 EOS"), words.encode("half half")])
    verdict = eqx.filter_jit(world.judge)(prompts, said)
    np.testing.assert_allclose(verdict.reward, [1, 1, 0])
    many = eqx.filter_jit(eqx.filter_vmap(world.judge, in_axes=(None, 0)))(prompts, jnp.stack([said, said[::-1]]))
    np.testing.assert_allclose(many.reward, [[1, 1, 0], [0, 1, 0]])
    half = world.judge(prompts[:1], jnp.asarray([words.encode("half EOS")]))
    assert half.reward[0] == 0.25 and not half.right[0]


def test_a_verifier_may_raise_hang_and_die_and_all_is_counted(verifier):
    before = (verifier.calls, verifier.raised, verifier.late, verifier.died)
    began = time.monotonic()
    worth = [verifier({"answer": "7"}, said) for said in ("raise", "7", "hang", "7", "die", "words", "7", "8")]
    assert worth == [0, 1, 0, 1, 0, 0, 1, 0] and time.monotonic() - began < 20
    after = (verifier.calls, verifier.raised, verifier.late, verifier.died)
    assert np.subtract(after, before).tolist() == [8, 2, 1, 1]
    assert "2 raised or returned no number, 1 took longer than 0.3 s, 1 ended the process" in verifier.account
    assert verifier.account.endswith("the first: ZeroDivisionError: by nought, line 12")


def test_calls_from_several_threads_get_their_own_verdicts(verifier):
    with ThreadPoolExecutor(4) as pool:
        worth = list(pool.map(lambda i: verifier({"answer": str(i % 7)}, str(i % 3 + 6)), range(60)))
    assert worth == [float(i % 7 == i % 3 + 6) for i in range(60)]


@pytest.mark.parametrize(
    ("place", "error", "match"),
    [
        ("my.py", BadInput, r"'my\.py:check', not as 'my\.py'"),
        ("nowhere.py:check", BadFile, "there is no file"),
        ("{my}:chek", UnknownName, "did you mean 'check'"),
        ("{my}:limit", BadFile, "'limit' is a int, not a function"),
        ("{broken}:check", BadFile, "cannot be run: NameError: .*, line 2"),
    ],
)
def test_verifiers_that_cannot_be_used(tmp_path, place, error, match):
    (tmp_path / "my.py").write_text(CHECK)
    (tmp_path / "broken.py").write_text("import os\nnothing_such\n")
    place = place.format(my=tmp_path / "my.py", broken=tmp_path / "broken.py")
    with pytest.raises(error, match=match):
        Verifier(place)


GOOD = {"prompt": "1 + 1 =", "answer": "2"}


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ((), "holds 0 problems"),
        (("", " "), "holds 0 problems"),
        ((GOOD,), "holds 1 problems"),
        ((GOOD, '{"prompt": "2" "answer": "3"}'), r"line 2: not JSON at column 16 \(Expecting ',' delimiter\)"),
        ((GOOD, "[1, 2]"), r"line 2: an object, \{…\}, is expected, and it is a list"),
        ((GOOD, "", {"promt": "3", "answer": "3"}), "line 3: no 'prompt' among promt, answer; did you mean 'promt'"),
        ((GOOD, {"prompt": "3"}), "line 2: no 'answer' among prompt$"),
        ((GOOD, {"prompt": 3, "answer": "3"}), "line 2: 'prompt' must be text that is not empty, and it is 3"),
        ((GOOD | {"id": 7}, {"id": "7", "prompt": "3", "answer": "3"}), "line 2: the id '7' is that of line 1"),
        ((GOOD, GOOD | {"answer": "3"}), r"line 2: the prompt '1 \+ 1 =' is that of line 1"),
        (("{",) * 9, "line 1: not JSON.*line 5: not JSON.*; and 4 more"),
    ],
)
def test_files_with_mistakes(tmp_path, lines, match):
    path = written(tmp_path, *lines)
    before = path.read_bytes()
    with pytest.raises(BadFile, match=match):
        ProblemFile(path)
    assert path.read_bytes() == before


def test_files_that_are_missing_or_no_text(tmp_path):
    with pytest.raises(BadFile, match="cannot be read: No such file"):
        read_problems(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'{"prompt": "caf\xe9"}\n')
    with pytest.raises(BadFile, match="line 1: not UTF-8 at byte 16"):
        read_problems(tmp_path / "latin.jsonl")


def test_problems_that_do_not_fit_and_words_that_are_not_known(tmp_path, verifier):
    path = written(tmp_path, GOOD, {"id": "long", "prompt": "1 + " * 30 + "1 =", "answer": "31"})
    with pytest.raises(
        BadInput, match=r"problem long has 63 tokens, with 2 for an answer .* context of 64; give context=65"
    ):
        ProblemFile(path, context=64)
    with pytest.raises(BadInput, match="give answer_length=2"):
        ProblemFile(path, answer_length=1)
    with pytest.raises(BadFile, match="problem long: there is no word named '31'"):
        ProblemFile(path, lexicon=Lexicon(("BOS", "EOS", "1", "2", "+", "=")))
    bare = ProblemFile(written(tmp_path, {"prompt": "a"}, {"prompt": "b"}), verifier, answer_length=3)
    with pytest.raises(Mismatch, match="problem 1 has no 'answer' that could be shown"):
        bare.demonstrate(bare.prompts, key=KEY)

import numpy as np
import pytest


@pytest.fixture
def log(tmp_path):
    random, lines = np.random.default_rng(0), ["student,skill,item,outcome,time"]
    for student in range(20):
        for place in range(25):
            k = random.integers(3)
            right = int(random.random() < 0.3 + 0.02 * place)
            lines.append(f"s{student},k{k},i{k}.{random.integers(2)},{right},{60 * place}")
    lines[7] = "s0,k1,i1.0,maybe,360"
    path = tmp_path / "log.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_five_hundred_rows_are_traced_and_accounted_for(cli, log, tmp_path):
    out = tmp_path / "page.html"
    code, shown, news = cli(f"trace {log} --models rates,pfa --folds 2 --out {out}")
    assert code == 0 and shown.startswith("log.csv: 500 rows read = 499 attempts (499 graded, 0 ungraded)")
    assert "set aside: 1 with an outcome that cannot be read, such as 'maybe' (row 8)" in shown
    assert "pfa" in shown and "likeliest on held-out students" in shown and str(out) in shown
    assert "2/2 models" in news and "log.csv: 500 rows read" in out.read_text()


def test_json_holds_measures_and_advice(as_json, log, tmp_path):
    found = as_json(f"trace {log} --models rates --folds 2 --out {tmp_path / 'page.html'}")
    assert found["account"]["read"] == 500 and found["account"]["set_aside"][0]["first"] == [8]
    assert 0.3 < found["models"]["rates"]["marks"]["auc"] < 0.7 and found["models"]["rates"]["control"]["passed"]
    assert len(found["advice"]) == 20 and found["advice"]["s3"][0]["exercises"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("absent.csv", "there is no such file"),
        ("{log} --models pffa", "no model of practice named 'pffa'; did you mean 'pfa'?"),
        ("{log} --folds 1", "--folds 1: at least 2 are needed"),
        ("{log} --pass-mark 0.7", "--pass-mark is for a stored run, and"),
        ("{log} --student who", "has no column 'who'; its columns are: student, skill, item, outcome, time"),
        ("{log} --outcome item", "no row can be used"),
        ("{log} --layout piech", "no layout of practice logs named 'piech'"),
        ("{log} --time-unit weeks", "no unit of time named 'weeks'"),
        ("{log} --out {log}/page.html", "cannot be written"),
        ("{log} --most 0", "at least one row must be kept"),
        ("{log} --encoding martian", "there is no encoding 'martian'"),
    ],
)
def test_mistakes_are_answered_in_one_sentence(cli, log, arguments, sentence):
    code, _, news = cli(f"trace {arguments.format(log=log)}")
    assert code == 2 and sentence in news and "Traceback" not in news


RUN = "run uer --budget smoke --seeds 3"


def test_a_stored_run_is_a_log_too(cli, as_json, folder_of, tmp_path):
    assert cli(RUN)[0] == 0
    folder, page = folder_of(RUN), f"--models rates,bkt --folds 2 --out {tmp_path / 'page.html'}"
    code, shown, _ = cli(f"trace {folder} {page} --pass-mark 0.6")
    assert code == 0 and shown.startswith("uer:") and "graded, 0 ungraded)" in shown
    assert "a share of right answers counts as right from 0.6 on" in shown
    by_name = as_json(f"trace uer/{folder.name[:6]} {page}")
    one_arm = as_json(f"trace {folder / 'joint.nc'} {page}")
    assert by_name["students"] > one_arm["students"] == 3 and "joint, seed 2" in by_name["advice"]
    for arguments, sentence in (
        ("--exam loss", "that could be traced; exam results there: accuracy"),
        ("--attempts lesson", "attempts are 'exams', 'lessons' or 'both'"),
        ("--pass-mark half", "a number was expected, and 'half' came"),
    ):
        code, _, news = cli(f"trace {folder} {page} {arguments}")
        assert code == 2 and sentence in news
    (folder / "joint.nc").write_bytes(b"broken")
    code, _, news = cli(f"trace {folder} {page}")
    assert code == 2 and "is not a readable result" in news
    code, _, news = cli(f"trace uer/zzz {page}")
    assert code == 2 and "'zzz' names 0 runs of 'uer'" in news


def rows_of(students=4, skills=2, outcome=lambda place: place % 3 > 0, time=lambda place: 60 * place):
    return [
        f"s{s},k{place % skills},{int(outcome(place))},{time(place)}" for s in range(students) for place in range(12)
    ]


def with_bad_times(places):
    rows = rows_of()
    return [row.rsplit(",", 1)[0] + ",soon" if place in places else row for place, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("rows", "encoding", "sentences"),
    [
        (rows_of(students=1), "utf-8", ["12 rows read = 12 attempts"]),
        (rows_of(skills=1), "utf-8", ["48 rows read = 48 attempts"]),
        (rows_of(outcome=lambda place: 1), "utf-8", ["48 attempts (48 graded", "undefined"]),
        (rows_of() + rows_of()[:7], "utf-8",
            ["55 rows read = 48 attempts", "joined to another: 7 as its duplicate (rows 50, 51, 52, 53, 54 …)"]),
        (with_bad_times(range(3, 10)), "utf-8", ["41 attempts", "7 with a time that cannot be read (rows 5, 6, 7, 8, 9 …)"]),
        (rows_of(), "utf-8-sig", ["48 attempts", "its byte-order mark was passed over"]),
        (rows_of(), "utf-16", ["48 attempts", "read as UTF-16"]),
        ([f"Zoë{row}" for row in rows_of()], "cp1252", ["48 attempts", "read as Windows-1252"]),
        ([*rows_of(), "", ""], "utf-8", ["48 rows read", "2 blank lines passed over"]),
    ],
    ids=["one student", "one skill", "all right", "duplicates", "times", "mark", "wide", "Windows", "blank"],
)  # fmt: skip
def test_unusual_logs_are_traced_and_every_row_is_in_the_first_line(cli, tmp_path, rows, encoding, sentences):
    path = tmp_path / "odd.csv"
    path.write_bytes("\n".join(["student,skill,outcome,time", *rows, ""]).encode(encoding))
    code, shown, news = cli(f"trace {path} --models rates --folds 2 --out {tmp_path / 'page.html'}")
    assert code == 0 and "Warning" not in news
    assert shown.startswith("odd.csv: ") and all(sentence in shown for sentence in sentences)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "who,what,how\nann,add,1\n",
            "has no column for student, outcome, skill or item; its columns are: who, what, how",
        ),
        ("student,skill\nann,add\n", "has no column for outcome; its columns are: student, skill; name the right ones"),
        (
            "student,skill,outcome,time\nann,add,1,soon\n",
            "1 with a time that cannot be read (row 2); no row can be used",
        ),
        ("student,skill,outcome\nann,add,often\n", "such as 'often' (row 2); no row can be used"),
        ("student,skill,outcome\nann,add,\n", "no graded attempt"),
        ("student,skill,outcome\n", "no row can be used"),
        ("", "is empty: a row of column names was expected"),
    ],
)
def test_logs_that_cannot_be_traced_are_refused(cli, tmp_path, text, sentence):
    path = tmp_path / "odd.csv"
    path.write_text(text)
    code, _, news = cli(f"trace {path} --models rates --folds 2 --out {tmp_path / 'page.html'}")
    assert code == 2 and sentence in news and "Traceback" not in news


def test_published_numbers_stand_beside_ours_where_the_file_is_known(cli, as_json, tmp_path):
    path, page = tmp_path / "2015.csv", f"--models rates,pfa --folds 2 --out {tmp_path / 'page.html'} --anchors"
    rows = [f"{s},{place},{place % 3},{int(place % 2)}" for s in range(6) for place in range(20)]
    path.write_text("\n".join(["user_id,log_id,sequence_id,correct", *rows]))
    shown = cli(f"trace {path} {page}")[1]
    assert "learner-performance-prediction/assistments-2015/pfa" in shown and "not comparable" in shown
    assert "120 attempts of 6 students are part of that file, or another log" in shown
    rows_of = {row["row"]: row for row in as_json(f"trace {path} {page}")["anchors"]}
    assert rows_of["pykt/assistments-2015/dkvmn"]["state"] == "not a model here"
    assert 0 < rows_of["learner-performance-prediction/assistments-2015/pfa"]["ours"] <= 1
    path.write_text("\n".join(["student,place,skill,outcome", *rows]))
    assert "no published AUCs for this file; there are for: assistments-2015" in cli(f"trace {path} {page}")[1]

import gzip
import os
import threading

import numpy as np
import pytest

from lifelong.errors import BadFile, UnknownName
from lifelong.worlds import _practice_files, practice_log
from lifelong.worlds._practice_values import PARTIAL, UNREADABLE, Times, outcome_of

GOOD = "student,skill,item,outcome,time\nann,add,a1,1,10\nann,take,b1,0,20\nbo,add,a1,correct,5\n"


def written(folder, text, name="log.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def whole(account):
    parts = sum(f.count for f in (*account.joined, *account.set_aside))
    return account.read == account.attempts + parts + account.sampled_out


def test_every_row_is_accounted_for(tmp_path):
    text = GOOD + (
        "bo,add,a2,perhaps,6\n"  # row 5
        "bo,add,a2,1,yesterday\n"
        ",add,a2,1,7\n"
        "bo,add,a2\n"
        "bo,add,a2,0.5,8\n"
        "bo,add,a1,correct,5\n"  # row 10: a duplicate of row 4
        "bo,take,a1,1,5\n"  # the same attempt at a further skill
        "\n"
        "bo,,a3,study,9\n"
        "bo,add,a2,maybe,10\n"
        "bo,add,a2,0,11,extra\n"
    )
    log = practice_log(written(tmp_path, text))
    account = log.account
    assert whole(account) and account.read == 13 and account.attempts == 4 == len(log) and account.graded == 3
    fates = {fate.why.split(",")[0]: (fate.count, fate.first) for fate in (*account.joined, *account.set_aside)}
    assert fates == {
        "as a further skill of the same attempt": (1, (11,)),
        "as its duplicate": (1, (10,)),
        "with more or fewer fields than the header": (2, (8, 14)),
        "without a student": (1, (7,)),
        "with an outcome that cannot be read": (2, (5, 13)),
        "with partial credit": (1, (9,)),
        "with a time that cannot be read": (1, (6,)),
    }
    assert "'perhaps', 'maybe'" in str(account) and "13 rows read = 4 attempts (3 graded, 1 ungraded)" in str(account)
    joined = log.skill[(log.student == 1) & (log.time == 5)]
    assert [log.skills[k] for k in joined[0]] == ["add", "take"]
    assert "(no skill named)" in log.skills
    assert "1 blank line passed over; rows are numbered without them" in account.remarks


def test_only_the_first_five_rows_are_named_and_all_are_counted(tmp_path):
    log = practice_log(written(tmp_path, GOOD + "bo,add,a2,??,6\n" * 9))
    (fate,) = log.account.set_aside
    assert fate.count == 9 and fate.first == (5, 6, 7, 8, 9) and "rows 5, 6, 7, 8, 9 …" in str(fate)


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
def test_pieces_make_no_difference(tmp_path, monkeypatch, piece):
    random = np.random.default_rng(0)
    rows = [f"s{random.integers(9)},k{random.integers(4)},i{random.integers(20)},{o},{random.integers(99)}"
        for o in random.choice(["1", "0", "what", "", "0.3"], 60)]  # fmt: skip
    path = written(tmp_path, "student,skill,item,outcome,time\n" + "\n".join(rows))
    expected = practice_log(path)
    monkeypatch.setattr(_practice_files, "PIECE", piece)
    log = practice_log(path)
    assert log.fingerprint == expected.fingerprint and log.account == expected.account and whole(log.account)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: a row of column names"),
        (
            "student,student,skill,outcome\na,b,k,1\n",
            "two columns are named 'student', and only skills may have several",
        ),
        ('student,skill,outcome\n"ann,add,1\nbo,add,0\ncy,add,1\n', "row 2: a quotation mark opens there"),
        ('student,skill,outcome\nann,add,1\nbo,"add,0\ncy,"add",1\n', "row 3: a quotation mark opens there"),
        (
            "student,skill,outcome\nann,add,0\nbo,add,100\ncy,add,80\n",
            "outcomes are scores, such as 100, and all others",
        ),
        ("who,what\nann,add\n", "has no column for student, outcome, skill or item; its columns are: who, what; name"),
        ("student,skill\nann,add\n", "has no column for outcome; its columns are: student, skill"),
        ("student,skill,outcome\n", "0 rows read = 0 attempts .* no row can be used"),
        (
            "student,skill,outcome\nann,add,blue\n",
            "with an outcome that cannot be read, such as 'blue' .row 2.; no row",
        ),
    ],
)
def test_a_file_that_is_no_log_is_refused(tmp_path, text, message):
    with pytest.raises(BadFile, match=message):
        practice_log(written(tmp_path, text))


def test_named_columns_must_be_there(tmp_path):
    path = written(tmp_path, GOOD)
    with pytest.raises(BadFile, match="has no column 'who'; its columns are: student, skill, item, outcome, time"):
        practice_log(path, {"student": "who"})
    with pytest.raises(UnknownName, match="no role of a column named 'pupil'"):
        practice_log(path, {"pupil": "student"})
    with pytest.raises(BadFile, match="no such file"):
        practice_log(tmp_path / "absent.csv")
    by_item = practice_log(path, {"skill": ["skill", "item"]})
    assert by_item.skill.shape == (3, 2)


def test_a_label_says_what_a_skill_is_and_does_not_split_it(tmp_path):
    log = practice_log(written(tmp_path, "student,skill,skill_name,outcome\na,10,Sum,1\na,9,Sum,1\na,10,Sums,0\n"))
    assert log.skills == ("9 · Sum", "10 · Sum")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings_are_found_out(tmp_path, encoding):
    log = practice_log(written(tmp_path, GOOD.replace("ann", "Zoé"), encoding=encoding))
    assert log.students == ("Zoé", "bo") and len(log) == 3 and whole(log.account)
    assert {"utf-8-sig": "byte-order mark", "utf-16": "UTF-16", "cp1252": "Windows-1252"}[encoding] in " ".join(
        log.account.remarks
    )


def test_packed_tabbed_and_broken_files(tmp_path):
    plain = practice_log(written(tmp_path, GOOD))
    packed = gzip.compress(GOOD.replace(",", "\t").encode())
    assert practice_log(written(tmp_path, packed, "log.tsv.gz")).fingerprint == plain.fingerprint
    with pytest.raises(BadFile, match="its compressed data break off"):
        practice_log(written(tmp_path, packed[:-12], "cut.csv.gz"))


def test_parquet_tells_the_same_as_csv(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = {
        "student": ["ann", "ann", "bo"],
        "skills": [["add", "take"], ["take"], None],
        "correct": [True, False, None],
    }
    parquet.write_table(pyarrow.table(table), tmp_path / "log.parquet")
    log = practice_log(tmp_path / "log.parquet")
    assert log.outcome.tolist() == [1, 0, -1] and log.skills == ("(no skill named)", "add", "take")
    assert log.skill.tolist() == [[1, 2], [2, -1], [0, -1]]
    with pytest.raises(BadFile, match="not a whole Parquet file"):
        practice_log(written(tmp_path, b"PAR1 no", "bad.parquet"))


LAYOUTS = {
    "assistments-2009": "order_id,user_id,problem_id,correct,skill_id,skill_name\n"
    "7,1,9,1,4,Area\n3,1,8,0,4,Area\n7,1,9,1,5,Sum\n",
    "assistments-2012": "problem_log_id,skill,problem_id,user_id,start_time,correct,skill_id\n"
    "1,Area,9,1,2012-09-28 15:11:27,0,4\n2,Sum,8,1,2012-09-28 15:12:27.5,1,4\n",
    "assistments-2015": "user_id,log_id,sequence_id,correct\n1,70,5,1\n1,60,5,0\n1,80,6,0.25\n",
    "assistments-2017": "studentId,skill,problemId,startTime,correct,actionId\n"
    "1,Area,9,1096470301,0,a\n1,Sum,8,1096470350,1,b\n",
    "junyi-2015": "user_id,exercise,problem_type,time_done,correct\n"
    "1,sum,0,1419990000000000,true\n1,sum,0,1419990060000000,false\n",
    "junyi-2020": "timestamp_TW,uuid,ucid,upid,is_correct\n"
    "2018-11-01 10:00:00 UTC,u,c,p,False\n2018-11-01 10:15:00 UTC,u,c,p,True\n",
    "datashop": "Anon Student Id\tTime\tProblem Name\tStep Name\tOutcome\tKC (Default)\n"
    "s\t2015-11-02 19:49:38\tp\tq\tCORRECT\tadd~~take\ns\t2015-11-02 19:49:58\tp\tq\tHINT\tadd\n",
    "datashop-steps": "Anon Student Id\tStep Name\tFirst Transaction Time\tCorrect First Attempt\tKC (Algebra)\n"
    "s\tq\t2005-09-09 12:24:17.0\t1\tadd~~take\ns\tr\t2005-09-09 12:25:17.0\t0\t\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_public_layouts_are_recognised(tmp_path, layout):
    log = practice_log(written(tmp_path, LAYOUTS[layout]))
    assert log.account.remarks[0].startswith(f"layout {layout}:") and whole(log.account)
    assert len(log) == 2 and sorted(log.outcome) == [0, 1]


def test_lkt_tables_and_what_layouts_mean(tmp_path):
    dotted = "Anon.Student.Id,CF..Time.,KC..Default.,Outcome,Problem.Name\ns,2015-11-02 19:49:38,add,CORRECT,p\n"
    assert practice_log(written(tmp_path, dotted)).account.remarks[0].startswith("layout datashop")
    nine = practice_log(written(tmp_path, LAYOUTS["assistments-2009"]))
    assert nine.outcome.tolist() == [0, 1] and nine.skill.tolist() == [[0, -1], [0, 1]] and not nine.timed
    fifteen = practice_log(written(tmp_path, LAYOUTS["assistments-2015"]))
    assert fifteen.outcome.tolist() == [0, 1] and fifteen.account.set_aside[0].why == "with partial credit"
    junyi = practice_log(written(tmp_path, LAYOUTS["junyi-2015"]))
    assert junyi.gap[1] == 60
    assert practice_log(written(tmp_path, LAYOUTS["junyi-2020"])).gap[1] == 900


def test_ednet_is_a_folder_of_students(tmp_path):
    folder = tmp_path / "KT1"
    folder.mkdir()
    (tmp_path / "contents").mkdir()
    written(tmp_path / "contents", "question_id,correct_answer,tags\nq1,a,1;2\nq2,b,3\n", "questions.csv")
    written(folder, "timestamp,solving_id,question_id,user_answer,elapsed_time\n1565096190868,1,q1,a,38000\n"
        "1565096221062,2,q2,c,24000\n", "u1.csv")  # fmt: skip
    written(folder, "timestamp,solving_id,question_id,user_answer,elapsed_time\n1565096190868,1,q9,a,38000\n", "u2.csv")
    log = practice_log(folder)
    assert log.outcome.tolist() == [1, 0] and log.skill.tolist() == [[0, 1], [2, -1]]
    assert log.account.set_aside[0].count == 1 and log.gap[1] == pytest.approx(30.194)


def test_a_sample_is_of_whole_students(tmp_path):
    rows = [f"s{i % 40},k,1,{i}" for i in range(2000)]
    path = written(tmp_path, "student,skill,outcome,time\n" + "\n".join(rows))
    log = practice_log(path, most=500)
    assert 0 < len(log) <= 500 and len(log) == 50 * len(log.students) and whole(log.account)
    assert f"a random {len(log.students)} of 40 students were kept" in log.account.remarks[-1]
    assert practice_log(path, most=500, seed=1).students != log.students
    assert practice_log(path, most=2000).account.sampled_out == 0


def test_a_sample_is_what_the_whole_log_says_of_its_students(tmp_path):
    """Also where attempts have names, and rows of students not drawn are bad."""
    rows = [f"s{i % 40},{'kl'[i % 2]},q{i % 7},{'1' if i % 9 else 'maybe'},a{i // 80}.{i % 40}" for i in range(2000)]
    path = written(tmp_path, "student,skill,item,outcome,row_id\n" + "\n".join(rows))
    some, every = practice_log(path, most=500), practice_log(path)
    assert whole(some.account) and some.account.set_aside == every.account.set_aside
    same = every.only(np.isin(every.students, some.students))
    for column in ("outcome", "row"):
        np.testing.assert_array_equal(getattr(some, column), getattr(same, column))
    for names, codes in (("students", "student"), ("items", "item")):
        named = [np.array(getattr(log, names))[getattr(log, codes)] for log in (some, same)]
        np.testing.assert_array_equal(*named)


@pytest.mark.parametrize(
    ("word", "code"),
    [("1.0", 1), (" TRUE ", 1), ("Incorrect", 0), ("0", 0), ("", -1), ("Study", -1), ("0.5", PARTIAL), ("2", UNREADABLE),
        ("-0.5", UNREADABLE), ("inf", UNREADABLE), ("nan", -1)],
)  # fmt: skip
def test_outcomes_are_read_as_written(word, code):
    assert outcome_of(word) == code


@pytest.mark.parametrize(
    ("words", "gap"),
    [
        (["1446493778", "1446493838"], 60), (["1446493778000", "1446493838000"], 60), (["0.5", "1.25"], 0.75),
        (["2015-11-02 19:49:38", "2015-11-02T19:50:38"], 60), (["2015-11-02T19:49:38Z", "2015-11-02T21:50:38+02:00"], 60),
        (["11/2/2015 19:49", "11/2/2015 19:50"], 60), (["02.11.2015 19:49:38", "02.11.2015 19:50:38"], 60),
        (["25/12/2015 10:00", "26/12/2015 10:00"], 86400), (["2015-11-02", "2015-11-03"], 86400),
    ],
)  # fmt: skip
def test_times_are_read_as_written(words, gap):
    read = Times().read([*words, "soon", ""])
    assert read[1] - read[0] == pytest.approx(gap) and np.isnan(read[2:]).all()


def test_a_quoted_cell_may_hold_anything(tmp_path):
    log = practice_log(written(tmp_path, 'student,skill,outcome\nann,"add,\n5"" of it",1\nbo,take 5" of it,0\n'))
    assert log.skills == ('add,\n5" of it', 'take 5" of it') and len(log) == 2


@pytest.mark.parametrize(
    ("dates", "form", "days"),
    [
        ([f"{day}/9/2026" for day in range(1, 13)], "%d/%m/%Y", 11),
        ([f"9/{day}/2026" for day in range(1, 13)], "%m/%d/%Y", 11),
        ([f"{1 + day // 12}/{1 + day % 12}/2026" for day in range(300)], "%d/%m/%Y", 358),
        (["1/2/2026 11:30 PM", "1/3/2026 1:30 AM"], "%m/%d/%Y %I:%M %p", 1 / 12),
    ],
)
def test_of_days_and_months_those_come_first_that_fit(dates, form, days):
    times = Times()
    seconds = times.read(dates)
    assert times.way == f"times are read as {form}" and np.ptp(seconds) == pytest.approx(days * 86400)


def test_numbers_are_no_years_and_blanks_decide_nothing():
    times = Times()
    assert np.isnan(times.read([""] * 1500)).all()
    seconds = times.read(["", "NA", *(str(1_600_000_000 + i) for i in range(5))])
    assert times.way == "times are numbers in s" and np.isnan(seconds[:2]).all() and np.ptp(seconds[2:]) == 4


def test_attempts_of_one_day_are_not_duplicates_of_each_other(tmp_path):
    rows = [f"ann,add,{i % 2},2026-09-{1 + i // 10:02d}" for i in range(40)]
    log = practice_log(written(tmp_path, "\n".join(["student,skill,outcome,date", *rows])))
    assert len(log) == 40 and not log.account.joined
    assert any("whole minutes or days" in remark for remark in log.account.remarks)
    again = [*rows[:1], *(f"ann,add,1,2026-09-{day:02d}" for day in (3, 3, 4))]
    log = practice_log(written(tmp_path, "\n".join(["student,skill,outcome,date", *again])))
    assert len(log) == 3 and log.account.joined[0].why == "as its duplicate"


def test_attempts_may_be_counted_for_each_item_anew(tmp_path):
    rows = [f"ann,k{item},i{item},{attempt},{item % 2}" for attempt in (1, 2, 3) for item in (1, 2)]
    path = written(tmp_path, "\n".join(["student,skill,item,nth,outcome", *rows]))
    log = practice_log(path, {"attempt": "nth"})
    assert len(log) == 6 and log.row.tolist() == list(range(6)) and not log.account.joined
    assert any("for each item anew" in remark for remark in log.account.remarks)


def test_rows_that_may_show_an_answer_before_it_is_asked_are_said(tmp_path):
    rows = "student,skill,item,outcome\nann,add,i,1\nann,take,i,1\nann,add,j,0\nann,add,j,0\n"
    assert any(r.startswith("1 rows repeat") for r in practice_log(written(tmp_path, rows)).account.remarks)
    told = "student,skill,item,outcome,order_id\nann,add,i,1,7\nann,take,i,1,7\nann,add,j,0,8\n"
    log = practice_log(written(tmp_path, told))
    assert len(log) == 2 and not any("repeat" in remark for remark in log.account.remarks)


def test_cells_left_whole_are_said_and_split_on_request(tmp_path):
    path = written(tmp_path, "student,skill,outcome\nann,Long division;Two digits,1\nann,Long division,0\n")
    log = practice_log(path)
    assert len(log.skills) == 2 and any("1 skill with ';' was left whole" in r for r in log.account.remarks)
    log = practice_log(path, separator=";")
    assert log.skills == ("Long division", "Two digits") and not any("left whole" in r for r in log.account.remarks)


def test_columns_that_share_a_name_are_skills_of_one_row(tmp_path):
    text = "Anon Student Id\tTime\tProblem Name\tOutcome\tKC (Default)\tKC (Default)\nann\t1\tp\tCORRECT\tadd\ttake\n"
    log = practice_log(written(tmp_path, text + "ann\t2\tq\tINCORRECT\tadd\t\n", "tx.txt"))
    assert log.skills == ("add", "take") and log.skill.tolist() == [[0, 1], [0, -1]]


def test_files_are_known_by_what_they_hold(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    table = pyarrow.table({"student": ["a", None], "skill": ["k", "k"], "outcome": [1, 0], "time": [1.5, float("nan")]})
    for name in ("log.csv", "LOG.PARQUET"):
        parquet.write_table(table, tmp_path / name)
        assert len(practice_log(tmp_path / name)) == 1
    for encoding in ("utf-16-le", "utf-16-be"):
        log = practice_log(written(tmp_path, GOOD, "wide.csv", encoding))
        assert len(log) == 3 and f"read as {encoding}, for every second byte is 0" in log.account.remarks


def test_a_pipe_is_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = "student,skill,outcome\n" + "".join(f"s{i % 9},caf\xe9,{i % 2}\n" for i in range(20_000))
    writing = threading.Thread(target=pipe.write_bytes, args=(text.encode("cp1252"),))
    writing.start()
    log = practice_log(pipe)
    writing.join()
    assert len(log) == 20_000 and log.skills == ("café",) and log.name == "pipe"


def test_a_folder_may_hold_empty_files(tmp_path):
    written(tmp_path, "question_id,correct_answer,tags\nq1,a,1\n", "questions.csv")
    written(tmp_path, "timestamp,solving_id,question_id,user_answer,elapsed_time\n1565096190868,1,q1,a,9\n", "u1.csv")
    written(tmp_path, "", "u9.csv")
    log = practice_log(tmp_path)
    assert len(log) == 1 and "1 of 2 files are empty" in log.account.remarks

"""Advice: read out of words, and a chat model behind a real server that is down, slow, busy, or talks nonsense."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from lifelong.connect import ChatModel
from lifelong.errors import BadFile, BadInput
from lifelong.teachers import OMNI, Learned, Scripted
from lifelong.worlds import TaskList

KEY = "sk-very-secret"


class Server(ThreadingHTTPServer):
    """A server whose next replies are in `script`: (status, body), or seconds to sleep before a reply."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.requests = [], []
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        status, reply = self.server.script.pop(0)
        if status == "sleep":
            time.sleep(reply)
            return
        self.send_response(status)
        self.end_headers()
        self.wfile.write(reply.encode())

    def log_message(self, *_):
        pass


def said(text):
    return 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]})


@pytest.fixture
def server():
    server = Server()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def chat(server, tmp_path, monkeypatch):
    monkeypatch.setenv("LIFELONG_CHAT_KEY", KEY)
    return ChatModel(server.url, "tiny", cache=tmp_path / "replies", timeout=20.0, retries=2, pause=0.01)


def test_a_reply_is_asked_for_once_and_kept_without_the_key(server, chat, tmp_path):
    server.script = [said("I would say 7, or rather 8.5")]
    assert chat.number("How hard?", 0, 10) == 8.5
    again = ChatModel(server.url, "tiny", cache=tmp_path / "replies")
    assert again.number("How hard?", 0, 10) == 8.5 and again.calls == 0
    (path, headers, body), *more = server.requests
    assert (path, more) == ("/v1/chat/completions", []) and headers["Authorization"] == f"Bearer {KEY}"
    assert body["model"] == "tiny" and body["messages"] == [{"role": "user", "content": "How hard?"}]
    kept = list((tmp_path / "replies").iterdir())
    assert len(kept) == 1 and KEY not in kept[0].read_text() and KEY not in repr(vars(chat))
    kept[0].write_text("{")
    with pytest.raises(BadFile, match="no kept reply"):
        again.answer("How hard?")


def test_a_busy_server_is_asked_again(server, chat):
    server.script = [(503, "busy"), (429, "slow down"), said("yes")]
    assert chat.choice("Go on?", ["yes", "no"]) == "yes"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("script", "match", "requests"),
    [
        ([(503, "busy")] * 3, r"said 503: busy, after 3 tries", 3),
        ([(401, f"no such key: {KEY}")], r"said 401: no such key: …, at the first try", 1),
        ([("sleep", 0.6)] * 3, r"sent no reply within 0.3 s, after 3 tries", 3),
        ([(200, "<html>hello</html>")], r"sent no chat reply, but: '<html>hello</html>'", 1),
        ([(200, json.dumps({"choices": []}))], r"sent no chat reply", 1),
        ([said("  ")], r"sent no chat reply", 1),
    ],
)
def test_trouble_is_told_in_a_sentence_without_the_key(server, chat, script, match, requests):
    server.script = list(script)
    chat.timeout = 0.3 if script[0][0] == "sleep" else chat.timeout
    with pytest.raises(BadInput, match=match) as trouble:
        chat.answer("Anyone there?")
    assert len(server.requests) == requests and KEY not in str(trouble.value)


def test_a_server_that_is_down(server, chat):
    server.shutdown()
    server.server_close()
    with pytest.raises(BadInput, match=r"cannot be reached .*refused.*after 3 tries"):
        chat.answer("Anyone there?")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"model": "m"}, "LIFELONG_CHAT_URL"),
        ({"base_url": "localhost:1", "model": "m"}, "http://"),
        ({"base_url": "http://localhost:1"}, "LIFELONG_CHAT_MODEL"),
        ({"base_url": "http://localhost:1", "model": "m", "timeout": 0}, "time is positive"),
    ],
)
def test_a_chat_model_that_cannot_be_built(given, match, monkeypatch):
    for name in ("URL", "MODEL"):
        monkeypatch.delenv(f"LIFELONG_CHAT_{name}", raising=False)
    with pytest.raises(BadInput, match=match):
        ChatModel(**given)


def test_address_and_model_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("LIFELONG_CHAT_URL", "http://localhost:1/v1/")
    monkeypatch.setenv("LIFELONG_CHAT_MODEL", "m")
    assert ChatModel().name == "chat model 'm' at http://localhost:1/v1"


NAMES = ("collect 1 wood", "collect 2 wood", "make a table")


def by_object(question):
    """What is boring to who does a task well: the same thing in another number."""
    done = question.split("It already does '")[1].split("'")[0]
    same = [i for i, name in enumerate(NAMES) if name != done and name.split()[-1] == done.split()[-1]]
    return ", ".join(map(str, same)) or "None of them."


def test_a_table_of_what_is_interesting_is_read_out_of_answers_and_taught_by():
    table = Scripted(by_object).interesting(NAMES)
    np.testing.assert_array_equal(table, [[1, 0, 1], [0, 1, 1], [1, 1, 1]])
    teacher = OMNI(TaskList(NAMES), Scripted(by_object).interesting)
    np.testing.assert_array_equal(teacher.interesting, table)


@pytest.mark.parametrize("answer", ["all of them, honestly", "7", "1.5"])
def test_answers_that_are_no_list_of_tasks_are_refused(answer):
    with pytest.raises(BadInput, match="the script was asked for numbers from 0 to 2"):
        Scripted(lambda _: answer).interesting(NAMES)


def test_scripts_and_predictors_answer_too():
    class Always:
        def predict(self, texts):
            return np.full(len(texts), 0.25)

    assert Learned(Always()).number("How hard?") == 0.25
    assert Scripted({"Which?": "The red one."}).answer("Which?") == "The red one."
    assert Scripted(lambda question: "Definitely RED!").choice("Which?", ["red", "green"]) == "red"
    for adviser, match in ((Scripted({}), "no answer"), (Scripted(lambda _: "red or green"), "one of red, green")):
        with pytest.raises(BadInput, match=match):
            adviser.choice("Which?", ["red", "green"])
    with pytest.raises(BadInput, match=r"a number from 0 to 1.*'9'"):
        Scripted(lambda _: "9").number("?", 0, 1)

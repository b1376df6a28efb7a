"""A user's verifier in a process of its own: it may raise, hang or die without harm."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifelong.errors import BadFile, BadInput, UnknownName

WORKER = Path(__file__).with_name("_verifier_worker.py")
START = 10.0
"""Seconds that importing a verifier may take at least."""


class Verifier:
    """A function in a Python file, such as `my.py:check`, that says what an answer to a problem is worth.

        def check(problem, answer):
            return answer.strip() == problem["answer"]

    `problem` is the line of the file of problems as a dictionary, `answer` text. It returns a truth value, or a number from 0
    to 1. A call that raises, returns something else, takes too long or ends the process counts as 0 and is counted. Calls from
    several threads wait for each other.

    Args:
        place: file and function, `my.py:check`.
        seconds: how long a call may take.

    Raises BadInput for another form of place or a time that is not positive, BadFile for a file that is missing or raises when
    it is run, UnknownName where there is no such function.
    """

    def __init__(self, place: str, seconds: float = 2.0):
        path, _, name = str(place).rpartition(":")
        if not path.endswith(".py") or not name.isidentifier():
            raise BadInput(f"a verifier is given as file and function, 'my.py:check', not as '{place}'")
        if not seconds > 0:
            raise BadInput(f"a call of a verifier may take some time: seconds={seconds}")
        if not Path(path).is_file():
            raise BadFile(f"there is no file '{path}' with a verifier")
        self.path, self.name, self.seconds = str(Path(path).resolve()), name, seconds
        self.calls = self.raised = self.late = self.died = 0
        self.first_error = ""
        self._process: subprocess.Popen | None = None
        self._one_at_a_time = threading.Lock()
        self._start()

    def __call__(self, problem: Mapping[str, Any], answer: str) -> float:
        """Return what an answer is worth, 0 where the call goes wrong."""
        with self._one_at_a_time:
            self.calls += 1
            if self._process is None:
                self._start()
            reply = self._asked(json.dumps([dict(problem), answer]))
            if "value" in reply:
                return min(max(reply["value"], 0.0), 1.0)
            self.first_error = self.first_error or reply["error"]
            return 0.0

    def _asked(self, line: str) -> dict[str, Any]:
        """Return the worker's reply; where there is none in time, its process is ended."""
        process = self._process
        assert process and process.stdin
        try:
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
            reply = self._read(self.seconds)
        except BrokenPipeError:
            reply = None
        except TimeoutError:
            self.late += 1
            self.close()
            return {"error": f"no verdict within {self.seconds:g} s"}
        if reply is None:
            self.died += 1
            self.close()
            return {"error": "its process ended"}
        self.raised += "error" in reply
        return reply

    def _read(self, seconds: float) -> dict[str, Any] | None:
        """Return one line of the worker's, None where it has ended; raise TimeoutError where it takes too long."""
        assert self._process and self._process.stdout
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            raise TimeoutError
        line = self._process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def _start(self) -> None:
        command = [sys.executable, str(WORKER), self.path, self.name, str(self.seconds)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0, start_new_session=True)
        try:
            said = self._read(max(START, self.seconds)) or {"error": "its process ended"}
        except TimeoutError:
            said = {"error": f"it did not come to its end within {max(START, self.seconds):g} s"}
        if "ready" in said:
            return
        self.close()
        if "missing" in said:
            raise UnknownName(f"function in '{self.path}'", self.name, said["names"])
        raise BadFile(f"'{self.path}' cannot be run: {said['error']}")

    @property
    def account(self) -> str:
        """How many calls there were, and what became of those that went wrong."""
        parts = [f"{self.calls} answers judged by {Path(self.path).name}:{self.name}"]
        for count, what in (
            (self.raised, "raised or returned no number"),
            (self.late, f"took longer than {self.seconds:g} s"),
            (self.died, "ended the process"),
        ):
            parts += [f"{count} {what}"] if count else []
        return ", ".join(parts) + (f"; the first: {self.first_error}" if self.first_error else "")

    def close(self) -> None:
        """End the worker and all it has started; the next call starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()

    def __enter__(self) -> "Verifier":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self):
        if getattr(self, "_process", None) is not None:
            self.close()

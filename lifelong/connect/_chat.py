"""A chat model as adviser, behind any server that speaks OpenAI's protocol; every reply is kept on disk."""

import json
import os
import time
import urllib.error
import urllib.request
from hashlib import sha256
from pathlib import Path
from typing import Any

from lifelong.errors import BadFile, BadInput
from lifelong.life import write_atomically
from lifelong.teachers import Adviser, shortened

BUSY = (408, 409, 429, 500, 502, 503, 504)
"""Answers of a server after which it is worth trying again."""


class ChatModel(Adviser):
    """Answers of a chat model, by POST to `{base_url}/chat/completions`.

    Replies are kept in `cache`, a file each under the hash of everything that was asked: a run that is repeated asks nobody.
    The key is read from the environment when it is needed; it is never kept, shown or written.

    Args:
        base_url: as http://127.0.0.1:8000/v1; the variable LIFELONG_CHAT_URL unless given.
        model: the variable LIFELONG_CHAT_MODEL unless given.
        cache: a folder; None: nothing is kept.
        key_variable: the name of the environment variable that holds the key; a server on this machine may need none.
        system: what the model is told beforehand.
        temperature, max_tokens: as the protocol has them.
        timeout: seconds to wait for a reply.
        retries: further tries where the server is busy or cannot be reached, after 1, 2, 4 … times `pause` seconds.

    Raises `BadInput` where address or model are missing, where no reply comes, and where it is no reply.
    """

    def __init__(
        self,
        base_url: str | None = None,
        model: str | None = None,
        *,
        cache: str | Path | None = None,
        key_variable: str = "LIFELONG_CHAT_KEY",
        system: str = "",
        temperature: float = 0.0,
        max_tokens: int = 256,
        timeout: float = 30.0,
        retries: int = 3,
        pause: float = 1.0,
    ):
        self.base_url = (base_url or os.environ.get("LIFELONG_CHAT_URL", "")).rstrip("/")
        self.model = model or os.environ.get("LIFELONG_CHAT_MODEL", "")
        if not self.base_url.startswith(("http://", "https://")):
            raise BadInput(
                f"a chat model needs the address of its server, http://… or https://…, not '{self.base_url}'; give base_url, "
                "or set LIFELONG_CHAT_URL"
            )
        if not self.model:
            raise BadInput("a chat model needs a name; give model, or set LIFELONG_CHAT_MODEL")
        if timeout <= 0 or retries < 0 or pause < 0:
            raise BadInput(f"time is positive: timeout={timeout}, retries={retries}, pause={pause}")
        self.cache = Path(cache) if cache else None
        self.key_variable, self.system = key_variable, system
        self.temperature, self.max_tokens = temperature, max_tokens
        self.timeout, self.retries, self.pause = timeout, retries, pause
        self.calls = 0
        """How often a server was asked."""

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The model and its server."""
        return f"chat model '{self.model}' at {self.base_url}"

    def answer(self, question: str) -> str:
        """Return the model's reply, from disk where it has been given before."""
        told = [{"role": "system", "content": self.system}] if self.system else []
        request = {
            "model": self.model,
            "messages": [*told, {"role": "user", "content": question}],
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        if (reply := self._kept(request)) is None:
            reply = self._content(self._posted(json.dumps(request).encode()))
            self._keep(request, reply)
        return reply

    def _file(self, request: dict[str, Any]) -> Path | None:
        asked = json.dumps([self.base_url, request], sort_keys=True).encode()
        return self.cache / f"{sha256(asked).hexdigest()[:24]}.json" if self.cache else None

    def _kept(self, request: dict[str, Any]) -> str | None:
        file = self._file(request)
        if file is None or not file.exists():
            return None
        try:
            return str(json.loads(file.read_text(encoding="utf-8"))["reply"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadFile(f"'{file}' is no kept reply ({error}); it was left as it is: move it away") from error

    def _keep(self, request: dict[str, Any], reply: str) -> None:
        if file := self._file(request):
            kept = {"request": request, "server": self.base_url, "reply": reply}
            write_atomically(file, json.dumps(kept, indent=1, ensure_ascii=False).encode())

    def _posted(self, body: bytes) -> bytes:
        """Return what the server sends back, trying again where that may help."""
        for attempt in range(self.retries + 1):
            try:
                return self._once(body)
            except urllib.error.HTTPError as error:
                with error:
                    said = shortened(error.read(400).decode(errors="replace"))
                trouble = f"said {error.code}: {said or error.reason}"
                if error.code not in BUSY:
                    raise self._unheard(trouble, attempt) from None
            except TimeoutError:
                trouble = f"sent no reply within {self.timeout:g} s"
            except (urllib.error.URLError, OSError) as error:
                reason = getattr(error, "reason", error)
                slow = isinstance(reason, TimeoutError)
                trouble = f"sent no reply within {self.timeout:g} s" if slow else f"cannot be reached ({reason})"
            if attempt < self.retries:
                time.sleep(self.pause * 2**attempt)
        raise self._unheard(trouble, self.retries)

    def _once(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.key_variable):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.base_url}/chat/completions", body, headers)
        self.calls += 1
        with urllib.request.urlopen(request, timeout=self.timeout) as response:
            return response.read()

    def _content(self, data: bytes) -> str:
        try:
            content = json.loads(data)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError):
            content = None
        if not isinstance(content, str) or not content.strip():
            sent = shortened(data.decode(errors="replace"))
            raise BadInput(
                f"the server at {self.base_url} sent no chat reply, but: '{sent}'; see that base_url is right (it often ends "
                "in /v1)"
            )
        return content

    def _unheard(self, trouble: str, attempt: int) -> BadInput:
        key = os.environ.get(self.key_variable)
        trouble = trouble.replace(key, "…") if key else trouble
        tries = f"after {attempt + 1} tries" if attempt else "at the first try"
        return BadInput(
            f"the server at {self.base_url} {trouble}, {tries}; see that it runs and that the model, the key (the variable "
            f"{self.key_variable}) and the time-out are right"
        )

"""One question to an OpenAI-compatible chat endpoint: Ollama, vLLM, llama.cpp on this machine, or a service the user names.

Plain http only within the machine or a private network; a redirect is never followed and proxies of the environment are not used, so
the text goes to the named host alone. The key is read from an environment variable when asking; it is in no parameter, file,
message or log.
"""

import http.client
import ipaddress
import json
import os
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from core.errors import InputError, MissingInput

VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
LONGEST = 1_000_000  # bytes of an answer that are read
STYLES = ("schema", "plain", "newer")
"""Ways to ask, tried in turn when a server refuses one with 400 or 422: with a JSON schema; without; as newer models want it."""


@dataclass(frozen=True)
class Endpoint:
    """Where to ask. `url` ends before /chat/completions, e.g. http://localhost:11434/v1."""

    url: str
    model: str
    key_variable: str = ""
    timeout: float = 60.0

    @property
    def host(self) -> str:
        """Host and port as consent names them."""
        return urlsplit(self.url).netloc


class Refused(Exception):
    """The server answered, and not with 200. `status` is HTTP's, `after` the seconds it asks to wait (None: it does not say)."""

    def __init__(self, status: int, text: str, after: float | None = None):
        super().__init__(f"HTTP {status}: {text}" if text else f"HTTP {status}")
        self.status, self.after = status, after


class Unreachable(Exception):
    """No answer came: refused, timed out, broken off, not to be read."""


def endpoint(url: str, model: str, key_variable: str = "", timeout: float = 60.0) -> Endpoint:
    """A checked endpoint. Errors: InputError (an address, a name that cannot be used), MissingInput (nothing named, no key there)."""
    if not url or not model:
        raise MissingInput(
            "No language model is named to rate with. Give the address of its endpoint and the name of the model."
        )
    parts = urlsplit(url.strip().rstrip("/"))
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.username or parts.password or "@" in parts.netloc:
        raise InputError(
            "The address holds a name or a password. Give it without; a key goes into an environment variable."
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or parts.query or parts.fragment:
        raise InputError("The address is not one such as http://localhost:11434/v1 or https://host/v1. Correct it.")
    if parts.scheme == "http" and not _near(parts.hostname):
        raise InputError(
            f"{parts.netloc} is not on this machine or a private network; use https, or the records could be read on the way."
        )
    if key_variable and not VARIABLE.fullmatch(key_variable):
        raise InputError(
            "The name of the key's environment variable has capitals, digits and _ only, such as OPENAI_API_KEY. Give the name there, "
            "never the key."
        )
    if key_variable and not os.environ.get(key_variable):
        raise MissingInput(
            f"The environment variable {key_variable} is not set. Set it to the key and start the app again."
        )
    path = parts.path.removesuffix("/chat/completions").rstrip("/")
    return Endpoint(f"{parts.scheme}://{parts.netloc}{path}", model.strip(), key_variable, float(timeout))


def _near(host: str) -> bool:
    """Whether a host is this machine or a private network; a name without dots is taken for one of the local network."""
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        found = ipaddress.ip_address(host)
        return found.is_loopback or found.is_private
    except ValueError:
        return "." not in host


def body(
    model: str, messages: list[dict[str, str]], schema: dict[str, Any], style: str, most_tokens: int
) -> dict[str, Any]:
    """What is posted."""
    if style == "newer":
        return {"model": model, "messages": messages, "max_completion_tokens": most_tokens}
    said: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "temperature": 0,
        "max_tokens": most_tokens,
        "stream": False,
    }
    if style == "schema":
        said["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "rating", "strict": True, "schema": schema},
        }
    return said


def ask(
    to: Endpoint, messages: list[dict[str, str]], schema: dict[str, Any], style: str, most_tokens: int
) -> tuple[str, int, int]:
    """(text of the answer, tokens read and written as the server counts them, else 0). Errors: Refused, Unreachable."""
    payload = json.dumps(body(to.model, messages, schema, style, most_tokens), ensure_ascii=False).encode(
        "utf-8", "replace"
    )
    headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "quadrant"}
    key = os.environ.get(to.key_variable, "") if to.key_variable else ""
    if key:
        headers["Authorization"] = f"Bearer {key}"
    parts = urlsplit(to.url)
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = make(parts.hostname, parts.port, timeout=to.timeout)
    try:
        connection.request("POST", f"{parts.path}/chat/completions", payload, headers)
        answer = connection.getresponse()
        text = answer.read(LONGEST + 1)
        status, after = answer.status, answer.getheader("Retry-After")
    except TimeoutError as error:
        raise Unreachable(f"no answer within {to.timeout:g} s") from error
    except (OSError, http.client.HTTPException, socket.gaierror, ssl.SSLError, ValueError) as error:
        raise Unreachable(_hidden(f"{type(error).__name__}: {error}", key)) from error
    finally:
        connection.close()
    if status != 200:
        raise Refused(status, _hidden(" ".join(text[:300].decode("utf-8", "replace").split()), key), _seconds(after))
    if len(text) > LONGEST:
        raise Unreachable("the answer is over a megabyte")
    try:
        found = json.loads(text)
        usage = found.get("usage") or {}
        content = found["choices"][0]["message"]["content"]
        counts = [int(usage.get(k) or 0) for k in ("prompt_tokens", "completion_tokens")]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise Unreachable("the answer is no chat completion") from error
    return content if isinstance(content, str) else "", *counts


def _hidden(text: str, key: str) -> str:
    """A message for a person, without the key, should a server repeat it."""
    return (text.replace(key, "…") if key else text)[:200]


def _seconds(after: str | None) -> float | None:
    try:
        return max(0.0, float(after)) if after else None
    except ValueError:
        return None

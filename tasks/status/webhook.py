"""One JSON message to an address of the user's choice when a night ends. The address is a secret: it is never shown."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from nada.errors import NadaError, ParamsError
from tasks.config.model import WEBHOOK

TRY_SECONDS = 10.0  # for connection and answer together
TRIES = 2
PAUSE_SECONDS = 2.0  # before the second try


class WebhookError(NadaError):
    """The message did not arrive. Never says more of the address than its host."""


def address_of(webhook: SecretStr | None) -> str | None:
    """The address that `night.webhook` means.

    Raises:
        ParamsError: it names an environment variable that is not set, or holds no http(s) address.
    """
    if webhook is None:
        return None
    text = webhook.get_secret_value()
    if not text.startswith("$"):
        return text
    address = os.environ.get(text[1:], "")
    if not address.startswith("$") and WEBHOOK.fullmatch(address):
        return address
    wrong = "holds no http(s) address" if address else "is not set"
    raise ParamsError(f"night.webhook: the environment variable {text[1:]} {wrong}; set it, or remove night.webhook")


def send(address: str, content: Mapping[str, Any]) -> None:
    """Post the content as JSON; a second try follows a first that failed.

    Raises:
        WebhookError: both failed, or took too long.
    """
    body = json.dumps(content, ensure_ascii=False).encode()
    problem = ""
    for attempt in range(TRIES):
        time.sleep(PAUSE_SECONDS if attempt else 0.0)
        problem = _try(address, body)
        if not problem:
            return
    raise WebhookError(f"night.webhook at {urlsplit(address).hostname}: {problem}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A summary goes where the user said, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _try(address: str, body: bytes) -> str:
    """What went wrong in one try, in words; empty if nothing. A thread, so that no slow answer holds the night up."""
    problem = [f"no answer within {TRY_SECONDS:g} s"]

    def post() -> None:
        request = urllib.request.Request(address, body, {"Content-Type": "application/json", "User-Agent": "nada"})
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=TRY_SECONDS):
                problem[0] = ""
        except urllib.error.HTTPError as err:
            with err:
                problem[0] = f"it answered {err.code}"
        except (OSError, ValueError) as err:  # messages of these may hold the address
            reason = getattr(err, "reason", err)
            if not isinstance(reason, TimeoutError):  # which may come just before the thread is given up
                problem[0] = f"it cannot be reached ({type(reason).__name__})"
        except Exception as err:  # http.client's
            problem[0] = f"no HTTP ({type(err).__name__})"

    thread = threading.Thread(target=post, daemon=True)
    thread.start()
    thread.join(TRY_SECONDS)
    return problem[0]

"""One question to a web server: redirects followed within limits, and what its answer means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx2

from nada.errors import FetchError

PASSING = {408, 425, 429, 500, 502, 503, 504}  # answers that another attempt may change
OF_RANGES = (206, 416)  # answers to a request for the rest of a file
PAGES = ("text/html", "application/json")
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class PassingError(Exception):
    """This attempt failed; another one may not."""


@contextmanager
def ask(client: httpx2.Client, address: str, headers: Mapping[str, str], redirects: int) -> Iterator[httpx2.Response]:
    """The answer at the end of the redirects, its body not yet read.

    Raises:
        FetchError: an answer that says that the file is not to be had here.
    """
    request = client.build_request("GET", address, headers=headers)
    for _ in range(redirects + 1):
        answer = client.send(request, stream=True)
        try:
            if answer.next_request is None:
                _check_status(address, answer)
                yield answer
                return
            if not may_follow(request.url, answer.next_request.url):
                raise FetchError(f"{address} redirects to {answer.next_request.url}; only https is followed from there")
            request = answer.next_request
        finally:
            answer.close()
    raise FetchError(f"{address} redirects more than {redirects} times")


def _check_status(address: str, answer: httpx2.Response) -> None:
    status = f"HTTP {answer.status_code} {answer.reason_phrase}".strip()
    if answer.status_code in PASSING:
        raise PassingError(status)
    if answer.status_code not in (httpx2.codes.OK, *OF_RANGES):
        raise FetchError(f"{address} answers {status}")
    kind = answer.headers.get("Content-Type", "")
    if kind.startswith(PAGES):
        raise FetchError(f"{address} answers with a page ({kind}) instead of weights")


def continues(answer: httpx2.Response, validator: str, size: int) -> bool:
    """Whether an answer is the rest of what is there: some servers know no If-Range."""
    given = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
    is_same = validator in given or given == (None, None)
    starts_here = answer.headers.get("Content-Range", "").startswith(f"bytes {size}-")
    return answer.status_code == httpx2.codes.PARTIAL_CONTENT and starts_here and is_same and not is_encoded(answer)


def is_encoded(answer: httpx2.Response) -> bool:
    """Whether the body is compressed, asked or not: its length and its parts are then not the file's."""
    return answer.headers.get("Content-Encoding", "identity") != "identity"


def may_follow(address: httpx2.URL, redirect: httpx2.URL) -> bool:
    """Whether a redirect keeps to the web, and a protected line stays protected.

    >>> start = httpx2.URL("https://example.org/a")
    >>> [may_follow(start, httpx2.URL(to)) for to in ("https://b.org/a", "http://b.org/a", "http://127.0.0.1/a")]
    [True, False, True]
    """
    if redirect.scheme == "http":
        return address.scheme == "http" or redirect.host in LOOPBACK
    return redirect.scheme == "https"

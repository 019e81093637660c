"""One file over HTTP: resumed where the line broke, checked, and renamed into place when whole.

While it arrives, `NAME.partial` holds the bytes and `NAME.partial.json` says of which version of the file they are, so
that a later attempt, of this process or another, asks for the rest of the same version alone.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx2

from nada.atomic import replacing, writing
from nada.errors import FetchError, OutputError
from nada.hashing import sha256_file
from tasks.download.http import PassingError, ask, continues, is_encoded
from tasks.store.locks import sole_writer
from tasks.store.plain_data import read_json

PAGE_STARTS = (b"<", b"{")  # HTML, XML, JSON; no weights begin so


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait, and how often to try again."""

    connect_seconds: float = 15.0
    silence_seconds: float = 60.0
    """Without a single byte."""
    attempts: int = 5
    pause_seconds: float = 1.0
    """Before the second attempt; it doubles each time."""
    redirects: int = 5


@dataclass(frozen=True, kw_only=True)
class News:
    """How far a download is."""

    done_bytes: int
    total_bytes: int | None = None
    """None where the server does not say."""
    said: str = ""
    """What a person should know beside: why another attempt follows, or what happens after the last byte."""


@dataclass(frozen=True)
class Arrived:
    """What was fetched."""

    address: str | None
    """None: it lay there already."""
    sha256: str
    bytes: int
    etag: str | None


def download(
    target: Path,
    addresses: tuple[str, ...],
    sha256: str | None = None,
    patience: Patience | None = None,
    tell: Callable[[News], None] = lambda news: None,
) -> Arrived:
    """Fetch a file whole or not at all; what arrived before the line broke is kept for the next call.

    Args:
        target: where it shall lie; its folder is made.
        addresses: http or https, tried in turn.
        sha256: what its bytes must be.
        patience: time limits and retries.
        tell: called often with how far it is.

    Raises:
        FetchError: no address gave the file, another process is fetching it, or its checksum differs.
        OutputError: it cannot be written, or the disk is too small.
    """
    with sole_writer(partial_path(target)) as file:
        transfer = _Transfer(target, file, patience or Patience(), tell)
        reasons = []
        for address in addresses:
            try:
                etag = transfer.fetch(address)
                break
            except FetchError as err:
                reasons.append(str(err))
        else:
            by_hand = f"save {addresses[0]} as {target} by hand, and give the same command again"
            raise FetchError(f"{target.name}: {'; '.join(reasons)}. Try later, or {by_hand}")
        found = sha256_file(partial_path(target))
        if sha256 is not None and found != sha256:
            transfer.start_over()
            raise FetchError(f"{target}: sha256 {found} arrived, {sha256} was expected; nothing of it was kept")
        with writing(target):
            partial_path(target).replace(target)
            version_path(target).unlink(missing_ok=True)
        return Arrived(address, found, target.stat().st_size, etag)


def keep_arrived(arrived: Path, target: Path, sha256: str) -> None:
    """Put what another program fetched in its place, if it is what was asked for.

    Raises:
        FetchError: other bytes arrived.
        OutputError: it cannot be put there.
    """
    found = sha256_file(arrived)
    if found != sha256:
        raise FetchError(f"{target}: sha256 {found} arrived, {sha256} was expected; nothing of it was kept")
    with writing(target):
        arrived.replace(target)


def partial_path(target: Path) -> Path:
    """Where the bytes wait until all are there."""
    return target.with_name(target.name + ".partial")


def version_path(target: Path) -> Path:
    """Which version of the file those bytes are of."""
    return target.with_name(target.name + ".partial.json")


class _Transfer:
    """The attempts that fill one `.partial` file."""

    def __init__(self, target: Path, file: BinaryIO, patience: Patience, tell: Callable[[News], None]) -> None:
        self._target, self._file, self._patience, self._tell = target, file, patience, tell

    def fetch(self, address: str) -> str | None:
        """Fill the file from one address, in several attempts if need be; the ETag of what arrived.

        Raises:
            FetchError: the address does not give the file.
            OutputError: it cannot be written.
        """
        attempts = self._patience.attempts
        with self._client() as client:
            for attempt in range(1, attempts + 1):
                try:
                    return self._attempt(client, address)
                except (httpx2.RequestError, PassingError) as err:
                    reason = f"{httpx2.URL(address).host}: {self._reason(err)}"
                except httpx2.InvalidURL as err:
                    raise FetchError(f"{address} leads to no usable address ({err})") from err
                if attempt < attempts:
                    pause = self._patience.pause_seconds * 2 ** (attempt - 1)
                    self._tell(News(done_bytes=self._size(), said=f"{reason}; trying again in {pause:g} s"))
                    time.sleep(pause)
        raise FetchError(f"{reason}, {attempts} times")

    def start_over(self) -> None:
        """Forget what arrived."""
        with writing(self._target):
            self._file.truncate(0)
            version_path(self._target).unlink(missing_ok=True)

    def _client(self) -> httpx2.Client:
        """A client that takes proxies from the environment."""
        timeout = httpx2.Timeout(self._patience.silence_seconds, connect=self._patience.connect_seconds)
        headers = {"User-Agent": "nada", "Accept-Encoding": "identity"}  # compressed bytes cannot be resumed
        try:
            return httpx2.Client(timeout=timeout, headers=headers)
        except (ImportError, ValueError, httpx2.InvalidURL) as err:
            raise FetchError(f"a proxy in the environment cannot be used ({err}); see HTTPS_PROXY") from err

    def _attempt(self, client: httpx2.Client, address: str) -> str | None:
        """One request, for the rest alone where there is a beginning of the same version."""
        validator, size = self._validator(address), self._size()
        headers = {"Range": f"bytes={size}-", "If-Range": validator} if validator and size else {}
        with ask(client, address, headers, self._patience.redirects) as answer:
            if not (headers and continues(answer, headers["If-Range"], size)):
                self.start_over()
                if answer.status_code != httpx2.codes.OK:
                    raise PassingError("the file has changed meanwhile")
            self._receive(address, answer)
            return answer.headers.get("ETag")

    def _note_version(self, address: str, answer: httpx2.Response) -> None:
        """Keep by what a later attempt can ask for the rest of this version."""
        etag = answer.headers.get("ETag", "")
        validator = etag if etag.startswith('"') else answer.headers.get("Last-Modified")  # weak ones do not serve
        if validator and not is_encoded(answer):
            with replacing(version_path(self._target)) as partial:
                version = {"address": address, "validator": validator}
                partial.write_text(json.dumps(version, indent=2) + "\n", encoding="utf-8")

    def _validator(self, address: str) -> str | None:
        """The strong ETag or Last-Modified of the bytes that are there, if they came from this address."""
        try:
            version = read_json(version_path(self._target))
            return str(version["validator"]) if version["address"] == address else None
        except (OSError, ValueError, TypeError, KeyError):
            return None  # absent or damaged: the file is fetched from its start

    def _receive(self, address: str, answer: httpx2.Response) -> None:
        """Append the body to the file."""
        length = None if is_encoded(answer) else _number(answer.headers.get("Content-Length"))
        total = None if length is None else self._size() + length
        self._check_disk(length or 0)
        self._tell(News(done_bytes=self._size(), total_bytes=total))
        for chunk in answer.iter_bytes() if is_encoded(answer) else answer.iter_raw():
            if self._size() == 0:
                if chunk.lstrip().startswith(PAGE_STARTS):
                    raise FetchError(f"{address} answers with a page (it begins {chunk[:24]!r}) instead of weights")
                self._note_version(address, answer)
            with writing(self._target):
                self._file.write(chunk)
                self._file.flush()
            self._tell(News(done_bytes=self._size(), total_bytes=total))

    def _check_disk(self, coming_bytes: int) -> None:
        free = shutil.disk_usage(self._target.parent).free
        if coming_bytes > free:
            need = f"{coming_bytes / 1e6:.0f} MB more are needed, {free / 1e6:.0f} MB are free"
            raise OutputError(f"{self._target}: {need}; make room, or fetch to another disk")

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _reason(self, err: Exception) -> str:
        if isinstance(err, httpx2.ConnectTimeout):
            return f"no connection within {self._patience.connect_seconds:g} s"
        if isinstance(err, httpx2.TimeoutException):
            return f"silent for {self._patience.silence_seconds:g} s"
        return str(err) or type(err).__name__


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None

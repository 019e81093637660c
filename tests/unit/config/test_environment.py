"""What surrounds a night and is none of its business: proxies, users without a name or a home, odd folders."""

from __future__ import annotations

import getpass
import os
import pwd
from pathlib import Path
from urllib.request import getproxies_environment

import httpx
import pytest

from tasks.config.environment import LOOPBACK, PREFECT_DATABASE, PROXIES, prefect_ui_command, settle_environment

PROXY = "http://127.0.0.1:9"
UNSPOKEN = ("socks5://127.0.0.1:9", "socks://127.0.0.1:9", "nonsense://x", "http://", "http://host:port", "http://[::1")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment of its own: whatever is settled is undone."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in list(os.environ):
        if name.lower() in (*PROXIES, "no_proxy") or name.startswith("PREFECT_"):
            del os.environ[name]
    return monkeypatch


def way_to(url: str) -> str | None:
    """The proxy that Prefect's client would take, if any."""
    with httpx.Client() as client:
        transport = client._transport_for_url(httpx.URL(url))
        return None if transport is client._transport else str(transport._pool._proxy_url)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [*PROXIES, *(name.upper() for name in PROXIES)])
def test_requests_to_this_machine_go_through_no_proxy_and_others_do(name: str) -> None:
    os.environ[name] = PROXY
    assert settle_environment() == []
    for host in ("127.0.0.1:4200", "localhost:5000", "[::1]:80"):
        assert way_to(f"http://{host}/api/health") is None
    scheme = "https" if "https" in name.lower() else "http"
    assert way_to(f"{scheme}://example.org") is not None


def test_what_the_user_spares_is_spared_as_well_and_nothing_twice() -> None:
    os.environ |= {"http_proxy": PROXY, "NO_PROXY": "example.org, localhost"}
    for _ in range(2):
        settle_environment()
        assert getproxies_environment()["no"].split(",") == ["example.org", "localhost", "127.0.0.1", "::1"]
    assert way_to("http://example.org") is None


@pytest.mark.parametrize("proxy", UNSPOKEN)
def test_a_proxy_that_no_client_speaks_to_is_left_out_and_told(proxy: str) -> None:
    os.environ |= {"ALL_PROXY": proxy, "https_proxy": PROXY}
    assert settle_environment() == ["ALL_PROXY: left out, for it names no http:// or https:// proxy"]
    assert way_to("http://127.0.0.1:4200") is None
    assert way_to("https://example.org") is not None


def test_without_a_proxy_nothing_is_said_of_proxies() -> None:
    settle_environment()
    assert not {"no_proxy", "NO_PROXY"} & set(os.environ)
    assert set(LOOPBACK) >= {"127.0.0.1", "localhost"}


def test_a_user_without_a_name_and_a_home_has_both(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        os.environ.pop(name, None)

    def nobody(_: int) -> None:
        raise KeyError("getpwuid(): uid not found")

    environment.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(RuntimeError):
        Path.home()
    settle_environment(tmp_path)
    assert Path.home() == tmp_path / ".cache" / "home"
    assert getpass.getuser() == str(os.getuid())


def test_a_user_with_both_keeps_them() -> None:
    before = Path.home(), getpass.getuser()
    settle_environment()
    assert (Path.home(), getpass.getuser()) == before


def test_a_question_mark_in_the_folder_begins_no_query(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    odd = tmp_path / "a ?x=y"
    odd.mkdir()
    environment.chdir(odd)
    settle_environment()
    assert os.environ[PREFECT_DATABASE] == "sqlite+aiosqlite:///.prefect/prefect.db"
    assert prefect_ui_command().startswith(f"cd '{odd}' && {PREFECT_DATABASE}=")
    del os.environ["PREFECT_HOME"], os.environ[PREFECT_DATABASE]
    environment.chdir(tmp_path)
    settle_environment()
    assert PREFECT_DATABASE not in os.environ
    assert prefect_ui_command().startswith(f"PREFECT_HOME={tmp_path}/.prefect PREFECT_UI_API_URL=/api prefect server")


def test_a_folder_that_was_removed_is_no_traceback(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    environment.chdir(gone)
    gone.rmdir()
    assert settle_environment() == []

"""A tag whose host does not answer ends at once, in one line that says how to name a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nada.clip import hub
from nada.clip.loading import load_clip
from nada.config import ClipConfig
from nada.errors import GuideError

OPENAI = ClipConfig(name="ViT-B-32-quickgelu", weights="openai")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Addresses that were asked; none answers."""
    addresses: list[str] = []

    def head(address: str, timeout: float) -> Any:
        assert timeout == hub.ANSWER_SECONDS
        addresses.append(address)
        raise RuntimeError("no route\nto host")

    hub._silence.cache_clear()
    monkeypatch.setattr("huggingface_hub.get_session", lambda: SimpleNamespace(head=head))
    yield addresses
    hub._silence.cache_clear()


def test_one_line_says_why_and_how_to_name_a_file(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nada.clip.loading.open_clip.create_model", None)  # never gets there
    for _ in range(2):
        with pytest.raises(GuideError) as err:
            load_clip(OPENAI, None, True, "cpu")
        assert str(err.value) == (
            "ViT-B-32-quickgelu: tag 'openai' is not here and cannot be fetched (https://huggingface.co does not "
            "answer: no route); fetch it where there is a network, or write the path of a file of these "
            "weights as weights"
        )
    assert asked == ["https://huggingface.co"]


def test_a_tag_that_was_fetched_before_needs_no_network(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cached = lambda repository, name: "/cache/x" if name == "open_clip_model.safetensors" else None  # noqa: E731
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", cached)
    hub.check_reachable("ViT-B-32-quickgelu", "openai")
    assert asked == []


def test_a_host_that_answers_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    hub._silence.cache_clear()
    session = SimpleNamespace(head=lambda address, timeout: None)
    monkeypatch.setattr("huggingface_hub.get_session", lambda: session)
    hub.check_reachable("ViT-B-32-quickgelu", "openai")
    hub._silence.cache_clear()


def test_a_tag_of_no_hub_is_looked_for_where_open_clip_keeps_it(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = {"url": "https://example.org/v0.2/clip-0123.pt"}
    monkeypatch.setattr(hub.open_clip, "get_pretrained_cfg", lambda name, tag: published)
    monkeypatch.setattr(hub, "URL_CACHE", tmp_path)
    with pytest.raises(GuideError, match=r"https://example\.org does not answer"):
        hub.check_reachable("ViT-B-32", "x")
    (tmp_path / "clip-0123.pt").touch()
    hub.check_reachable("ViT-B-32", "x")
    assert asked == ["https://example.org"]

"""What open_clip lacks is named with what it has, and loading leaves no trace in the process's logging."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from nada.clip.loading import load_clip
from nada.config import ClipConfig
from nada.errors import CheckpointError, GuideError


def clip_config(folder: Path, name: str = "tiny-guide", weights: str | None = None) -> ClipConfig:
    return ClipConfig(name=name, weights=weights or str(folder / f"{name}.safetensors"))


def test_an_unknown_model_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(GuideError, match=r"'ViT-B-33': open_clip has no such model; the nearest are ViT-B-32"):
        load_clip(ClipConfig(name="ViT-B-33", weights="openai"), None, True, "cpu")


def test_an_unknown_tag_is_answered_with_the_known_ones() -> None:
    with pytest.raises(GuideError, match=r"ViT-B-32: no pretrained tag 'opnai'; known tags: openai,"):
        load_clip(ClipConfig(name="ViT-B-32", weights="opnai"), None, True, "cpu")


def test_missing_weights_are_named(tiny_world: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.safetensors: no such file; expected weights of tiny-guide"):
        load_clip(clip_config(tiny_world, weights="none.safetensors"), str(tiny_world), True, "cpu")


def test_truncated_weights_are_named(tiny_world: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes((tiny_world / "tiny-guide.safetensors").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"broken\.safetensors: not a whole safetensors file"):
        load_clip(clip_config(tiny_world, weights=str(broken)), str(tiny_world), True, "cpu")


def test_the_fingerprint_tells_two_models_apart(tiny_world: Path) -> None:
    prints = {
        load_clip(clip_config(tiny_world, name), str(tiny_world), True, "cpu").fingerprint
        for name in ("tiny-guide", "tiny-judge")
    }
    assert len(prints) == 2


def test_loading_takes_no_handler_and_changes_no_level(tiny_world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])  # as in a program that never set it up
    load_clip(clip_config(tiny_world), str(tiny_world), True, "cpu")
    assert (root.handlers, root.filters, logging.getLogger("open_clip").level) == ([], [], logging.NOTSET)


def test_the_steps_of_open_clip_are_not_heard_and_others_are(
    tiny_world: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("nada.clip.loading.open_clip.get_tokenizer", lambda name: logging.info("of another"))
    load_clip(clip_config(tiny_world), str(tiny_world), True, "cpu")
    here = [record.getMessage() for record in caplog.records if record.thread == threading.get_ident()]
    assert here == ["of another"]  # threads that earlier tests left may speak, too

"""Rows that start from another row's result: keyed by it, made after it, refused without it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from nada.checkpoints import save_generator
from nada.errors import PromptsError
from nada.hashing import sha256_file
from tests.conftest import tiny_stylegan3
from tests.plans import finish, making_keys, plan, prompts, states
from tests.project import Project, project
from tests.rows import publish_made

__all__ = ["project"]

NOW = datetime.now().astimezone()
BASE, FOLLOWER, LAST = "base,portrait,robot", "follower,robot,rusty robot,,,,,base", "last,robot,old robot,,,,,follower"


def test_a_follower_of_what_is_neither_there_nor_to_be_made_is_refused(project: Project) -> None:
    prompts(BASE, FOLLOWER, LAST)
    message = r"^prompts\.csv:3: 'follower' starts from 'base', which is not finished; add --only base$"
    with pytest.raises(PromptsError, match=message):
        plan("follower")
    with pytest.raises(PromptsError, match=message):
        plan("follower", "last")
    with pytest.raises(PromptsError, match=r"^prompts\.csv:4: 'last' starts from 'follower', which is not finished"):
        plan("last")
    assert states("base", "follower") == {"base": "train", "follower": "train", "last": "left out"}
    finish("base")
    assert states("follower") == {"base": "current", "follower": "train", "last": "left out"}


def test_a_follower_of_what_is_made_needs_no_judging_of_it(project: Project) -> None:
    prompts(BASE, FOLLOWER)
    publish_made("base", plan().by_domain["base"].keys)
    assert states("follower") == {"base": "left out", "follower": "train"}


def test_a_follower_that_is_to_be_judged_needs_what_it_starts_from(project: Project) -> None:
    prompts(BASE, FOLLOWER)
    publish_made("follower", plan().by_domain["follower"].keys)
    with pytest.raises(PromptsError, match="'follower' starts from 'base', which is not finished"):
        plan("follower")


def test_a_follower_is_made_anew_with_what_it_starts_from_and_waits_for_it(project: Project) -> None:
    prompts(LAST, FOLLOWER, BASE, "other,portrait,star")
    keys = making_keys()
    waiting = plan().waiting(NOW)
    assert set(waiting.ready()) == {"base", "other"}
    assert waiting.drop_followers("base") == ["follower", "last"]
    finish()
    prompts(LAST, FOLLOWER, f"{BASE},,,5", "other,portrait,star")
    assert states() == {"last": "train", "follower": "train", "base": "train", "other": "current"}
    assert all(making_keys()[domain] != keys[domain] for domain in ("base", "follower", "last"))


def test_a_follower_of_what_is_only_judged_waits_for_nothing(project: Project) -> None:
    prompts(BASE, FOLLOWER)
    publish_made("base", plan().by_domain["base"].keys)
    found = plan()
    assert {planned.domain: planned.state for planned in found.rows} == {"base": "judge", "follower": "train"}
    assert set(found.waiting(NOW).ready()) == {"base", "follower"}


def test_a_follower_starts_from_the_generator_behind_its_base(project: Project) -> None:
    save_generator(Path("world/cats.safetensors"), tiny_stylegan3())
    prompts(f"{BASE},,,,world/cats.safetensors", FOLLOWER, LAST, "sketch,portrait,pencil sketch")
    base, follower, last, sketch = plan().rows
    assert base.source.base_name == follower.source.base_name == last.source.base_name == "cats.safetensors"
    assert base.source.base_sha256 == sha256_file(Path(last.source.base_path)) != sketch.source.base_sha256
    assert follower.source.on is not None and last.source.on is not None
    assert (follower.source.on.domain, follower.source.on.key) == ("base", base.keys.making)
    assert (last.source.on.domain, last.source.on.source) == ("follower", follower.source)
    assert [path.name for path in plan().base_paths] == [Path(base.source.base_path).name, "generator.safetensors"]

"""What the guides say of prompts before a night is paid for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.clip.model import ClipModel
from nada.clip.prompt_checks import NUM_TEMPLATES, confusions, preflight, same_edits
from nada.clip.templates import templates
from tests.project import SKETCH, Project, project

__all__ = ["project"]


@pytest.fixture
def reads(tiny_guide: Guide, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], Tensor]], ClipModel]:
    """A guide that reads a text as we say."""
    model = tiny_guide.models[0]

    def use(meaning: Callable[[str], Tensor]) -> ClipModel:
        monkeypatch.setattr(model, "embed_texts", lambda texts: F.normalize(torch.stack([*map(meaning, texts)]), dim=1))
        return model

    return use


def axis(index: int) -> Tensor:
    return F.one_hot(torch.tensor(index), 8).float()


def by_word(text: str) -> Tensor:
    """Robots and androids nearly the same, portraits and portrayals too, spelling without weight."""
    text = text.lower().replace("-", " ")
    words = {"sketch": axis(1), "robot": axis(2), "android": axis(2) + 0.1 * axis(3), "portrayal": 0.05 * axis(4)}
    return axis(0) + sum((value for word, value in words.items() if word in text), start=torch.zeros(8))


def findings(model: ClipModel, *pairs: tuple[str, str]) -> list[tuple[int, int | None, str]]:
    return [(found.index, found.other, found.text) for found in preflight(model, [PromptPair(*pair) for pair in pairs])]


def test_different_edits_are_nothing_to_speak_of(reads: Callable[..., ClipModel]) -> None:
    assert findings(reads(by_word), ("portrait", "sketch"), ("portrait", "robot")) == []


def test_two_rows_that_ask_for_the_same_are_named_once(reads: Callable[..., ClipModel]) -> None:
    found = findings(reads(by_word), ("portrait", "robot"), ("portrait", "sketch"), ("portrait", "android"))
    assert found == [(2, 0, "ask for the same edit; one of the two will do")]


def test_rows_that_come_to_it_in_different_ways_may_ask_for_the_same(reads: Callable[..., ClipModel]) -> None:
    pairs = [PromptPair("portrait", "robot")] * 3
    found = preflight(reads(by_word), pairs, [("adapt", None), ("mapper", "robot"), ("adapt", None)])
    assert [(one.index, one.other) for one in found] == [(2, 0)]


def test_a_pair_without_direction_is_named_with_its_length(reads: Callable[..., ClipModel]) -> None:
    text = "'portrait' and 'portrayal' are nearly the same to it (length 0.05); name what shall change"
    assert findings(reads(by_word), ("portrait", "portrayal"), ("portrait", "sketch")) == [(0, None, text)]


def test_a_target_whose_spelling_decides_is_named(reads: Callable[..., ClipModel]) -> None:
    def fickle(text: str) -> Tensor:
        return by_word(text) + (3 * axis(5) if "pixel-art" in text else axis(6) if "pixel art" in text else axis(7))

    ((index, other, text),) = findings(reads(fickle), ("portrait", "pixel art"), ("portrait", "sketch"))
    assert (index, other) == (0, None)
    assert text.startswith("'pixel art' and 'pixel-art' are ") and text.endswith(
        "of the edit apart; spelling decides here"
    )


def test_a_target_that_is_read_as_another_is_named_with_the_share(reads: Callable[..., ClipModel]) -> None:
    read_as_sketch = {templates()[index].replace("{}", "cartoon") for index in (0, 9, 18)}

    def mistaken(text: str) -> Tensor:
        return axis(0) + axis(1 if "sketch" in text.lower() or text in read_as_sketch else 2) * ("portrait" not in text)

    found = findings(reads(mistaken), ("portrait", "cartoon"), ("portrait", "sketch"))
    assert found == [(0, None, "'cartoon' is read as 'sketch' in 38% of the sentences; choose other words")]


def test_only_a_quarter_of_mistaken_sentences_is_forgiven() -> None:
    emb = F.normalize(torch.stack([axis(1).repeat(8, 1), axis(0).repeat(8, 1)]), dim=2)
    for wrong, expected in ((2, {}), (3, {0: (1, 3 / 8)})):
        emb[0, :wrong] = axis(0)
        assert confusions(emb) == expected


def test_edits_along_one_line_are_the_same_whatever_their_length() -> None:
    edits = torch.stack([axis(0), axis(1), 5 * axis(0), -axis(0)])
    assert same_edits(edits) == {2: 0}


def test_eight_sentences_are_read_of_each_prompt(tiny_guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    model = tiny_guide.models[0]
    original = model.embed_texts
    monkeypatch.setattr(model, "embed_texts", lambda texts: asked.append(texts) or original(texts))
    preflight(model, [PromptPair("a {0}", "sketch")])
    assert [len(texts) for texts in asked[:2]] == [NUM_TEMPLATES] * 2
    assert all("a {0}" in text for text in asked[0])


def test_each_prompt_is_read_once_however_many_rows_share_it(
    tiny_guide: Guide, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    model = tiny_guide.models[0]
    original = model.embed_texts
    monkeypatch.setattr(model, "embed_texts", lambda texts: asked.extend(texts) or original(texts))
    preflight(model, [PromptPair("portrait", target) for target in ("sketch", "robot", "sepia")])
    assert sum("portrait" in text for text in asked) == NUM_TEMPLATES


def test_the_plan_shows_twins_with_file_and_line_and_can_do_without(project: Project) -> None:
    project.prompts(SKETCH, "twin,portrait,Pencil  sketch,style,")
    outcome = project.nada("plan")
    assert outcome.status == 0
    assert "prompts.csv:3: twin and sketch: ask for the same edit; one of the two will do (tiny-guide)" in outcome.out
    assert "second look" not in project.nada("plan", "--no-preflight").out
    project.prompts(SKETCH, "twin,portrait,Pencil  sketch,shape,")
    assert "ask for the same edit" not in project.nada("plan").out  # two recipes compared

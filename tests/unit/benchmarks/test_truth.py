"""Finished rows beside the truth, in a tiny project and with the filters of both worlds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image
from torch import Tensor

from nada.judge.samples import fixed_latents, render
from tests.conftest import tiny_generator
from tests.project import Project, project
from tests.records import publish_made
from tests.scripts import scripts_of

__all__ = ["project"]


@pytest.fixture
def truth() -> Iterator[ModuleType]:
    with scripts_of("benchmarks") as imported:
        yield imported("truth")


def img_u8(count: int = 3, side: int = 64) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, side, side), generator=rng, dtype=torch.uint8)


def test_a_row_that_draws_the_truth_has_no_error_and_the_source_the_whole(truth: ModuleType) -> None:
    source, other = tiny_generator(0), tiny_generator(1)
    ws = fixed_latents(source, 20, 1.0)
    true = dict(zip(map(bytes_of, pictures(source, ws)), pictures(other, ws), strict=True))

    def of(img_u8: Tensor) -> Tensor:
        return torch.stack([true[bytes_of(one)] for one in img_u8])

    for adapted, error in ((other, 0), (source, 1)):
        found = truth.compare(list(render(source, ws, truth.BATCH)), adapted, ws, of)
        assert found.figures.means()["paired_error"] == error
        assert len(found.figures.error) == 20
        assert torch.equal(found.adapted, torch.stack(pictures(adapted, ws)[: truth.SHOWN]))
        assert torch.equal(found.true, torch.stack(pictures(other, ws)[: truth.SHOWN]))


def pictures(generator: torch.nn.Module, ws: Tensor) -> list[Tensor]:
    return list(torch.cat(list(render(generator, ws, 16))))  # type: ignore[arg-type]


def bytes_of(img_u8: Tensor) -> bytes:
    return img_u8.numpy().tobytes()


def test_the_avatars_truth_is_their_filters(truth: ModuleType) -> None:
    truths = truth.truths_of("avatars")
    assert {"pencil-sketch", "black-and-white", "sepia", "red", "negative", "neon"} <= set(truths)
    assert not {"robot", "pixel-art", "ink-drawing"} & set(truths)  # styles of their own, no filters
    assert torch.equal(truths["negative"](img_u8()), 255 - img_u8())


def test_the_faces_truth_is_their_filters_and_the_same_in_any_company(truth: ModuleType) -> None:
    truths = truth.truths_of("faces")
    for domain in ("charcoal", "mosaic", "statue"):  # with grain, tiles or veins of chance
        together = truths[domain](img_u8())
        assert together.shape == (3, 3, 64, 64) and together.dtype == torch.uint8
        assert torch.equal(truths[domain](img_u8()[2:]), together[2:])
    assert (truths["negative"](img_u8()).int() - (255 - img_u8().int())).abs().max() <= 1


def test_finished_rows_are_compared_and_shown(
    truth: ModuleType, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for index, domain in enumerate(("sepia-0", "sepia-1", "robot")):
        publish_made(domain, tiny_generator(index + 1))
    command = ["truth.py", "--world", "avatars", "--num", "4", "--json", "figures.json", "--sheet", "sheet.png"]
    monkeypatch.setattr(sys, "argv", command)
    truth.main()
    figures = json.loads(Path("figures.json").read_text())
    assert (figures["world"], figures["pictures"], list(figures["rows"])) == ("avatars", 4, ["sepia-0", "sepia-1"])
    one, two = (figures["rows"][f"sepia-{seed}"]["paired_error"] for seed in (0, 1))
    assert f"| sepia | 2 | {(one + two) / 2:.2f} ±{abs(one - two) / 2**0.5:.2f} |" in capsys.readouterr().out
    with Image.open("sheet.png") as sheet:
        assert sheet.height == 5 * 16 + 4 * 2  # source, rows, their truths
    monkeypatch.setattr(sys, "argv", [*command, "robot"])
    with pytest.raises(SystemExit):
        truth.main()
    assert "no filter defines robot; avatars has pencil-sketch, " in capsys.readouterr().err

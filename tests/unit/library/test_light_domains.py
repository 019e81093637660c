"""Kilobyte rows of a night: what they leave, what starts from them, and every use of a finished domain."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nada.checkpoints import load_generator, read_any, save_generator
from nada.checkpoints.canonical import read_header
from nada.generators.domain import Domain
from nada.generators.light.generator import LightGenerator
from nada.generators.registry import Network
from nada.latents import draw_ws, seeded_rng
from tasks.config.project import HERE
from tasks.library.domains import open_domain, open_mix, open_source
from tasks.library.latents import Shown
from tasks.library.video import film
from tasks.plan.planning import make_plan
from tasks.row.models import warm_models
from tasks.store import base_models, row_folder
from tests.conftest import tiny_generator
from tests.methods.project import OTHER, make_here, one_thread, write_prompts
from tests.project import PARAMS, Project, make_project

RECIPES = """\
recipes:
  kilobyte:
    parameters: modulation
    learning_rate: 0.06
    iterations: 3
  kilobyte-offset:
    parameters: style-offset
    sparsity: 0.8
    learning_rate: 0.06
    iterations: 3
"""
ROWS = {
    "sketch": "sketch,portrait,pencil sketch,,kilobyte",
    "sepia": "sepia,portrait,sepia,,kilobyte-offset",
    "oil": "oil,portrait,oil painting,,style",
    "neon": "neon,pencil sketch,neon,,kilobyte-offset,sketch",
    "ink": "ink,pencil sketch,ink,,style,sketch",
    "night": "night,oil painting,night,,kilobyte,oil",
}
SETTINGS = Path("params.yaml")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> Path:
    """Light rows on the pretrained generator, on a light row, and on one with weights; weights on a light row."""
    folder = tmp_path_factory.mktemp("made")
    make_project(folder, tiny_world)
    save_generator(folder / OTHER, tiny_generator(seed=7))
    (folder / "params.yaml").write_text(PARAMS.replace("recipes:\n", RECIPES))
    with pytest.MonkeyPatch.context() as patch, one_thread():
        patch.chdir(folder)
        write_prompts(*ROWS.values())
        plan = make_here(*ROWS)
        for path in plan.rebuilt_from:
            base_models.keep(path)
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Project:
    """A copy of that project."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, capsys)


def draw(domain: Domain) -> Tensor:
    return domain.synthesis(draw_ws(4, domain, seeded_rng(0)), "const")


def opened(domain: str) -> Network | LightGenerator:
    found = open_domain(domain, SETTINGS, "cpu")
    assert isinstance(found, Network | LightGenerator)
    return found


def path_of(domain: str) -> Path:
    return HERE.adapted / domain / "generator.safetensors"


def test_rows_on_the_pretrained_generator_and_on_light_rows_are_kilobytes(project: Project) -> None:
    base_sha256 = make_plan(SETTINGS).by_domain["sketch"].source.base_sha256
    for domain in ("sketch", "sepia", "neon"):
        assert path_of(domain).stat().st_size < 2500
        header, making = read_header(path_of(domain)), row_folder.read_making(domain)
        assert header.light is not None and header.light.parent.sha256 == base_sha256
        assert making.bases == [base_sha256]
    assert read_header(path_of("sepia")).light.offset  # type: ignore[union-attr]
    neon = read_header(path_of("neon")).light
    assert neon is not None and neon.multiplier and neon.offset  # the sketch's, and its own


@pytest.mark.parametrize("domain", ["oil", "ink", "night"])
def test_rows_with_weights_below_or_of_their_own_keep_weights(project: Project, domain: str) -> None:
    header = read_header(path_of(domain))
    assert header.delta is not None and header.light is None


def test_what_was_made_is_what_its_file_gives_back(project: Project) -> None:
    for domain in ROWS:
        make_here(domain)
        job = make_plan(SETTINGS).group_job([make_plan(SETTINGS).by_domain[domain]]).rows[0]
        made = warm_models(job).made
        assert made is not None and made[0] == job.keys.making
        assert torch.equal(draw(made[1]), draw(opened(domain))), domain


def test_domains_share_one_base(project: Project) -> None:
    sketch, sepia, neon = (opened(domain) for domain in ("sketch", "sepia", "neon"))
    assert isinstance(sketch, LightGenerator) and isinstance(sepia, LightGenerator) and isinstance(neon, LightGenerator)
    assert sketch.base is sepia.base is neon.base is open_source(["sketch"], SETTINGS, "cpu")


def test_a_mix_of_light_domains_adds_kilobytes_and_a_mix_with_weights_folds_them(project: Project) -> None:
    light = open_mix([("sketch", 0.6), ("sepia", 0.4)], SETTINGS, "cpu")
    assert isinstance(light, LightGenerator)
    sketch, sepia = opened("sketch"), opened("sepia")
    assert isinstance(sketch, LightGenerator) and isinstance(sepia, LightGenerator)
    for name, multiplier in light.moves.multiplier.items():
        assert torch.allclose(multiplier, 1 + 0.6 * (sketch.moves.multiplier[name] - 1))
    for name, offset in light.moves.offset.items():
        assert torch.allclose(offset, 0.4 * sepia.moves.offset[name])
    beside = open_mix([("sketch", 0.6), ("sepia", 0.4), ("oil", 0.0)], SETTINGS, "cpu")
    assert isinstance(beside, Network)
    assert torch.allclose(draw(beside), draw(light), atol=1e-4)
    assert project.nada("mix", "sketch:0.6", "sepia:0.4", "--weights", "mix.safetensors").status == 0
    assert torch.allclose(draw(load_generator(Path("mix.safetensors"))), draw(light), atol=1e-4)


def test_a_film_goes_from_light_to_light_and_to_weights(project: Project) -> None:
    frames = list(film(["source", "sketch", "oil"], SETTINGS, Shown(count=1, psi=1.0), 3, 6, "cpu"))
    assert len(frames) == 6 and len({frame.tobytes() for frame in frames}) == 6


def test_export_folds_it_into_weights_that_other_tools_open(project: Project) -> None:
    assert project.nada("weights", "export", "neon", "neon.pkl").status == 0
    assert torch.allclose(draw(read_any(Path("neon.pkl"))), draw(opened("neon")), atol=1e-5)


def test_export_moves_it_onto_a_relative_and_says_where_it_cannot(project: Project) -> None:
    told = project.nada("weights", "export", "neon", "moved.safetensors", "--onto", OTHER)
    assert told.status == 0, told.err
    neon, other = opened("neon"), load_generator(Path(OTHER))
    assert isinstance(neon, LightGenerator)
    assert torch.allclose(
        draw(load_generator(Path("moved.safetensors"))), draw(LightGenerator(other, neon.moves)), atol=1e-5
    )
    refused = project.nada("weights", "export", "oil", "moved.pkl", "--onto", OTHER)
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "oil/generator.safetensors: holds weights of its own, no style multipliers or offsets" in refused.err
    assert not Path("moved.pkl").exists()


def test_it_outlives_the_generator_of_params_yaml_and_its_loss_is_told(project: Project) -> None:
    before = draw(opened("sketch"))
    save_generator(Path("world/generator.safetensors"), tiny_generator(seed=5))
    assert project.nada("pretrained").status == 0
    assert torch.equal(draw(opened("sketch")), before)
    (HERE.base_models / f"{row_folder.read_making('sketch').bases[0]}.safetensors").unlink()
    told = project.nada("sample", "sketch")
    assert told.status == 2 and "moves the styles of 'generator.safetensors'" in told.err


def test_whole_files_are_whole(project: Project) -> None:
    text = SETTINGS.read_text().replace("device: cpu", "device: cpu\n  storage: full")
    SETTINGS.write_text(text)
    before = draw(opened("sketch"))
    make_here("sketch")
    assert read_header(path_of("sketch")).parent is None
    assert row_folder.read_making("sketch").bases == []
    assert torch.allclose(draw(opened("sketch")), before, atol=1e-5)


def test_sparsity_of_weights_is_told_by_its_key(project: Project) -> None:
    SETTINGS.write_text(SETTINGS.read_text().replace("    parameters: modulation\n", "    sparsity: 0.5\n"))
    told = project.nada("plan")
    assert told.status == 2
    assert "recipes.kilobyte: sparsity is for the few numbers of parameters" in told.err

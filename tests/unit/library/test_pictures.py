"""`nada sample`, `strip`, `mix` and `video` on the source and on two domains."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import pytest
import torch
from PIL import Image

from nada.checkpoints import load_generator, save_generator
from nada.generators.registry import Network
from nada.generators.stylegan2 import StyleGAN2
from nada.hashing import sha256_file
from tasks.config.params import load_params
from tasks.library import video
from tasks.library.domains import open_generator
from tasks.store import base_models, pretrained
from tasks.store.record import GENERATOR
from tests.conftest import TINY, tiny_generator
from tests.project import Project, project
from tests.records import publish_made

__all__ = ["project"]


@pytest.fixture
def domains(project: Project) -> Project:
    for index, name in enumerate(("sepia", "sketch")):
        publish_made(name, tiny_generator(index + 1))
    return project


def done(project: Project, *arguments: str) -> str:
    outcome = project.nada(*arguments)
    assert (outcome.status, outcome.err) == (0, "")
    return outcome.out.strip()


def refusal(project: Project, *arguments: str) -> str:
    outcome = project.nada(*arguments)
    assert (outcome.status, outcome.out) == (2, "")
    return outcome.err.strip()


def test_a_strip_has_a_row_a_domain_and_the_source_on_top(domains: Project) -> None:
    assert done(domains, "strip", "--count", "3") == "strip.png"
    sheet = Image.open("strip.png")
    assert sheet.height == 3 * 16 + 2 * 2
    done(domains, "sample", "source", "--count", "3", "--out", "source.png")
    left = sheet.width - (3 * 16 + 2 * 2)
    first = Image.open("source.png").crop((0, 0, 16, 16))
    assert sheet.crop((left, 0, left + 16, 16)).tobytes() == first.tobytes()
    assert len(set(sheet.crop((0, 0, left, sheet.height)).get_flattened_data())) > 2  # the names


def test_a_strip_keeps_the_order_that_was_asked_for(domains: Project) -> None:
    done(domains, "strip", "sketch", "sepia", "--out", "a.png")
    done(domains, "strip", "sepia", "sketch", "--out", "b.png")
    assert Path("a.png").read_bytes() != Path("b.png").read_bytes()


@pytest.mark.parametrize(("out", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.JPEG", "JPEG")])
def test_a_picture_is_of_the_format_that_its_name_says(domains: Project, out: str, kind: str) -> None:
    commands = (
        ("sample", "sketch", "--out"),
        ("strip", "--out"),
        ("mix", "sketch:0.5", "--out"),
        ("weights", "inspect", "sketch", "--picture"),
    )
    for command in commands:
        assert out in done(domains, *command, out)
        with Image.open(out) as picture:
            assert picture.format == kind
        Path(out).unlink()


@pytest.mark.parametrize("out", [".", "..", "/", "a", "a.webp", "a.png/", "a.tiff"])
def test_a_name_that_is_no_pictures_is_refused_before_rendering(
    domains: Project, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if out == "a.png/":
        Path(out).mkdir()
    else:
        monkeypatch.setattr("tasks.library.sample.render", lambda *_: pytest.fail("rendered"))
    for command in (("sample", "sketch", "--out"), ("strip", "--out"), ("mix", "sketch:0.5", "--out")):
        said = refusal(domains, *command, out)
        assert "\n" not in said
        assert "cannot be written" in said or said.endswith("names no picture; its name ends in .png, .jpg, .jpeg")
    assert not list(Path().rglob("*.partial"))


def test_weights_cannot_take_the_place_of_a_folder(domains: Project) -> None:
    Path("kept.safetensors").mkdir()
    said = refusal(domains, "mix", "sketch:0.5", "--weights", "kept.safetensors")
    assert said.startswith("kept.safetensors: cannot be written (")


@pytest.mark.parametrize("name", ["half.pkl", "half.pt", "half", ".", ".."])
def test_mixed_weights_bear_no_other_formats_name(domains: Project, name: str) -> None:
    said = refusal(domains, "mix", "sketch:0.5", "--weights", name)
    assert said == f"--weights: {name!r} does not end in .safetensors; nada weights convert makes others of that"
    assert not list(Path().glob("half*")) and not Path("mix.png").exists()


def test_a_mix_of_one_whole_domain_shows_that_domain(domains: Project) -> None:
    done(domains, "sample", "sketch", "--out", "sample.png")
    assert done(domains, "mix", "sketch:1") == "mix.png"
    assert Path("mix.png").read_bytes() == Path("sample.png").read_bytes()


def test_mixed_weights_are_kept_and_read_again(domains: Project) -> None:
    done(domains, "mix", "sketch:0.5", "sepia:0.5", "--weights", "half.safetensors", "--folder", "pictures")
    weights = [tiny_generator(seed).state_dict()["synthesis.b4.const"] for seed in (1, 2)]
    kept = load_generator(Path("half.safetensors")).state_dict()["synthesis.b4.const"]
    assert torch.allclose(kept, (weights[0] + weights[1]) / 2, atol=1e-6)
    assert len(list(Path("pictures").iterdir())) == 16


@pytest.mark.parametrize("route", [["sketch"], ["source", "sketch", "sepia"]])
def test_a_film_has_the_frames_that_were_asked_for_and_repeats(domains: Project, route: list[str]) -> None:
    arguments = ["video", *route, "--seconds", "0.5", "--keys", "3", "--count", "2"]
    assert done(domains, *arguments) == "walk.mp4"
    first = Path("walk.mp4").read_bytes()
    with av.open("walk.mp4") as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == 12 and frames[0].shape == (256, 2 * 256 + 32, 3)
    assert any((frame != frames[0]).any() for frame in frames)
    done(domains, *arguments)
    assert Path("walk.mp4").read_bytes() == first


def test_a_film_opens_each_of_its_generators_once(domains: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def opening(domain: str, params_path: Path, device: str) -> Network:
        opened.append(domain)
        return open_generator(domain, params_path, device)

    monkeypatch.setattr(video, "open_generator", opening)
    done(domains, "video", "sketch", "source", "sketch", "sepia", "--seconds", "0.5", "--keys", "3")
    assert opened == ["sketch", "sepia"]


def test_a_gif_loops_for_ever(domains: Project) -> None:
    done(domains, "video", "sketch", "--seconds", "0.5", "--fps", "10", "--keys", "3", "--out", "walk.gif")
    with Image.open("walk.gif") as film:
        assert (film.n_frames, film.info["loop"], film.info["duration"]) == (5, 0, 100)  # type: ignore[attr-defined]


def test_films_that_cannot_be_made_are_refused_before_rendering(domains: Project) -> None:
    message = "--out: 'walk.avi' is no film; its name ends in .mp4 or .gif"
    assert refusal(domains, "video", "sketch", "--out", "walk.avi") == message
    assert refusal(domains, "video", "sketch", "nobody").startswith("weights/adapted: no finished domain 'nobody'")
    short = refusal(domains, "video", "sketch", "--seconds", "0.1", "--fps", "10", "--keys", "9")
    assert short == "--keys: 9 latents in 1 frames; give it more --seconds"
    assert not list(Path().glob("walk*"))


@pytest.fixture
def mixed(project: Project) -> Project:
    """Domains of today's generator, of one that is kept, and of one that is gone."""
    save_generator(Path("other.safetensors"), tiny_generator(9))
    base_models.keep(Path("other.safetensors"))
    sha256s = {
        "today": pretrained.prepare_file("world/generator.safetensors", load_params()).sha256,
        "other": sha256_file(Path("other.safetensors")),
        "gone": "0" * 64,
    }
    for index, (domain, kind) in enumerate({"a": "today", "b": "other", "c": "other", "d": "gone"}.items()):
        publish_made(domain, tiny_generator(index + 1), provenance={GENERATOR: sha256s[kind]})
    return project


DIFFERENT = "{} and {}: made from different generators; name domains of one generator"


@pytest.mark.parametrize(
    ("command", "refused"),
    [
        (("mix", "a:0.5", "b:0.5"), ("a", "b")),
        (("mix", "source:0.5", "c:0.5"), ("source", "c")),
        (("video", "a", "b"), ("a", "b")),
        (("video", "b", "source"), ("b", "source")),
    ],
)
def test_domains_of_different_generators_are_not_mixed(
    mixed: Project, command: tuple[str, ...], refused: tuple[str, str]
) -> None:
    assert refusal(mixed, *command) == DIFFERENT.format(*refused)


def test_domains_of_an_earlier_generator_are_mixed_with_that_one(mixed: Project) -> None:
    done(mixed, "mix", "b:0.5", "c:0.25", "--weights", "mixed.safetensors")
    source, b, c = (tiny_generator(seed).state_dict()["synthesis.b4.const"] for seed in (9, 2, 3))
    kept = load_generator(Path("mixed.safetensors")).state_dict()["synthesis.b4.const"]
    assert torch.allclose(kept, source + 0.5 * (b - source) + 0.25 * (c - source), atol=1e-6)
    done(mixed, "video", "b", "c", "--seconds", "0.2", "--keys", "3")


def test_a_strip_has_pictures_of_one_size(domains: Project) -> None:
    torch.manual_seed(0)
    publish_made("large", StyleGAN2(TINY.model_copy(update={"resolution": 32})))
    assert refusal(domains, "strip") == "large: 32 px beside the source's 16 px; name domains of one size"
    done(domains, "strip", "sketch", "sepia")


def test_without_the_generator_that_it_was_made_from_a_domain_is_not_mixed(mixed: Project) -> None:
    assert refusal(mixed, "mix", "d:0.5").startswith(
        f"weights/adapted/d: made from the generator with sha256 {'0' * 64}, which is in none of "
        "weights/adapted/_parents, weights/pretrained; copy that file into one of them; `nada pretrained` makes it"
    )


@pytest.mark.parametrize("share", ["half", "nan", "inf", ""])
def test_a_share_that_is_no_number_is_refused(domains: Project, share: str) -> None:
    message = f"'sketch:{share}': the share is no number; write DOMAIN:SHARE, such as sketch:0.6"
    assert refusal(domains, "mix", f"sketch:{share}") == message


def test_domains_of_another_generator_do_not_mix(domains: Project) -> None:
    shutil.copy(
        Path(__file__).parents[3] / "examples/avatars/weights/generator.safetensors", "world/generator.safetensors"
    )
    message = "sketch: generators of different architectures cannot be mixed; use domains of one source"
    assert refusal(domains, "mix", "sketch:0.5") == message

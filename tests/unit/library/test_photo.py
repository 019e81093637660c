"""A photo of one's own: inverted once, drawn in every domain, and refused in a line where that cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nada.checkpoints import save_generator
from nada.errors import OutputError
from nada.images import grid, to_u8
from nada.inversion.config import InversionConfig
from nada.latent_files import read_latents
from nada.latents import draw_ws, seeded_rng
from tasks.config.project import HERE
from tasks.library.apply import check_spares, sheet_of
from tasks.library.captions import captioned, fitting
from tasks.library.photo import PhotoInversion
from tasks.store.record import GENERATOR
from tests.conftest import TINY, tiny_generator
from tests.project import Outcome, Project, make_project, project, run_alone
from tests.records import publish_made

__all__ = ["project"]

STEPS = ("--steps", "4", "--plus-steps", "3")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> tuple[Path, Outcome]:
    """A project of two finished domains, after me.jpg, a picture of the source's own, was inverted."""
    folder = tmp_path_factory.mktemp("made")
    make_project(folder, tiny_world)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for index, name in enumerate(("sepia", "sketch")):
            publish_made(name, tiny_generator(index + 1))
        photo().save("me.jpg", quality=95)
        return folder, run_alone(folder, "invert", "me.jpg", *STEPS)


@pytest.fixture
def domains(
    made: tuple[Path, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Project:
    """A copy of that project."""
    shutil.copytree(made[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, capsys)


def photo() -> Image.Image:
    generator = tiny_generator()
    return grid(to_u8(generator.synthesis(draw_ws(1, generator, seeded_rng(3)))), 1)


def done(project: Project, *arguments: str) -> tuple[str, str]:
    outcome = project.nada(*arguments)
    assert outcome.status == 0, outcome
    return outcome.out, outcome.err


def refusal(project: Project, *arguments: str) -> str:
    outcome = project.nada(*arguments)
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1), outcome
    return outcome.err.strip()


def same(one: Path, two: Path) -> bool:
    with Image.open(one) as left, Image.open(two) as right:
        return left.tobytes() == right.tobytes()


def test_a_photo_is_inverted_once_and_says_by_what_and_how_far_off(
    made: tuple[Path, Outcome], domains: Project
) -> None:
    assert (made[1].status, made[1].out) == (0, "me.npz\nme.png\n")
    err = made[1].err
    assert "Compared by tiny-judge@" in err and "Not by LPIPS: judge.lpips is 'none'; 'web' fetches" in err
    assert "\nOff by " in err
    found = read_latents(Path("me.npz"))
    assert found.array.shape == (6, TINY.w_dim)
    assert found.about["generator"] == found.generator and len(found.generator or "") == 64
    assert (found.about["w_steps"], found.about["w_plus_steps"], found.about["on"]) == (4, 3, "source")
    assert str(found.about["loss"]).startswith("tiny-judge@")
    assert f"Off by {found.about['levels']:.1f} of 255" in err
    with Image.open("me.png") as shown:
        assert shown.width == 2 * 256 + 2

    _, err = done(domains, "invert", "me.jpg", *STEPS, "--out", "again.npz")
    assert "Inverted before" in err
    assert Path("again.npz").read_bytes() == Path("me.npz").read_bytes()
    _, err = done(domains, "invert", "me.jpg", "--steps", "4", "--plus-steps", "0", "--out", "rough.npz")
    assert "Inverted before" not in err
    assert len(np.unique(read_latents(Path("rough.npz")).array, axis=0)) == 1


def test_a_picture_of_a_domain_is_inverted_on_it(domains: Project) -> None:
    done(domains, "invert", "me.jpg", *STEPS, "--on", "sketch", "--out", "on.npz")
    one, other = (read_latents(Path(name)) for name in ("me.npz", "on.npz"))
    assert other.about["on"] == "sketch" and one.generator == other.generator
    assert not np.array_equal(one.array, other.array)


def test_a_photo_is_turned_as_its_camera_says_and_cut_to_the_centre_square(domains: Project) -> None:
    wide = Image.new("RGB", (24, 16), "red")
    wide.paste(photo(), (4, 0))
    wide.save("wide.png")
    turned, exif = wide.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn it by 90 degrees
    turned.save("turned.png", exif=exif)
    found = [
        PhotoInversion(Path(name), Path("params.yaml"), InversionConfig(), "source", "cpu")
        for name in ("wide.png", "turned.png")
    ]
    for inversion in found:
        assert np.array_equal(inversion.photo.img_u8[0].permute(1, 2, 0).numpy(), np.asarray(photo()))
        assert inversion.notes[0].startswith(
            f"{inversion.path}: 24 x 16, cut to the centre square. Generators of faces"
        )
    small = PhotoInversion(Path("me.jpg"), Path("params.yaml"), InversionConfig(), "source", "cpu")
    assert small.notes == []


def test_what_is_no_photo_is_refused_in_a_line(domains: Project) -> None:
    Path("none.jpg").write_bytes(b"nothing")
    said = refusal(domains, "invert", "none.jpg")
    assert said.startswith("none.jpg: not a readable image; expected PNG, JPEG,")
    assert refusal(domains, "apply", "none.jpg") == said
    assert refusal(domains, "invert", "nobody.jpg").startswith("nobody.jpg: cannot be read (No such file or directory)")
    assert refusal(domains, "invert", "me.jpg", "--out", "me.pt").startswith("--out: 'me.pt' names no file of latents")
    photo().save("me.png")
    assert refusal(domains, "invert", "me.png").startswith("me.png: is the photo itself")
    assert refusal(domains, "invert", "me.jpg", "--on", "skech").endswith("did you mean 'sketch'?")


def test_latents_are_drawn_in_every_domain_as_a_sample_of_each(domains: Project) -> None:
    out, _ = done(domains, "apply", "me.npz")
    assert out == "3 domains in me-domains\nme-domains.png\n"
    assert {path.name for path in Path("me-domains").iterdir()} == {"source.png", "sepia.png", "sketch.png"}
    for name in ("source", "sepia", "sketch"):
        done(domains, "sample", name, "--latents", "me.npz", "--out", "one.png")
        assert same(Path("one.png"), Path("me-domains") / f"{name}.png")
    with Image.open("me-domains.png") as sheet:
        assert sheet.width == 2 * 256 + 2  # four places for three
    done(domains, "apply", "me.npz", "sketch", "--out", "mine/here")
    assert {path.name for path in Path("mine/here").iterdir()} == {"source.png", "sketch.png"}
    assert Path("mine/here.png").is_file()


def test_a_photo_is_inverted_on_the_way_and_not_twice(domains: Project) -> None:
    for known in HERE.inversion_cache.iterdir():
        known.unlink()
    out, err = done(domains, "apply", "me.jpg", "sketch", *STEPS)
    assert out.startswith("2 domains in me-domains") and "Off by " in err and "Inverted before" not in err
    assert len(list(HERE.inversion_cache.glob("*.npz"))) == 1
    with Image.open("me-domains.png") as sheet:
        assert sheet.height > 2 * 256  # the photo is shown ahead of the two
    _, err = done(domains, "apply", "me.jpg", "sketch", *STEPS, "--out", "again")
    assert "Inverted before" in err
    assert Path("again.png").read_bytes() == Path("me-domains.png").read_bytes()


def test_domains_that_cannot_be_drawn_are_told_before_minutes_are_spent_on_the_photo(domains: Project) -> None:
    publish_made("foreign", tiny_generator(5), provenance={GENERATOR: "f" * 64})
    photo().transpose(Image.Transpose.ROTATE_90).save("other.png")
    kept = sorted(HERE.inversion_cache.iterdir())
    for name, told in {
        "skech": "did you mean 'sketch'?",
        "foreign": "found in another generator than foreign's",
    }.items():
        outcome = domains.nada("apply", "other.png", "sketch", name, *STEPS)
        assert outcome.status == 2 and told in outcome.err and "Off by" not in outcome.err
    assert sorted(HERE.inversion_cache.iterdir()) == kept


def test_many_latents_of_another_tool_are_drawn_row_by_row(domains: Project) -> None:
    np.save("w.npy", np.random.default_rng(0).normal(size=(3, TINY.w_dim)))
    done(domains, "apply", "w.npy", "sketch")
    assert {path.name for path in Path("w-domains").iterdir()} == {
        f"{name}-{index:03d}.png" for name in ("source", "sketch") for index in range(3)
    }
    with Image.open("w-domains.png") as sheet:
        assert sheet.height == 2 * 16 + 2


def test_domains_of_another_generator_are_left_out_or_refused(domains: Project) -> None:
    publish_made("foreign", tiny_generator(5), provenance={GENERATOR: "f" * 64})
    out, err = done(domains, "apply", "me.npz")
    message = "me.npz: found in another generator than foreign's; invert the photo anew"
    assert out.startswith("3 domains in me-domains")
    assert f"foreign: left out; {message} with that one\n" in err
    assert refusal(domains, "apply", "me.npz", "sketch", "foreign") == f"{message} with that one"
    for command in (["sample", "foreign"], ["strip", "foreign"], ["mix", "foreign:0.5"], ["video", "foreign"]):
        assert refusal(domains, *command, "--latents", "me.npz") == message
    out, err = done(domains, "strip", "--latents", "me.npz")  # nobody named it
    assert (out, err) == ("strip.png\n", f"foreign: left out; {message}\n")
    np.save("w.npy", np.zeros((2, 5)))
    shapes = "w.npy: latents [2, 5]; {} takes W, [N, 8], or W+, [6, 8] or [N, 6, 8]"
    assert refusal(domains, "apply", "w.npy", "sketch") == shapes.format("sketch")
    assert refusal(domains, "sample", "sketch", "--latents", "w.npy") == shapes.format("the domain")
    assert refusal(domains, "apply", "me.npz", "skech").endswith("did you mean 'sketch'?")


def test_without_a_finished_domain_there_is_nothing_to_apply(project: Project) -> None:
    np.save("w.npy", np.zeros(TINY.w_dim))
    assert refusal(project, "apply", "w.npy") == "no domain is finished; nada run makes them"


def test_the_source_of_another_project_is_not_this_ones(domains: Project) -> None:
    save_generator(Path("world/generator.safetensors"), tiny_generator(7))
    assert refusal(domains, "sample", "source", "--latents", "me.npz").startswith("me.npz: found in another generator")


def test_captions_fit_below_their_pictures() -> None:
    sheet = captioned([("a", photo()), ("b" * 500, photo()), ("c", photo())], 2)
    assert sheet.size == (2 * 256 + 2, 2 * 287 + 2)
    text, font = fitting("b" * 500, 256)
    assert text.endswith("...") and font.getlength(text) <= 256
    assert fitting("sketch", 256)[0] == "sketch"
    assert fitting("two\nlines", 256)[0] == r"two\nlines"


@pytest.mark.parametrize("out", ["me", "./me", "other/../me", "."])
def test_a_photo_and_the_picture_of_its_latents_are_never_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    for name in ("me.png", "me.npz"):
        (tmp_path / name).touch()
        with pytest.raises(OutputError, match=r"would be written over; choose another$"):
            check_spares(Path(name), Path(out))
    check_spares(Path("me.npz"), Path("me-domains"))
    assert sheet_of(Path("other")).name == "other.png"

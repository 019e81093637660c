"""The registry of public generators: what it names, and how a wrong entry is answered."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nada.errors import CheckpointError, ParamsError
from tasks.config.params import load_params
from tasks.config.project import HERE
from tasks.download.registry import fetch_hint, find_entry, load_registry
from tests.project import PARAMS

ROOT = Path(__file__).parents[3]
ENTRY = """\
tiny-16:
  addresses: [https://example.org/tiny.pkl]
  file: tiny.pkl
  family: stylegan2
  format: nvidia
  resolution: 16
  dataset: noise
  licence: CC0
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    return tmp_path


def problems_of(text: str) -> str:
    HERE.registry.write_text(text)
    with pytest.raises(ParamsError) as caught:
        load_registry()
    return str(caught.value)


def test_the_registry_that_comes_with_nada_is_sound() -> None:
    registry = load_registry(Path("nothing.yaml"))
    assert {"ffhq-1024", "afhqdog-512", "lsuncar-512", "sg3t-ffhq-1024", "sg3r-afhqv2-512"} <= set(registry)
    assert all(address.startswith("https://") for entry in registry.values() for address in entry.addresses)
    assert not [entry.file for entry in registry.values() if "cifar" in entry.file]
    assert [entry.part for entry in registry.values() if entry.part and not Path(entry.part).is_file()] == []
    for name in ("mobilestylegan-ffhq", "mobilestylegan-ffhq-256"):
        assert "Apache-2.0" in str(registry[name].terms) and "non-commercial" in str(registry[name].terms)


def test_git_keeps_the_registry_and_nothing_else_of_the_weights() -> None:
    ignored = ["weights/ffhq.pkl", "weights/ffhq.pkl.fetched.json", "weights/pretrained", "weights/adapted"]
    command = ["git", "check-ignore", "--no-index", str(HERE.registry), *ignored]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout.splitlines() == ignored


def test_a_users_entry_is_read(folder: Path) -> None:
    HERE.registry.write_text(ENTRY)
    entry = find_entry("tiny-16")
    assert (entry.path, entry.sha256, entry.notes) == (Path("weights/tiny.pkl"), None, None)


def test_an_unknown_key_is_answered_with_the_nearest(folder: Path) -> None:
    assert problems_of(ENTRY.replace("family:", "familly:")) == (
        "weights/registry.yaml: 2 invalid keys\n"
        "  tiny-16.family: missing; expected 'stylegan2', 'stylegan3-t', 'stylegan3-r' or 'mobilestylegan'\n"
        "  tiny-16.familly: unknown key; did you mean 'family'?"
    )


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("tiny-16:", "../tiny:", "'../tiny': not a name; lower-case letters, digits and single dashes alone"),
        ("tiny.pkl\n", "../../tiny.pkl\n", "file: '../../tiny.pkl' is no plain file name; letters, digits"),
        ("tiny.pkl\n", "/tmp/tiny.pkl\n", "file: '/tmp/tiny.pkl' is no plain file name"),
        ("tiny.pkl\n", ".tiny.pkl\n", "file: '.tiny.pkl' is no plain file name"),
        ("tiny.pkl\n", "registry.yaml\n", "file 'registry.yaml' does not end in .pkl, as format 'nvidia'"),
        ("https:", "file:", "addresses: 'file://example.org/tiny.pkl' is no address to fetch from; expected https"),
        ("https:", "ftp:", "addresses: 'ftp://example.org/tiny.pkl' is no address"),
        ("https://", "https://me:secret@", "is no address to fetch from"),
        ("https://example.org", "https:", "is no address to fetch from"),
        ("[https://example.org/tiny.pkl]", "[]", "addresses: expected a list of texts, got []"),
        ("resolution: 16", "resolution: big", "resolution: expected a whole number from 4 to 4096, got 'big'"),
        ("licence: CC0", "licence: ''", "licence: expected a text, got ''"),
        ("licence: CC0", "licence: CC0\n  sha256: ABC", "sha256: 'ABC' is no sha256; expected 64 hexadecimal digits"),
    ],
)
def test_a_wrong_value_is_named_with_its_entry_and_key(folder: Path, right: str, wrong: str, problem: str) -> None:
    text = ENTRY.replace(f"file: {right}", f"file: {wrong}") if right == "tiny.pkl\n" else ENTRY.replace(right, wrong)
    message = problems_of(text)
    assert message.startswith("weights/registry.yaml: 1 invalid key\n  ")
    assert problem in message
    assert "tiny" in message.splitlines()[1]


ADDRESSES = "addresses: [https://example.org/tiny.pkl]"
PACKAGE = ENTRY.replace(ADDRESSES, f"package: tiny==1.0\n  sha256: {'a' * 64}")
MADE = (
    ENTRY.replace("tiny-16", "half-16")
    .replace("tiny.pkl", "half.pkl")
    .replace("addresses: [https://example.org/half.pkl]", "made_from: tiny-16\n  part: a.safetensors")
)
ORIGINS = "expected one of addresses, package, made_from"


def test_an_entry_of_an_index_and_one_that_is_made_of_it_are_read(folder: Path) -> None:
    HERE.registry.write_text(PACKAGE + MADE)
    assert (find_entry("tiny-16").package, find_entry("half-16").made_from) == ("tiny==1.0", "tiny-16")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ENTRY + "  package: tiny==1.0\n", f"tiny-16: it has addresses and package; {ORIGINS}"),
        (ENTRY.replace(f"  {ADDRESSES}\n", ""), f"tiny-16: it has no origin; {ORIGINS}"),
        (PACKAGE.replace("tiny==", "tiny>="), "tiny-16.package: 'tiny>=1.0' is no version of a package; expected name"),
        (PACKAGE.replace("tiny==1.0", "--index-url=x==1"), "tiny-16.package: '--index-url=x==1' is no version"),
        (PACKAGE.replace("tiny==1.0", "tiny==1.0 -r x"), "tiny-16.package: 'tiny==1.0 -r x' is no version"),
        (PACKAGE.replace(f"  sha256: {'a' * 64}\n", ""), "tiny-16: sha256: missing; a package is fetched by its"),
        (ENTRY + "  part: a.safetensors\n", "tiny-16: made_from and part go together"),
        (ENTRY + MADE.replace("  part: a.safetensors\n", ""), "half-16: made_from and part go together"),
        (MADE, "half-16.made_from: 'tiny-16' is no name of this file that is fetched whole"),
        (MADE.replace("made_from: tiny-16", "made_from: half-16"), "half-16.made_from: 'half-16' is no name of this"),
    ],
)
def test_an_entry_has_one_origin(folder: Path, text: str, problem: str) -> None:
    assert problems_of(text).startswith(f"weights/registry.yaml: 1 invalid key\n  {problem}")


def test_two_entries_of_one_file_are_refused(folder: Path) -> None:
    assert "other.file: 'tiny.pkl' is the file of 'tiny-16' too" in problems_of(
        ENTRY + ENTRY.replace("tiny-16", "other")
    )


def test_an_entry_given_twice_is_refused_with_its_line(folder: Path) -> None:
    assert "the key 'tiny-16' is given twice" in problems_of(ENTRY + ENTRY)


def test_without_a_registry_of_its_own_a_project_has_those_of_nada(folder: Path) -> None:
    assert "ffhq-1024" in load_registry()
    assert problems_of("") == "weights/registry.yaml: the file is empty; expected names with addresses, file and so on"


def test_a_project_adds_entries_and_replaces_those_of_nada(folder: Path) -> None:
    ours = load_registry()
    HERE.registry.write_text(ENTRY + ENTRY.replace("tiny-16", "ffhq-1024").replace("tiny.pkl", "mine.pkl"))
    registry = load_registry()
    assert list(registry)[:2] == ["tiny-16", "ffhq-1024"]
    assert registry["ffhq-1024"].file == "mine.pkl"
    assert set(registry) == {*ours, "tiny-16"}
    assert registry["afhqdog-512"] == ours["afhqdog-512"]


def test_an_entry_of_a_file_of_nadas_is_refused(folder: Path) -> None:
    mine = ENTRY.replace("tiny.pkl", "stylegan2-ffhq-1024x1024.pkl")
    assert "ffhq-1024.file: 'stylegan2-ffhq-1024x1024.pkl' is the file of 'tiny-16' too" in problems_of(mine)


@pytest.mark.parametrize("name", ["../tiny-16", "/etc/passwd", "zebra"])
def test_a_name_that_is_not_there_is_refused(folder: Path, name: str) -> None:
    HERE.registry.write_text(ENTRY)
    with pytest.raises(ParamsError, match=r"^registry: no generator named '.*'; "):
        find_entry(name)


def test_missing_weights_that_the_registry_knows_are_answered_with_the_command(folder: Path, tiny_world: Path) -> None:
    HERE.registry.write_text(ENTRY)
    assert fetch_hint("weights/tiny.pkl") == "; fetch it with: nada weights fetch tiny-16"
    assert fetch_hint("tiny-16").endswith("run nada weights fetch tiny-16, and write weights/tiny.pkl")
    assert fetch_hint("weights/other.pkl") == ""
    Path("params.yaml").write_text(PARAMS.replace("world/generator.safetensors", "weights/tiny.pkl"))
    shutil.copytree(tiny_world, "world")
    with pytest.raises(CheckpointError, match=r"generator\.weights; fetch it with: nada weights fetch tiny-16$"):
        load_params()
    HERE.registry.write_text("damaged: [")
    assert fetch_hint("weights/tiny.pkl") == ""

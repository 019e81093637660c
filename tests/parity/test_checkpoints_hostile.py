"""Files that attack or are broken: every one ends in one clear error, and nothing in them ever runs.

The corpus of `tests.hostile` is read by one process of its own, with little memory to spare, that listens to
Python's audit events.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nada.checkpoints import read_any
from nada.errors import CheckpointError
from tests.checkpoint_files import write_nvidia
from tests.hostile.common import SOUND, Files, tiny_dict
from tests.hostile.corpus import attacks, flips, whole_files

ROOT = Path(__file__).parents[2]
NUM_FLIPS = 40  # of each sound file
MAX_PEAK_BYTES = 256 << 20  # over what torch takes by itself; the largest file has 5 MiB
HANG_SECONDS = 900
LONGEST_MESSAGE = 400


@dataclass(frozen=True)
class Corpus:
    """What came of every file."""

    attacks: dict[str, Files]
    flips: Files
    verdicts: dict[str, dict[str, Any]]
    folder: Path
    marker: Path
    peak_bytes: int


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    home = tmp_path_factory.mktemp("hostile")
    folder, marker = home / "files", home / "executed"
    folder.mkdir()
    made = attacks(marker, home)
    (home / "_parents").mkdir()  # where a delta's parent is looked for
    (home / "parent.safetensors").rename(home / "_parents" / "parent.safetensors")
    flipped = flips(whole_files(home), NUM_FLIPS)
    for files in (*made.values(), flipped):
        for name, content in files.items():
            assert not (folder / name).exists(), f"two files of one name: {name}"
            (folder / name).write_bytes(content)
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.hostile.reader", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=HANG_SECONDS)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"died after {lines[-1:]}: {done.stderr[-2000:]}"
    verdicts = {line["name"]: line for line in lines[:-1]}
    return Corpus(made, flipped, verdicts, folder, marker, lines[-1]["peak_bytes"])


KINDS = (
    "names to call, in a pickle", "objects that call when unpickled", "instructions of a pickle",
    "memory and time, in a pickle", "tensors that are none, in a pickle", "networks that are none, in a pickle",
    "networks of TensorFlow",
    "pickles inside a torch zip", "records of a torch zip", "torch's older format", "headers of safetensors", "deltas",
    "wheels of OpenVINO's", "cut off", "something else",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_files_are_refused_in_one_clear_line(corpus: Corpus, kind: str):
    problems = []
    for name in corpus.attacks[kind]:
        verdict = corpus.verdicts[name]
        message, start = verdict["message"], f"{corpus.folder / name}: "
        is_clear = message.startswith(start) and message.isprintable() and len(message) < LONGEST_MESSAGE + len(start)
        if SOUND in name:
            problems += [] if verdict["kind"] == "read" else [f"{name}: {verdict}"]
        elif verdict["kind"] != "refused" or not is_clear:
            problems.append(f"{name}: {verdict['kind']}: {message[:200]}")
    assert not problems, "\n".join(problems)


def test_nothing_in_them_is_looked_up_or_run(corpus: Corpus):
    assert not corpus.marker.exists()
    assert not {name: verdict["events"] for name, verdict in corpus.verdicts.items() if verdict["events"]}
    assert {path.name for path in corpus.folder.iterdir()} == corpus.verdicts.keys(), "a file was written"


def test_memory_stays_bounded(corpus: Corpus):
    assert corpus.peak_bytes < MAX_PEAK_BYTES


def test_flipped_bits_are_refused_or_leave_a_finite_generator(corpus: Corpus):
    kinds = {name: corpus.verdicts[name]["kind"] for name in corpus.flips}
    assert set(kinds.values()) == {"read", "refused"}, {n: k for n, k in kinds.items() if k not in ("read", "refused")}
    starts = {name: corpus.verdicts[name]["message"].startswith(f"{corpus.folder / name}: ") for name in kinds}
    assert all(starts[name] for name, kind in kinds.items() if kind == "refused")


def test_corpus_has_at_least_200_distinct_files(corpus: Corpus):
    """Prints the counts that docs/results.md states."""
    assert set(corpus.attacks) == set(KINDS)
    hostile = {
        name: content for files in corpus.attacks.values() for name, content in files.items() if SOUND not in name
    }
    distinct = {hashlib.sha256(content).hexdigest() for content in hostile.values()}
    read = sum(corpus.verdicts[name]["kind"] == "read" for name in corpus.flips)
    for kind, files in corpus.attacks.items():
        print(f"{sum(SOUND not in name for name in files):5} {kind}")
    print(f"{len(distinct):5} distinct hostile files, each refused")
    print(f"{len(corpus.flips):5} files with flipped bits: {len(corpus.flips) - read} refused, {read} read")
    assert len(distinct) == len(hostile) >= 200


SETTINGS = {
    "night": {},
    "recipes": {"style": {}},
    "guide": {"models": [{"name": "ViT-B-32", "weights": "openai"}]},
    "judge": {"model": {"name": "ViT-B-16", "weights": "openai"}},
}
SAMPLE = (
    "global os system.pkl", "beside (4).pkl", "call a string.pkl", "one list made a dict again and again.pkl",
    "giant size.pkl", "an architecture of control codes.pkl", "a storage with a path for its key.pt",
    "a member 'rosinality|..|..|escaped'.pt", "an attack for part 3 (older format).pt",
    "endless brackets in metadata.safetensors", "a bomb for a stream (delta).safetensors", "cut-0.5-rosinality.pt",
    "a page.pkl", "a wheel with an entity.whl",
)  # fmt: skip


@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.parametrize("command", ["pretrained", "weights inspect"])
def test_command_line_prints_the_one_line_and_no_traceback(
    corpus: Corpus, command: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from flows.cli.main import main

    path = Path("files", name)
    monkeypatch.chdir(corpus.folder.parent)
    Path("params.yaml").write_text(json.dumps({**SETTINGS, "generator": {"weights": str(path)}}))
    Path("prompts.csv").write_text("domain,source,target\nsketch,photo,sketch\n")
    monkeypatch.setattr(sys, "argv", ["nada", *command.split(), *([str(path)] if "inspect" in command else [])])
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr()
    assert ended.value.code == 2 and shown.out == ""
    assert shown.err.startswith(f"{path}: ") and len(shown.err.splitlines()) == 1


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as err:
        read_any(path)
    assert str(err.value).startswith(f"{path}: ")
    return str(err.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file (0 bytes); fetch it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a pointer of Git LFS, not the weights"),
        (b"<!DOCTYPE html><html>404</html>", "a web page, not weights; the download failed"),
        (b"GIF89a-something-else", "unknown format (begins with b'GIF89a-s'); expected nada's .safetensors"),
        (b"cos\nsystem\n(S'true'\ntR.", "unknown format (begins with b'cos\\nsyst')"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "weights.pkl").write_bytes(content)
    assert message in refusal(tmp_path / "weights.pkl")


def test_what_is_no_file_is_refused(tmp_path: Path):
    assert "cannot be read (No such file or directory); expected nada's" in refusal(tmp_path / "nowhere.pkl")
    assert "cannot be read (Is a directory)" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe.pkl")
    assert refusal(tmp_path / "pipe.pkl").startswith("a pipe or device; expected")


def test_reading_imports_none_of_the_names_in_a_checkpoint(tmp_path: Path):
    read_any(write_nvidia(tmp_path / "tiny.pkl", tiny_dict()))
    assert not {"torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util"} & sys.modules.keys()

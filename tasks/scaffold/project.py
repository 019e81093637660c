"""A project's first files. Whatever is there already stays as it is."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from nada.atomic import writing
from nada.errors import OutputError
from nada.paths import is_folder
from tasks.config.project import Project
from tasks.scaffold.clips import Clips
from tasks.scaffold.source import MOBILE, STYLEGAN2, Source
from tasks.store.versioning import prepare_checkout

TEMPLATES = Path(__file__).with_name("templates")
PARAMS, PROMPTS, IGNORED = "params.yaml", "prompts.csv", ".gitignore"
ESSENTIAL = {PARAMS: "params.yaml.j2", PROMPTS: "prompts.csv.j2"}
VERSIONED = {
    "dvc.yaml": "dvc.yaml",
    ".dvc/config": "dvc_config",
    ".dvc/.gitignore": "dvc_gitignore",
    ".dvc/plots/by_domain.json": "by_domain.json",
    ".dvc/plots/confusion_shares.json": "confusion_shares.json",
    ".dvcignore": "dvcignore",
    IGNORED: "gitignore",
    "prefect.yaml": "prefect.yaml",
}
"""File -> its template: what DVC, git and Prefect need."""
PLAIN = re.compile(r"[A-Za-z0-9_./-]*[A-Za-z_/][A-Za-z0-9_./-]*")
WORDS = {"true", "false", "null", "yes", "no", "on", "off"}  # that YAML takes for something else
# Whose weights are of very different sizes, and break at a larger rate; measured on the bundled faces.
MOBILE_SETTINGS = {
    "recipe": "drawing",
    "iterations": 40,
    "probe_every": 10,
    "batch_size": 4,
    "learning_rate": 0.0004,
    "half_rate": 0.0002,
    "why_rate": "a larger one breaks a MobileStyleGAN",
    "beta2": 0.99,
    "ema": 0.8,
    "train": "convs+rgb",
}
# As published, but that the judge says when to stop.
PUBLISHED_SETTINGS = {
    "recipe": "style",
    "iterations": 300,
    "probe_every": 20,
    "batch_size": 2,
    "learning_rate": 0.0016,
    "half_rate": 0.0008,
    "why_rate": "as published for StyleGAN2",
    "beta2": None,
    "ema": 0.9,
    "train": "convs",
}
ROWS = (("pencil-sketch", "photo", "pencil sketch", "drawing"), ("sepia", "photo", "sepia photo", "surface"))


@dataclass(frozen=True, kw_only=True)
class Begun:
    """What was done."""

    written: tuple[str, ...]
    """Files, by their paths in the project."""
    kept: tuple[str, ...]
    """Files that were there."""
    unignored: tuple[str, ...]
    """Lines that a .gitignore which was there lacks."""
    notes: tuple[str, ...]
    """On git and DVC, a sentence each."""


def begin(root: Path, source: Source, clips: Clips, minimal: bool = False) -> Begun:
    """Write a project's files into a folder, which is made; a file that is there is never touched.

    Args:
        root: the folder.
        source: the generator.
        clips: guides and judge.
        minimal: the two files that decide a night, and none for DVC, git and Prefect.

    Raises:
        OutputError: the folder cannot be written.
        InputError: DVC refuses the folder.
    """
    if root.exists() and not is_folder(root):
        raise OutputError(f"{root}: is a file; name a folder that is there, or a new one")
    templates = ESSENTIAL if minimal else {**ESSENTIAL, **VERSIONED}
    contents = {name: _content(template, source, clips) for name, template in templates.items()}
    written = [name for name, content in contents.items() if _write_new(root / name, content)]
    notes = () if minimal else tuple(_versioned(root))
    return Begun(
        written=tuple(written),
        kept=tuple(name for name in templates if name not in written),
        unignored=() if minimal or IGNORED in written else tuple(_missing_lines(root / IGNORED, contents[IGNORED])),
        notes=notes,
    )


def _content(template: str, source: Source, clips: Clips) -> str:
    path = TEMPLATES / template
    if path.suffix != ".j2":
        return path.read_text(encoding="utf-8")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["yaml"] = as_yaml
    return environment.from_string(path.read_text(encoding="utf-8")).render(_values(source, clips))


def _values(source: Source, clips: Clips) -> Mapping[str, Any]:
    settings = MOBILE_SETTINGS if source.family == MOBILE else PUBLISHED_SETTINGS
    return {
        **settings,
        "generator": source.weights,
        "fetch": source.fetch,
        "guides": clips.guides,
        "judge": clips.judge,
        "config_dir": clips.config_dir,
        "needs_views": source.family != STYLEGAN2,
        "rows": ROWS,
    }


def as_yaml(text: str) -> str:
    """A text as YAML reads it back, bare where that is safe.

    >>> as_yaml("weights/ffhq.pkl"), as_yaml("my cats: all.pkl"), as_yaml("1.5")
    ('weights/ffhq.pkl', '"my cats: all.pkl"', '"1.5"')
    """
    is_plain = PLAIN.fullmatch(text) and text.lower() not in WORDS and not text.startswith("-")
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def _write_new(path: Path, content: str) -> bool:
    """Write a file unless something is there, however it got there."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(content)
        except FileExistsError:
            return False
    return True


def _missing_lines(path: Path, content: str) -> Iterator[str]:
    try:
        there = set(path.read_text(encoding="utf-8", errors="replace").splitlines())
    except OSError:
        there = set()
    yield from (line for line in content.splitlines() if line not in there and not line.startswith("#"))


def _versioned(root: Path) -> Iterator[str]:
    """A git repository where there is none, and DVC at work in it."""
    if not _git(root, "rev-parse", "--is-inside-work-tree") and _git(root, "init", "--quiet"):
        yield "a new git repository; the first commit is yours"
    _answer_dry_runs(Project(root))
    yield from prepare_checkout(root)


def _answer_dry_runs(project: Project) -> None:
    """What stages depend on, empty: `dvc repro --dry` hashes it also where no stage has made it yet."""
    with writing(project.weights):
        for folder in (project.pretrained, project.prepared, project.adapted):
            folder.mkdir(parents=True, exist_ok=True)
    for file in (project.inputs, project.preparations, project.generators):
        _write_new(file, "{}\n")


def _git(root: Path, *arguments: str) -> bool:
    """Whether git is there and does it."""
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False).returncode == 0
    except OSError:
        return False

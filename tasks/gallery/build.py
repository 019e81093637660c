"""`nada gallery`: every finished domain drawn on the same latents, and a page of them; written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nada.atomic import writing
from nada.errors import CheckpointError, NadaError, OutputError, shown
from tasks.config.model import Params
from tasks.config.params import load_params
from tasks.config.project import HERE
from tasks.gallery import pictures
from tasks.gallery.about import facts, licence_of, verdict
from tasks.gallery.pictures import Files
from tasks.library.domains import SOURCE, find_making, finished_domains, made_from, open_domain, open_source
from tasks.library.latents import Shown

MARK = "nada-gallery.json"
"""In every gallery's folder: what may be written over."""
PAGE = "index.html"
TEMPLATE = "gallery.html.j2"
OURS = (MARK, PAGE, pictures.FOLDER)
"""What a gallery's folder holds, and nothing else."""


@dataclass(frozen=True)
class Card:
    """A domain on the page."""

    name: str
    source: str
    target: str
    verdict: str
    facts: list[Any]
    pictures: Files
    before: Files
    """The source's of the same latents."""


@dataclass
class Gallery:
    """A gallery in the making. Iterate over it: it yields each domain's name once its pictures are drawn.

    Args:
        params_path: params.yaml.
        names: domains, in their order; all finished ones where there are none, and then those that cannot be drawn are
            left out and told of.
        out: the folder; absent, empty, or an earlier gallery and nothing more, which is replaced in the end.
        title: of the page.
        latents: of a seed.
        device: where to draw.

    Raises, while iterated over:
        OutputError: the folder holds something else, or cannot be written.
        CheckpointError, ParamsError: see `tasks.library.domains.open_domain`; no domain is finished.
    """

    params_path: Path
    names: Sequence[str]
    out: Path
    title: str
    latents: Shown
    device: str
    left_out: dict[str, str] = field(default_factory=dict)
    """Domain -> why it is not there."""

    @property
    def shown(self) -> list[str]:
        """Domains."""
        return list(dict.fromkeys(name for name in self.names or finished_domains() if name != SOURCE))

    def __iter__(self) -> Iterator[str]:
        check_out(self.out)
        params = load_params(self.params_path)
        if not self.shown:
            raise CheckpointError(f"{HERE.adapted}: no domain is finished; nada run makes them")
        for name in self.names:
            find_making(name)  # before anything is drawn
        partial = self.out.resolve().with_name(f".{self.out.resolve().name}.{os.getpid()}.partial")
        try:
            with writing(self.out):
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
                yield from self._fill(partial, params)
                _publish(partial, self.out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _fill(self, folder: Path, params: Params) -> Iterator[str]:
        sources: dict[str, Files] = {}
        cards: list[Card] = []
        for name in self.shown:
            try:
                cards.append(self._card(name, folder, params, sources))
            except NadaError as err:
                if name in self.names:
                    raise
                self.left_out[name] = str(err)
                continue
            yield name
        if not cards:
            raise CheckpointError(next(f"{name}: {why}" for name, why in self.left_out.items()))
        (folder / PAGE).write_text(render(self.title, cards, params), encoding="utf-8")
        about = {"format": 1, "domains": [card.name for card in cards], "seed": self.latents.seed}
        (folder / MARK).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    def _card(self, name: str, folder: Path, params: Params, sources: dict[str, Files]) -> Card:
        making, origin = find_making(name), made_from(name, params)
        if origin not in sources:
            source = open_source([name], self.params_path, self.device)
            sources[origin] = pictures.write(pictures.draw(source, self.latents), folder, f"_source-{len(sources)}")
        img_u8 = pictures.draw(open_domain(name, self.params_path, self.device), self.latents)
        return Card(
            name=name,
            source=making.row.source,
            target=making.row.target or "",
            verdict=verdict(name),
            facts=facts(making),
            pictures=pictures.write(img_u8, folder, name),
            before=sources[origin],
        )


def render(title: str, cards: Sequence[Card], params: Params) -> str:
    """The page, complete but for the pictures beside it."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,  # prompts are other people's texts
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(title=title, cards=cards, licence=licence_of(params))


def check_out(out: Path) -> None:
    """Refuse a folder that is no gallery, or holds more than one: it is replaced whole.

    Raises:
        OutputError: it holds other files, or is a file.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise OutputError(f"--out: {out}: is no folder; choose another")
    if out.resolve() == Path.cwd():
        raise OutputError(f"--out: {out}: is the folder you stand in; choose another, such as site")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        raise OutputError(f"--out: {out}: holds files and is no gallery ({MARK} is missing); choose another folder")
    if foreign := next(_foreign(out), None):
        raise OutputError(
            f"--out: {out}: holds {shown(foreign)}, which is no gallery's and would be lost; choose another folder, "
            "and copy the gallery from there"
        )


def _foreign(out: Path) -> Iterator[str]:
    """What nada did not write into a folder, in order."""
    drawn = out / pictures.FOLDER
    if out.is_dir():
        yield from sorted(path.name for path in out.iterdir() if path.name not in OURS)
    if drawn.is_dir() and not drawn.is_symlink():
        yield from sorted(f"{drawn.name}/{path.name}" for path in drawn.iterdir() if path.suffix != pictures.SUFFIX)


def _publish(partial: Path, out: Path) -> None:
    """Put the new gallery in the place of the old, which stays if that fails."""
    check_out(out)  # again: drawing took its time
    target = out.resolve()
    old = partial.with_suffix(".old")
    if target.exists():
        target.rename(old)
    try:
        partial.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)

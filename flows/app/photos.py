"""Photos that people upload: read by the project's own reader of pictures, and inverted one at a time."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from flows.cli.terminal import unexpected
from nada.errors import NadaError, ParamsError, nearest
from nada.inversion.config import InversionConfig
from tasks.library.domains import SOURCE
from tasks.library.photo import PhotoInversion, error_in_words
from tasks.library.studio import Studio

MOST_BYTES = 32 << 20  # of an upload: above any camera's JPEG
MOST_JOBS = 16  # remembered; the oldest are forgotten
STEPS = {
    "quick": InversionConfig(w_steps=60, plus_steps=30),
    "good": InversionConfig(w_steps=200, plus_steps=120),
    "full": InversionConfig(),
}
"""How long -> W and W+; the last as published."""
State = Literal["waiting", "working", "done", "failed", "stopped"]


def steps_of(name: str) -> InversionConfig:
    """By its name.

    Raises:
        ParamsError: there is none of it.
    """
    if name not in STEPS:
        hint = nearest(name, list(STEPS)) or f"; expected one of {', '.join(STEPS)}"
        raise ParamsError(f"steps: {name!r}{hint}")
    return STEPS[name]


@dataclass
class PhotoJob:
    """One photo on its way to a latent."""

    path: Path
    config: InversionConfig
    state: State = "waiting"
    done: int = 0
    total: int = 0
    said: str = ""
    """What went wrong, or how far off the result is."""
    notes: list[str] = field(default_factory=list)
    latents: Path | None = None
    picture: Image.Image | None = None
    """The photo as the generator is to draw it."""
    started: float = field(default_factory=time.monotonic)
    is_stopped: bool = False

    def told(self) -> dict[str, Any]:
        """For the page."""
        left = (time.monotonic() - self.started) / self.done * (self.total - self.done) if self.done else None
        return {
            "state": self.state, "done": self.done, "total": self.total, "said": self.said, "notes": self.notes,
            "seconds_left": None if left is None else round(left),
        }  # fmt: skip


class Photos:
    """All uploads of one app, in a folder that goes with it."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.folder = Path(tempfile.mkdtemp(prefix="nada-app-"))
        self._forget = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.jobs: dict[str, PhotoJob] = {}

    def start(self, content: bytes, config: InversionConfig) -> str:
        """Invert an upload in a thread of its own; one that is still being inverted is stopped. Returns its id."""
        for job in self.jobs.values():
            job.is_stopped = True
        while len(self.jobs) >= MOST_JOBS:
            del self.jobs[next(iter(self.jobs))]
        number = secrets.token_hex(8)
        path = self.folder / number
        path.write_bytes(content)
        self.jobs[number] = job = PhotoJob(path, config)
        threading.Thread(target=self._run, args=(job,), daemon=True).start()
        return number

    def find(self, number: str) -> PhotoJob:
        """A photo by its id.

        Raises:
            ParamsError: it was forgotten, or never was.
        """
        if number not in self.jobs:
            raise ParamsError("photo: not known any more; upload it again")
        return self.jobs[number]

    def latents(self, number: str) -> Path:
        """What was found for a photo.

        Raises:
            ParamsError: nothing yet.
        """
        if (path := self.find(number).latents) is None:
            raise ParamsError("photo: not inverted yet")
        return path

    def close(self) -> None:
        """Stop, and forget what was uploaded."""
        for job in self.jobs.values():
            job.is_stopped = True
        self._forget()

    def _run(self, job: PhotoJob) -> None:
        try:
            self._invert(job)
        except NadaError as err:
            job.state, job.said = "failed", str(err).replace(str(job.path), "your photo")
        except Exception as err:
            job.state, job.said = "failed", unexpected(err)
        finally:
            job.path.unlink(missing_ok=True)

    def _invert(self, job: PhotoJob) -> None:
        studio = self.studio
        with studio.lock:
            inversion = PhotoInversion(job.path, studio.params_path, job.config, SOURCE, studio.device)
            job.notes = [note.replace(str(job.path), "Your photo") for note in inversion.notes]
            job.picture, job.total = inversion.cell[1], inversion.num_steps
            known, kept = inversion.known, inversion.kept
        job.state, job.started = "working", time.monotonic()
        for _ in inversion:
            job.done += 1
            if job.is_stopped:
                job.state = "stopped"
                return
        found = known or inversion.known
        job.said = "" if found is None else error_in_words(found)
        job.latents, job.state = kept, "done"

"""Every model loaded once in a worker, before any row is made; they then stay warm there."""

from __future__ import annotations

from dataclasses import replace

from nada.errors import ParamsError
from nada.generators.light.generator import LightGenerator
from nada.generators.registry import Network
from nada.methods.registry import load_method
from tasks.row.job import CheckJob
from tasks.row.make import Tell
from tasks.row.models import warm_models


def check_models(job: CheckJob, tell: Tell) -> dict[str, str]:
    """Load every model, so that a wrong name or a damaged file is found before any row is paid for.

    Returns:
        Names -> sha256 of the CLIP models' weights.

    Raises:
        CheckpointError, GuideError: as the loaders do.
        ParamsError: settings that a generator cannot have; names where they stand.
    """
    clips: dict[str, str] = {}
    for row in job.rows:
        warm = warm_models(replace(row, device=job.device, threads=job.threads))
        source = warm.models.source
        checked = job.settings if isinstance(source, Network | LightGenerator) else ()
        for settings in checked:
            if row.source.base_sha256 not in settings.bases:
                continue
            try:
                load_method(settings.method).check(settings.config, source)  # type: ignore[arg-type]
            except ParamsError as err:
                raise ParamsError(f"{settings.place}.{err}") from err
        clips |= {clip.name: clip.fingerprint for clip in warm.models.guide.models}
        clips[warm.judge.clip.name] = warm.judge.clip.fingerprint
    return clips

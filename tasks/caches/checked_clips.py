"""The CLIPs of a night, held against their names before anything is planned or paid for.

A file is read whole, once: `.cache/clips/<sha256>` remembers that it was sound, under what decides that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress

from nada.atomic import replacing
from nada.config import ClipConfig
from nada.errors import OutputError
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.keys.code import code_hash
from tasks.keys.inputs import open_clip_version


def check_clips(params: Params, identities: Mapping[str, str]) -> None:
    """Make sure that every guide and the judge can be loaded, and are what their names say.

    Args:
        params: all settings.
        identities: place in params.yaml -> identity of that network (`KeyMaker.networks`).

    Raises:
        GuideError, CheckpointError: the first that cannot be used, with the reason.
    """
    clips: dict[str, ClipConfig] = {f"guide.models.{index}": clip for index, clip in enumerate(params.guide.models)}
    for place, clip in {**clips, "judge.model": params.judge.model}.items():
        parts = [identities[place], clip.activation, open_clip_version(), code_hash(["nada.clip.loading"])]
        sound = HERE.clip_cache / hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        if sound.is_file():
            continue
        from nada.clip.loading import try_clip

        if try_clip(clip, params.guide.config_dir):
            with suppress(OutputError), replacing(sound) as partial:
                partial.touch()

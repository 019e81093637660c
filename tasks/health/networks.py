"""The weights that a project names: its generator, guides and judge. open_clip is imported for published tags alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from nada.config import WEB, ClipConfig, names_a_file
from nada.errors import CheckpointError, GuideError
from nada.paths import is_file
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.download.judge_weights import Published, network_files, wanted
from tasks.download.registry import fetch_command
from tasks.health.finding import Finding, missing, note, ok

MEGABYTE = 1e6
IMPORT = "nada.clip.open_clip_import"  # open_clip by itself fails beside a CPU build of torch


def look_at_networks(params: Params) -> Iterator[Finding]:
    """Files first; tags, about which open_clip is asked, last."""
    yield _generator(params.generator.weights)
    clips = [*(("guide", clip) for clip in params.guide.models), ("judge", params.judge.model)]
    if params.guide.config_dir is not None and not Path(params.guide.config_dir).is_dir():
        says = f"{params.guide.config_dir}: no such folder"
        yield missing("guide", says, "name the folder of the .json files under guide.config_dir in params.yaml")
    yield from (_file(part, clip) for part, clip in clips if names_a_file(clip.weights))
    for key, setting, published in wanted(params.judge):
        yield _published(key.rpartition(".")[2], setting, published)
    yield from (_tag(part, clip, params.guide.config_dir) for part, clip in clips if not names_a_file(clip.weights))


def _generator(weights: str) -> Finding:
    if is_file(weights):
        return ok("generator", _sized(Path(weights)))
    command = fetch_command(weights)
    remedy = command or "write where it is under generator.weights in params.yaml; nada weights list names public ones"
    return missing("generator", f"{weights}: no such file", remedy)


def _file(part: str, clip: ClipConfig) -> Finding:
    if is_file(clip.weights):
        return ok(part, f"{clip.name}, {_sized(Path(clip.weights))}")
    packed = f"{clip.weights}.gz"
    remedy = f"gzip -dk {packed}" if is_file(packed) else "write where it is, as weights, in params.yaml"
    return missing(part, f"{clip.weights}: no such file", remedy)


def _published(key: str, setting: str, published: tuple[Published, ...]) -> Finding:
    if setting != WEB:
        lacking = [file for file in network_files(setting, *published) if not is_file(file)]
        if lacking:
            return missing(key, f"{lacking[0]}: no such file", f"write '{WEB}' as judge.{key} in params.yaml")
        return ok(key, setting)
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch")
    caches = (HERE.network_cache, Path(home, "hub", "checkpoints").expanduser())
    if all(any(is_file(cache / one.file) for cache in caches) for one in published):
        return ok(key, "fetched")
    return note(key, "not here yet; the first night fetches it, and goes on without it where that fails")


def _tag(part: str, clip: ClipConfig, config_dir: str | None) -> Finding:
    from nada.clip.loading import check_clip
    from tasks.health.tags import is_here, is_published

    if is_published(clip.name, clip.weights) and is_here(clip.name, clip.weights):
        return ok(part, f"{clip.name}, tag {clip.weights}, fetched")
    code = f"from {IMPORT} import open_clip; open_clip.create_model('{clip.name}', '{clip.weights}')"
    bring = f'python -c "{code}"'
    try:
        check_clip(clip, config_dir)
    except (GuideError, CheckpointError) as err:
        if not is_published(clip.name, clip.weights):
            return missing(part, str(err), "write another in params.yaml")
        reason, _, _ = str(err).partition("; ")
        return missing(part, f"{reason}; or name a file of such weights", f"{bring}    # where there is a network")
    says = f"{clip.name}, tag {clip.weights}: not here yet; open_clip fetches it when a night begins, or now by"
    return note(part, says, bring)


def _sized(path: Path) -> str:
    return f"{path} ({path.stat().st_size / MEGABYTE:.0f} MB)"

"""CLIP models from open_clip: its architectures or those of the project, with weights by tag or from a file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nada.clip.activation import check_activation
from nada.clip.guide import Guide
from nada.clip.hub import check_reachable, first_line, unfetched
from nada.clip.model import ClipModel
from nada.clip.open_clip_import import open_clip
from nada.clip.weights import load_weights
from nada.config import ClipConfig, GuideConfig, names_a_file
from nada.errors import CheckpointError, GuideError, closest


def load_clip(config: ClipConfig, config_dir: str | None, antialias: bool, device: str) -> ClipModel:
    """Build an open_clip model and load its weights, by pretrained tag or from a file.

    Raises:
        GuideError: open_clip has no such architecture, or cannot fetch the tag.
        CheckpointError: the weights file is missing, damaged, or of another architecture or activation.
    """
    check_clip(config, config_dir)
    path = Path(config.weights) if names_a_file(config.weights) else None
    with _quiet():
        model = _fetched(config, device) if path is None else _built(config.name)
        if path is not None:
            load_weights(path, config.name, model)
        tokenizer = open_clip.get_tokenizer(config.name)
    return ClipModel(config.name, model.to(device), tokenizer, antialias, path)


def check_clip(config: ClipConfig, config_dir: str | None) -> None:
    """Find what is wrong with a model's name, tag or file, short of reading the tensors.

    Raises:
        GuideError, CheckpointError: as for `load_clip`.
    """
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise GuideError(f"guide.config_dir: no folder {config_dir!r}; expected open_clip JSON configs")
        open_clip.add_model_config(Path(config_dir))
    _check_names(config)
    check_activation(config, config_dir is not None and Path(config_dir, f"{config.name}.json").is_file())
    if not names_a_file(config.weights):
        check_reachable(config.name, config.weights)


def try_clip(config: ClipConfig, config_dir: str | None) -> bool:
    """Whether a model's weights are here and sound; a tag that is yet to be fetched is not, and no error.

    Raises:
        GuideError, CheckpointError: as for `load_clip`, which would fail.
    """
    check_clip(config, config_dir)
    if not names_a_file(config.weights):
        return False
    load_clip(config, config_dir, antialias=True, device="cpu")
    return True


def _built(name: str) -> Any:
    """A model of random weights; nothing is fetched for its parts.

    Raises:
        GuideError: open_clip cannot build it.
    """
    try:
        return open_clip.create_model(name, pretrained_text=False, output_dict=True)
    except Exception as err:  # open_clip raises whatever its parts raise
        raise GuideError(f"{name}: open_clip cannot build it ({first_line(err)})") from err


def _fetched(config: ClipConfig, device: str) -> Any:
    """A model with the weights of a tag, which open_clip fetches where they are not here."""
    try:
        return open_clip.create_model(config.name, config.weights, device=device, output_dict=True)
    except Exception as err:  # open_clip raises whatever its readers raise
        raise unfetched(config.name, config.weights, first_line(err)) from err


def load_guide(config: GuideConfig, device: str) -> Guide:
    """Every model of the guide; errors as in `load_clip`."""
    models = [load_clip(clip, config.config_dir, config.antialias, device) for clip in config.models]
    return Guide(models, [clip.weight for clip in config.models], config.views)


def _check_names(config: ClipConfig) -> None:
    """Find what is not there before open_clip, which would answer it in its own words."""
    if config.name not in open_clip.list_models():
        known = ", ".join(closest(config.name, open_clip.list_models(), count=5, cutoff=0))
        raise GuideError(f"{config.name!r}: open_clip has no such model; the nearest are {known}")
    if names_a_file(config.weights):
        if not Path(config.weights).is_file():
            raise CheckpointError(f"{config.weights}: no such file; expected weights of {config.name}")
    elif config.weights not in (tags := open_clip.list_pretrained_tags_by_model(config.name)):
        allowed = ", ".join(tags) or "none"
        raise GuideError(f"{config.name}: no pretrained tag {config.weights!r}; known tags: {allowed}; or name a file")


@contextmanager
def _quiet() -> Iterator[None]:
    """Nobody hears what open_clip says of its steps meanwhile; its errors are raised, too.

    It speaks by the root logger, which, spoken by while it has no handler, takes one for good.
    """
    root, deaf = logging.getLogger(), logging.NullHandler()

    def is_wanted(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR or "open_clip" not in Path(record.pathname).parts

    root.addHandler(deaf)
    root.addFilter(is_wanted)
    try:
        yield
    finally:
        root.removeFilter(is_wanted)
        root.removeHandler(deaf)

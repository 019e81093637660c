"""What open_clip publishes under a tag, and whether it lies here already; nothing is fetched and nobody asked."""

from __future__ import annotations

from nada.clip.hub import HUB_NAMES, URL_CACHE
from nada.clip.open_clip_import import open_clip


def is_published(name: str, tag: str) -> bool:
    """Whether open_clip knows such a model, and such weights of it."""
    tags: list[str] = open_clip.list_pretrained_tags_by_model(name)
    return name in open_clip.list_models() and tag in tags


def is_here(name: str, tag: str) -> bool:
    """Whether the weights of a published tag were fetched before."""
    from huggingface_hub import try_to_load_from_cache

    published: dict[str, str] = open_clip.get_pretrained_cfg(name, tag)
    hub, url = published.get("hf_hub", ""), published.get("url", "")
    if hub:
        repository, _, file = hub.rpartition("/")
        names = [file] if file else HUB_NAMES
        return any(isinstance(try_to_load_from_cache(repository, file_name), str) for file_name in names)
    return (URL_CACHE.expanduser() / url.rpartition("/")[2]).is_file()

"""Weights that open_clip fetches by a tag: whether they are here already, and whether their host answers.

The hub's own client tries again and again for more than a minute, with a line for each try.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from nada.clip.open_clip_import import open_clip
from nada.errors import GuideError, one_line

HUB_URL = "https://huggingface.co"
HUB_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")  # where a tag names no file
URL_CACHE = Path("~/.cache/clip")  # open_clip's, for what lies on no hub
ANSWER_SECONDS = 10


def check_reachable(name: str, tag: str) -> None:
    """Make sure that a tag's weights are here, or that the host that has them answers.

    Raises:
        GuideError: neither; says how to name a file.
    """
    published = open_clip.get_pretrained_cfg(name, tag)
    hub, url = published.get("hf_hub", ""), published.get("url", "")
    if hub:
        repository, _, file = hub.rpartition("/")
        if any(_is_cached(repository, file_name) for file_name in ([file] if file else HUB_NAMES)):
            return
        address = os.environ.get("HF_ENDPOINT", HUB_URL)
    elif url and not (URL_CACHE.expanduser() / url.rpartition("/")[2]).is_file():
        address = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    else:
        return
    if (reason := _silence(address)) is not None:
        raise unfetched(name, tag, reason)


def unfetched(name: str, tag: str, reason: str) -> GuideError:
    """What to say of a tag that cannot be fetched, and what to do."""
    return GuideError(
        f"{name}: tag {tag!r} is not here and cannot be fetched ({reason}); fetch it where there is a network, or "
        f"write the path of a file of these weights as weights"
    )


def first_line(err: BaseException) -> str:
    """The first line of what another library says, or the kind of its error."""
    return one_line((str(err).strip().splitlines() or [type(err).__name__])[0])


def _is_cached(repository: str, file_name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repository, file_name), str)


@cache
def _silence(address: str) -> str | None:
    """Why a host does not answer, asked once, by the client that would fetch; None: it does."""
    from huggingface_hub import get_session

    try:
        get_session().head(address, timeout=ANSWER_SECONDS)  # whatever it answers
    except Exception as err:  # each version of that client has errors of its own
        return f"{address} does not answer: {first_line(err)}"
    return None

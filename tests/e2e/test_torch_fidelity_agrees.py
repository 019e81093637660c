"""Our figures are torch-fidelity's on the same features, and our networks are its networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import nada.clip.open_clip_import  # noqa: F401  # before torchvision, which torch-fidelity imports
from nada.judge.manifold import manifolds
from nada.judge.set_distances import frechet_distance, kernel_distance
from nada.judge.spaces.inception import Inception
from nada.judge.spaces.lpips import LPIPS_PX, Lpips
from nada.judge.spaces.structure import structure_features
from tasks.download.judge_weights import LPIPS_HEADS, VGG16
from tasks.row.judge_networks import read_state
from tests.networks import write_inception, write_lpips

RELATIVE = 1e-6


def features(seed: int, num: int = 90, width: int = 24) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((num, width)) @ rng.standard_normal((width, width)) / 4 + seed / 5


@pytest.mark.parametrize("seeds", [(0, 1), (2, 5)])
def test_frechet_distance_agrees(seeds: tuple[int, int]) -> None:
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    a, b = (features(seed) for seed in seeds)
    statistics = [fid_features_to_statistics(torch.from_numpy(one)) for one in (a, b)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID]
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=RELATIVE)


@pytest.mark.parametrize("seeds", [(0, 1), (2, 5)])
def test_kernel_distance_agrees_on_the_subset_of_all_images(seeds: tuple[int, int]) -> None:
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    a, b = (features(seed) for seed in seeds)
    whole = {"kid_subsets": 1, "kid_subset_size": len(a), "verbose": False}
    theirs = kid_features_to_metric(torch.from_numpy(a), torch.from_numpy(b), **whole)[KEY_METRIC_KID_MEAN]
    assert kernel_distance(a, b) == pytest.approx(theirs, rel=RELATIVE)


@pytest.mark.parametrize("seeds", [(0, 1), (3, 4)])
def test_precision_and_recall_agree(seeds: tuple[int, int]) -> None:
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

    a, b = features(seeds[0], width=3), features(seeds[1], num=120, width=3)
    theirs = prc_features_to_metric(torch.from_numpy(a), torch.from_numpy(b), verbose=False)
    ours = manifolds(a, b)
    assert 0 < ours.precision.mean() < 1 or 0 < ours.recall.mean() < 1
    assert ours.precision.mean() == pytest.approx(theirs[KEY_METRIC_PRECISION], rel=RELATIVE)
    assert ours.recall.mean() == pytest.approx(theirs[KEY_METRIC_RECALL], rel=RELATIVE)


@pytest.fixture
def img_u8() -> torch.Tensor:
    coarse = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return (255 * torch.nn.functional.interpolate(coarse, size=(40, 40), mode="bilinear")).to(torch.uint8)


def test_the_whole_of_a_registered_extractor_agrees_with_our_features(tmp_path: Path, img_u8: torch.Tensor) -> None:
    """torch-fidelity itself computes FID, KID and precision from pictures; we from our structure features."""
    import torch_fidelity

    class Structure(torch_fidelity.FeatureExtractorBase):  # type: ignore[misc, name-defined]
        def __init__(self, name: str, features_list: list[str], **kwargs: object) -> None:
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return ("flat",)

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "flat"

        def forward(self, img: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return (torch.from_numpy(structure_features(img)),)

    class Set(torch.utils.data.Dataset[torch.Tensor]):
        def __init__(self, images: torch.Tensor) -> None:
            self.images = images

        def __len__(self) -> int:
            return len(self.images)

        def __getitem__(self, index: int) -> torch.Tensor:
            return self.images[index]

    torch_fidelity.register_feature_extractor("structure", Structure)
    first, second = img_u8, img_u8.flip(3)
    theirs = torch_fidelity.calculate_metrics(
        input1=Set(first), input2=Set(second), feature_extractor="structure", fid=True, kid=True, prc=True,
        kid_subset_size=6, kid_subsets=1, cuda=False, verbose=False, cache=False, save_cpu_ram=True,
    )  # fmt: skip
    a, b = structure_features(first), structure_features(second)
    assert frechet_distance(a, b) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)  # its root of a
    # rank-deficient product of covariances is no better
    assert kernel_distance(a, b) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=RELATIVE)
    assert manifolds(a, b).precision.mean() == pytest.approx(theirs["precision"], rel=RELATIVE)


def test_inception_gives_the_features_of_torch_fidelity(tmp_path: Path, img_u8: torch.Tensor) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = tmp_path / "inception.pth"
    write_inception(path)
    theirs = FeatureExtractorInceptionV3("theirs", ["2048"], feature_extractor_weights_path=str(path))
    ours = Inception(read_state(path), "ab" * 32)
    assert ours.name == "Inception-v3-2048@abababababab"
    found = ours.features(img_u8[:2])
    assert found.shape == (2, 2048) and found.dtype == np.float64
    assert found.std() > 1e-3
    assert np.array_equal(found, theirs(img_u8[:2])[0].double().numpy())


def test_lpips_is_that_of_torch_fidelity(tmp_path: Path, img_u8: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision
    from torch_fidelity import sample_similarity_lpips

    write_lpips(tmp_path)
    vgg, heads = read_state(tmp_path / VGG16.file), read_state(tmp_path / LPIPS_HEADS.file)

    def pretrained() -> torch.nn.Module:
        convolutions = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
        convolutions.load_state_dict({name.removeprefix("features."): tensor for name, tensor in vgg.items()})
        holder = torch.nn.Module()
        holder.features = convolutions
        return holder

    monkeypatch.setattr(sample_similarity_lpips, "load_state_dict_from_url", lambda *args, **kwargs: heads)
    monkeypatch.setattr(sample_similarity_lpips, "torchvision_load_pretrained_vgg16", pretrained)
    theirs = sample_similarity_lpips.SampleSimilarityLPIPS("theirs")
    small = torch.from_numpy(Lpips.shrink(img_u8[:3]))
    assert small.shape == (3, 3, LPIPS_PX, LPIPS_PX)
    ours = Lpips(vgg, heads, "cd" * 32).distances(small.numpy())
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert ours[i, j] == ours[j, i] == pytest.approx(theirs(small[i : i + 1], small[j : j + 1]).item(), rel=1e-4)
    assert not ours.diagonal().any()

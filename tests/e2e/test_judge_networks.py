"""A judge with every network scores a row from files; the weights are random and of the right shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nada.checkpoints import load_generator
from nada.clip.loading import load_clip
from nada.errors import CheckpointError
from nada.hashing import sha256_file
from nada.judge import score_domain
from nada.judge.samples import fixed_latents, render
from tasks.caches.feature_cache import reference_features
from tasks.config.model import Params
from tasks.download.judge_weights import FACES
from tasks.row.judge_networks import LoadedJudge, load_judge
from tests.face_package import write_faces
from tests.networks import write_efficientnet, write_inception, write_lpips
from tests.project import Project
from tests.unit.judge.test_feature_networks import params_of

NUM = 4  # an Inception costs a fifth of a second a picture

SETS = ("frechet", "kid", "precision", "recall", "density", "coverage")


def judge_of(params: Params) -> LoadedJudge:
    clip = load_clip(params.judge.model, params.guide.config_dir, params.guide.antialias, "cpu")
    return load_judge(params, "cpu", clip)


def test_every_network_scores_and_names_itself(
    project: Project, tiny_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nets = project.folder / "nets"
    nets.mkdir()
    write_inception(nets / "inception.pth")
    write_lpips(nets)
    write_efficientnet(nets / "efficientnet.pth")
    write_faces(nets / "faces.pth")
    with pytest.raises(CheckpointError, match=r"faces\.pth: sha256 .*, not 0d77fffe"):
        judge_of(params_of(tiny_world, faces=str(nets / "faces.pth")))
    ours = replace(FACES, sha256=sha256_file(nets / "faces.pth"))
    monkeypatch.setattr("tasks.row.judge_networks.FACES", ours)
    files = {name: str(nets / f"{name}.pth") for name in ("inception", "efficientnet", "faces")}
    params = params_of(tiny_world, **files, lpips=str(nets))
    params = params.model_copy(update={"judge": params.judge.model_copy(update={"num_images": NUM})})
    loaded = judge_of(params)
    assert loaded.absent == {}

    generator = load_generator(tiny_world / "generator.safetensors")
    ws = fixed_latents(generator, NUM, params.samples.truncation_psi)
    samples = loaded.judge.features(torch.cat(list(render(generator, ws, NUM))))
    truth = reference_features("world/truth", loaded.judge, generator.resolution)
    assert len(list(Path(".cache/features").glob("*.npz"))) == 7
    scores = score_domain(loaded.judge, "portrait", "pencil sketch", samples, samples, truth)

    for name in SETS:
        for suffix, reference in (("to_reference", "8 images"), ("drift_from_source", f"{NUM} samples of the source")):
            score = scores[f"inception_{name}_{suffix}"]
            assert score.network.startswith("Inception-v3-2048@")
            assert score.resizing == "bilinear as in TensorFlow 1 to 299 px"
            assert score.reference.startswith(reference)
            assert score.low <= score.value <= score.high
    for name in ("frechet_to_reference", "frechet_source_to_reference"):
        assert scores[f"efficientnet_{name}"].network.startswith("EfficientNet-Lite2@")
        assert scores[f"colour_{name}"].network == "colour, 7 quantiles"
        for space in ("efficientnet", "colour"):  # of the same pictures, in one unit
            assert scores[f"{space}_{name}"].value == scores[f"{space}_frechet_to_reference"].value > 0
    assert scores["inception_frechet_drift_from_source"].value == pytest.approx(0, abs=1e-6)
    assert scores["identity"].network.startswith("face-api@")
    assert scores["identity"].value == pytest.approx(1)
    assert scores["age"].value == scores["age_source"].value
    assert scores["intra_cluster_lpips"].network.startswith("LPIPS-VGG16@")


def test_weights_of_another_network_are_named_before_anything_is_trained(project: Project, tiny_world: Path) -> None:
    write_lpips(project.folder)
    wrong = project.folder / "vgg16-397923af.pth"
    with pytest.raises(CheckpointError, match=r"vgg16-397923af\.pth: .*; expected torch-fidelity's Inception weights"):
        judge_of(params_of(tiny_world, inception=str(wrong)))


def test_weights_that_are_not_there_are_named_with_their_key(project: Project) -> None:
    path = Path("params.yaml")
    path.write_text(path.read_text().replace("  num_images: 16", "  num_images: 16\n  inception: nets/none.pth"))
    outcome = project.nada("plan")
    assert outcome.status == 2
    assert "nets/none.pth: no such file; params.yaml names it as judge.inception; or write 'web' there" in outcome.err

"""Scores on embeddings whose geometry is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nada.errors import ShapeError
from nada.judge import embed_images_batched, frechet_distance, judge_domain
from nada.judge.scores import directional_similarity, diversity, retrieval_accuracy, similarity

WIDTH = 4
PROMPTS = {"portrait": 0, "sketch": 1, "neon": 2}  # each prompt is one axis


class FakeClip:
    """Prompts are axes; an image's embedding is its mean colour."""

    name = "Fake-4"
    fingerprint = "0123456789abcdef" * 4

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []

    def embed_images(self, img: Tensor) -> Tensor:
        self.batch_sizes.append(img.shape[0])
        return torch.nn.functional.pad(torch.nn.functional.normalize(img.mean(dim=(2, 3))), (0, 1))

    def class_embedding(self, prompt: str) -> Tensor:
        return torch.eye(WIDTH)[PROMPTS[prompt]]

    def text_direction(self, source: str, target: str) -> Tensor:
        direction = self.class_embedding(target) - self.class_embedding(source)
        return direction / direction.norm()


def near(axis: int, num: int, spread: float, seed: int = 0) -> np.ndarray:
    emb = np.eye(WIDTH)[axis] + spread * np.random.default_rng(seed).standard_normal((num, WIDTH))
    return emb / np.linalg.norm(emb, axis=1, keepdims=True)


def test_features_are_unit_norm_float64_whatever_the_batch_size():
    img_u8 = torch.randint(0, 256, (7, 3, 4, 4), dtype=torch.uint8)
    clip = FakeClip()
    emb = embed_images_batched(clip, img_u8, 3)
    assert clip.batch_sizes == [3, 3, 1] and emb.shape == (7, WIDTH) and emb.dtype == np.float64
    assert np.allclose(np.linalg.norm(emb, axis=1), 1, atol=1e-12)
    assert np.allclose(emb, embed_images_batched(FakeClip(), img_u8, 100), atol=1e-7)


def test_features_of_no_images_are_refused():
    with pytest.raises(ShapeError, match="0 images in batches of 5"):
        embed_images_batched(FakeClip(), torch.zeros(0, 3, 4, 4, dtype=torch.uint8), 5)


def test_adapted_images_on_their_prompt_score_one():
    source_emb, target_emb = near(0, 20, 0.0), near(1, 20, 0.0)
    clip = FakeClip()
    assert similarity(target_emb, clip, "sketch") == pytest.approx(1)
    assert similarity(target_emb, clip, "portrait") == pytest.approx(0)
    assert directional_similarity(clip, "portrait", "sketch", source_emb, target_emb) == pytest.approx(1)
    assert retrieval_accuracy(target_emb, clip, "sketch", ["neon", "portrait", "sketch"]) == 1


def test_images_that_did_not_move_have_no_direction_and_score_zero():
    emb = near(0, 20, 0.1)
    assert directional_similarity(FakeClip(), "portrait", "sketch", emb, emb) == 0


def test_retrieval_counts_only_images_nearest_to_their_own_prompt():
    emb = np.concatenate([near(1, 3, 0.0), near(2, 1, 0.0)])
    assert retrieval_accuracy(emb, FakeClip(), "sketch", ["neon", "portrait", "sketch"]) == 0.75


def test_diversity_is_the_mean_over_pairs():
    emb = near(0, 30, 0.5)
    pairs = [1 - emb[i] @ emb[j] for i in range(30) for j in range(i)]
    assert diversity(emb) == pytest.approx(np.mean(pairs), abs=1e-12)


def test_collapsed_images_have_no_diversity():
    assert diversity(near(0, 30, 0.0)) == pytest.approx(0, abs=1e-12)


def judged(reference: bool) -> dict:
    reference_emb = near(1, 50, 0.1, seed=3) if reference else None
    source_emb, target_emb = near(0, 40, 0.2, seed=1), near(1, 40, 0.1, seed=2)
    targets = {"sketch": "sketch", "neon": "neon"}
    return judge_domain(FakeClip(), "portrait", "sketch", source_emb, target_emb, reference_emb, targets)


def test_every_score_names_its_images_and_network():
    scores = judged(reference=True)
    assert {score.num_images for score in scores.values()} == {40}
    assert {score.network for score in scores.values()} == {"Fake-4@0123456789ab"}
    assert all(score.reference for score in scores.values())
    assert all(type(score.value) is float for score in scores.values())


def test_references_are_named_with_their_number():
    scores = judged(reference=True)
    assert scores["frechet_to_reference"].reference == "50 images of the target domain"
    assert scores["frechet_to_source"].reference == "40 samples of the source generator"
    assert scores["retrieval_accuracy"].reference == "prompt 'sketch' among 3 prompts"


def test_distances_to_references_need_references():
    assert judged(reference=True).keys() - judged(reference=False).keys() == {
        "frechet_to_reference", "frechet_source_to_reference",
    }  # fmt: skip


def test_good_adaptation_is_nearer_to_the_references_than_its_source():
    scores = judged(reference=True)
    assert scores["frechet_to_reference"].value < scores["frechet_source_to_reference"].value / 10
    assert scores["retrieval_accuracy"].value == 1
    assert scores["directional_similarity"].value > 0.9
    assert scores["diversity_ratio"].value == pytest.approx(
        scores["diversity"].value / diversity(near(0, 40, 0.2, seed=1))
    )


def test_ratio_to_a_collapsed_source_is_zero():
    collapsed = near(0, 10, 0.0)
    scores = judge_domain(FakeClip(), "portrait", "sketch", collapsed, near(1, 10, 0.1), None, {"sketch": "sketch"})
    assert scores["diversity_ratio"].value == 0


def test_sets_from_different_latents_are_refused():
    with pytest.raises(ShapeError, match=r"expected the same \[M, D\] with M >= 2, got \[5, 4\] and \[6, 4\]"):
        judge_domain(FakeClip(), "portrait", "sketch", near(0, 5, 0.1), near(1, 6, 0.1), None, {})


@pytest.mark.parametrize("shapes", [((1, 4), (5, 4)), ((5, 4), (5, 3)), ((5,), (5, 4))])
def test_frechet_distance_refuses_shapes_that_do_not_fit(shapes: tuple[tuple[int, ...], tuple[int, ...]]):
    with pytest.raises(ShapeError, match="n, m >= 2"):
        frechet_distance(np.zeros(shapes[0]), np.zeros(shapes[1]))

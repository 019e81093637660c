"""Scores on features whose geometry is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.errors import ShapeError
from nada.judge import (
    Judge,
    Retrieved,
    Score,
    SetFeatures,
    StyleDirection,
    embed_images_batched,
    frechet_distance,
    retrieve,
    score_domain,
)
from nada.judge.spread import diversity
from nada.judge.texts import directional_similarities, embed_prompts, nearest_texts, similarities

WIDTH = 4
PROMPTS = {"portrait": 0, "sketch": 1, "neon": 2}  # each prompt is one axis


class FakeClip:
    """Prompts are axes; an image's embedding is its mean colour."""

    name = "Fake-4"
    fingerprint = "0123456789abcdef" * 4
    resizing = "none"

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


JUDGE = Judge(clip=FakeClip())


def near(axis: int, num: int, spread: float, seed: int = 0) -> np.ndarray:
    emb = np.eye(WIDTH)[axis] + spread * np.random.default_rng(seed).standard_normal((num, WIDTH))
    return emb / np.linalg.norm(emb, axis=1, keepdims=True)


def image_set(emb: np.ndarray, seed: int = 0) -> SetFeatures:
    """These embeddings, with a structure that tells the images apart, and colours of their own."""
    structure = np.random.default_rng(seed).standard_normal((len(emb), 6))
    return SetFeatures(emb=emb, structure=structure, colour=emb[:, :4])


def axis(prompt: str) -> np.ndarray:
    return embed_prompts(FakeClip(), [prompt])[0]


def test_features_are_unit_norm_float64_whatever_the_batch_size():
    img_u8 = torch.randint(0, 256, (7, 3, 4, 4), dtype=torch.uint8)
    clip = FakeClip()
    emb = embed_images_batched(clip, img_u8, 3)
    assert clip.batch_sizes == [3, 3, 1] and emb.shape == (7, WIDTH) and emb.dtype == np.float64
    assert np.allclose(np.linalg.norm(emb, axis=1), 1, atol=1e-12)
    assert np.allclose(emb, embed_images_batched(FakeClip(), img_u8, 100), atol=1e-7)


def test_images_that_do_not_fit_together_are_embedded_in_halves():
    sizes = []

    class SmallClip(FakeClip):
        def embed_images(self, img: Tensor) -> Tensor:
            sizes.append(len(img))
            if len(img) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().embed_images(img)

    img_u8 = torch.randint(0, 256, (7, 3, 4, 4), dtype=torch.uint8)
    halved = embed_images_batched(SmallClip(), img_u8, 5)
    assert sizes == [5, 3, 2, 2, 2, 1]
    assert np.array_equal(halved, embed_images_batched(FakeClip(), img_u8, 2))


def test_features_of_no_images_are_refused():
    with pytest.raises(ShapeError, match="0 images in batches of 5"):
        embed_images_batched(FakeClip(), torch.zeros(0, 3, 4, 4, dtype=torch.uint8), 5)


def test_batches_of_a_set_join_to_the_set():
    img_u8 = torch.randint(0, 256, (7, 3, 8, 8), dtype=torch.uint8)
    whole = JUDGE.features(img_u8)
    joined = SetFeatures.joined([JUDGE.features(part) for part in img_u8.split(3)])
    assert len(joined) == len(whole) == 7
    assert np.allclose(joined.emb, whole.emb, atol=1e-7) and np.array_equal(joined.structure, whole.structure)


def test_adapted_images_on_their_prompt_score_one():
    source_emb, target_emb = near(0, 20, 0.0), near(1, 20, 0.0)
    assert similarities(target_emb, axis("sketch")) == pytest.approx(1)
    assert similarities(target_emb, axis("portrait")) == pytest.approx(0)
    text_dir = (axis("sketch") - axis("portrait")) / np.sqrt(2)
    assert directional_similarities(source_emb, target_emb, text_dir) == pytest.approx(1)


def test_images_that_did_not_move_have_no_direction_and_score_zero():
    emb = near(0, 20, 0.1)
    assert not directional_similarities(emb, emb, axis("sketch")).any()


def test_each_image_finds_the_nearest_text():
    emb = np.concatenate([near(1, 3, 0.0), near(2, 1, 0.0)])
    texts = embed_prompts(FakeClip(), ["neon", "portrait", "sketch"])
    assert nearest_texts(emb, texts).tolist() == [2, 2, 2, 0]


def test_collapsed_images_have_no_diversity():
    assert diversity(near(0, 30, 0.0)) == pytest.approx(0, abs=1e-12)


def scored(reference: bool) -> dict[str, Score]:
    references = image_set(near(1, 50, 0.1, seed=3)) if reference else None
    source, target = image_set(near(0, 40, 0.2, seed=1)), image_set(near(1, 40, 0.1, seed=2))
    return score_domain(JUDGE, "portrait", "sketch", source, target, references)


def retrieved(emb: np.ndarray | None = None) -> Retrieved:
    """By the same images, or by others, among the prompts of a night of two rows."""
    shown = near(1, 40, 0.1, seed=2) if emb is None else emb
    return retrieve(JUDGE.clip, PromptPair("portrait", "sketch"), shown, ["sketch", "neon"])


def test_every_score_names_its_images_network_and_resizing():
    scores = {**scored(reference=True), "retrieval_accuracy": retrieved().score}
    assert {score.num_images for score in scores.values()} == {40}
    by_structure = {"structure_diversity", "structure_ratio", "intra_cluster_structure", "intra_cluster_ratio"}
    for name, score in scores.items():
        network = "structure" if name in by_structure | {"consistency"} else "Fake-4@0123456789ab"
        network = "colour" if name.startswith("colour_") else network
        assert score.network.startswith(network), name
        assert score.reference and score.resizing
        assert type(score.value) is type(score.low) is type(score.high) is float
        assert score.low <= score.value <= score.high, name


def test_references_are_named_with_their_number():
    scores = scored(reference=True)
    assert scores["frechet_to_reference"].reference == "50 images of the target domain"
    assert scores["frechet_drift_from_source"].reference == "40 samples of the source generator"
    assert retrieved().score.reference == "prompt 'sketch' among 3 prompts"


def test_scores_against_references_need_references_and_all_others_of_sets_are_called_drift():
    figures = ("frechet", "kid", "precision", "recall", "density", "coverage")
    with_truth, without = scored(reference=True), scored(reference=False)
    assert with_truth.keys() - without.keys() == {
        "frechet_source_to_reference", *(f"{figure}_to_reference" for figure in figures),
        "colour_frechet_to_reference", "colour_frechet_source_to_reference",
    }  # fmt: skip
    for figure in figures:
        assert "source" in without[f"{figure}_drift_from_source"].reference
    assert not {"fid", "frechet", "kid"} & without.keys()


def test_good_adaptation_is_nearer_to_the_references_than_its_source():
    scores = scored(reference=True)
    assert scores["frechet_to_reference"].value < scores["frechet_source_to_reference"].value / 10
    assert scores["frechet_to_reference"].high < scores["frechet_source_to_reference"].low
    assert retrieved().score.value == 1
    assert scores["directional_similarity"].value > 0.9
    assert scores["diversity_ratio"].value == pytest.approx(
        scores["diversity"].value / diversity(near(0, 40, 0.2, seed=1))
    )
    assert scores["consistency"].value == pytest.approx(1)  # the same structure


def test_retrieval_counts_the_images_nearest_to_each_prompt():
    assert retrieved().nearest == {"sketch": 40}
    shared = np.concatenate([near(0, 3, 0.0), near(1, 4, 0.0), near(2, 1, 0.0)])
    assert retrieved(shared).nearest == {"portrait": 3, "sketch": 4, "neon": 1}
    assert retrieved(shared).score.value == 0.5


def test_embeddings_that_were_kept_in_float32_find_the_same_prompts_as_new_ones():
    between = axis("sketch") + axis("neon") * (1 + 1e-12)  # which of the two is nearer is lost in float32
    emb = between[None] / np.linalg.norm(between)
    assert retrieved(emb) == retrieved(emb.astype(np.float32).astype(np.float64))


def test_a_collapse_shows_in_every_diversity_and_keeps_the_similarity():
    source, collapsed = (
        image_set(near(0, 30, 0.2)),
        SetFeatures(emb=near(1, 30, 0.0), structure=np.ones((30, 6)), colour=np.ones((30, 4))),
    )
    scores = score_domain(JUDGE, "portrait", "sketch", source, collapsed, None)
    assert scores["clip_similarity_target"].value == pytest.approx(1)
    for name in ("diversity", "structure_ratio", "intra_cluster_ratio", "intra_cluster_clip", "consistency"):
        assert scores[name].value == pytest.approx(0, abs=1e-12), name


def test_ratio_to_a_collapsed_source_is_zero():
    source, target = image_set(near(0, 10, 0.0)), image_set(near(1, 10, 0.1))
    scores = score_domain(JUDGE, "portrait", "sketch", source, target, None)
    assert scores["diversity_ratio"].value == 0


def test_two_images_are_enough_for_all_but_consistency():
    source, target = image_set(near(0, 2, 0.1)), image_set(near(1, 2, 0.1))
    scores = score_domain(JUDGE, "portrait", "sketch", source, target, target)
    assert "consistency" not in scores
    assert all(np.isfinite([score.value, score.low, score.high]).all() for score in scores.values())


def test_figures_over_pairs_use_a_bounded_number_of_images(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nada.judge.scores.MAX_PAIRED", 10)
    scores = scored(reference=True)
    assert scores["kid_to_reference"].num_images == scores["consistency"].num_images == 10
    assert scores["kid_to_reference"].reference == "10 images of the target domain"
    assert scores["frechet_to_reference"].num_images == 40


def test_sets_from_different_latents_are_refused():
    source, target = image_set(near(0, 5, 0.1)), image_set(near(1, 6, 0.1))
    with pytest.raises(ShapeError, match=r"expected the same M >= 2 latents, got 5 and 6 images"):
        score_domain(JUDGE, "portrait", "sketch", source, target, None)


@pytest.mark.parametrize("shapes", [((1, 4), (5, 4)), ((5, 4), (5, 3)), ((5,), (5, 4))])
def test_frechet_distance_refuses_shapes_that_do_not_fit(shapes: tuple[tuple[int, ...], tuple[int, ...]]):
    with pytest.raises(ShapeError, match="n, m >= 2"):
        frechet_distance(np.zeros(shapes[0]), np.zeros(shapes[1]))


def test_a_domain_without_words_is_measured_by_the_way_to_its_pictures():
    source, target = image_set(near(0, 20, 0.0)), image_set(near(1, 20, 0.0))
    style = StyleDirection(torch.tensor([0.0, 3.0, 0.0, 0.0]), 7)  # of the edit (-1, 1, 0, 0) an eighth of a turn away
    scores = score_domain(JUDGE, "portrait", "", source, target, None, style)
    assert scores["style_similarity"].value == pytest.approx(0.5**0.5)
    assert scores["style_similarity"].reference == (
        "direction to 7 style pictures, 20 samples of the source generator on the same latents"
    )
    assert not {"directional_similarity", "clip_similarity_target"} & scores.keys()
    named = score_domain(JUDGE, "portrait", "sketch", source, target, None, style)
    assert named.keys() - scores.keys() == {"directional_similarity", "clip_similarity_target"}


def test_images_of_a_domain_without_words_find_the_prompts_of_others_and_none_of_their_own():
    found = retrieve(JUDGE.clip, PromptPair("portrait", ""), near(1, 4, 0.0), ["sketch", "neon"])
    assert (found.score, found.nearest) == (None, {"sketch": 4})

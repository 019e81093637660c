"""Networks of faces: read from a package without running it, computed as TensorFlow does, told as scores."""

from __future__ import annotations

import gzip
import os
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nada.errors import CheckpointError
from nada.hashing import sha256_file
from nada.judge.faces import package
from nada.judge.faces.layers import conv, max_pool, same
from nada.judge.faces.network import DESCRIPTOR, NETWORKS, NUM_EXPRESSIONS, Faces
from nada.judge.faces.package import read_package
from nada.judge.faces.scores import face_scores
from tasks.download.judge_weights import FACES
from tests.face_package import Files, network_files, write_faces, write_package

NET = "age_gender_model"
MANIFEST, SHARD = f"{NET}-weights_manifest.json", f"{NET}.bin"


def files() -> Files:
    """A bias of floats, and a filter of bytes: 1 x 1 pixels, two channels in, three out."""
    filters = np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3)
    return network_files(NET, {"bias": np.array([1.5, -2], np.float32), "conv/filters": filters}, scale=0.5, low=-1.0)


def read_any(path: Path, networks: Iterable[str]) -> dict[str, dict[str, torch.Tensor]]:
    """Whatever its bytes."""
    return read_package(path, networks, sha256_file(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "face-api.tgz"


def test_bytes_stand_for_numbers_and_filters_are_turned_as_torch_has_them(path: Path) -> None:
    write_package(path, {"README.md": b"", **files()})
    found = read_any(path, [NET])[NET]
    assert found["bias"].tolist() == [1.5, -2]
    assert found["conv/filters"].squeeze().tolist() == [[-1, 0.5], [-0.5, 1], [0, 1.5]]  # [out, in]


def changed(old: bytes, new: bytes) -> Callable[[Files], Files]:
    return lambda of: {**of, MANIFEST: of[MANIFEST].replace(old, new)}


BROKEN: dict[str, tuple[Callable[[Files], Files], str]] = {
    "shard cut short": (lambda of: {**of, SHARD: of[SHARD][:-1]}, "'conv/filters' lies beyond the end of its shard"),
    "shard too long": (lambda of: {**of, SHARD: of[SHARD] + b"!"}, "of which its manifest describes 14"),
    "no such size": (changed(b"[2]", b"[4611686018427387904]"), "'bias' has a shape that no tensor has"),
    "a size below zero": (changed(b"[2]", b"[-2]"), "'bias' has a shape that no tensor has"),
    "no size at all": (changed(b"[2]", b"[true]"), "'bias' has a shape that no tensor has"),
    "five dimensions": (changed(b"[2]", b"[2, 1, 1, 1, 1]"), "'bias' has a shape that no tensor has"),
    "as large as it can be": (changed(b"[2]", b"[9999999, 9999999, 9999999]"), "beyond the end of its shard"),
    "of integers": (changed(b"float32", b"int32"), "'bias' is not of float32"),
    "of another kind": (changed(b"uint8", b"uint16"), "is kept in a way that is not known"),
    "no finite scale": (changed(b'"scale": 0.5', b'"scale": 1e39'), "holds what is no number"),
    "a scale beyond floats": (changed(b'"scale": 0.5', b'"scale": 1' + b"0" * 400), "not a whole package of networks"),
    "a text for a scale": (changed(b'"scale": 0.5', b'"scale": "0.5"'), "is kept in a way that is not known"),
    "no list": (lambda of: {**of, MANIFEST: b"{}"}, "a manifest that is no list of groups"),
    "no tensor": (changed(b'"name": "bias"', b'"name": 1'), "an entry that is no tensor"),
    "no JSON": (lambda of: {**of, MANIFEST: b"["}, "not a whole package of networks"),
    "nested without end": (lambda of: {**of, MANIFEST: b"[" * 100_000}, "not a whole package of networks"),
    "a file missing": (lambda of: {MANIFEST: of[MANIFEST]}, f"no file '{SHARD}' in it"),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN)
def test_a_package_that_does_not_hold_what_it_says_is_refused(
    path: Path, change: Callable[[Files], Files], message: str
) -> None:
    write_package(path, change(files()))
    with pytest.raises(CheckpointError, match=r"face-api\.tgz: ") as caught:
        read_any(path, [NET])
    assert message in str(caught.value)


def test_a_package_that_unpacks_to_too_much_is_not_unpacked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MAX_UNPACKED_BYTES", 1 << 20)
    write_package(path, {"padding": bytes(2 << 20), **files()})
    with pytest.raises(CheckpointError, match="unpacks to more than any such package does"):
        read_any(path, [NET])


@pytest.mark.parametrize("content", [b"", b"no archive", gzip.compress(b"no archive", mtime=0)])
def test_a_file_that_is_no_package_is_named(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"face-api\.tgz: "):
        read_any(path, [NET])


def test_a_cut_package_is_named(path: Path) -> None:
    write_package(path, files())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match=r"face-api\.tgz: .*; fetch it again"):
        read_any(path, [NET])


def test_another_package_is_refused_before_it_is_unpacked(path: Path) -> None:
    longname = tarfile.TarInfo("././@LongLink")
    longname.type, longname.size = tarfile.GNUTYPE_LONGNAME, 1
    header = longname.tobuf(tarfile.GNU_FORMAT) + b"a".ljust(tarfile.BLOCKSIZE, b"\0")
    path.write_bytes(gzip.compress(header * 3000, 1))  # a header of a header of a header
    with pytest.raises(
        CheckpointError, match=rf"face-api\.tgz: sha256 {sha256_file(path)}, not {FACES.sha256} of @vlad"
    ):
        read_package(path, [NET])
    path.unlink()
    os.mkfifo(path)  # which nobody ever writes
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_package(path, [NET])


def test_the_odd_pixel_of_padding_is_right_and_below() -> None:
    ones = {"layer/filters": torch.ones(1, 1, 3, 3), "layer/bias": torch.zeros(1)}
    img = torch.ones(1, 1, 4, 4)
    assert conv(img, ones, "layer", stride=2).squeeze().tolist() == [[9, 6], [6, 4]]
    assert conv(img, ones, "layer").squeeze()[0].tolist() == [4, 6, 6, 4]
    assert same(img, 1, 2).shape == img.shape
    assert max_pool(-img).squeeze().tolist() == [[-1, -1], [-1, -1]]  # what is outside is never the largest


def test_features_are_probabilities_years_and_who_it_is(path: Path) -> None:
    write_faces(path)
    faces = Faces(read_any(path, NETWORKS), "f" * 64)
    img_u8 = torch.randint(0, 256, (3, 3, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
    features = faces.features(img_u8)
    assert features.shape == (3, NUM_EXPRESSIONS + 2 + 128)
    assert np.allclose(features[:, :NUM_EXPRESSIONS].sum(axis=1), 1)
    assert np.isfinite(features).all() and features[:, DESCRIPTOR].std(axis=0).min() > 0
    assert np.allclose(faces.features(img_u8[1:2])[0], features[1], atol=1e-5)  # pictures do not see each other


def test_the_tensors_of_another_network_are_named(path: Path) -> None:
    write_faces(path)
    states = read_any(path, NETWORKS)
    with pytest.raises(CheckpointError, match="no tensor 'entry_flow/conv_in/filters'; expected the networks"):
        Faces({**states, NET: {}}, "f" * 64)
    wrong = {**states[NET], "fc/age/weights": torch.zeros(3, 1)}
    with pytest.raises(CheckpointError, match="tensors of other shapes than face-api's"):
        Faces({**states, NET: wrong}, "f" * 64)


def features_of(smiling: float, years: float, who: list[list[float]]) -> NDArray[np.float64]:
    features = np.zeros((len(who), NUM_EXPRESSIONS + 2 + 128))
    features[:, 1], features[:, NUM_EXPRESSIONS] = smiling, years
    features[:, DESCRIPTOR.start : DESCRIPTOR.start + 2] = who
    return features


def test_scores_tell_what_changed_and_whether_it_is_the_same_person() -> None:
    who = [[2.0, 1.0], [0.0, 1.0], [1.0, 2.0], [1.0, 0.0]]  # about their mean: right, left, above, below
    turned = [[1.0, 2.0], [1.0, 0.0], [0.0, 1.0], [2.0, 1.0]]
    source = features_of(0.25, 30, who)
    scores = {name: figure for name, (figure, _) in face_scores(source, features_of(1, 70, turned)).items()}
    assert (scores["smiling"].value, scores["smiling_source"].value) == (1, 0.25)
    assert (scores["age"].value, scores["age_source"].value) == (70, 30)
    assert scores["identity"].value == pytest.approx(0)
    assert face_scores(source, source)["identity"][0].value == pytest.approx(1)

"""Files go into keys by what they hold, and code by what runs."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from nada.config import ClipConfig, GuideClipConfig, GuideConfig, JudgeConfig
from nada.errors import CheckpointError, NadaError
from nada.hashing import sha256_file
from nada.methods.registry import find_method
from tasks.keys import inputs
from tasks.keys.inputs import EVALUATION_ENTRIES, MAKING_ENTRIES, guide_hashes, hashed, judge_hashes, reference_hash


def judge(folder: Path, inception: str = "none") -> JudgeConfig:
    (folder / "judge.safetensors").write_bytes(b"judge")
    clip = ClipConfig(name="judge", weights=str(folder / "judge.safetensors"))
    return JudgeConfig(model=clip, inception=inception)


def test_making_runs_its_methods_code_and_that_of_its_family(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(inputs, "code_hash", lambda entries: asked.append(list(entries)))
    inputs.making_code(find_method("adapt"), "nada.generators.stylegan3")
    inputs.evaluation_code("nada.generators.stylegan3")
    inputs.evaluation_code()
    assert asked == [
        ["nada.methods.adapt.making", *MAKING_ENTRIES, "nada.generators.stylegan3"],
        [*EVALUATION_ENTRIES, "nada.generators.stylegan3"],
        [*EVALUATION_ENTRIES],
    ]
    assert not {*MAKING_ENTRIES} & {*EVALUATION_ENTRIES}


def test_references_count_by_names_and_content_and_not_by_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(b"picture")
    first, second = (reference_hash(str(tmp_path / name)) for name in ("a", "b"))
    assert first == second
    (tmp_path / "b" / "0.png").write_bytes(b"another")
    assert reference_hash(str(tmp_path / "b")) != first
    (tmp_path / "a" / "0.png").rename(tmp_path / "a" / "1.png")
    assert reference_hash(str(tmp_path / "a")) != first


def test_a_set_of_which_more_is_read_than_ever_has_another_hash(tmp_path: Path) -> None:
    """Features and scores of the pictures that an older version read of it are not taken for its own."""

    def folder(*names: str) -> str:
        place = tmp_path / "-".join(names).replace("/", "_")
        for name in names:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(b"picture")
        return str(place)

    def zipped(*names: str) -> str:
        with zipfile.ZipFile(place := folder("0.png") + "-".join(names).replace("/", "_") + ".zip", "w") as archive:
            for name in names:
                archive.writestr(name, b"picture")
        return place

    def as_ever(path: str) -> str:
        if path.endswith(".zip"):
            return sha256_file(Path(path))
        files = sorted(file for file in Path(path).rglob("*") if file.is_file())
        return hashed([(file.relative_to(path).as_posix(), sha256_file(file)) for file in files])

    for known in (folder("0.png"), folder("0.png", "notes.txt", ".hidden"), zipped("0.png", "below/1.jpg", "a.heic")):
        assert reference_hash(known) == as_ever(known)
    for new in (folder("0.png", "1.tif"), folder("0.png", "below/1.png"), zipped("0.png", "1.jfif")):
        assert reference_hash(new) != as_ever(new)
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zipped("0.png", "0.png")
    assert reference_hash(twice) != as_ever(twice)


def test_references_that_cannot_be_read_are_a_checkpoint_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(inputs, "sha256_file", refuse)
    with zipfile.ZipFile(tmp_path / "truth.zip", "w") as archive:
        archive.writestr("0.png", b"picture")
    with pytest.raises(CheckpointError, match=r"truth\.zip: cannot be read \(Permission denied\)$"):
        reference_hash(str(tmp_path / "truth.zip"))


def test_weights_of_the_inception_count_by_content_and_not_by_place(tmp_path: Path) -> None:
    found = []
    for body, name in ((b"one", "a.pth"), (b"one", "b.pth"), (b"two", "b.pth")):
        (tmp_path / name).write_bytes(body)
        found.append(judge_hashes(judge(tmp_path, str(tmp_path / name)), None)["judge.inception"])
    assert found[0] == found[1] != found[2]
    assert "judge.inception" not in judge_hashes(judge(tmp_path), None)
    assert judge_hashes(judge(tmp_path, "web"), None)["judge.inception"] not in found


def test_missing_clip_weights_are_a_checkpoint_error(tmp_path: Path) -> None:
    config = judge(tmp_path)
    (tmp_path / "judge.safetensors").unlink()
    expected = r"^.*judge\.safetensors: cannot be read \(No such file or directory\)$"
    with pytest.raises(CheckpointError, match=expected):
        judge_hashes(config, None)
    guide = GuideConfig(models=(GuideClipConfig(name="judge", weights=config.model.weights),))
    with pytest.raises(CheckpointError, match=expected):
        guide_hashes(guide)


def test_a_tag_and_a_file_of_that_content_are_two_networks(tmp_path: Path) -> None:
    tagged = JudgeConfig(model=ClipConfig(name="judge", weights="openai"))
    assert judge_hashes(tagged, None) != judge_hashes(judge(tmp_path), None)


def test_plain_data_is_hashed_however_it_is_laid_out_and_only_if_it_is_finite() -> None:
    assert hashed({"a": 1, "b": [2.0]}) == hashed({"b": [2.0], "a": 1}) != hashed({"a": 1, "b": [2]})
    with pytest.raises(NadaError, match="not a finite number"):
        hashed({"a": float("inf")})

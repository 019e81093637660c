"""A CLIP's file is read without running it, and is refused with the whole reason where it is not that CLIP."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nada.clip.loading import load_clip
from nada.clip.open_clip_import import open_clip
from nada.config import ClipConfig
from nada.errors import CheckpointError
from tests.conftest import write_tiny_clip
from tests.hostile.common import attack


@pytest.fixture
def state(tiny_world: Path) -> dict[str, Tensor]:
    return load_file(tiny_world / "tiny-guide.safetensors")


def embedding(world: Path, weights: Path) -> Tensor:
    clip = load_clip(ClipConfig(name="tiny-guide", weights=str(weights)), str(world), True, "cpu")
    return clip.embed_texts(["a cat"])


def refusal(world: Path, weights: Path) -> str:
    with pytest.raises(CheckpointError) as err:
        embedding(world, weights)
    message = str(err.value)
    assert message.startswith(f"{weights}: ") and "\n" not in message and "weights_only" not in message
    return message.removeprefix(f"{weights}: ")


WRAPPINGS = {
    "bare": lambda state: state,
    "of a training": lambda state: {"epoch": 3, "state_dict": state, "optimizer": {"state": {0: {"step": 1}}}},
    "of a parallel training": lambda state: {"state_dict": {f"module.{name}": t for name, t in state.items()}},
    "in float16": lambda state: {name: t.half().float() for name, t in state.items()},
    "with OpenAI's numbers": lambda state: {**state, "context_length": torch.tensor(77)},
}


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("name", WRAPPINGS)
def test_torch_files_are_read_like_safetensors(
    tiny_world: Path, tmp_path: Path, state: dict[str, Tensor], name: str, is_zip: bool
) -> None:
    torch.save(WRAPPINGS[name](state), tmp_path / "clip.pt", _use_new_zipfile_serialization=is_zip)
    found, expected = (
        embedding(tiny_world, tmp_path / "clip.pt"),
        embedding(tiny_world, tiny_world / "tiny-guide.safetensors"),
    )
    assert torch.allclose(found, expected, atol=1e-2 if "float16" in name else 0)


def test_tensors_that_differ_are_counted_and_named(tiny_world: Path, tmp_path: Path, state: dict[str, Tensor]) -> None:
    bent = {**state, "logit_scale": torch.zeros(3), "surplus": torch.zeros(1)}
    del bent["ln_final.weight"], bent["ln_final.bias"]
    save_file(bent, tmp_path / "clip.safetensors")
    assert refusal(tiny_world, tmp_path / "clip.safetensors") == (
        "not weights of tiny-guide; tensors: 2 missing (ln_final.weight, ln_final.bias); 1 unknown (surplus); "
        "1 of another shape (logit_scale is [3] and not [])"
    )


def test_the_model_that_they_are_of_is_named(tiny_world: Path, tmp_path: Path) -> None:
    write_tiny_clip(tmp_path, "tiny-wide", seed=0)
    config = json.loads((tmp_path / "tiny-wide.json").read_text())
    config["vision_cfg"]["width"] = 48
    (tmp_path / "tiny-wide.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path)
    save_file(open_clip.create_model("tiny-wide").state_dict(), tmp_path / "clip.safetensors")
    assert refusal(tiny_world, tmp_path / "clip.safetensors").endswith("; by their shapes they are of tiny-wide")


def test_positions_of_another_picture_size_are_not_stretched(
    tiny_world: Path, tmp_path: Path, state: dict[str, Tensor]
) -> None:
    name = "visual.positional_embedding"
    save_file({**state, name: torch.zeros(10, 32)}, tmp_path / "clip.safetensors")
    message = refusal(tiny_world, tmp_path / "clip.safetensors")
    assert message.endswith(f"tensors: 1 of another shape ({name} is [10, 32] and not [5, 32])")


def test_a_file_that_calls_something_is_refused(tiny_world: Path, tmp_path: Path) -> None:
    torch.save({"x": attack(tmp_path / "marker")}, tmp_path / "clip.pt")
    assert "the pickle asks for 'posix.system'" in refusal(tiny_world, tmp_path / "clip.pt")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list; expected a dict of tensors"),
        ({"x": 1}, "not weights of tiny-guide; tensors: 38 missing (positional_embedding, text_projection, "),
        ({"state_dict": {"logit_scale": torch.tensor(torch.nan)}}, "not weights of tiny-guide; tensors: 37 missing"),
    ],
)
def test_other_contents_are_refused(tiny_world: Path, tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "clip.pt")
    assert refusal(tiny_world, tmp_path / "clip.pt").startswith(message)


def test_numbers_that_are_none_are_refused(tiny_world: Path, tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file({**state, "logit_scale": torch.tensor(torch.nan)}, tmp_path / "clip.safetensors")
    assert refusal(tiny_world, tmp_path / "clip.safetensors").startswith("'logit_scale' holds NaN or infinite values")


def test_a_compressed_archive_of_numpys_is_not_unpacked(tiny_world: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "clip.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("params.npy", bytes(1 << 20))
    assert refusal(tiny_world, tmp_path / "clip.npz").startswith("a compressed archive of numpy's")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file (0 bytes)"),
        (b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
        (b"<html>404</html>", "a web page, not weights"),
        (b"\x1f\x8b\x08", "compressed; unpack it first: gzip -dc"),
        (b"\x80\x04N.", "a pickle, as generators of NVIDIA's are; expected a CLIP's"),
        (b"GIF89a", "unknown format (begins with b'GIF89a'); expected a CLIP's .safetensors"),
    ],
)
def test_strangers_are_named_for_what_they_are(tiny_world: Path, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "clip.pt").write_bytes(content)
    assert refusal(tiny_world, tmp_path / "clip.pt").startswith(message)

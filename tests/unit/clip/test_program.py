"""OpenAI publishes its CLIPs as TorchScript programs: their tensors are taken, their code is not run."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nada.clip.loading import check_clip, load_clip
from nada.clip.open_clip_import import open_clip
from nada.clip.program import activation_of_program, is_program
from nada.clip.weights import read_state
from nada.config import ClipConfig
from nada.errors import CheckpointError
from tests.hostile.common import attack


@pytest.fixture(scope="module", params=[False, True], ids=["gelu", "quickgelu"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> Path:
    """The tiny guide as OpenAI would have published it, in float16."""
    open_clip.add_model_config(tiny_world)
    path = tmp_path_factory.mktemp("program") / ("quickgelu.pt" if request.param else "gelu.pt")
    model = open_clip.create_model("tiny-guide", force_quick_gelu=request.param)
    model.load_state_dict(load_file(tiny_world / "tiny-guide.safetensors"))
    inputs = (torch.rand(1, 3, 16, 16), open_clip.get_tokenizer("tiny-guide")(["a cat"]))
    with warnings.catch_warnings():  # torch deprecates what OpenAI's files were written with
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(model.eval(), inputs, strict=False, check_trace=False)  # type: ignore[no-untyped-call]
        traced.half().save(path)
    return path


def config(path: Path) -> ClipConfig:
    return ClipConfig(name="tiny-guide", weights=str(path))


def test_every_tensor_is_found_under_its_name(program: Path, tiny_world: Path) -> None:
    expected = load_file(tiny_world / "tiny-guide.safetensors")
    found = read_state(program)
    assert all(torch.equal(found[name], tensor.half()) for name, tensor in expected.items())


def test_the_code_tells_the_activation(program: Path, tiny_world: Path) -> None:
    assert activation_of_program(program) == program.stem
    if program.stem == "gelu":
        texts = load_clip(config(program), str(tiny_world), True, "cpu").embed_texts(["a cat"])
        safe = load_clip(config(tiny_world / "tiny-guide.safetensors"), str(tiny_world), True, "cpu")
        assert torch.allclose(texts, safe.embed_texts(["a cat"]), atol=1e-2)
    else:
        with pytest.raises(CheckpointError, match="trained with QuickGELU; no model of open_clip is tiny-guide"):
            check_clip(config(program), str(tiny_world))


def test_a_program_is_told_from_a_state_dict(program: Path, tiny_world: Path, tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(1)}, tmp_path / "clip.pt")
    assert is_program(program)
    assert not is_program(tmp_path / "clip.pt") and not is_program(tiny_world / "tiny-guide.safetensors")


def rewritten(program: Path, out: Path, content: bytes) -> Path:
    """The program with another pickle."""
    with zipfile.ZipFile(program) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            is_pickle = info.filename.endswith("/data.pkl")
            new.writestr(info, content if is_pickle else old.read(info), compress_type=info.compress_type)
    return out


def test_a_program_that_calls_something_else_is_refused(program: Path, tmp_path: Path) -> None:
    path = rewritten(program, tmp_path / "evil.pt", pickle.dumps(attack(tmp_path / "marker"), 2))
    with pytest.raises(CheckpointError, match=r"asks for 'posix\.system', which is no part"):
        read_state(path)
    assert not (tmp_path / "marker").exists()


def test_a_module_within_itself_ends(program: Path, tmp_path: Path) -> None:
    module = b"\x80\x02c__torch__.x\nM\n)\x81q\x00}X\x04\x00\x00\x00selfh\x00sb."
    with pytest.raises(CheckpointError, match="more than 10000 attributes in its modules"):
        read_state(rewritten(program, tmp_path / "endless.pt", module))


def test_generators_are_no_programs(program: Path) -> None:
    from nada.checkpoints import read_any

    with pytest.raises(CheckpointError, match=r"compressed member|which is no part of a generator"):
        read_any(program)


def test_safetensors_beside_it_are_no_program(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    assert not is_program(tmp_path / "x.safetensors")

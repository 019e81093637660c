"""Files that attack or are broken: every one ends in one clear error, and nothing in them ever runs."""

from __future__ import annotations

import os
import pickle
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nada.checkpoints import read_any, save_generator
from nada.checkpoints.torch_file import STREAM_MAGIC
from nada.errors import CheckpointError
from tests.checkpoint_files import as_nvidia_dict, nvidia_tree, rosinality_state, write_nvidia
from tests.conftest import tiny_generator

OPENING = b"\x80\x04"  # pickle protocol 4


class Attack:
    """Runs a command when unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


class NestedAttack:
    """Hides the command in the torch file inside a tensor."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __reduce__(self) -> Any:
        return torch.storage._load_from_bytes, (self.content,)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "executed"


def refusal(path: Path, marker: Path | None = None) -> str:
    with pytest.raises(CheckpointError) as err:
        read_any(path)
    assert marker is None or not marker.exists(), "the checkpoint executed something"
    assert str(err.value).startswith(f"{path}: ") and len(str(err.value).splitlines()) == 1
    return str(err.value)


def tiny_dict() -> dict[str, Any]:
    return as_nvidia_dict(nvidia_tree(tiny_generator().state_dict()))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_global_outside_the_list_is_named_and_never_called(tmp_path: Path, marker: Path, protocol: int):
    path = write_nvidia(tmp_path / "evil.pkl", {**tiny_dict(), "extra": Attack(marker)}, protocol)
    assert f"the pickle asks for '{os.system.__module__}.system', which is no part" in refusal(path, marker)


def test_attack_among_a_layers_attributes_is_refused(tmp_path: Path, marker: Path):
    content = tiny_dict()
    content["G_ema"].state["_modules"]["mapping"].state["hook"] = Attack(marker)
    assert ".system'" in refusal(write_nvidia(tmp_path / "evil.pkl", content), marker)


@pytest.mark.parametrize("new_format", [True, False])
def test_attack_nested_inside_a_tensor_is_refused(tmp_path: Path, marker: Path, new_format: bool):
    torch.save({"weights": Attack(marker)}, tmp_path / "inner.pt", _use_new_zipfile_serialization=new_format)
    content = {**tiny_dict(), "extra": NestedAttack((tmp_path / "inner.pt").read_bytes())}
    message = refusal(write_nvidia(tmp_path / "evil.pkl", content), marker)
    assert "a tensor's storage is not a torch file" in message if new_format else ".system'" in message


@pytest.mark.parametrize("inner", [b"", b"\x80\x04N.", pickle.dumps(print), STREAM_MAGIC])
def test_storage_that_is_no_tensor_is_refused(tmp_path: Path, inner: bytes):
    refusal(write_nvidia(tmp_path / "evil.pkl", {**tiny_dict(), "extra": NestedAttack(inner)}))


@pytest.mark.parametrize("new_format", [True, False])
def test_attack_in_a_torch_file_is_named_and_never_called(tmp_path: Path, marker: Path, new_format: bool):
    path = tmp_path / "evil.pt"
    state = rosinality_state(tiny_generator())
    torch.save({"g_ema": state, "hook": Attack(marker)}, path, _use_new_zipfile_serialization=new_format)
    assert f"asks for '{os.system.__module__}.system'" in refusal(path, marker)


@pytest.mark.parametrize(
    "name",
    ["builtins eval", "builtins exec", "builtins getattr", "builtins __import__", "torch load", "torch.hub load",
     "numpy load", "subprocess Popen", "torch.serialization load", "collections OrderedDict.fromkeys",
     "torch_utils.persistence import_hook", "nada.errors NadaError", "functools partial", "copyreg _reconstructor"],
)  # fmt: skip
def test_every_other_global_is_refused_by_name(tmp_path: Path, name: str):
    path = tmp_path / "evil.pkl"
    module, member = (f"\x8c{chr(len(part))}{part}".encode("latin1") for part in name.split(" "))
    path.write_bytes(OPENING + module + member + b"\x93.")
    assert f"the pickle asks for '{name.replace(' ', '.')}'" in refusal(path)


STAND_IN = b"ccollections\nOrderedDict\n"

INSTRUCTIONS = {
    "build a class by instruction OBJ": b"(cos\nsystem\nX\x04\x00\x00\x00trueo.",
    "build a class by instruction INST": b"(X\x04\x00\x00\x00trueios\nsystem\n.",
    "fetch by registered extension": b"\x82\x01.",
    "fetch by persistent id": b"Pid\n.",
    "call a string": b"X\x02\x00\x00\x00hi)R.",
    "call with a list of arguments": STAND_IN + b"]R.",
    "set attributes of an admitted name": STAND_IN + b"}X\x08\x00\x00\x00__call__K\x01sb.",
    "set slots of an admitted name": STAND_IN + b"N}X\x04\x00\x00\x00callK\x01s\x86b.",
    "set attributes of a list": b"]}X\x01\x00\x00\x00aK\x01sb.",
    "items for an admitted name": STAND_IN + b"K\x01K\x02s.",
    "append to an admitted name": STAND_IN + b"K\x01a.",
    "a tuple as a key, which can take for ever to hash": b"}K\x01K\x02\x86K\x03s.",
    "a tuple in a set": b"\x8f(K\x01K\x02\x86\x90.",
    "a class name that is a structure": b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n"
    b"}(X\x04\x00\x00\x00typeX\x05\x00\x00\x00classX\x0a\x00\x00\x00class_name]X\x05\x00\x00\x00state}u\x85R.",
    "a numpy object": b"cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\nX\x01\x00\x00\x00O\x85RC\x08AAAAAAAA\x86R.",
    "memory by a memo index": b"Nr\xff\xff\xff\x7f.",
    "memory by a length": b"\x8e" + struct.pack("<Q", 1 << 62) + b"short.",
    "memory by a frame": b"\x95" + struct.pack("<Q", 1 << 62) + b"N.",
    "a text that is no text": b"\x8c\x02\xff\xfe.",
    "an empty stack": b"0000.",
    "an instruction that does not exist": b"\xfe.",
    "no end": b"}",
}


@pytest.mark.parametrize("attack", INSTRUCTIONS)
def test_every_other_instruction_is_refused(tmp_path: Path, attack: str):
    path = tmp_path / "evil.pkl"
    path.write_bytes(OPENING + INSTRUCTIONS[attack])
    refusal(path)


def test_structures_that_double_at_every_step_are_refused_at_once(tmp_path: Path):
    path = tmp_path / "evil.pkl"
    doubling = b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(60))
    path.write_bytes(OPENING + b"}K\x01q\x00" + doubling + b"K\x02s.")
    refusal(path)


class FakeTensor:
    """A tensor whose shape claims what its storage does not hold."""

    def __init__(self, offset: Any, shape: Any, stride: Any) -> None:
        self.numbers = (offset, shape, stride)

    def __reduce__(self) -> Any:
        torch.save(torch.zeros(6), buffer := __import__("io").BytesIO(), _use_new_zipfile_serialization=False)
        del buffer
        storage = torch.zeros(6).storage()
        return torch._utils._rebuild_tensor_v2, (storage, *self.numbers, False, {})


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize(
    "numbers",
    [(0, (7,), (1,)), (1, (6,), (1,)), (0, (2, 3), (6, 1)), (0, (1 << 40,), (0,)), (-1, (2,), (1,)), (0, (-2,), (1,)),
     (0, (2,), (-1,)), (0, (1 << 70,), (1,)), (0, (2, 3), (1,)), (0, "22", "11"), (0.5, (2,), (1,)),
     (0, (0, 1 << 70), (1, 1)), (1 << 70, (1,), (1,))],
)  # fmt: skip
def test_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path: Path, numbers: tuple[Any, ...]):
    refusal(write_nvidia(tmp_path / "evil.pkl", {**tiny_dict(), "extra": FakeTensor(*numbers)}))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    generator = tiny_generator()
    write_nvidia(folder / "a.pkl", tiny_dict())
    torch.save({"g_ema": rosinality_state(generator)}, folder / "new.pt")
    torch.save({"g_ema": rosinality_state(generator)}, folder / "old.pt", _use_new_zipfile_serialization=False)
    save_generator(folder / "c.safetensors", generator)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("kept", [0.0, 0.0002, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
@pytest.mark.parametrize("name", ["a.pkl", "new.pt", "old.pt", "c.safetensors"])
def test_truncated_file_is_refused(tmp_path: Path, whole: dict[str, bytes], name: str, kept: float):
    (tmp_path / name).write_bytes(whole[name][: int(kept * len(whole[name]))])
    refusal(tmp_path / name)


@pytest.mark.filterwarnings("ignore")  # torch warns of some broken files before it refuses them
@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("name", ["a.pkl", "new.pt", "old.pt", "c.safetensors"])
def test_flipped_bits_are_refused_or_harmless(tmp_path: Path, whole: dict[str, bytes], name: str, seed: int):
    """Half of the flips hit the first 4 KiB, where the structure is; a flip in a weight may go unnoticed."""
    rng = np.random.default_rng(seed)
    content = np.frombuffer(whole[name], np.uint8).copy()
    reach = 4096 if seed % 2 else len(content)
    for at in rng.integers(0, reach, size=1 + seed % 4):
        content[at] ^= 1 << rng.integers(8)
    (tmp_path / name).write_bytes(content.tobytes())
    try:
        generator = read_any(tmp_path / name)
    except CheckpointError as err:
        assert str(err).startswith(f"{tmp_path / name}: ")
    else:
        assert generator.resolution == 16


def test_torch_file_of_an_unknown_zip_version_is_refused(tmp_path: Path, whole: dict[str, bytes]):
    directory = whole["new.pt"].rfind(b"PK\x01\x02")
    content = bytearray(whole["new.pt"])
    content[directory + 6] = 200  # the version needed to unpack the last member
    (tmp_path / "new.pt").write_bytes(bytes(content))
    assert "truncated or damaged torch file (zip file version 20.0)" in refusal(tmp_path / "new.pt")


def test_path_tricks_in_a_torch_file_write_nothing(tmp_path: Path):
    inner = tmp_path / "inner"
    inner.mkdir()
    with zipfile.ZipFile(inner / "evil.pt", "w") as archive:
        archive.writestr("../../escaped", b"x")
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    refusal(inner / "evil.pt")
    assert {file.name for file in tmp_path.rglob("*")} == {"inner", "evil.pt"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file (0 bytes); fetch it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a pointer of Git LFS, not the weights"),
        (b"<!DOCTYPE html><html>404</html>", "a web page, not weights; the download failed"),
        (b"GIF89a-something-else", "unknown format (begins with b'GIF89a-s'); expected nada's .safetensors"),
        (b"cos\nsystem\n(S'true'\ntR.", "unknown format (begins with b'cos\\nsyst')"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "weights.pkl").write_bytes(content)
    assert message in refusal(tmp_path / "weights.pkl")


def test_missing_file_and_folder_are_refused(tmp_path: Path):
    assert "cannot be read (No such file or directory); expected nada's" in refusal(tmp_path / "nowhere.pkl")
    assert "cannot be read (Is a directory)" in refusal(tmp_path)


def test_reading_imports_none_of_the_names_in_a_checkpoint(tmp_path: Path):
    read_any(write_nvidia(tmp_path / "tiny.pkl", tiny_dict()))
    assert not {"torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util"} & sys.modules.keys()

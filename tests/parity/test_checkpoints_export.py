"""The pickle we write for NVIDIA's tools: what is in it, and that a loader of their kind rebuilds the modules.

Their classes do not exist here. A stand-in of their persistence executes the file's source text as theirs does,
with empty classes in the place of their networks.
"""

from __future__ import annotations

import ast
import copy
import io
import pickle
import pickletools
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nada.checkpoints import conversion_report, inspect, read_any, write_any
from nada.checkpoints.nvidia.export import module_source
from nada.errors import OutputError
from nada.generators.registry import Network
from tests.checkpoint_files import EasyDict, golden_network

SHARED = {
    "Generator": "z_dim c_dim w_dim img_resolution img_channels num_ws synthesis mapping _init_args _init_kwargs",
    "FullyConnectedLayer": "in_features out_features activation weight_gain bias_gain weight bias",
    "MappingNetwork": "z_dim c_dim w_dim num_ws num_layers w_avg_beta embed w_avg fc0",
}
STYLEGAN2 = SHARED | {
    "SynthesisNetwork": "w_dim num_ws img_resolution img_resolution_log2 img_channels num_fp16_res block_resolutions",
    "SynthesisBlock": "in_channels w_dim resolution img_channels is_last architecture use_fp16 channels_last "
    "fused_modconv_default num_conv num_torgb conv1 torgb resample_filter",
    "SynthesisLayer": "in_channels out_channels w_dim resolution up use_noise activation conv_clamp padding act_gain "
    "affine weight bias noise_const noise_strength resample_filter",
    "ToRGBLayer": "in_channels out_channels w_dim conv_clamp weight_gain affine weight bias",
}
STYLEGAN3 = SHARED | {
    "SynthesisNetwork": "w_dim num_ws img_resolution img_channels num_layers num_critical margin_size output_scale "
    "num_fp16_res layer_names input",
    "SynthesisInput": "w_dim channels size sampling_rate bandwidth weight affine transform freqs phases",
    "SynthesisLayer": "w_dim is_torgb is_critically_sampled use_fp16 in_channels out_channels in_size out_size "
    "in_sampling_rate out_sampling_rate tmp_sampling_rate in_cutoff out_cutoff in_half_width out_half_width "
    "conv_kernel conv_clamp magnitude_ema_beta up_factor up_taps down_factor down_taps down_radial padding affine "
    "weight bias magnitude_ema up_filter down_filter",
}
REPOSITORIES = {"networks_stylegan2": STYLEGAN2, "networks": STYLEGAN2, "networks_stylegan3": STYLEGAN3}
"""Modules of NVIDIA's repositories, and the attributes that their classes have."""

GLOBALS = {
    "collections.OrderedDict",
    "dnnlib.util.EasyDict",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor_v2",
    "torch.storage._load_from_bytes",
    "torch_utils.persistence._reconstruct_persistent_obj",
}


@pytest.fixture(scope="module", params=["nv2_32px", "nv2_64px_clamp", "nv3t_32px", "nv3r_32px"])
def generator(request: pytest.FixtureRequest) -> Network:
    return golden_network(request.param)


@pytest.fixture(scope="module")
def exported(generator: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "generator.pkl"
    write_any(path, generator)
    return path


def reconstruct(meta: dict[str, Any]) -> Any:
    """Does what NVIDIA's persistence does with an object: executes its source, and gives its class the state."""
    assert (meta["type"], meta["version"]) == ("class", 6)
    namespace: dict[str, Any] = {}
    exec(meta["module_src"], namespace)
    rebuilt = namespace[meta["class_name"]].__new__(namespace[meta["class_name"]])
    rebuilt.__setstate__(meta["state"])
    return rebuilt


@contextmanager
def repository(networks: str) -> Iterator[None]:
    """While inside, modules of a repository of NVIDIA's can be imported; `networks` holds its classes."""
    classes = {name: type(name, (nn.Module,), {}) for name in REPOSITORIES[networks]}
    members: dict[str, dict[str, Any]] = {
        "torch_utils": {}, "torch_utils.persistence": {"_reconstruct_persistent_obj": reconstruct},
        "dnnlib": {}, "dnnlib.util": {"EasyDict": EasyDict},
        "training": {"networks": types.SimpleNamespace(**classes)}, f"training.{networks}": classes,
    }  # fmt: skip
    for name, content in members.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(content)
    try:
        yield
    finally:
        for name in members:
            del sys.modules[name]


def load(path: Path, networks: str) -> dict[str, Any]:
    with repository(networks), path.open("rb") as file:
        content: dict[str, Any] = pickle.load(file)
    return content


@pytest.fixture(scope="module")
def loaded(exported: Path, generator: Network) -> dict[str, Any]:
    return load(exported, f"networks_{generator.config.family}")


def test_loader_finds_what_it_asserts(loaded: dict[str, Any]):
    assert list(loaded) == ["G", "D", "G_ema", "training_set_kwargs", "augment_pipe"]
    assert loaded["G"] is loaded["G_ema"] and isinstance(loaded["G"], nn.Module) and isinstance(loaded["D"], nn.Module)
    assert loaded["training_set_kwargs"] is None and loaded["augment_pipe"] is None


def test_rebuilt_modules_have_every_tensor(loaded: dict[str, Any], generator: Network):
    theirs, ours = loaded["G_ema"].state_dict(), generator.state_dict()
    assert theirs.keys() == ours.keys() and all(torch.equal(theirs[name], ours[name]) for name in ours)
    assert all(isinstance(p, nn.Parameter) and not p.requires_grad for p in loaded["G_ema"].parameters())
    assert {name for name, _ in loaded["G_ema"].named_parameters()} == {
        name for name, _ in generator.named_parameters()
    }


@pytest.mark.parametrize("networks", REPOSITORIES)
def test_rebuilt_modules_have_every_attribute_of_their_classes(networks: str, tmp_path: Path):
    write_any(tmp_path / "a.pkl", golden_network("nv3t_32px" if networks == "networks_stylegan3" else "nv2_32px"))
    modules = list(load(tmp_path / "a.pkl", networks)["G_ema"].modules())
    assert {type(module).__name__ for module in modules} == REPOSITORIES[networks].keys()
    for module in modules:
        for name in REPOSITORIES[networks][type(module).__name__].split():
            getattr(module, name)


@pytest.mark.parametrize("name", ["nv2_32px", "nv2_64px_clamp"])
def test_attributes_describe_each_layer(name: str, tmp_path: Path):
    config = golden_network(name).config
    write_any(tmp_path / "a.pkl", golden_network(name))
    root = load(tmp_path / "a.pkl", "networks")["G_ema"]
    synthesis, last = root.synthesis, root.synthesis.get_submodule(f"b{config.resolution}")
    assert (synthesis.b4.in_channels, synthesis.b4.num_conv, synthesis.b4.is_last) == (0, 1, False)
    assert (last.in_channels, last.num_conv, last.is_last) == (config.channels(config.resolution // 2), 2, True)
    assert (last.conv0.up, last.conv1.up, last.conv0.conv_clamp) == (2, 1, config.conv_clamp)
    assert root.mapping.fc1.activation == "lrelu" and synthesis.b8.conv0.affine.activation == "linear"
    assert synthesis.block_resolutions[-1] == 1 << synthesis.img_resolution_log2 == config.resolution
    assert root._init_kwargs["mapping_kwargs"] == {"num_layers": config.mapping_layers}


@pytest.mark.parametrize("name", ["nv3t_32px", "nv3r_32px"])
def test_padding_gives_every_layer_its_size(name: str, tmp_path: Path):
    """Pixels in, zeros between them, padding, two filters, every nth pixel out: the sizes must agree."""
    write_any(tmp_path / "a.pkl", golden_network(name))
    synthesis = load(tmp_path / "a.pkl", "networks_stylegan3")["G_ema"].synthesis
    for layer in (synthesis.get_submodule(name) for name in synthesis.layer_names):
        padded = (layer.in_size[0] + layer.conv_kernel - 1) * layer.up_factor + sum(layer.padding[:2])
        filtered = padded - (layer.up_taps - 1) - (layer.down_taps - 1)
        assert -(-filtered // layer.down_factor) == layer.out_size[0] and layer.padding[:2] == layer.padding[2:]
        lengths = [1 if f is None else len(f) for f in (layer.up_filter, layer.down_filter)]
        assert lengths == [layer.up_taps, layer.down_taps]
    assert layer.is_torgb and layer.out_channels == 3 and synthesis.layer_names[-1] == "L6_32_3"


def test_rebuilt_modules_can_be_hooked_and_copied(loaded: dict[str, Any]):
    copied = copy.deepcopy(loaded["G_ema"]).train()
    copied.mapping.register_forward_hook(lambda *_: None).remove()  # takes a weak reference to the table of hooks
    assert copied.training and not loaded["G_ema"].training


def test_placeholder_of_the_discriminator_says_so(loaded: dict[str, Any]):
    assert not list(loaded["D"].state_dict())
    with pytest.raises(RuntimeError, match="holds no discriminator"):
        loaded["D"](torch.zeros(1))


class Recorder(pickle.Unpickler):
    """Records what a pickle asks for and calls; containers are made, all else is left out."""

    def __init__(self, path: Path) -> None:
        self.names: set[str] = set()
        self.sources: set[str] = set()
        self.storages: list[bytes] = []
        with path.open("rb") as file:
            super().__init__(file)
            self.load()

    def find_class(self, module: str, name: str) -> Any:
        self.names.add(f"{module}.{name}")
        if name == "_load_from_bytes":
            return self.storages.append
        if name == "_reconstruct_persistent_obj":
            return lambda meta: self.sources.add(meta["module_src"])
        return OrderedDict if name.endswith("Dict") else lambda *_: None


def test_only_names_of_the_protocol_are_in_the_pickle(exported: Path):
    assert Recorder(exported).names == GLOBALS
    fetching = {instruction.name for instruction, _, _ in pickletools.genops(exported.read_bytes())} & {
        "GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD", "EXT1", "REDUCE",
    }  # fmt: skip
    assert fetching == {"STACK_GLOBAL", "REDUCE"}


def test_tensors_nest_torch_files_of_plain_numbers(exported: Path, generator: Network):
    storages = Recorder(exported).storages
    assert len(storages) == len(generator.state_dict())
    for content in storages:
        file, named = io.BytesIO(content), []
        for _ in range(5):  # magic number, version, system, the storage, the list of its keys
            named += [argument for opcode, argument, _ in pickletools.genops(file) if opcode.name == "GLOBAL"]
        numel = int.from_bytes(file.read(8), "little")
        assert named == ["torch FloatStorage"] and len(file.read()) == 4 * numel


def test_source_text_in_the_pickle_is_ours_and_only_imports_theirs(exported: Path, generator: Network):
    source = module_source(generator.config)
    assert Recorder(exported).sources == {source}
    nodes = list(ast.walk(ast.parse(source)))
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert imported <= {"training", *(f"training.{name}" for name in REPOSITORIES)}
    assert [node.names[0].name for node in nodes if isinstance(node, ast.Import)] == ["torch"]
    assert {node.name for node in nodes if isinstance(node, ast.ClassDef)} <= {"Generator", "NoDiscriminator"}


def test_our_reader_gets_back_every_bit(exported: Path, generator: Network):
    after = read_any(exported)
    report = conversion_report(generator, after)
    assert report.is_bit_equal and report.image_difference == 0 and not report.lost
    assert after.config.conv_clamp == generator.config.conv_clamp and inspect(exported).networks == ("G", "G_ema")


def test_same_generator_gives_the_same_bytes_whatever_its_history(exported: Path, generator: Network):
    write_any(exported.with_name("other.safetensors"), generator)
    loaded = read_any(exported.with_name("other.safetensors"))
    for other in (copy.deepcopy(generator), pickle.loads(pickle.dumps(generator)), loaded):
        write_any(exported.with_name("other.pkl"), other)
        assert exported.with_name("other.pkl").read_bytes() == exported.read_bytes()


def test_failed_write_leaves_nothing(generator: Network, tmp_path: Path):
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="cannot be written"):
        write_any(tmp_path / "taken" / "a.pkl", generator)
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]

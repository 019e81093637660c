from __future__ import annotations

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Literal

import pytest

from nada.errors import CheckpointError
from nada.generators import registry
from nada.generators.families import FAMILIES, Family, family_module
from nada.generators.registry import Architecture, make_network, parse_architecture
from nada.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from tests.conftest import TINY, TINY3, TINY_MOBILE

TINY_OF_EACH_FAMILY = [TINY, TINY3, TINY_MOBILE]


def test_every_family_is_made_by_the_module_that_its_line_names() -> None:
    assert [config.family for config in TINY_OF_EACH_FAMILY] == list(FAMILIES)
    for config in TINY_OF_EACH_FAMILY:
        network = make_network(config)
        assert type(network).__module__ == family_module(config.family)
        assert network.config is config


@pytest.mark.parametrize("config", TINY_OF_EACH_FAMILY, ids=list(FAMILIES))
def test_an_architecture_is_read_back_from_plain_data(config: Architecture) -> None:
    read = parse_architecture("a file", config.model_dump())
    assert type(read) is type(config)
    assert read == config


def test_an_unknown_family_is_refused_with_those_known() -> None:
    message = "generator of the family 'biggan'; known are stylegan2, stylegan3, mobilestylegan"
    with pytest.raises(CheckpointError, match=f"^{message}$"):
        family_module("biggan")


def test_modules_of_families_are_known_without_torch() -> None:
    code = "import sys, nada.generators.families; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_new_family_needs_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class NewConfig(StyleGAN2Config):
        family: Literal["new"] = "new"  # type: ignore[assignment]

    class NewNetwork(StyleGAN2):
        pass

    module = ModuleType("module_of_a_new_family")
    module.NewConfig, module.NewNetwork = NewConfig, NewNetwork  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(FAMILIES, "new", Family(module.__name__, "NewConfig", "NewNetwork"))
    spec = spec_from_file_location("registry_imported_again", registry.__file__)
    assert spec is not None and spec.loader is not None
    again = module_from_spec(spec)
    spec.loader.exec_module(again)

    config = again.parse_architecture("a file", {**TINY.model_dump(), "family": "new"})
    assert type(again.make_network(config)) is NewNetwork
    assert isinstance(again.parse_architecture("a file", TINY.model_dump()), StyleGAN2Config)

"""Every mistake in params.yaml gets one clear line, and all lines come at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from nada.errors import CheckpointError, ParamsError, quoted
from nada.methods.adapt.config import AdaptConfig
from nada.methods.registry import METHODS
from tasks.config.params import load_params
from tasks.config.recipes import default_recipes
from tests.methods.dream import DreamConfig, dream

__all__ = ["dream"]

RECIPES = list(dict.fromkeys(["style", "shape", *default_recipes()]))
SECTIONS = ("night", "generator", "guide", "judge", "samples")
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """A valid params.yaml whose files exist."""
    for name in ("generator.safetensors", "guide.safetensors", "judge.safetensors"):
        (tmp_path / name).touch()
    return {
        "night": {"recipe": "style"},
        "generator": {"weights": str(tmp_path / "generator.safetensors")},
        "guide": {"models": [{"name": "g", "weights": str(tmp_path / "guide.safetensors")}]},
        "judge": {"model": {"name": "j", "weights": str(tmp_path / "judge.safetensors")}},
        "adapt": {"batch_size": 4},
        "recipes": {"style": {"iterations": 200}, "shape": {"selection": {"k": "auto"}}},
    }


def load(tmp_path: Path, content: object) -> Any:
    path = tmp_path / "params.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return load_params(path)


def message(tmp_path: Path, content: object, error: type[Exception] = ParamsError) -> str:
    with pytest.raises(error) as caught:
        load(tmp_path, content)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_a_valid_file_is_frozen_sections(tmp_path: Path, content: dict[str, Any]) -> None:
    params = load(tmp_path, content)
    assert params.methods["adapt"].batch_size == 4
    assert params.recipe("shape").selection.k == "auto"
    assert params.recipe("shape").batch_size == 4


def test_the_bundled_params_yaml_has_no_invalid_keys() -> None:
    root = Path(__file__).parents[3]
    with contextlib.suppress(CheckpointError):  # its files are relative to the project; the schema counts here
        load_params(root / "params.yaml")


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (lambda c: c["adapt"].update(iteratons=3), "adapt.iteratons: unknown key; did you mean 'iterations'?"),
        (
            lambda c: c.update(zzz=1),
            f"zzz: unknown key; the keys are {quoted((*SECTIONS, *METHODS, 'recipes'))}",
        ),
        (
            lambda c: c["guide"]["models"][0].update(weigth=2),
            "guide.models[0].weigth: unknown key; did you mean 'weight'?",
        ),
        (
            lambda c: c["adapt"].update(learning_rate="fast"),
            "adapt.learning_rate: expected a number above 0, at most 1, got 'fast'",
        ),
        (
            lambda c: c["adapt"].update(iterations=1.5),
            "adapt.iterations: expected a whole number from 1 to 1000000, got 1.5",
        ),
        (
            lambda c: c["adapt"].update(iterations=0),
            "adapt.iterations: expected a whole number from 1 to 1000000, got 0",
        ),
        (
            lambda c: c["adapt"].update(iterations=True),
            "adapt.iterations: expected a whole number from 1 to 1000000, got True",
        ),
        (
            lambda c: c["night"].update(seed=-1),
            "night.seed: expected a whole number from 0 to 2147483647, got -1",
        ),
        (
            lambda c: c["night"].update(workers=0),
            "night.workers: expected 'auto' or a whole number from 1 to 1024, got 0",
        ),
        (
            lambda c: c["night"].update(deadline="late"),
            "night.deadline: expected a time of day ('07:30') or a length of time ('8h', '7h30m'), got 'late'",
        ),
        (
            lambda c: c["night"].update(deadline=8),
            "night.deadline: expected a time of day ('07:30') or a length of time ('8h', '7h30m'), got '8'",
        ),
        (
            lambda c: c["night"].update(webhook="ftp://hidden@host/secret"),
            "night.webhook: expected an address (https://host/path) without a user name, or $NAME of a variable",
        ),
        (
            lambda c: c["night"].update(webhook="https://me:secret@host/"),
            "night.webhook: expected an address (https://host/path) without a user name, or $NAME of a variable",
        ),
        (
            lambda c: c["night"].update(webhook=["https://host/secret"]),
            "night.webhook: expected an address (https://host/path) without a user name, or $NAME of a variable",
        ),
        (lambda c: c["adapt"].update(train="all"), "adapt.train: expected 'convs', 'convs+rgb' or 'rgb', got 'all'"),
        (
            lambda c: c["adapt"].update(selection={"k": "some"}),
            "adapt.selection.k: expected 'all', 'auto' or a whole number of 1 or more, got 'some'",
        ),
        (lambda c: c["guide"].update(antialias="yes"), "guide.antialias: expected true or false, got 'yes'"),
        (lambda c: c["guide"].update(models=[]), "guide.models: expected a list of one section or more, got []"),
        (lambda c: c["guide"].update(models=None), "guide.models: expected a list of one section or more, got nothing"),
        (
            lambda c: c["guide"].update(views={"crop": 1.0}),
            "guide.views.crop: expected a number of 0 or more, below 1, got 1.0",
        ),
        (lambda c: c.update(samples=3), "samples: expected a section, got 3"),
        (lambda c: c["judge"]["model"].pop("name"), "judge.model.name: missing; expected a text"),
        (lambda c: c.pop("generator"), "generator: missing; expected a section"),
        (lambda c: c["night"].update(recipe="styl"), "night.recipe: no recipe named 'styl'; did you mean 'style'?"),
        (
            lambda c: c["night"].update(recipe="xyz"),
            f"night.recipe: no recipe named 'xyz'; the recipes are {quoted(RECIPES)}",
        ),
        (
            lambda c: c["recipes"]["style"].update(iteration=3),
            "recipes.style.iteration: unknown key; did you mean 'iterations'?",
        ),
        (
            lambda c: c["recipes"]["shape"]["selection"].update(k=0),
            "recipes.shape.selection.k: expected 'all', 'auto' or a whole number of 1 or more, got 0",
        ),
        (
            lambda c: c["adapt"].update(elastic_weight=-1),
            "adapt.elastic_weight: expected a number of 0 or more, got -1",
        ),
        (
            lambda c: c["adapt"].update(in_domain_angle_weight=5, batch_size=1),
            "adapt: in_domain_angle_weight compares pictures of a step; batch_size is 1, use 4 or more",
        ),
        (
            lambda c: c["recipes"]["shape"]["selection"].update(layers="texture"),
            "recipes.shape.selection: k: auto chooses by the text, layers: texture is a fixed set; leave one at 'all'",
        ),
        (
            lambda c: c["adapt"].update(selection={"layers": "textur"}),
            "adapt.selection.layers: expected 'all', 'shape', 'shape-expanded', 'texture' or 'no-fine', got 'textur'",
        ),
        (
            lambda c: c["adapt"].update(selection={"every": 0}),
            "adapt.selection.every: expected 'once' or a whole number of 1 or more, got 0",
        ),
        (lambda c: c["recipes"].update(odd=4), "recipes.odd: expected a section, got 4"),
        (
            lambda c: c["recipes"]["style"].update(directional_weight=0),
            "recipes.style: directional_weight and global_weight are both 0 (moments_weight, patch_directional_weight, "
            "manifold_weight too); nothing would be learned",
        ),
        (
            lambda c: c["recipes"]["shape"].update(method="adpat"),
            "recipes.shape.method: no method named 'adpat'; did you mean 'adapt'?",
        ),
        (
            lambda c: c["recipes"]["shape"].update(method="xyz"),
            f"recipes.shape.method: no method named 'xyz'; the methods are {quoted(METHODS)}",
        ),
        (
            lambda c: c["recipes"]["shape"].update(method=["adapt"]),
            "recipes.shape.method: no method named ['adapt']; did you mean 'adapt'?",
        ),
        (lambda c: c.update(adapt=None), "adapt: expected a section, got nothing"),
        (lambda c: c.update(methods={}), "methods: no section of that name; each method has one of its own"),
        (
            lambda c: c["judge"].update(model=dict(c["guide"]["models"][0])),
            "judge.model is also a guide (g); a judge must not have guided the training",
        ),
    ],
)
def test_one_mistake_gives_one_line(tmp_path: Path, content: dict[str, Any], edit: Edit, line: str) -> None:
    edit(content)
    assert message(tmp_path, content) == f"params.yaml: 1 invalid key\n  {line}"


def test_all_mistakes_come_at_once_and_in_the_order_of_sections(tmp_path: Path, content: dict[str, Any]) -> None:
    content["adapt"].update(lr=0.1, iteratons=3)
    content["night"]["device"] = 7
    content["recipes"]["shape"]["ema"] = 1
    assert message(tmp_path, content).splitlines() == [
        "params.yaml: 4 invalid keys",
        "  night.device: expected a text, got 7",
        "  adapt.lr: unknown key; the keys are 'iterations', 'stop', 'probe_every', 'probe_images', 'give_up_after', "
        "'checkpoints', 'batch_size', 'learning_rate', 'beta2', 'decay', 'ema', 'parameters', 'together', "
        "'sparsity', 'sparse_from', 'train', 'style_mixing', 'latent_bank', 'precision', 'directional_weight', "
        "'global_weight', 'moments_weight', 'patch_directional_weight', 'manifold_weight', 'in_domain_angle_weight', "
        "'feature_weight', 'texture_weight', 'elastic_weight', 'style_weight', 'frozen' and 'selection'",
        "  adapt.iteratons: unknown key; did you mean 'iterations'?",
        "  recipes.shape.ema: expected a number of 0 or more, below 1, got 1",
    ]


def test_a_method_has_a_section_under_its_own_name(tmp_path: Path, content: dict[str, Any]) -> None:
    params = load(tmp_path, content)
    assert set(params.methods) == set(METHODS)
    assert params.model_dump()["adapt"]["batch_size"] == 4
    assert "methods" not in params.model_dump()
    content.pop("adapt")
    assert load(tmp_path, content).methods["adapt"] == AdaptConfig()


@pytest.mark.usefixtures("dream")
def test_a_recipe_overrides_the_section_of_its_method(tmp_path: Path, content: dict[str, Any]) -> None:
    content |= {"dream": {"depth": 4}}
    content["recipes"] |= {
        "deep": {"method": "dream", "depth": 9},
        "plain": {"method": "dream"},
        "named": {"method": "adapt", "iterations": 200},
    }
    params = load(tmp_path, content)
    assert params.recipe("deep") == DreamConfig(depth=9)
    assert params.recipe("plain") == DreamConfig(depth=4)
    assert params.recipe("named") == params.recipe("style")
    assert {name: params.recipe_method(name) for name in ("deep", "named", "style")} == {
        "deep": "dream",
        "named": "adapt",
        "style": "adapt",
    }


@pytest.mark.usefixtures("dream")
@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (
            lambda c: c["recipes"].update(deep={"method": "dream", "iterations": 9}),
            "recipes.deep.iterations: unknown key; the keys are 'depth'",
        ),
        (
            lambda c: c["recipes"].update(deep={"method": "dream", "depth": 0}),
            "recipes.deep.depth: expected a whole number of 1 or more, got 0",
        ),
        (lambda c: c.update(dream={"depth": 0}), "dream.depth: expected a whole number of 1 or more, got 0"),
        (lambda c: c.update(dream={"dept": 1}), "dream.dept: unknown key; did you mean 'depth'?"),
        (lambda c: c.update(draem={}), "draem: unknown key; did you mean 'dream'?"),
    ],
)
def test_a_mistake_in_any_method_gives_one_line(tmp_path: Path, content: dict[str, Any], edit: Edit, line: str) -> None:
    edit(content)
    assert message(tmp_path, content) == f"params.yaml: 1 invalid key\n  {line}"


def test_a_recipe_is_not_blamed_for_a_mistake_in_adapt(tmp_path: Path, content: dict[str, Any]) -> None:
    content["adapt"]["ema"] = 2
    expected = "params.yaml: 1 invalid key\n  adapt.ema: expected a number of 0 or more, below 1, got 2"
    assert message(tmp_path, content) == expected


def test_long_values_are_cut_in_messages(tmp_path: Path, content: dict[str, Any]) -> None:
    content["adapt"]["ema"] = "x" * 500
    assert len(message(tmp_path, content).splitlines()[1]) < 130


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "params.yaml: the file is empty; expected sections such as night, generator, guide, judge"),
        ("- a\n- b\n", "params.yaml: the file is a list; expected sections such as night, generator, guide, judge"),
        ("night: [\n", "params.yaml:2: not valid YAML (expected the node content, but found '<stream end>')"),
        ("night:\n\tseed: 1\n", "params.yaml:2: not valid YAML (found character '\\t' that cannot start any token)"),
        ("night: {}\nnight: {}\n", "params.yaml:2: not valid YAML (the key 'night' is given twice)"),
        (
            "night: !!python/object:os.system {}\n",
            "params.yaml:1: not valid YAML (could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object:os.system')",
        ),
    ],
)
def test_what_is_no_mapping_names_the_line(tmp_path: Path, text: str, expected: str) -> None:
    assert message(tmp_path, text) == expected


def test_a_missing_file_tells_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        ParamsError, match=r"absent.yaml: no such file; run nada in the project's folder, or pass --params"
    ):
        load_params(tmp_path / "absent.yaml")


def test_a_file_in_latin_1_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes("night: é".encode("latin-1"))
    with pytest.raises(ParamsError, match=r"params.yaml: not UTF-8 \(byte 0xe9 at 7\); save it as UTF-8"):
        load_params(tmp_path / "params.yaml")


def test_1e_3_is_a_number(tmp_path: Path, content: dict[str, Any]) -> None:
    text = yaml.safe_dump(content).replace("batch_size: 4", "learning_rate: 1e-3")
    assert load(tmp_path, text).methods["adapt"].learning_rate == 0.001


def test_every_missing_file_is_named_with_its_key(tmp_path: Path, content: dict[str, Any]) -> None:
    (tmp_path / "generator.safetensors").unlink()
    (tmp_path / "judge.safetensors").unlink()
    content["guide"]["config_dir"] = str(tmp_path / "clips")
    assert message(tmp_path, content, CheckpointError).splitlines() == [
        "generator.safetensors: no such file; params.yaml names it as generator.weights",
        "judge.safetensors: no such file; params.yaml names it as judge.model.weights",
        "clips: no such folder; params.yaml names it as guide.config_dir",
    ]


def test_a_pretrained_tag_is_not_taken_for_a_file(tmp_path: Path, content: dict[str, Any]) -> None:
    content["guide"]["models"] = [{"name": "ViT-B-32", "weights": "openai"}]
    assert load(tmp_path, content).guide.models[0].weights == "openai"


@pytest.mark.parametrize("text", ["22:30", "'22:30'", "07:30", "8h"])
def test_a_deadline_needs_no_quotes(tmp_path: Path, content: dict[str, Any], text: str) -> None:
    content["night"]["deadline"] = "DEADLINE"
    params = load(tmp_path, yaml.safe_dump(content).replace("DEADLINE", text))
    assert params.night.deadline == text.strip("'")


def test_gpus_may_be_a_list(tmp_path: Path, content: dict[str, Any]) -> None:
    content["night"]["device"] = ["cuda:0", "cuda:1"]
    assert load(tmp_path, content).night.device == "cuda:0,cuda:1"


@pytest.mark.parametrize("webhook", ["https://hooks.example/secret", "$HOOK"])
def test_a_webhook_is_read_and_never_shown(tmp_path: Path, content: dict[str, Any], webhook: str) -> None:
    content["night"]["webhook"] = webhook
    params = load(tmp_path, content)
    assert params.night.webhook.get_secret_value() == webhook
    assert webhook not in repr(params) + str(params.model_dump()) + params.model_dump_json()

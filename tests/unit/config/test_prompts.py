"""Every mistake in the prompt CSV gets one clear line with its row, and all lines come at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from nada.errors import PromptsError
from tasks.config import prompt_length
from tasks.config.model import Params
from tasks.config.prompt_length import context_length
from tasks.config.prompts import Row, load_prompts

HEADER = "domain,source,target,recipe,iterations,seed,reference_images"


@pytest.fixture
def params() -> Params:
    return Params.model_validate(
        {
            "night": {},
            "generator": {"weights": "g.safetensors"},
            "guide": {"models": [{"name": "ViT-B-32", "weights": "openai"}]},
            "judge": {"model": {"name": "ViT-B-16", "weights": "openai"}},
            "recipes": {"style": {}, "shape": {"selection": {"k": "auto"}}},
        }
    )


def load(tmp_path: Path, content: str | bytes, params: Params) -> list[Row]:
    path = tmp_path / "prompts.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_prompts(path, params)


def message(tmp_path: Path, content: str | bytes, params: Params) -> str:
    with pytest.raises(PromptsError) as caught:
        load(tmp_path, content, params)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_a_plain_file_becomes_rows(tmp_path: Path, params: Params) -> None:
    rows = load(tmp_path, "domain,source,target\nsketch,a portrait,a pencil sketch\n", params)
    assert rows == [Row(line=2, domain="sketch", source="a portrait", target="a pencil sketch", recipe="style")]


def test_a_row_may_override_recipe_iterations_seed_and_references(tmp_path: Path, params: Params) -> None:
    (tmp_path / "true").mkdir()
    for name in ("0.png", "1.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / "true" / name)
    text = f"{HEADER}\nrobot,a face,a robot,shape,50,7,{tmp_path / 'true'}\n"
    (row,) = load(tmp_path, text, params)
    assert (row.recipe, row.iterations, row.seed, row.reference_images) == ("shape", 50, 7, str(tmp_path / "true"))


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfdomain,source,target\r\nsketch,a portrait,a pencil sketch\r\n",
        b"domain,source,target\n\n,,\nsketch,a portrait,a pencil sketch",
        b" domain , source,target \nsketch , a portrait , a pencil sketch,,\n",
        b'"target","domain","source"\n"a pencil sketch","sketch","a portrait"\n',
    ],
    ids=[
        "as Excel saves UTF-8",
        "blank lines, no last newline",
        "spaces and empty cells too many",
        "quotes, other order",
    ],
)
def test_harmless_forms_are_read_alike(tmp_path: Path, params: Params, content: bytes) -> None:
    (row,) = load(tmp_path, content, params)
    assert (row.domain, row.source, row.target) == ("sketch", "a portrait", "a pencil sketch")


def test_prompts_may_hold_commas_quotes_braces_and_any_script(tmp_path: Path, params: Params) -> None:
    text = 'domain,source,target\na,"a face, close up","a ""noir"" {film} 写真 🎨"\n'
    assert load(tmp_path, text, params)[0].target == 'a "noir" {film} 写真 🎨'


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("domain,source,target,recipes", "unknown column 'recipes'; did you mean 'recipe'?"),
        ("Domain,source,target,domain", "unknown column 'Domain'; did you mean 'domain'?"),
        (
            "domain,source,target,xyz",
            "unknown column 'xyz'; the columns are 'domain', 'source', 'target', 'recipe', 'iterations', 'seed' and "
            "'reference_images'",
        ),
        (
            "domain,source,target,",
            "unknown column ''; the columns are 'domain', 'source', 'target', 'recipe', 'iterations', 'seed' and "
            "'reference_images'",
        ),
        ("domain,source", "no column 'target'; every file needs 'domain', 'source' and 'target'"),
        ("domain,source,target,source", "column 'source' is there 2 times; keep one"),
        ("domain;source;target", "the columns are separated by ';'; save it with commas"),
        ("domain\tsource\ttarget", "the columns are separated by '\\t'; save it with commas"),
    ],
)
def test_a_wrong_header_is_one_line(tmp_path: Path, params: Params, header: str, line: str) -> None:
    assert message(tmp_path, f"{header}\nsketch,a,b,c\n", params) == f"prompts.csv:1: {line}"


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (",a face,a robot", "'domain' is empty; every row needs domain, source and target"),
        ("robot,,a robot", "'source' is empty; every row needs domain, source and target"),
        ("robot,a face,  ", "'target' is empty; every row needs domain, source and target"),
        ("robot,a face", "'target' is empty; every row needs domain, source and target"),
        (
            "My Robot,a face,a robot",
            "'domain' is 'My Robot'; use small letters, digits and single dashes, at most 64, such as 'my-robot'",
        ),
        (
            "../robot,a face,a robot",
            "'domain' is '../robot'; use small letters, digits and single dashes, at most 64, such as 'robot'",
        ),
        ("写真,a face,a robot", "'domain' is '写真'; use small letters, digits and single dashes, at most 64"),
        (
            f"{'r' * 65},a face,a robot",
            f"'domain' is '{'r' * 65}'; use small letters, digits and single dashes, at most 64, such as '{'r' * 64}'",
        ),
        (
            "source,a face,a robot",
            "'domain' is 'source', which names the generator before adaptation; choose another name",
        ),
        ("old,a face,a robot", "domain 'old' is already on line 2; each domain has one row"),
        ("robot,A  robot,a robot", "'source' and 'target' are both 'a robot'; there is no direction between them"),
        ('robot,a face,"a\nrobot"', "'target' holds a line break or another control character; a prompt is one line"),
        ("robot,a face,a robot,shap", "unknown recipe 'shap'; did you mean 'shape'?"),
        ("robot,a face,a robot,xyz", "unknown recipe 'xyz'; the recipes are 'style' and 'shape'"),
        ("robot,a face,a robot,,many", "'iterations' is 'many'; expected a whole number from 1 to 1000000"),
        ("robot,a face,a robot,,1.5", "'iterations' is '1.5'; expected a whole number from 1 to 1000000"),
        ("robot,a face,a robot,,0", "'iterations' is '0'; expected a whole number from 1 to 1000000"),
        ("robot,a face,a robot,,²", "'iterations' is '²'; expected a whole number from 1 to 1000000"),
        ("robot,a face,a robot,,,-1", "'seed' is '-1'; expected a whole number from 0 to 2147483647"),
        (
            "robot,a face,a robot,,,99999999999999",
            "'seed' is '99999999999999'; expected a whole number from 0 to 2147483647",
        ),
        (
            "robot,a face,a robot,,,,,more",
            "8 cells for 7 columns; a text with a comma stands in double quotes",
        ),
    ],
)
def test_a_wrong_row_is_one_line(tmp_path: Path, params: Params, row: str, line: str) -> None:
    text = f"{HEADER}\nold,a face,an old face\n{row}\n"
    assert message(tmp_path, text, params) == f"prompts.csv:3: {line}"


def test_all_mistakes_come_at_once_in_the_order_of_the_file(tmp_path: Path, params: Params) -> None:
    text = f"{HEADER}\na,x,\n\nb,x,y,no,-3\na,x,y\n"
    assert message(tmp_path, text, params).splitlines() == [
        "prompts.csv:2: 'target' is empty; every row needs domain, source and target",
        "prompts.csv:4: unknown recipe 'no'; the recipes are 'style' and 'shape'",
        "prompts.csv:4: 'iterations' is '-3'; expected a whole number from 1 to 1000000",
        "prompts.csv:5: domain 'a' is already on line 2; each domain has one row",
    ]


def test_a_row_after_a_cell_of_several_lines_keeps_its_line_number(tmp_path: Path, params: Params) -> None:
    text = 'domain,source,target\na,x,"y\nz"\nb,x,\n'
    assert [line.split(" ")[0] for line in message(tmp_path, text, params).splitlines()] == [
        "prompts.csv:2:",
        "prompts.csv:4:",
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "prompts.csv:1: the file is empty; the first line names the columns: domain,source,target"),
        (b"\n\n", "prompts.csv:1: the file is empty; the first line names the columns: domain,source,target"),
        (
            b"domain,source,target\n",
            "prompts.csv:1: no rows below the header; add one such as sketch,a portrait,a pencil sketch",
        ),
        (
            "domain,source,target\na,b,café\n".encode("latin-1"),
            "prompts.csv:2: not UTF-8 (byte 0xe9); save it as 'CSV UTF-8'",
        ),
        (
            "domain,source,target\n".encode("utf-16"),
            "prompts.csv: the file is UTF-16; save it as 'CSV UTF-8'",
        ),
        (
            b"domain,source,target\na,b,c\0\n",
            "prompts.csv:2: a NUL byte; this is not a text file, or it is damaged",
        ),
        (
            b'domain,source,target\na,b,"c\n',
            "prompts.csv: not valid CSV (unexpected end of data); a text that holds quotes or commas stands in quotes",
        ),
        (
            b'domain,source,target\na,b,"c"d\n',
            "prompts.csv: not valid CSV (',' expected after '\"'); a text that holds quotes or commas stands in quotes",
        ),
    ],
    ids=["empty", "blank", "header alone", "latin-1", "utf-16", "NUL", "open quote", "text after quote"],
)
def test_what_is_no_csv_of_prompts_is_one_line(tmp_path: Path, params: Params, content: bytes, line: str) -> None:
    assert message(tmp_path, content, params) == line


def test_a_missing_file_names_the_key_that_names_it(tmp_path: Path, params: Params) -> None:
    with pytest.raises(PromptsError, match=r"absent.csv: no such file; night.prompts in params.yaml names it"):
        load_prompts(tmp_path / "absent.csv", params)


def test_a_folder_is_no_csv(tmp_path: Path, params: Params) -> None:
    with pytest.raises(PromptsError, match=r"cannot be read \(Is a directory\)"):
        load_prompts(tmp_path, params)


def test_an_overlong_prompt_gives_its_tokens(tmp_path: Path, params: Params) -> None:
    prompt = " ".join(["cat"] * 80)
    text = f"domain,source,target\na,b,{prompt}\n"
    expected = "prompts.csv:2: 'target' has 91 tokens inside its longest template; CLIP reads 77, so shorten it"
    assert message(tmp_path, text, params) == expected


def test_references_that_are_missing_or_hold_no_images_are_refused(tmp_path: Path, params: Params) -> None:
    (tmp_path / "empty").mkdir()
    text = f"{HEADER}\na,x,y,,,,{tmp_path / 'absent'}\nb,x,y,,,,{tmp_path / 'empty'}\n"
    first, second = message(tmp_path, text, params).splitlines()
    assert first.startswith("prompts.csv:2: 'reference_images': absent: ")
    assert second.startswith("prompts.csv:3: 'reference_images': empty: ")


def test_the_bound_of_short_prompts_is_never_below_their_true_length() -> None:
    from nada.clip.templates import fill

    count = prompt_length._tokenizer().encode
    ascii_only = ("a", "x" * 40, "1 2 3 4 5", "!?!?!", "a pencil sketch", "don't i'll we've")
    for prompt in (*ascii_only, "straße, ganz grün!?", "日本画", "naïve…", "été" * 20, "“quoted”."):
        longest = max(len(count(text)) for text in fill(prompt)) + 2
        assert longest <= prompt_length.count_tokens(prompt, enough=10_000)
        assert longest == prompt_length.count_tokens(prompt, enough=0)


def test_a_bundled_config_may_read_fewer_tokens(tmp_path: Path, params: Params) -> None:
    (tmp_path / "ViT-B-32.json").write_text('{"text_cfg": {"context_length": 16}}')
    (tmp_path / "ViT-B-16.json").write_text('{"text_cfg": {}}')
    guide = params.guide.model_copy(update={"config_dir": str(tmp_path)})
    assert prompt_length.context_length(params.model_copy(update={"guide": guide})) == 16
    assert prompt_length.context_length(params) == 77


def test_a_single_reference_image_is_refused_before_anything_is_trained(tmp_path: Path, params: Params) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "only.png")
    text = f"domain,source,target,reference_images\nrobot,a face,a robot,{tmp_path}\n"
    with pytest.raises(PromptsError, match="'reference_images' holds 1 image; a distance needs 2 or more"):
        load(tmp_path, text, params)


def test_a_model_of_open_clip_with_a_short_context_bounds_the_prompts(params: Params) -> None:
    clip = params.guide.models[0].model_copy(update={"name": "ViT-B-16-SigLIP"})
    guide = params.guide.model_copy(update={"models": (clip,), "config_dir": None})
    assert context_length(params.model_copy(update={"guide": guide})) == 64

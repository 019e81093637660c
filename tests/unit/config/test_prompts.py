"""Every mistake in the prompt CSV gets one clear line with its row, and all lines come at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from nada.errors import PromptsError, quoted
from nada.methods.registry import METHODS
from tasks.config import prompt_tokens, prompts
from tasks.config.model import Params
from tasks.config.prompt_tokens import context_length
from tasks.config.prompts import load_prompts
from tasks.config.recipes import default_recipes
from tasks.config.row import Row
from tasks.config.row_checks import MOST_CHAINED
from tests.methods.dream import dream
from tests.operations import count_calls

__all__ = ["dream"]

RECIPES = list(dict.fromkeys(["style", "shape", *default_recipes()]))
HEADER = "domain,source,target,recipe,iterations,seed,reference_images"
QUOTING = "a text that holds quotes or commas stands in quotes, and a quote within is written twice"
NO_TARGET = "every row needs domain, source and target, or style_images in the target's place"
COLUMNS = (
    "'domain', 'source', 'target', 'method', 'recipe', 'iterations', 'seed', 'generator', 'on', 'style_images', "
    "'reference_images', 'true_images', 'tries', 'seeds' and 'priority'"
)


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
        b'domain, "source",  "target"\nsketch, "a portrait", "a pencil sketch"\n',
        b"domain,source,target,,\nsketch,a portrait,a pencil sketch,,\n",
    ],
    ids=[
        "as Excel saves UTF-8",
        "blank lines, no last newline",
        "spaces and empty cells too many",
        "quotes, other order",
        "a space before quotes",
        "columns that are no more",
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
            f"unknown column 'xyz'; the columns are {COLUMNS}",
        ),
        ("domain,source,,target", f"unknown column ''; the columns are {COLUMNS}"),
        (
            f"domain,source,target,{'x' * 500}",
            f"unknown column '{'x' * 76}...; the columns are {COLUMNS}",
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
        ("robot,a face,  ", f"'target' is empty; {NO_TARGET}"),
        ("robot,a face", f"'target' is empty; {NO_TARGET}"),
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
        (
            "robot,A  robot,a robot",
            "'source' and 'target' are both 'a robot' to CLIP; there is no direction between them",
        ),
        ("domain,source,target", "the header is here again; remove it"),
        ("domain,source,target,recipe,iterations,seed", "the header is here again; remove it"),
        ("source,domain,target", "the header is here again; remove it"),
        ('robot,a face,"a\nrobot"', "'target' holds a line break or another control character; a prompt is one line"),
        ("robot,a face,a robot,shap", "unknown recipe 'shap'; did you mean 'shape'?"),
        ("robot,a face,a robot,xyz", f"unknown recipe 'xyz'; the recipes are {quoted(RECIPES)}"),
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
        f"prompts.csv:2: 'target' is empty; {NO_TARGET}",
        f"prompts.csv:4: unknown recipe 'no'; the recipes are {quoted(RECIPES)}",
        "prompts.csv:4: 'iterations' is '-3'; expected a whole number from 1 to 1000000",
        "prompts.csv:5: domain 'a' is already on line 2; each domain has one row",
    ]


FULL_HEADER = "domain,source,target,method,recipe,iterations,generator,on"


@pytest.fixture
def both(params: Params, dream: None) -> Params:
    """Settings with a recipe of either method."""
    content = params.model_dump()
    return Params.model_validate({**content, "recipes": {**content["recipes"], "deep": {"method": "dream"}}})


def test_a_row_takes_its_method_from_its_cell_its_recipe_or_the_night(tmp_path: Path, both: Params) -> None:
    text = f"{FULL_HEADER}\na,x,y,dream\nb,x,y,,deep\nc,x,y\nd,x,y,dream,deep\ne,x,y,adapt,shape\n"
    rows = load(tmp_path, text, both)
    expected = [("dream", ""), ("dream", "deep"), ("adapt", "style"), ("dream", "deep"), ("adapt", "shape")]
    assert [(row.method, row.recipe) for row in rows] == expected
    of_dreams = both.model_copy(update={"night": both.night.model_copy(update={"recipe": "deep"})})
    rows = load(tmp_path, f"{FULL_HEADER}\na,x,y\nb,x,y,adapt\n", of_dreams)
    assert [(row.method, row.recipe) for row in rows] == [("dream", "deep"), ("adapt", "")]


def test_a_row_may_start_from_a_generator_of_its_own_or_from_another_row(tmp_path: Path, params: Params) -> None:
    (tmp_path / "cats.pt").touch()
    text = f"{FULL_HEADER}\nb,x,y,,,,,a\na,x,y,,,,{tmp_path / 'cats.pt'},\nc,x,y,,,,,b\n"
    rows = load(tmp_path, text, params)
    assert [(row.generator, row.on) for row in rows] == [(None, "a"), (str(tmp_path / "cats.pt"), None), (None, "b")]


@pytest.mark.parametrize(
    ("cells", "lines"),
    [
        ("adpat,,,,", ["unknown method 'adpat'; did you mean 'adapt'?"]),
        ("xyz,,,,", ["unknown method 'xyz'; the methods are {methods}"]),
        ("adapt,deep,,,", ["recipe 'deep' is one of 'dream', not of 'adapt'"]),
        ("dream,shape,,,", ["recipe 'shape' is one of 'adapt', not of 'dream'"]),
        ("dream,,5,,", ["'iterations' is '5'; 'dream' has no iterations, so leave it empty"]),
        (",deep,5,,", ["'iterations' is '5'; 'dream' has no iterations, so leave it empty"]),
        (",,1000001,,", ["'iterations' is '1000001'; expected a whole number from 1 to 1000000"]),
        (",,0,,", ["'iterations' is '0'; expected a whole number from 1 to 1000000"]),
        (",,,absent.pt,", ["'generator' is 'absent.pt'; no such file"]),
        (",,,.,", ["'generator' is '.'; no such file"]),
        (",,,,nowhere", ["'on' is 'nowhere', which is no domain here; it names another row of this file"]),
        (",,,,odl", ["'on' is 'odl', which is no domain here; did you mean 'old'?"]),
        (",,,,robot", ["'on' leads in a circle: robot on robot"]),
        (",,,prompts.csv,old", ["'on' and 'generator' are both given; 'old' says which generator it started from"]),
        (",,,,cloud", ["'on' is 'cloud', made by 'dream', which leaves no generator"]),
        (
            "adpat,shap,0,absent.pt,",
            [
                "unknown recipe 'shap'; did you mean 'shape'?",
                "unknown method 'adpat'; did you mean 'adapt'?",
                "'iterations' is '0'; expected a whole number from 1 to 1000000",
                "'generator' is 'absent.pt'; no such file",
            ],
        ),
    ],
)
def test_a_row_that_cannot_be_made_so_is_told_why(
    tmp_path: Path, both: Params, monkeypatch: pytest.MonkeyPatch, cells: str, lines: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = f"{FULL_HEADER}\nold,x,y\ncloud,x,y,dream\nrobot,x,y,{cells}\n"
    expected = [f"prompts.csv:4: {line.format(methods=quoted(METHODS))}" for line in lines]
    assert message(tmp_path, text, both).splitlines() == expected


def test_what_draws_pictures_by_itself_may_start_from_whatever_does(tmp_path: Path, both: Params) -> None:
    rows = load(tmp_path, f"{FULL_HEADER}\ncloud,x,y,dream\nsky,x,y,dream,,,,cloud\n", both)
    assert [row.on for row in rows] == [None, "cloud"]


def test_a_circle_of_rows_is_told_at_each_of_them_and_at_no_other(tmp_path: Path, params: Params) -> None:
    text = "domain,source,target,on\na,x,y,b\nb,x,y,c\nc,x,y,a\nd,x,y,a\n"
    assert message(tmp_path, text, params).splitlines() == [
        "prompts.csv:2: 'on' leads in a circle: a on b on c on a",
        "prompts.csv:3: 'on' leads in a circle: b on c on a on b",
        "prompts.csv:4: 'on' leads in a circle: c on a on b on c",
    ]


def test_what_a_row_starts_from_is_told_beside_all_other_mistakes(tmp_path: Path, params: Params) -> None:
    text = f"{FULL_HEADER}\na,x,,,,,,\nb,x,y,,,,,a\nc,x,y,,,,,nowhere\n"
    assert message(tmp_path, text, params).splitlines() == [
        f"prompts.csv:2: 'target' is empty; {NO_TARGET}",
        "prompts.csv:4: 'on' is 'nowhere', which is no domain here; it names another row of this file",
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
            f"prompts.csv:2: not valid CSV (unexpected end of data); {QUOTING}",
        ),
        (
            b'domain,source,target\na,b,c\nd,e,"f\ng,h,i\nj,k,"l"\n',
            f"prompts.csv:3: not valid CSV (',' expected after '\"'); {QUOTING}",
        ),
        (
            b'domain,source,target\na,b,c\nd,e,\t"f"\n',
            f"prompts.csv:3: not valid CSV ('\\t\"f\"' is not in quotes, as they do not come first); {QUOTING}",
        ),
    ],
    ids=["empty", "blank", "header alone", "latin-1", "utf-16", "NUL", "open quote", "text after quote", "late quote"],
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


def test_a_prompt_that_starts_with_a_quote_keeps_it(tmp_path: Path, params: Params) -> None:
    (row,) = load(tmp_path, 'domain,source,target\na,b, """noir"" film"\n', params)
    assert row.target == '"noir" film'


def test_a_text_too_long_for_any_tokens_is_refused_before_the_tokenizer_reads_it(
    tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_tokens, "_tokenizer", pytest.fail)
    text = f"domain,source,target\na,b,{'x' * 32_000}\n"
    expected = "'target' has 32000 bytes, and no 77 tokens hold more than 2464, so shorten it"
    assert message(tmp_path, text, params) == f"prompts.csv:2: {expected}"


def test_no_token_is_longer_than_is_said() -> None:
    tokenizer = prompt_tokens._tokenizer()
    assert max(len(entry.removesuffix("</w>")) for entry in tokenizer.encoder) == prompt_tokens.LONGEST_TOKEN


def test_of_very_many_mistakes_the_first_are_told_and_no_further_row_is_checked(
    tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    original = prompts.prompt_problems
    monkeypatch.setattr(prompts, "prompt_problems", lambda row, limit: checked.append("") or original(row, limit))
    text = "domain,source,target,recipe\n" + "".join(f"d{num},x,,nowhere\n" for num in range(20_000))
    lines = message(tmp_path, text, params).splitlines()
    assert len(lines) == prompts.MOST_PROBLEMS + 1 and len(checked) == prompts.MOST_PROBLEMS / 2
    assert lines[-1] == "prompts.csv:22: not checked yet, nor is what follows; mend the lines above first"


@pytest.mark.parametrize("column", ["domain", "recipe", "seed", "reference_images"])
def test_no_cell_holds_what_a_terminal_obeys(tmp_path: Path, params: Params, column: str) -> None:
    cells = {"domain": "a", "source": "x", "target": "y", column: '"b\x1b[31m\nc"'}
    row = ",".join(cells.get(name, "") for name in HEADER.split(","))
    (line,) = message(tmp_path, f"{HEADER}\n{row}\n", params).splitlines()
    assert line.isprintable() and line.startswith(f"prompts.csv:2: {column!r} is 'b\\x1b[31m\\nc'")


def test_a_long_text_of_a_cell_is_cut_in_the_message(tmp_path: Path, params: Params) -> None:
    for row in (f"{'x' * 999},a,b", f"a,b,c,{'x' * 999}", f"a,b,c,,{'x' * 999}", f"a,b,c,,,{'9' * 999}"):
        assert len(message(tmp_path, f"{HEADER}\n{row}\n", params)) < 340


def test_rows_may_stand_on_each_other_as_deep_as_is_said(tmp_path: Path, params: Params) -> None:
    deep = MOST_CHAINED + 1
    rows = ["r0,x,y,"] + [f"r{num},x,y,r{num - 1}" for num in range(1, deep)]
    text = "domain,source,target,on\n" + "\n".join(rows)
    assert len(load(tmp_path, text, params)) == deep
    told = message(tmp_path, f"{text}\nlast,x,y,r{deep - 1}\n", params)
    reason = f"'on' leads through more than {MOST_CHAINED} rows, each of which a worker would open"
    assert told == f"prompts.csv:{deep + 2}: {reason}"


@pytest.mark.parametrize("row", ["r{num},x,y,r{next}", "r{num},x,y,nowhere", "R{num},x,y,", "r{num},,y,r0"])
def test_twice_as_many_rows_cost_at_most_twice_the_work(tmp_path: Path, params: Params, row: str) -> None:
    def costs(num: int) -> int:
        rows = [row.format(num=index, next=(index + 1) % num) for index in range(num)]
        text = "domain,source,target,on\n" + "\n".join(rows)
        return count_calls(lambda: message(tmp_path, text, params))

    assert costs(800) < 2.5 * costs(400)


def test_a_file_without_end_is_not_read_to_its_end(params: Params) -> None:
    with pytest.raises(PromptsError, match=r"^/dev/zero: more than 67,108,864 bytes; is this the file"):
        load_prompts(Path("/dev/zero"), params)


def test_the_bound_of_short_prompts_is_never_below_their_true_length() -> None:
    from nada.clip.templates import fill

    count = prompt_tokens._tokenizer().encode
    ascii_only = ("a", "x" * 40, "1 2 3 4 5", "!?!?!", "a pencil sketch", "don't i'll we've")
    for prompt in (*ascii_only, "straße, ganz grün!?", "日本画", "naïve…", "été" * 20, "“quoted”."):
        longest = max(len(count(text)) for text in fill(prompt)) + 2
        assert longest <= prompt_tokens.count_tokens(prompt, enough=10_000)
        assert longest == prompt_tokens.count_tokens(prompt, enough=0)


def test_a_bundled_config_may_read_fewer_tokens(tmp_path: Path, params: Params) -> None:
    (tmp_path / "ViT-B-32.json").write_text('{"text_cfg": {"context_length": 16}}')
    (tmp_path / "ViT-B-16.json").write_text('{"text_cfg": {}}')
    guide = params.guide.model_copy(update={"config_dir": str(tmp_path)})
    assert prompt_tokens.context_length(params.model_copy(update={"guide": guide})) == 16
    assert prompt_tokens.context_length(params) == 77


def test_a_single_reference_image_is_refused_before_anything_is_trained(tmp_path: Path, params: Params) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "only.png")
    text = f"domain,source,target,reference_images\nrobot,a face,a robot,{tmp_path}\n"
    with pytest.raises(PromptsError, match=r"'reference_images' holds 1 image; .* needs 2 or more"):
        load(tmp_path, text, params)


def test_true_images_are_one_a_latent_and_nothing_else(tmp_path: Path, params: Params) -> None:
    folder = tmp_path / "truth"
    folder.mkdir()
    for name in ("0.png", "1.png"):
        Image.new("RGB", (8, 8)).save(folder / name)
    text = f"domain,source,target,true_images\nrobot,a face,a robot,{folder}\n"
    assert load(tmp_path, text, params)[0].true_images == str(folder)
    (folder / "0b.heic").write_bytes(b"of the second latent")
    assert message(tmp_path, text, params) == (
        "prompts.csv:2: 'true_images': truth also holds 1 .heic (0b.heic); "
        "one picture a latent in their order, and no more"
    )


def test_a_model_of_open_clip_with_a_short_context_bounds_the_prompts(params: Params) -> None:
    clip = params.guide.models[0].model_copy(update={"name": "ViT-B-16-SigLIP"})
    guide = params.guide.model_copy(update={"models": (clip,), "config_dir": None})
    assert context_length(params.model_copy(update={"guide": guide})) == 64

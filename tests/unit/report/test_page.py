"""The report: one file, nothing called, nothing of a prompt taken for markup."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from nada.errors import NadaError
from nada.methods.adapt.record import AdaptRecord, EarlyStoppingRecord, Rounding
from tasks.config.row import Row
from tasks.report.charts import confusion, loss_curve, polyline, probe_curves
from tasks.report.page import Failure, Night, load_night, save_night, write_report
from tasks.report.score_catalogue import SCORES
from tasks.report.thumbnails import PAGE_BYTES, read_sheet, sheet_shown
from tasks.report.variants import variants_shown
from tasks.store.record import FileEntry, Record, ScoreEntry
from tasks.variants.choice import Choice
from tasks.variants.told import Family
from tests.records import PART, make_record, make_score

HOSTILE = """<script>alert("x")</script>' onmouseover='alert(1)" {{ 7 * 7 }} </article>"""
VOID = {"meta", "img", "br", "link", "input", "polyline"}


class Balance(HTMLParser):
    """Collects what the page would load or run, and checks that every element closes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts = 0
        self.urls: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.urls += [value or "" for name, value in attrs if name in ("src", "href", "action")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def record(
    domain: str,
    target: str = "pencil sketch",
    *,
    part: AdaptRecord = PART,
    making: dict[str, object] | None = None,
    evaluation: dict[str, object] | None = None,
    **scores: float | ScoreEntry,
) -> Record:
    values = {"retrieval_accuracy": 0.9, "directional_similarity": 0.5, "structure_ratio": 0.8, **scores}
    return make_record(
        domain,
        target,
        {
            name: value if isinstance(value, ScoreEntry) else make_score(value, reference=f"prompt '{target}'")
            for name, value in values.items()
        },
        nearest={target: 12, "a portrait": 4},
        part=part,
        making=making,
        evaluation=evaluation,
    )


@pytest.fixture
def adapted(tmp_path: Path) -> Path:
    folder = tmp_path / "adapted"
    for domain in ("sketch", "sepia"):
        (folder / domain).mkdir(parents=True)
        Image.new("RGB", (18, 18), "teal").save(folder / domain / "samples.webp")
        (folder / domain / "trace.csv").write_text("step,loss\n1,0.9\n2,0.5\n3,0.4\n")
    return folder


def night(*failures: Failure) -> Night:
    return Night(
        name="Night of 1 January 2026",
        started="2026-01-01T00:00:00",
        seconds=200,
        workers="2 workers",
        trained=("sketch",),
        failures=failures,
        commands={"MLflow": "mlflow ui"},
    )


def render(adapted: Path, records: list[Record], *failures: Failure) -> str:
    return write_report(records, night(*failures), adapted.parent / "index.html", adapted).read_text()


def test_the_page_calls_no_address_and_is_whole(adapted: Path) -> None:
    page = Balance()
    page.feed(render(adapted, [record("sketch"), record("sepia")]))
    assert page.open == []
    assert all(url.startswith(("data:image/", "#")) for url in page.urls)
    assert page.handlers == []
    assert page.scripts == 1


def test_a_chosen_checkpoint_is_shown_with_its_reason(adapted: Path) -> None:
    stopped = EarlyStoppingRecord(why="step 2, directional similarity 0.9", probes=3, seconds=1.0)
    part = PART.model_copy(update={"early_stopping": stopped})
    html = render(adapted, [record("sketch", part=part, making={"kept_step": 2})])
    assert "<dt>recipe</dt><dd>style: 2 of at most 3 steps of 2, learning rate 0.002, convs, k all</dd>" in html
    assert "<dt>chosen</dt><dd>step 2, directional similarity 0.9</dd>" in html
    fixed = render(adapted, [record("sketch")])
    assert "<dt>recipe</dt><dd>style: 3 steps of 2, learning rate" in fixed
    assert "<dt>chosen</dt>" not in fixed


def test_every_file_of_weights_is_named_with_its_hash_and_what_storing_it_did(adapted: Path) -> None:
    html = render(adapted, [record("sketch")])
    assert "<code>weights/adapted/sketch/generator.safetensors</code>, whole</dd>" in html
    files = {name: FileEntry(sha256=name[0] * 64, num_bytes=1) for name in ("a.safetensors", "b.safetensors", "c.csv")}
    html = render(adapted, [record("sketch", making={"files": files, "bases": ["beef"]})])
    for name in ("a", "b"):
        assert f"/{name}.safetensors</code>, what changed against the generator with sha256 beef</dd>" in html
        assert f"<dt>sha256</dt><dd>{name * 64}</dd>" in html
    assert "c.csv" not in html
    rounding = Rounding(largest_levels=2, mean_levels=0.0312, num_images=12)
    html = render(adapted, [record("sketch", part=PART.model_copy(update={"rounding": rounding}))])
    moved = "in float16: 12 pictures moved by 0.031 of 255 levels on average, by 2 at most"
    assert f"generator.safetensors</code>, {moved}</dd>" in html
    assert html.count(moved) == 1


def test_hostile_prompts_stay_text_everywhere(adapted: Path) -> None:
    failure = Failure(domain="lost", source=HOSTILE, target=HOSTILE, reason=HOSTILE, details=HOSTILE)
    html = render(adapted, [record("sketch", target=HOSTILE)], failure)
    page = Balance()
    page.feed(html)
    assert page.open == []
    assert (page.scripts, page.handlers) == (1, [])
    assert "49" not in re.sub(r"data:image[^\"]*", "", html.split("</style>")[1])
    assert "{{ 7 * 7 }}" in html


def test_scores_carry_their_meaning_reference_and_network(adapted: Path) -> None:
    html = render(adapted, [record("sketch")])
    assert "Against: prompt &#39;pencil sketch&#39;. 16 pictures, by judge@1. 95% interval 85% to 95%." in html
    assert '<span class="">90%</span> <small>±5%</small>' in html


def test_one_line_says_why_a_network_did_not_judge(adapted: Path) -> None:
    reason = {"absent": {"Inception": "judge.inception is 'none'; 'web' fetches it"}}
    html = render(adapted, [record("sketch", evaluation={**reason}), record("sepia", evaluation={**reason})])
    assert html.count("No figures by Inception: judge.inception is &#39;none&#39;; &#39;web&#39; fetches it.") == 1


def test_a_lost_row_is_shown_with_its_reason_and_the_command(adapted: Path) -> None:
    failure = Failure(domain="lost", source="portrait", target="void", reason="step 3: the loss is nan")
    html = render(adapted, [record("sketch")], failure)
    assert "1 of 2 domains ready, 1 trained in this night, 1 failed" in html
    assert 'data-domain="lost" data-verdict="failed"  data-text="lost portrait void">' in html
    assert "step 3: the loss is nan" in html
    assert '<code>nada run --only lost</code><button type="button" class="copy"' in html


def test_what_a_night_left_undone_is_told_before_its_rows(adapted: Path) -> None:
    many = tuple(f"domain-{index}" for index in range(30))
    told = replace(night(), stopped="3 rows are not tried, for 3 failed alike", held=("a", "b", "c"), left=many)
    html = write_report([record("sketch")], told, adapted.parent / "index.html", adapted).read_text()
    top = html[html.index("<h1>") : html.index('<form class="bar"')]
    assert "3 rows are not tried, for 3 failed alike" in top
    assert "The deadline left no time for domain-0, " in top and "domain-9 and 20 more." in top
    assert '<output class="count" aria-live="polite">1 domain</output>' in html


def order_of(html: str) -> list[str]:
    return re.findall(r'<tr (?:class="failed" )?data-domain="([^"]+)"', html)


def test_what_needs_a_decision_comes_first_then_the_best_retrieval(adapted: Path) -> None:
    failure = Failure(domain="lost", source="portrait", target="void", reason="the loss is nan")
    html = render(
        adapted,
        [
            record("good", retrieval_accuracy=0.8),
            record("best", retrieval_accuracy=0.9),
            record("collapsed", structure_ratio=0.1),
            record("weak", directional_similarity=-0.2),
        ],
        failure,
    )
    assert order_of(html) == ["lost", "collapsed", "weak", "best", "good"]
    assert re.findall(r'<article (?:class="failed" )?id="([^"]+)"', html) == order_of(html)
    assert "<b>3 need a decision and come first.</b>" in html
    assert "decision" not in re.sub("<select>.*?</select>", "", render(adapted, [record("good")]), flags=re.DOTALL)


def test_a_missing_picture_and_trace_cost_nothing_but_themselves(adapted: Path) -> None:
    (adapted / "sketch" / "samples.webp").write_bytes(b"no picture")
    (adapted / "sketch" / "trace.csv").unlink()
    html = render(adapted, [record("sketch")])
    assert "The picture of this domain is missing or damaged." in html
    assert "<polyline" not in html and "<img loading" not in html


def test_a_page_of_very_many_domains_shows_the_new_and_the_best(adapted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.report.page.CARDS", 2)
    monkeypatch.setattr("tasks.report.page.LINES", 3)
    scores = {"best": 0.9, "good": 0.8, "fair": 0.7, "poor": 0.6, "sketch": 0.1}
    html = render(adapted, [record(domain, retrieval_accuracy=score) for domain, score in scores.items()])
    assert [domain for domain in scores if f'<article id="{domain}"' in html] == ["best", "sketch"]
    assert sorted(order_of(html)) == ["best", "fair", "good", "sketch"]
    assert "Pictures of 2 and scores of 4 of the 5 domains; reports/leaderboard.csv has the scores of all." in html


def embedded(html: str) -> list[Image.Image]:
    found = re.findall(r"data:image/webp;base64,([^\"]+)", html)
    return [Image.open(io.BytesIO(base64.b64decode(content))) for content in found]


def test_each_domain_has_its_sheet_and_a_strip_below_the_sources(adapted: Path) -> None:
    pictures = embedded(render(adapted, [record("sketch"), record("sepia")]))
    assert sorted(picture.size for picture in pictures) == [(18, 8)] * 3 + [(18, 18)] * 2


def test_pictures_fit_their_page_and_say_whether_their_pixels_are_their_own(adapted: Path) -> None:
    noise = Image.effect_noise((2000, 200), 120).convert("RGB")
    noise.save(adapted / "sketch" / "samples.webp")
    sheet = read_sheet(adapted / "sketch" / "samples.webp")
    assert sheet is not None
    few, many = sheet_shown(sheet, 1), sheet_shown(sheet, 200)
    assert (few.width, few.height, few.is_whole) == (1800, 180, False)
    assert 200 * len(many.uri) < PAGE_BYTES < 200 * len(few.uri)
    assert many.width / many.height == pytest.approx(10, rel=0.1)
    own = sheet_shown(Image.new("RGB", (18, 18)), 200)
    assert (own.width, own.height, own.is_whole) == (18, 18, True)


def test_reference_pictures_stand_below_the_sheet_and_cost_nothing_where_they_are_gone(adapted: Path) -> None:
    truth = adapted.parent / "truth"
    truth.mkdir()
    for index in range(5):
        Image.new("RGB", (16 + index, 20), "red").save(truth / f"{index}.png")
    row = Row(line=2, domain="sketch", source="a", target="b", recipe="style", reference_images=str(truth))
    html = render(adapted, [record("sketch", making={"row": row})])
    assert "<figcaption>The source above, the same latents adapted below.</figcaption>" in html
    paired = render(adapted, [record("sketch", making={"row": replace(row, true_images=str(truth))})])
    assert "the same latents adapted below, then the truth.</figcaption>" in paired
    assert sorted(picture.size for picture in embedded(html)) == [(18, 8)] * 3 + [(18, 18)]
    assert html.count("<figcaption>Reference pictures: what the domain should look like.</figcaption>") == 1
    for path in truth.iterdir():
        path.write_bytes(b"no picture")
    assert "Reference pictures" not in render(adapted, [record("sketch", making={"row": row})])  # though it was read


def test_six_scores_are_seen_and_the_others_folded(adapted: Path) -> None:
    names = ["consistency", "frechet_drift_from_source", "inception_frechet_drift_from_source", "diversity"]
    html = render(adapted, [record("sketch", **dict.fromkeys([*names, "inception_kid_drift_from_source"], 0.5))])
    table = html[html.index('<table class="board">') : html.index("</table>")]
    assert len(re.findall('<td class="figure" data-sort="(?!time)', table)) == 6
    card = html[html.index('<article id="sketch"') :]
    assert card.index("variety kept") < card.index("2 more scores") < card.index("diversity to the judge")


@pytest.mark.parametrize(
    ("value", "low", "high", "num", "shown"),
    [
        (0.0, 0.0, 0.0, 8, "0 of 8"),
        (1.0, 1.0, 1.0, 400, "400 of 400"),
        (0.0, 0.0, 0.3, 8, "0% ±30%"),
        (0.98, 0.98, 0.981, 400, "98%"),
    ],
)
def test_pictures_that_agree_are_counted(value: float, low: float, high: float, num: int, shown: str) -> None:
    (found,) = [meaning for meaning in SCORES if meaning.name == "retrieval_accuracy"]
    assert found.shown(value, low, high, num) == shown


def test_the_line_that_changes_a_row_is_ready_to_copy(adapted: Path) -> None:
    columns = ("domain", "target", "source", "iterations")
    night_of = replace(night(), columns=columns)
    row = Row(line=2, domain="sepia", source="a, b", target='"old" photo', recipe="style", seed=3)
    records = [record("sepia", row.target, making={"row": row}), record("sketch", structure_ratio=0.1)]
    html = write_report(records, night_of, adapted.parent / "index.html", adapted).read_text()
    good, collapsed = (html[html.index(f'<article id="{name}"') :] for name in ("sepia", "sketch"))
    copied = [unescape(line) for line in re.findall('data-copy="([^"]*)"', good)]
    assert copied == ['sepia,"""old"" photo","a, b",,4', "nada run --only sepia"]
    assert "whose header needs the column <code>seed</code> at its end" in good
    assert '<details class="change">' in good and '<details class="change" open>' in collapsed
    assert 'data-copy="sketch,pencil sketch,a portrait,1"' in collapsed  # as its verdict advises


def test_strips_of_variants_are_cut_by_their_sheets(adapted: Path) -> None:
    found = {}
    for name, colour in (("sketch_style-0", "red"), ("sketch_style-1", "blue")):
        sheet = Image.new("RGB", (18, 18), "gray")
        sheet.paste(colour, (0, 10, 18, 18))
        (adapted / name).mkdir()
        sheet.save(adapted / name / "samples.webp", lossless=True)
        found[name] = record(name, making={"resolution": 1024}, evaluation={"sheet_px": 8})
    family = Family(
        domain="sketch", choice=Choice(name="sketch_style-0", why="it is the best", is_picked=False), records=found
    )
    shown = variants_shown(family, adapted, 1)
    assert shown is not None
    for line, colour in zip(shown["lines"], ((255, 0, 0), (0, 0, 255)), strict=True):
        picture = Image.open(io.BytesIO(base64.b64decode(line["strip"].uri.partition(",")[2]))).convert("RGB")
        assert picture.size == (18, 8)
        assert picture.getpixel((9, 4)) == pytest.approx(colour, abs=12)


def test_what_was_trained_tonight_is_marked_where_not_all_was(adapted: Path) -> None:
    html = render(adapted, [record("sketch"), record("sepia")])
    assert html.count('<small class="new">trained tonight</small>') == 1
    assert len(re.findall(r"<(?:tr|article) [^>]*data-new", html)) == 2
    assert '<small class="new">' not in render(adapted, [record("sketch")])


def test_sources_stand_on_top_once_each(adapted: Path) -> None:
    on_another = record("sepia")
    on_another = replace(on_another, making=on_another.making.model_copy(update={"on_key": "of neon"}))
    html = render(adapted, [record("sketch"), on_another])
    assert "<span>source of sepia</span>" in html and "<span>source of sketch</span>" in html
    Image.new("RGB", (18, 18), "red").save(adapted / "sepia" / "samples.webp")  # other bytes of the same pictures
    assert "<span>the source</span>" in render(adapted, [record("sketch"), record("sepia")])


def test_every_domain_has_its_verdict_with_evidence_and_advice(adapted: Path) -> None:
    html = render(adapted, [record("sketch"), record("sepia", structure_ratio=0.1)])
    assert '<span class="chip unproven">1 unproven</span>' in html
    assert '<span class="chip collapsed">1 collapsed</span>' in html
    assert "keeps 10% of the source&#39;s variety (at most 15%); try iterations 1 (now 3)" in html


def test_the_heat_map_has_the_own_prompts_on_its_diagonal() -> None:
    rows = [record("sketch", "sketch"), record("sepia", "sepia")]
    found = confusion(rows)
    assert found is not None
    assert found["prompts"] == ["sketch", "sepia", "a portrait"]
    assert found["own"] == [0, 1]
    assert found["cells"] == [(0, 0, 0.75, True), (0, 2, 0.25, False), (1, 1, 0.75, True), (1, 2, 0.25, False)]
    assert found["mistakes"] == [("sketch", "a portrait", 0.25), ("sepia", "a portrait", 0.25)]


def test_a_night_without_any_row_says_what_to_do(adapted: Path) -> None:
    assert "<code>nada run</code> trains them" in render(adapted, [])


def test_the_record_of_a_night_survives_the_round_trip(tmp_path: Path) -> None:
    kept = night(Failure(domain="lost", source="a", target="b", reason="c"))
    save_night(kept, tmp_path)
    assert load_night(tmp_path) == kept


def test_a_damaged_record_of_a_night_is_named(tmp_path: Path) -> None:
    (tmp_path / "night.json").write_text("{")
    with pytest.raises(NadaError, match=r"night\.json: no readable record of a night"):
        load_night(tmp_path)


def test_the_curve_spans_its_frame_from_top_to_bottom() -> None:
    assert polyline([1.0, 0.5, 0.0], 0.0, 1.0) == "0.0,0.0 280.0,60.0 560.0,120.0"
    assert polyline([1.0, 1.0], 1.0, 1.0) == "0.0,120.0 560.0,120.0"


def test_long_curves_are_thinned(tmp_path: Path) -> None:
    lines = "".join(f"{step},{1 / step}\n" for step in range(1, 5001))
    (tmp_path / "trace.csv").write_text(f"step,loss\n{lines}")
    curve = loss_curve(tmp_path / "trace.csv")
    assert curve is not None
    assert len(curve["raw"].split()) <= 141
    assert curve["steps"] == 5000


def test_the_curves_of_the_judge_share_a_scale_and_mark_the_step_that_was_kept(tmp_path: Path) -> None:
    (tmp_path / "probes.csv").write_text(
        "step,edit,similarity,diversity,drift\n20,0.5,0.3,1.25,0.1\n40,1.0,0.3,0,0.2\n"
    )
    curves = probe_curves(tmp_path / "probes.csv", kept=20)
    assert curves is not None
    assert curves["edit"] == "280.0,72.0 560.0,24.0"  # from 0 to 1.25
    assert curves["diversity"] == "280.0,0.0 560.0,120.0"
    assert curves["kept_x"] == "280.0"
    (tmp_path / "probes.csv").write_text("step,edit,similarity,diversity,drift\n20,0.5,0.3,1,0.1\n")
    assert probe_curves(tmp_path / "probes.csv", kept=20) is None


@pytest.mark.parametrize("line", ["0,0.5,0.3,1,0.1", "nan,0.5,0.3,1,0.1", "inf,0.5,0.3,1,0.1", "40,nan,0.3,1,0.1"])
def test_damaged_probes_cost_their_curve_alone(tmp_path: Path, line: str) -> None:
    (tmp_path / "probes.csv").write_text(f"step,edit,similarity,diversity,drift\n0,0.5,0.3,1,0.1\n{line}\n")
    assert probe_curves(tmp_path / "probes.csv", kept=0) is None


def test_one_line_says_of_which_references_not_all_was_read(adapted: Path) -> None:
    part = {"left_out": "4 .heic (IMG_0.HEIC, ...)"}
    row = Row(line=2, domain="sketch", source="a", target="b", recipe="style", reference_images="truth")
    records = [record(name, making={"row": row}, evaluation=part) for name in ("sketch", "sepia")]
    html = render(adapted, [*records, record("robot")])
    assert html.count("Not read of truth (sepia, sketch): 4 .heic (IMG_0.HEIC, ...).") == 1
    assert html.count("Not read of") == 1

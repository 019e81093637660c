"""The report: one file, nothing called, nothing of a prompt taken for markup."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from nada.errors import NadaError
from nada.methods.adapt.record import AdaptRecord, EarlyStoppingRecord, Rounding
from tasks.config.row import Row
from tasks.report.charts import confusion, loss_curve, polyline, probe_curves
from tasks.report.page import Failure, Night, load_night, save_night, write_report
from tasks.report.thumbnails import read_sheet, sheet_uri
from tasks.store.record import FileEntry, Record, ScoreEntry
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
        Image.new("RGB", (18, 18), "teal").save(folder / domain / "samples.png")
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
    assert "90% ±5%" in html


def test_one_line_says_why_a_network_did_not_judge(adapted: Path) -> None:
    reason = {"absent": {"Inception": "judge.inception is 'none'; 'web' fetches it"}}
    html = render(adapted, [record("sketch", evaluation={**reason}), record("sepia", evaluation={**reason})])
    assert html.count("No figures by Inception: judge.inception is &#39;none&#39;; &#39;web&#39; fetches it.") == 1


def test_a_lost_row_is_shown_with_its_reason_and_the_command(adapted: Path) -> None:
    failure = Failure(domain="lost", source="portrait", target="void", reason="step 3: the loss is nan")
    html = render(adapted, [record("sketch")], failure)
    assert "1 of 2 domains ready, 1 trained in this night, 1 failed" in html
    assert '<tr class="failed" data-verdict="failed" data-text="lost portrait void">' in html
    assert "step 3: the loss is nan" in html
    assert "<code>nada run --only lost</code>" in html


def test_the_best_retrieval_comes_first(adapted: Path) -> None:
    html = render(adapted, [record("sketch", retrieval_accuracy=0.2), record("sepia", retrieval_accuracy=0.8)])
    assert html.index('id="sepia"') < html.index('id="sketch"')


def test_a_missing_picture_and_trace_cost_nothing_but_themselves(adapted: Path) -> None:
    (adapted / "sketch" / "samples.png").write_bytes(b"no picture")
    (adapted / "sketch" / "trace.csv").unlink()
    html = render(adapted, [record("sketch")])
    assert "The picture of this domain is missing or damaged." in html
    assert "<polyline" not in html and "<img" not in html


def test_a_page_of_very_many_domains_shows_the_new_and_the_best(adapted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.report.page.CARDS", 2)
    monkeypatch.setattr("tasks.report.page.LINES", 3)
    scores = {"best": 0.9, "good": 0.8, "fair": 0.7, "poor": 0.6, "sketch": 0.1}
    html = render(adapted, [record(domain, retrieval_accuracy=score) for domain, score in scores.items()])
    assert [domain for domain in scores if f'<article id="{domain}"' in html] == ["best", "sketch"]
    assert [domain for domain in scores if f'<td data-value="{domain}"' in html] == ["best", "good", "fair", "sketch"]
    assert "Pictures of 2 and scores of 4 of the 5 domains; reports/leaderboard.csv has the scores of all." in html


def embedded(html: str) -> list[Image.Image]:
    found = re.findall(r"data:image/webp;base64,([^\"]+)", html)
    return [Image.open(io.BytesIO(base64.b64decode(content))) for content in found]


def test_each_domain_has_its_sheet_and_a_strip_below_the_sources(adapted: Path) -> None:
    pictures = embedded(render(adapted, [record("sketch"), record("sepia")]))
    assert sorted(picture.size for picture in pictures) == [(18, 8)] * 3 + [(18, 18)] * 2


def test_large_sheets_are_shrunk_and_more_so_among_many(adapted: Path) -> None:
    Image.new("RGB", (4000, 400)).save(adapted / "sketch" / "samples.png")
    sheet = read_sheet(adapted / "sketch" / "samples.png")
    assert sheet is not None
    assert [embedded(f'"{sheet_uri(sheet, number)}"')[0].width for number in (1, 80, 1000)] == [1600, 800, 640]


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
    assert len(curve["raw"].split()) <= 281
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

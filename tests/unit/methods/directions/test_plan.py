"""What a plan says of statistics: which rows share them, what decides them, who bears their cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from nada.errors import PromptsError
from nada.generators.stylegan2 import StyleGAN2Config
from nada.methods.directions.config import ChannelsConfig, DirectionsConfig
from nada.methods.directions.method import Directions
from tasks.plan.plan import Plan
from tasks.plan.planning import make_plan
from tasks.plan.wording import doubts
from tasks.store import prepared
from tasks.workers.ray.transfer import pack
from tests.methods.project import change
from tests.project import PARAMS, Project, project, write_prompts

__all__ = ["project"]

HEADER = "domain,source,target,method,recipe,on"
HEADER_OF_SEEDS = "domain,source,target,method,seeds"
ROWS = ("base,portrait,ink,,style", "one,portrait,robot,directions", "two,portrait,doll,directions,,base")
SECTION = "directions:\n  beta: 0.1\nrecipes:\n"


@pytest.fixture
def plan(project: Project) -> Plan:
    (project.folder / "params.yaml").write_text(PARAMS.replace("recipes:\n", SECTION))
    write_prompts(project.folder, *ROWS, header=HEADER)
    return planned()


def planned() -> Plan:
    return make_plan(Path("params.yaml"), here=True)


def keys() -> tuple[str, ...]:
    base, one, two = planned().rows
    assert base.prepared == () and one.prepared == two.prepared
    return one.prepared


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("beta: 0.1", "beta: 0.2\n  alpha: -3.0\n  strengths: [0, 2]"),
        ("weights: world/tiny-guide.safetensors", "weights: world/tiny-guide.safetensors\n      weight: 0.5"),
        ("device: cpu", "device: cpu\n  seed: 7"),
        ("config_dir: world", "config_dir: world\n  views:\n    flip: true"),
    ],
)
def test_what_decides_no_channel_changes_no_statistics(plan: Plan, old: str, new: str) -> None:
    before, making = keys(), plan.rows[1].keys.making
    change(old, new)
    assert keys() == before
    assert planned().rows[1].keys.making != making


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("beta: 0.1", "beta: 0.1\n  channels:\n    num_images: 7"),
        ("config_dir: world", "config_dir: world\n  antialias: false"),
        ("weights: world/tiny-guide.safetensors", "weights: world/tiny-judge.safetensors"),
    ],
)
def test_what_decides_them_changes_them(plan: Plan, old: str, new: str) -> None:
    before = keys()
    if "tiny-judge" in new:
        Path("world/other.safetensors").write_bytes(Path("world/tiny-judge.safetensors").read_bytes())
        new = "weights: world/other.safetensors"
    change(old, new)
    assert set(keys()).isdisjoint(before)


def test_a_guide_that_is_added_needs_statistics_of_its_own_alone(plan: Plan) -> None:
    before = keys()
    Path("world/other.safetensors").write_bytes(Path("world/tiny-judge.safetensors").read_bytes())
    change("judge:\n", "    - name: tiny-judge\n      weights: world/other.safetensors\njudge:\n")
    assert (len(keys()), keys()[0]) == (2, before[0])


def test_the_first_row_that_needs_them_bears_their_cost_until_they_are_there(plan: Plan) -> None:
    base, one, two = (row.cost.preparing_seconds for row in plan.rows)
    assert (base, two) == (0, 0)
    assert one > 0 and plan.rows[1].cost.seconds > one
    place = prepared.place(plan.rows[1].prepared[0])
    place.path.parent.mkdir()
    place.path.write_bytes(b"")
    assert not any(row.cost.preparing_seconds for row in planned().rows)


def test_rows_of_one_source_ride_together_and_their_assignments_say_where_statistics_lie(plan: Plan) -> None:
    one, two = (plan.job(row).assignment for row in plan.rows[1:])
    assert Directions().group(one) == Directions().group(two) != ""
    assert [place.path.stem for place in one.prepared] == list(plan.rows[1].prepared)


def test_the_pictures_of_the_published_generator_are_those_of_5376_channels() -> None:
    large = StyleGAN2Config(resolution=1024)
    assert Directions().pictures_to_prepare(DirectionsConfig(), large) == 2 * 100 * 5376
    whole = DirectionsConfig(channels=ChannelsConfig(num_images=1, max_resolution=1024, layers="convs+rgb"))
    assert Directions().pictures_to_prepare(whole, large) == 2 * 9088


@pytest.mark.parametrize("option", [{"alpha": 0.0}, {"alpha": 101.0}, {"beta": 1.0}, {"beta": -0.1}, {"strengths": []}])
def test_strengths_out_of_range_are_refused(option: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        DirectionsConfig.model_validate(option)


def test_a_row_has_no_iterations(plan: Plan) -> None:
    write_prompts(Path(), f"{ROWS[1]},,,,,50", header=f"{HEADER},generator,seed,iterations")
    with pytest.raises(PromptsError, match="'directions' has no iterations, so leave it empty"):
        planned()


def test_advice_goes_back_from_where_the_row_is() -> None:
    method, config = Directions(), DirectionsConfig()
    assert method.advice("too much", config) == ["alpha 2 (now 4)", "beta 0.2 (now 0.15)"]
    assert method.advice("too little", config) == ["alpha 6 (now 4)", "beta 0.1 (now 0.15)"]
    assert method.advice("elsewhere", config) == ["beta 0.2 (now 0.15)"]


def test_statistics_that_are_there_travel_with_a_row_to_another_machine(plan: Plan) -> None:
    row = plan.rows[1]
    place = prepared.place(row.prepared[0]).path
    assert place.as_posix() not in pack(plan.job(row)).files
    place.parent.mkdir()
    place.write_bytes(b"")
    assert pack(plan.job(row)).files[place.as_posix()] == place


def test_seeds_that_change_nothing_are_told(plan: Plan) -> None:
    write_prompts(Path(), "one,portrait,robot,directions,0-1", "two,portrait,ink,adapt,0-1", header=HEADER_OF_SEEDS)
    told = "directions: nothing is drawn by seed, so that variants of one recipe are equal; one will do"
    (names,) = [row.domain for row in planned().rows if row.row.method == "directions"][:1]
    assert doubts(planned()) == [f"{told} ({names}, {names.removesuffix('0')}1)"]
    write_prompts(Path(), "one,portrait,robot,directions,3", header=HEADER_OF_SEEDS)
    assert doubts(planned()) == []

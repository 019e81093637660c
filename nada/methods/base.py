"""What a way of making domains offers. Each is one folder beside this file and one line of `nada.methods.registry`.

A `Method` describes itself: its settings, what decides its results, what a step costs. It begins a `Pass` over rows
that may be made together, mostly one: an iterator of steps, each tagged by its row, whose states can be taken between
any two of them. What a row leaves are files in a folder, which the method opens as a `Domain`. Whoever drives a pass
logs, saves and prints; a pass does none of these.

Planning a night asks methods about themselves, so this file and a method's own import no torch: what computes is
imported by `begin` and `open`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict

from nada.clip.goal import Goal
from nada.config import Section

if TYPE_CHECKING:
    from torch import Tensor

    from nada.generators.domain import Domain
    from nada.generators.protocol import Generator
    from nada.generators.registry import Architecture
    from nada.methods.models import Models

Storage = Literal["delta", "full", "fp16"]
"""How weights are kept: what changed, everything, or everything rounded to half the bytes."""
Trouble = Literal["too much", "too little", "elsewhere"]
"""What the figures say of a domain that is not good: it lost its variety, hardly moved, or went to another prompt."""

GLIMPSED = 4
"""Pictures of a glimpse: few enough to cost nothing, and more than one face."""
TRACE_NAME = "trace.csv"
"""What a row leaves of its training: columns `step`, `loss` and any others, one line a step; drawn as curves."""
PROBES_NAME = "probes.csv"
"""What the judge saw on the way, where it looked: columns `step`, `edit`, `diversity` and any others."""
_CHECKPOINT = re.compile(r"checkpoint-(\d{1,9})\.safetensors")


def checkpoint_name(step: int) -> str:
    """The file of what a row was after some step, where its method keeps such: of the kind of `Method.weights_name`.

    >>> checkpoint_name(120)
    'checkpoint-120.safetensors'
    """
    return f"checkpoint-{step}.safetensors"


def checkpoint_steps(names: Iterable[str]) -> list[int]:
    """The steps of the checkpoints among files, in order.

    >>> checkpoint_steps(["generator.safetensors", "checkpoint-120.safetensors", "checkpoint-20.safetensors"])
    [20, 120]
    """
    return sorted(int(found[1]) for name in names if (found := _CHECKPOINT.fullmatch(name)))


class RecordPart(BaseModel):
    """What a method adds to a row's record; each has fields of its own."""

    model_config = ConfigDict(frozen=True)


ConfigT = TypeVar("ConfigT", bound=Section)
RecordT = TypeVar("RecordT", bound=RecordPart)


class Place(NamedTuple):
    """Where something is kept that is computed once for a generator and one model of the guide."""

    path: Path
    parts: Path
    """A folder for what is done of it so far; it goes once the file is whole."""


class Preparing(NamedTuple):
    """How far such a computation is."""

    done: int
    """Pictures."""
    total: int


@dataclass(frozen=True, kw_only=True)
class Assignment(Generic[ConfigT]):
    """One row as a method sees it."""

    row: str
    """Tags its steps."""
    goal: Goal
    config: ConfigT
    seed: int
    storage: Storage
    prepared: tuple[Place, ...] = ()
    """What `Method.prepare` computed for it: one a model of the guide, or none where the method prepares nothing."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """News of one row."""

    row: str
    done: int
    """Steps done."""
    total: int
    """Steps at most."""
    loss: Tensor | None = None
    """Detached, so that reading it costs a device sync only when it is read."""
    is_last: bool = False
    note: str = ""
    """News that is worth a line of its own."""


class Glimpse(NamedTuple):
    """What a row looks like on the way: the same latents at each step, so that one sees them change."""

    step: int
    """Steps behind what is shown."""
    img_u8: Tensor
    """[M, 3, R, R] bytes, M at most `GLIMPSED`."""


@dataclass(frozen=True, kw_only=True)
class RowError:
    """A row that left its pass; the others go on."""

    row: str
    error: Exception


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a row came to, once its files are written."""

    trained_steps: int
    kept_step: int
    """After which the kept result was taken."""
    bases: tuple[str, ...]
    """sha256 of the base models that the files rebuild from."""
    micro_batch: int
    """Pictures at once, in the end."""
    part: RecordPart
    """Of the method's `record_model`."""


class Pass(ABC):
    """Rows being made together. Iterate over it until every row has had its last step or its error."""

    @abstractmethod
    def __iter__(self) -> Iterator[Step | RowError]:
        """One step after the other. Between two of them the states of all rows can be taken, and belong together.

        Raises:
            NadaError: what ends the whole pass; errors of one row are yielded.
        """

    @abstractmethod
    def state_dict(self, row: str) -> dict[str, Tensor]:
        """Everything that the row's further steps depend on, beside the states of the others."""

    @abstractmethod
    def load_state_dict(self, row: str, tensors: dict[str, Tensor]) -> int:
        """Go on from a state, before the first step; returns the steps behind it.

        States that were taken together are given back together, to a pass of the same rows, or of those among them
        that have not ended; a row that failed may begin anew beside them, without a state.

        Raises:
            StateError: it is of another row or damaged; nothing of the row was changed.
        """

    def glimpse(self, row: str) -> Glimpse | None:
        """What the row would show if it ended now, between two steps or after its last one; draws no random number.

        Where somebody looked anyway these are the pictures that he saw, and cost nothing. None: there is nothing to see
        yet, or this method shows nothing on the way.
        """
        return None

    @abstractmethod
    def domain(self, row: str) -> Domain:
        """What was made of a row after its last step, exactly as its files will give it back."""

    @abstractmethod
    def save(self, row: str, folder: Path) -> Made:
        """Write the row's files into an empty folder.

        Raises:
            CheckpointError, OutputError: they cannot be written.
        """


class Method(ABC, Generic[ConfigT, RecordT]):
    """One way of making domains."""

    name: ClassVar[str]
    """As the CSV writes it."""
    config_model: type[ConfigT]
    """Of its section in params.yaml, which bears the method's name, and of the recipes that are its own."""
    record_model: type[RecordT]
    entry: ClassVar[str]
    """Module whose imports are all the code that a row runs: an edit there makes its rows anew."""
    preparing_entry: ClassVar[str | None] = None
    """The same of `prepare`, where there is something to prepare."""
    weights_name: ClassVar[str | None] = None
    """The file of a generator, in the canonical format, that a row leaves: it can be exported, mixed and adapted
    further. None where a row leaves something else."""
    needs_generator: ClassVar[bool] = False
    """Whether rows start from a generator alone, and not from whatever draws pictures."""
    draws_by_seed: ClassVar[bool] = True
    """Whether another seed gives another result."""

    def check(self, config: ConfigT, generator: Generator) -> None:
        """Refuse settings that a generator cannot have.

        Raises:
            ParamsError: names the key.
        """

    def files(self, config: ConfigT) -> dict[str, str]:
        """Option -> the file that it names, for options whose file decides the result, by content and not by name."""
        return {}

    def check_files(self, config: ConfigT, base_sha256: str) -> None:
        """Refuse such files, which are there, while a night is planned.

        Args:
            config: of a row.
            base_sha256: of the pretrained generator behind it.

        Raises:
            InputError: names the file.
        """

    def doubts(self, config: ConfigT) -> list[str]:
        """Settings that are allowed and seldom meant, a line each that begins with the key; told with the plan."""
        return []

    def measured_from(self, config: ConfigT) -> Literal["start", "base"]:
        """What the row's edits are measured from, in training and by the judge: what it starts from, or the pretrained
        generator behind that.
        """
        return "start"

    @abstractmethod
    def num_steps(self, config: ConfigT) -> int:
        """Steps of a row, at most."""

    @abstractmethod
    def is_judged_on_the_way(self, config: ConfigT) -> bool:
        """Whether the judge's CLIP looks on and may end a row earlier: its weights then decide the result."""

    @abstractmethod
    def step_cost(self, config: ConfigT) -> dict[str, Any]:
        """What decides the seconds of a step, as plain data: rows that agree in it are measured together."""

    @abstractmethod
    def pictures_per_step(self, config: ConfigT) -> int:
        """Pictures that a step computes for a row; its seconds are about proportional to it."""

    def graph_bytes(self, config: ConfigT, architecture: Architecture, picture_bytes: int, at_once: int | None) -> int:
        """What the graphs of a step take of a device's memory, with as many rows as may ride together.

        Args:
            config: of a row.
            architecture: of the generator that it starts from.
            picture_bytes: of one picture's graph, generator and guides together.
            at_once: pictures at once, at most; None where nothing limits them.
        """
        pictures = self.num_together(config) * self.pictures_per_step(config)
        return picture_bytes * (pictures if at_once is None else min(pictures, at_once))

    def with_steps(self, config: ConfigT, iterations: int) -> ConfigT:
        """The settings of a row whose CSV line names its iterations: that many, whatever the judge says.

        Raises:
            pydantic.ValidationError: no such number, or no such option.
        """
        return self.config_model.model_validate({**config.model_dump(), "iterations": iterations})

    def preparation(self, config: ConfigT) -> Section | None:
        """The settings of what is computed before a row, once for a pretrained generator and each model of the guide,
        and kept for all rows that agree in them; None where there is nothing of the kind.
        """
        return None

    def pictures_to_prepare(self, config: ConfigT, architecture: Architecture) -> int:
        """Pictures that this renders and embeds: its cost."""
        return 0

    def prepare(self, config: ConfigT, models: Models, places: Sequence[Place]) -> Iterator[Preparing]:
        """Compute what is missing, for `models.base` and each model of `models.guide`, and tell how far it is.

        Two processes may do so at once. One that is killed loses little: another goes on from the parts.

        Raises:
            NadaError: it cannot be computed, or not be written.
        """
        yield from ()

    def num_together(self, config: ConfigT) -> int:
        """Rows in one pass, at most."""
        return 1

    def group(self, assignment: Assignment[ConfigT]) -> str:
        """Rows with equal texts may ride in one pass, up to `num_together`, where source and guides are the same."""
        return assignment.row

    @abstractmethod
    def begin(self, assignments: Sequence[Assignment[ConfigT]], models: Models) -> Pass:
        """A pass over rows that `group` put together, before its first step."""

    @abstractmethod
    def open(self, folder: Path, models: Models) -> Domain:
        """What a row left.

        Args:
            folder: the row's, with the files that `Pass.save` wrote.
            models: of the row's source, for what the files build on.

        Raises:
            CheckpointError: a file is missing or damaged.
        """

    def settings_in_words(self, config: ConfigT) -> str:
        """The settings that a reader of the report wants to know."""
        return ", ".join(f"{name} {value}" for name, value in config.model_dump(mode="json").items())

    def facts(self, part: RecordT) -> dict[str, str]:
        """What such a reader wants to know of how it went: a word -> a sentence."""
        return {}

    def of_checkpoint(self, part: RecordT, step: int) -> RecordT:
        """The same part of the record of a checkpoint that was picked."""
        return part

    def pictures(self, part: RecordT) -> dict[str, str]:
        """What `Pass.save` drew beside the weights, for the row's card: a PNG of the row's folder -> its caption."""
        return {}

    def advice(self, trouble: Trouble, config: ConfigT) -> list[str]:
        """Changes of the row that may help, such as `iterations 600 (now 300)`."""
        return []

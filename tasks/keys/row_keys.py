"""The content keys of a row's parts: equal keys mean equal results, so what is there need not be done again.

Making is what costs hours, evaluating what costs seconds, and retrieval depends on the other rows: each has a key of
its own. A key covers everything that decides its part and nothing that does not. Left out are the line number, the
row's name and its recipe's, device, workers, what is computed at once, time limits, paths, and how exact weights are
stored. An option at its neutral value is left out as well, so that a new option changes no key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from nada.config import Section
from nada.methods.base import Method
from tasks.config.model import Params
from tasks.config.row import STYLE_WEIGHT
from tasks.keys.inputs import (
    evaluation_code,
    guide_hashes,
    hashed,
    judge_hashes,
    making_code,
    open_clip_version,
    preparing_code,
)

KEY_FORMAT = 2  # raise it when results change for a reason that the keys do not see
NEUTRAL_PATH = Path(__file__).with_name("neutral_values.json")
"""Section -> option -> the value at which it is left out of keys: its default on the day on which it was added. It
stays when the default changes, so that rows that relied on the old one are made anew."""
AT_ONCE = ("together",)  # of a method: how many rows are computed at once, which changes rounding alone
NO_OPTIONS = ("config_dir", "weights", "activation")  # contents of files are in the keys; the last is a statement
SPEED_ALONE = ("batch_size", "inception", "efficientnet", "faces", "lpips")  # of the judge; networks are in by bytes


class KeyMaker:
    """Keys of the rows of one night; what they share is computed once."""

    def __init__(self, params: Params) -> None:
        """Hash the networks.

        Raises:
            CheckpointError: a file cannot be read.
        """
        self.params = params
        self.guides = guide_hashes(params.guide)
        self.judges = judge_hashes(params.judge, params.guide.config_dir)
        self._guide = {"options": options(params.guide, NO_OPTIONS), "networks": self.guides}
        self._judge = {
            "options": options(params.judge, (*NO_OPTIONS, *SPEED_ALONE)),
            "networks": self.judges,
            "antialias": params.guide.antialias,
            "samples": options(params.samples),
        }

    @property
    def networks(self) -> dict[str, str]:
        """Place in params.yaml -> identity, of guides and judges."""
        return {**self.guides, **self.judges}

    def making(
        self,
        method: Method[Any, Any],
        config: Section,
        prompts: tuple[str, str],
        seed: int,
        family_module: str,
        base_sha256: str,
        on: str | None = None,
        files: Mapping[str, str] | None = None,
        style_sha256: str | None = None,
        prepared: tuple[str, ...] = (),
    ) -> str:
        """sha256 over everything that decides what is made of a row.

        Args:
            method: of the row.
            config: its settings, resolved.
            prompts: source and target; where pictures alone say what to make, they decide nothing.
            seed: the row's, or the night's.
            family_module: of the generator's family.
            base_sha256: of the canonical pretrained generator.
            on: key of making of the row that this one starts from.
            files: option -> sha256 of the file that it names (`Method.files`).
            style_sha256: `reference_hash` of the pictures that it learns from, if there are any.
            prepared: keys of what its method prepares for it.
        """
        said = prompts if style_sha256 is None or getattr(config, STYLE_WEIGHT) < 1 else None
        style = {} if style_sha256 is None else {"style": style_sha256}
        named = {"files": dict(files)} if files else {}
        judged = {"psi": self.params.samples.truncation_psi, "network": self.judges["judge.model"]}
        return hashed(
            {
                "format": KEY_FORMAT,
                "method": method.name,
                "code": making_code(method, family_module, by_pictures=style_sha256 is not None),
                "open_clip": open_clip_version(),
                "prompts": said,
                "seed": seed,
                "config": options(config, (*(files or ()), *AT_ONCE)),
                **named,
                "guide": self._guide,
                "judge": judged if method.is_judged_on_the_way(config) else None,
                "rounded": self.params.night.storage == "fp16",
                "base": base_sha256,
                "on": on,
                **style,
                **({"prepared": prepared} if prepared else {}),
            }
        )

    def prepared(
        self, method: Method[Any, Any], config: Section, family_module: str, base_sha256: str
    ) -> tuple[str, ...]:
        """sha256 over everything that decides what a method prepares for a row, one a model of the guide; none where it
        prepares nothing.

        Args:
            method: of the row.
            config: its settings, resolved.
            family_module: of the generator's family.
            base_sha256: of the canonical pretrained generator.
        """
        preparation = method.preparation(config)
        if preparation is None:
            return ()
        about = {
            "format": KEY_FORMAT,
            "method": method.name,
            "code": preparing_code(method, family_module),
            "open_clip": open_clip_version(),
            "config": options(preparation),
            "antialias": self.params.guide.antialias,
            "base": base_sha256,
        }
        return tuple(hashed({**about, "guide": network}) for network in self.guides.values())

    def evaluation(
        self,
        making: str,
        family_module: str,
        references_sha256: str | None,
        truth_sha256: str | None = None,
        style_prompts: tuple[str, str] | None = None,
    ) -> str:
        """sha256 over everything that decides a row's scores and pictures, retrieval aside.

        Args:
            making: key of what is judged; its prompts and style pictures are in there.
            family_module: of the generator's family.
            references_sha256: `reference_hash` of the row's reference images, if it has any.
            truth_sha256: likewise of the true images of the judged latents.
            style_prompts: of a row that pictures lead, for which the making may not ask.
        """
        style = {} if style_prompts is None else {"prompts": style_prompts}
        return hashed(
            {
                "format": KEY_FORMAT,
                "code": evaluation_code(family_module, by_pictures=style_prompts is not None),
                "open_clip": open_clip_version(),
                "making": making,
                "judge": self._judge,
                "references": references_sha256,
                **({} if truth_sha256 is None else {"truth": truth_sha256}),
                **style,
            }
        )


def checkpoint_key(making: str, step: int) -> str:
    """sha256 over what a row's training kept after some step, and the row's record does not draw."""
    return hashed({"format": KEY_FORMAT, "making": making, "step": step})


def retrieval_key(evaluation: str, targets: Iterable[str]) -> str:
    """sha256 over a row's evaluation and the prompts among which its pictures find theirs."""
    return hashed({"format": KEY_FORMAT, "evaluation": evaluation, "targets": sorted(set(targets))})


@cache
def options(section: Section, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """A section's options that are not at their neutral values; thousands of rows ask for the same few."""
    return _options(section, neutral_values(), without)


def _options(section: Section, neutral: Mapping[str, Any], without: tuple[str, ...]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    ours = neutral.get(f"{type(section).__module__}.{type(section).__name__}", {})
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if name in without:
            continue
        if isinstance(value, Section):
            if inner := _options(value, neutral, without):
                kept[name] = inner
        elif isinstance(value, tuple) and value and isinstance(value[0], Section):
            kept[name] = [_options(item, neutral, without) for item in value]
        elif (list(value) if isinstance(value, tuple) else value) != ours.get(name, field.default):  # as JSON has it
            kept[name] = section.model_dump(mode="json", include={name})[name]
    return kept


@cache
def neutral_values() -> dict[str, dict[str, Any]]:
    """The recorded values, by class and option."""
    values: dict[str, dict[str, Any]] = json.loads(NEUTRAL_PATH.read_text(encoding="utf-8"))
    return values

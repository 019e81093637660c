"""How often triage tells good rows from others, over rows of known quality.

    python benchmarks/triage.py KNOWN.csv --world faces --efficientnet efficientnet-lite2-9656183e.pth

KNOWN.csv names finished rows: `project` (a folder), `row`, `domain` (as which it is judged: another one than its own is
a wrong target) and `quality` (good, half-trained, overshot, collapsed, wrong target; as a person says, not the judge).
References are the true pictures of other latents than the judged ones, as a user might have. Thresholds may be looked
at on every other domain, by name, and are counted on those between. Features are kept in `--features`, so that another
rule costs seconds.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from truth import BATCH, Truth, truths_of

from nada.atomic import replacing
from nada.clip.goal import PromptPair
from nada.clip.loading import load_clip
from nada.hashing import sha256_file
from nada.judge import Judge, SetFeatures, retrieve, score_domain
from nada.judge.samples import fixed_latents, render
from nada.judge.spaces.efficientnet import EfficientNet
from nada.methods.registry import find_method
from tasks.config.params import load_params
from tasks.library.domains import SOURCE, open_domain
from tasks.report.triage import triage
from tasks.row.judge_networks import read_state
from tasks.store.record import Record, ScoreEntry

NUM_IMAGES, NUM_REFERENCES, REFERENCE_SEED = 120, 100, 20_261_126


@dataclass(frozen=True)
class Known:
    """One line of the file."""

    project: str
    row: str
    domain: str
    quality: str


@dataclass(frozen=True)
class Verdict:
    """What triage says of it."""

    known: Known
    kind: str
    evidence: str
    scores: dict[str, float]
    found: float
    """Share of the pictures that find their prompt."""


class Bench:
    """The networks and latents that all rows of one world share."""

    def __init__(self, world: str, project: Path, efficientnet: Path, features: Path) -> None:
        self.truths: dict[str, Truth] = truths_of(world)
        domains = importlib.import_module("domains")  # of this world
        self.goals = {one.slug: PromptPair(domains.SOURCE_PROMPT, one.target) for one in domains.DOMAINS}
        self.folder = features
        features.mkdir(parents=True, exist_ok=True)
        with inside(project):
            params = load_params()
            clip = load_clip(params.judge.model, params.guide.config_dir, params.guide.antialias, "cpu")
            assert clip.fingerprint  # read while its file is where its settings say
            network = EfficientNet(read_state(efficientnet), sha256_file(efficientnet))
            self.judge = Judge(clip=clip, efficientnet=network, batch_size=params.judge.batch_size)
            self.whole = open_domain(SOURCE, Path("params.yaml"), "cpu")
            self.psi = params.samples.truncation_psi

    @cache  # noqa: B019  # one bench a process
    def source(self, count: int, seed: int | None) -> Tensor:
        """The source's pictures of the judge's latents, or of a seed's."""
        seeds = {} if seed is None else {"seed": seed}
        return torch.cat(list(render(self.whole, fixed_latents(self.whole, count, self.psi, **seeds), BATCH)))

    def kept(self, name: str, pictures: Any) -> SetFeatures:
        """Features of a set, computed once."""
        path = self.folder / f"{name}.npz"
        if not path.exists():
            found = self.judge.features(pictures())
            with replacing(path) as partial, partial.open("wb") as file:
                np.savez(file, **{key: value for key, value in vars(found).items() if value is not None})
        with np.load(path) as arrays:
            return SetFeatures(**arrays)

    def features(self, known: Known) -> SetFeatures:
        """Of a row's pictures of the judge's latents."""
        return self.kept(f"row-{Path(known.project).name}-{known.row}", lambda: self._pictures(known))

    def _pictures(self, known: Known) -> Tensor:
        with inside(Path(known.project)):
            domain = open_domain(known.row, Path("params.yaml"), "cpu")
            return torch.cat(list(render(domain, fixed_latents(self.whole, NUM_IMAGES, self.psi), BATCH)))

    def judged(self, known: Known, targets: Sequence[str]) -> Verdict:
        """A row as the night's report would have it."""
        source = self.kept("source", lambda: self.source(NUM_IMAGES, None))
        truth = self.truths[known.domain]
        references = self.kept(f"truth-{known.domain}", lambda: truth(self.source(NUM_REFERENCES, REFERENCE_SEED)))
        goal, samples = self.goals[known.domain], self.features(known)
        scores = score_domain(self.judge, goal.source, goal.target, source, samples, references)
        retrieved = retrieve(self.judge.clip, goal, samples.emb, targets)
        assert retrieved.score is not None, "every row has a prompt"
        entries = {name: ScoreEntry(**asdict(score)) for name, score in scores.items()}
        method = find_method("adapt")
        making = SimpleNamespace(method_object=method, method_config=method.config_model())
        record = SimpleNamespace(scores=entries, nearest=retrieved.nearest, row=goal, making=making)
        found = triage(cast("Record", record))
        values = {name: score.value for name, score in scores.items()}
        return Verdict(known, found.kind, found.evidence, values, retrieved.score.value)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a project's folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def table(verdicts: Sequence[Verdict], title: str) -> Iterator[str]:
    """Markdown: quality by verdict, and both error rates."""
    kinds = sorted({verdict.kind for verdict in verdicts})
    yield f"| {title} | rows | " + " | ".join(kinds) + " |"
    yield "|---|---:" + "|---:" * len(kinds) + "|"
    qualities = sorted({verdict.known.quality for verdict in verdicts}, key=lambda quality: quality != "good")
    for quality in qualities:
        of = [verdict.kind for verdict in verdicts if verdict.known.quality == quality]
        yield f"| {quality} | {len(of)} | " + " | ".join(str(of.count(kind)) for kind in kinds) + " |"
    good = [verdict for verdict in verdicts if verdict.known.quality == "good"]
    others = [verdict for verdict in verdicts if verdict.known.quality != "good"]
    missed = sum(verdict.kind != "good" for verdict in good)
    passed = sum(verdict.kind == "good" for verdict in others)
    yield f"\n{1 - (missed + passed) / len(verdicts):.0%} right: {missed} of {len(good)} good ones are not called so, "
    yield f"{passed} of {len(others)} others are called good."


def main() -> None:
    """Judge, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("known", type=Path)
    parser.add_argument("--world", choices=("avatars", "faces"), required=True)
    parser.add_argument("--efficientnet", type=Path, required=True, help="the published weights")
    parser.add_argument("--features", type=Path, default=Path(".cache/triage"), help="where features are kept")
    parser.add_argument("--json", type=Path, help="a file for every verdict and its figures")
    args = parser.parse_args()
    with args.known.open(newline="", encoding="utf-8") as file:
        rows = [Known(**line) for line in csv.DictReader(file)]
    bench = Bench(args.world, Path(rows[0].project), args.efficientnet.absolute(), args.features.absolute())
    domains = sorted({known.domain for known in rows})
    targets = [bench.goals[domain].target for domain in domains]
    verdicts = []
    for known in rows:
        verdicts.append(bench.judged(known, targets))
        print(f"{known.row} as {known.domain}: {known.quality}, called {verdicts[-1].kind}", flush=True)
    first = set(domains[::2])
    halves = {"looked at": True, "counted": False}
    for title, is_first in halves.items():
        print("\n" + "\n".join(table([one for one in verdicts if (one.known.domain in first) == is_first], title)))
    if args.json:
        with replacing(args.json) as partial:
            partial.write_text(json.dumps([asdict(verdict) for verdict in verdicts], indent=1) + "\n")


if __name__ == "__main__":
    main()

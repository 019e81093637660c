"""Nights of short rows, each with something killed at a random moment: is anything lost, doubled, changed, or left?

    python benchmarks/chaos.py --out chaos.jsonl                   # seeds 0 to 49, about an hour
    python benchmarks/chaos.py --out chaos.jsonl --minutes 7       # stop early; the same command goes on
    python benchmarks/chaos.py --out chaos.jsonl --nights 0        # the tables alone

The world is that of the tests. One line of JSON a night, appended to the file; a seed that is in it is not run again.
The exit status is 1 if anything did not hold, or nothing was killed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.conftest import make_tiny_world  # noqa: E402
from tests.faults.chaos import TARGETS, Report, chaos_night, make_ground  # noqa: E402
from tests.faults.services import shared_services  # noqa: E402

PHASES = ("planning", "starting", "training", "closing")


def main() -> None:
    """Run the nights that are not in the file yet, and print what all of them came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=50)
    parser.add_argument("--out", type=Path, required=True, help="the file of results")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no night after these")
    given = parser.parse_args()
    done = {night["seed"] for night in load(given.out)}
    left = [seed for seed in range(given.nights) if seed not in done]
    if left:
        run(left, given.out, time.monotonic() + 60 * given.minutes)
    nights = load(given.out)
    print_tables(nights)
    sys.exit(0 if all(is_good(night) for night in nights) and len(nights) >= given.nights else 1)


def run(seeds: list[int], out: Path, until: float) -> None:
    """Append one line a night."""
    with tempfile.TemporaryDirectory(prefix="nada-chaos-") as scratch:
        folder = Path(scratch)
        with shared_services(folder) as services:
            ground = make_ground(folder, make_tiny_world(folder / "world"), services)
            for seed in seeds:
                if time.monotonic() > until:
                    return
                report = chaos_night(ground, seed)
                print(line := as_line(report), flush=True)
                with out.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")


def as_line(report: Report) -> str:
    """JSON; of records the domains alone."""
    harm = {**asdict(report.harm), "records": sorted(report.harm.records)}
    return json.dumps({**asdict(report), "harm": harm})


def load(path: Path) -> list[dict[str, Any]]:
    """The nights of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def is_good(night: dict[str, Any]) -> bool:
    """As `Report.is_good`."""
    return bool(night["harm"]["killed"]) and not (night["lost"] or night["again"] or night["wrong"])


def print_tables(nights: list[dict[str, Any]]) -> None:
    """Kills by target and phase in Markdown, then what the nights came to, and everything that was wrong."""
    counts = Counter((night["target"], night["harm"]["phase"]) for night in nights if night["harm"]["killed"])
    print("| killed | " + " | ".join(PHASES) + " | went on by itself | run again |")
    print("|---" * (len(PHASES) + 3) + "|")
    for target in TARGETS:
        own = [night for night in nights if night["target"] == target.name]
        alone = sum(night["statuses"][0] == 0 for night in own)
        cells = [*(counts[target.name, phase] or "" for phase in PHASES), alone or "", len(own) - alone or ""]
        print(f"| {target.name} | " + " | ".join(map(str, cells)) + " |")
    print(f"\nnights: {len(nights)}, with nothing wrong: {sum(map(is_good, nights))}")
    print(f"nights run anew because they were over before their moment: {sum(night['tries'] - 1 for night in nights)}")
    print(f"rows finished at that moment: {sum(len(night['harm']['records']) for night in nights)}")
    print(f"finished rows lost: {sum(len(night['lost']) for night in nights)}")
    print(f"finished rows trained again: {sum(len(night['again']) for night in nights)}")
    print(f"rows that went on from a saved state: {sum(night['went_on'] for night in nights)}")
    print(f"minutes: {sum(night['seconds'] for night in nights) / 60:.0f}")
    for night in nights:
        for words in night["wrong"]:
            print(f"seed {night['seed']}, {night['target']}: {words}")


if __name__ == "__main__":
    main()

"""What it costs to judge a finished night again, beside making it: more pictures, and a network more.

    python benchmarks/judging.py FOLDER    # a copy of a project whose night is finished; its params.yaml is changed

Three nights follow: nothing changed, twice the pictures, and Inception beside the CLIP (weights of the published
layout, drawn at random: speed asks for no more).
Each line tells seconds, rows made and judged, pictures rendered and pictures in
all. Nothing may be made; twice the pictures may render no more than the new ones and those that are shown.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tasks.store.record import read_record  # noqa: E402
from tests.networks import write_inception  # noqa: E402

INCEPTION = "inception.pth"


def night(folder: Path) -> float:
    """Run one; its seconds."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = time.monotonic()
    command = [sys.executable, "-m", "flows.cli", "run"]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def change(folder: Path, pattern: str, text: str) -> None:
    """Edit a line of params.yaml."""
    params = folder / "params.yaml"
    edited, num = re.subn(pattern, text, params.read_text(), flags=re.MULTILINE)
    assert num == 1, pattern
    params.write_text(edited)


def line(folder: Path, name: str, before: dict[str, str], seconds: float) -> str:
    """What a night did, as a row of a table."""
    records = {path.name: read_record(path) for path in sorted((folder / "weights" / "adapted").glob("[a-z]*"))}
    made = sum(record.making.finished != before.get(domain) for domain, record in records.items())
    rendered = sum(record.evaluation.num_rendered for record in records.values())
    pictures = sum(record.scores["clip_similarity_target"].num_images for record in records.values())
    judging = sum(sum(record.evaluation.seconds.values()) for record in records.values())
    making = sum(sum(record.making.seconds.values()) for record in records.values())
    shares = f"{rendered} of {pictures} | {judging:.0f} | {judging / making:.0%} of making"
    return f"| {name} | {seconds:.0f} | {made} | {shares} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a copy of a project whose night is finished")
    folder = parser.parse_args().folder
    made = {
        path.name: read_record(path).making.finished for path in sorted((folder / "weights" / "adapted").glob("[a-z]*"))
    }
    print("| night | seconds | rows made | pictures rendered | judging, row seconds | |\n|---|---|---|---|---|---|")
    print(line(folder, "nothing changed", made, night(folder)), flush=True)
    change(folder, r"num_images: 400\b", "num_images: 800")
    print(line(folder, "twice the pictures", made, night(folder)), flush=True)
    write_inception(folder / INCEPTION)
    change(folder, r"inception: none\b", f"inception: {INCEPTION}")
    print(line(folder, "Inception beside", made, night(folder)), flush=True)


if __name__ == "__main__":
    main()

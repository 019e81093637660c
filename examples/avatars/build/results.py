"""The table of docs/results.md in Markdown, from the last night.

    python examples/avatars/build/results.py        # in the project's folder, after `make avatars`

The picture of the README is `nada strip DOMAIN... --count 10 --psi 1 --seed 1`, with the domains of prompts.csv.
"""

from pathlib import Path

from tasks.config.params import load_params
from tasks.config.prompts import load_prompts
from tasks.store.row_folder import read_record

COLUMNS = {
    "distance to true target": ("frechet_to_reference", "{:.3f}"),
    "unadapted": ("frechet_source_to_reference", "{:.3f}"),
    "found by the judge": ("retrieval_accuracy", "{:.0%}"),
    "variety kept": ("structure_ratio", "{:.0%}"),
    "portraits kept": ("consistency", "{:.2f}"),
    "directional": ("directional_similarity", "{:.2f}"),
}


def table(domains: list[str]) -> str:
    """One row a domain, with what is left of the distance to the true target."""
    lines = ["| domain | left | " + " | ".join(COLUMNS) + " | seconds |", "|---" * (len(COLUMNS) + 3) + "|"]
    for domain in domains:
        record = read_record(domain)
        scores = {name: score.value for name, score in record.scores.items()}
        left = scores["frechet_to_reference"] / scores["frechet_source_to_reference"]
        cells = [pattern.format(scores[name]) for name, pattern in COLUMNS.values()]
        lines.append(f"| {domain} | {left:.0%} | {' | '.join(cells)} | {record.seconds:.0f} |")
    return "\n".join(lines)


def main() -> None:
    params = load_params()
    domains = [row.domain for row in load_prompts(Path(params.night.prompts), params)]
    print(table(domains))


if __name__ == "__main__":
    main()

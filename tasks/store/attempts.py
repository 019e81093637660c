"""How many nights ended without a row: what makes DVC run another night for rows whose inputs are the same.

The file lies among the rows, so that DVC versions it with them: a clone that pulls what a night finished also knows
what that night owes. A number never falls, not even when its row is finished, or a night would run for that alone.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from nada.atomic import replacing
from tasks.config.project import HERE
from tasks.store.plain_data import read_json


def load_attempts() -> dict[str, int]:
    """Domain -> nights; nothing of a domain that no night owes or owed, or where the file is damaged."""
    try:
        content = read_json(HERE.attempts)
        return {str(domain): int(nights) for domain, nights in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def count_attempts(missing: Collection[str], domains: Collection[str]) -> None:
    """Add a night to each row that is missing.

    Args:
        missing: domains.
        domains: of all rows; others are forgotten.

    Raises:
        OutputError: the file cannot be written.
    """
    if not missing:
        return
    before = load_attempts()
    after = {domain: before.get(domain, 0) + (domain in missing) for domain in sorted(domains)}
    with replacing(HERE.attempts) as partial:
        text = json.dumps({domain: nights for domain, nights in after.items() if nights}, indent=2, ensure_ascii=False)
        partial.write_text(text + "\n", encoding="utf-8")

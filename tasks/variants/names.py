"""How rows of one domain are called.

    sketch                 the domain; its only row, or the one that was taken
    sketch_style-2         a variant: the recipe `style` with seed 2
    sketch_style-2_120     that one after step 120, where such a checkpoint was kept and picked

No domain has an underscore in its name, so that a name says which it is. A variant is named by what it is and not by
its place, so that a further seed or recipe leaves the others where they are.
"""

from __future__ import annotations

SEPARATOR = "_"


def row_name(domain: str, variant: str, step: int | None = None) -> str:
    """Of a variant, or of one of its checkpoints.

    >>> row_name("sketch", "style-2"), row_name("sketch", "style-2", 120)
    ('sketch_style-2', 'sketch_style-2_120')
    """
    return SEPARATOR.join([domain, variant, *([] if step is None else [str(step)])])


def domain_of(name: str) -> str:
    """The domain that a row is of.

    >>> domain_of("sketch"), domain_of("sketch_style-2_120")
    ('sketch', 'sketch')
    """
    return name.partition(SEPARATOR)[0]


def variant_of(name: str) -> str:
    """Which variant, with the step of a checkpoint; empty for a domain's only row.

    >>> variant_of("sketch"), variant_of("sketch_style-2"), variant_of("sketch_style-2_120")
    ('', 'style-2', 'style-2_120')
    """
    return name.partition(SEPARATOR)[2]


def step_of(name: str) -> int | None:
    """After how many steps, for a checkpoint.

    >>> step_of("sketch_style-2"), step_of("sketch_style-2_120")
    (None, 120)
    """
    parts = name.split(SEPARATOR)
    return int(parts[2]) if len(parts) == 3 and parts[2].isdecimal() else None


def made_with(name: str) -> str:
    """The row that makes it: itself, or for a checkpoint the variant in whose training it was kept.

    >>> made_with("sketch_style-2_120"), made_with("sketch_style-2"), made_with("sketch")
    ('sketch_style-2', 'sketch_style-2', 'sketch')
    """
    return SEPARATOR.join(name.split(SEPARATOR)[:2])

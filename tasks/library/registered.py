"""A finished domain as MLflow's registry gives it back:

    model = mlflow.pyfunc.load_model("models:/nada-sketch@best")      # in the project's folder
    pictures = model.predict(numpy.arange(4))                         # [4, R, R, 3] bytes, a picture a seed

The registry holds no weights. They are those of the project in whose folder this runs, and only where they have the
sha256 that the version names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nada.errors import CheckpointError
from nada.generators.domain import Domain
from nada.hashing import sha256_file
from tasks.config.project import HERE
from tasks.library.domains import open_domain
from tasks.library.sample import samples


class RegisteredDomain:
    """Draws pictures from seeds, the same as `nada sample DOMAIN --seed SEED --count 1`."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain

    def predict(self, seeds: Any, params: dict[str, Any] | None = None) -> np.ndarray[Any, Any]:
        """A picture a seed, [N, R, R, 3] bytes.

        Args:
            seeds: whole numbers: a list, an array, or a table of one column.
            params: `truncation_psi`, by default 1.
        """
        numbers = [int(seed) for seed in np.asarray(seeds).reshape(-1)]
        psi = float((params or {}).get("truncation_psi", 1.0))
        drawn = [img_u8 for seed in numbers for img_u8 in samples(self.domain, 1, seed, psi)]
        return torch.cat(drawn).permute(0, 2, 3, 1).numpy()


def _load_pyfunc(path: str) -> RegisteredDomain:
    """Called by MLflow with the file that `tasks.tracking.model_registry` wrote.

    Raises:
        CheckpointError: the weights are absent, or are others than those of this version.
    """
    facts = json.loads(Path(path).read_text(encoding="utf-8"))
    domain, sha256s = str(facts["domain"]), dict(facts["sha256"])
    if not HERE.params.is_file():
        raise CheckpointError(f"{Path.cwd()}: no project here; run this in the project's folder ({facts['project']})")
    if domain != Path(domain).name:
        raise CheckpointError(f"{path}: {domain!r} is no name of a domain")
    for name, expected in sha256s.items():
        check(HERE.adapted / domain / Path(name).name, expected)
    return RegisteredDomain(open_domain(domain, HERE.params, "cpu"))


def check(path: Path, expected: str) -> None:
    """Refuse weights that are not a version's.

    Raises:
        CheckpointError: says what brings the right ones.
    """
    bring = (
        f"`dvc checkout {HERE.adapted}` or, where its cache lacks them, `dvc pull {HERE.adapted}` bring back what "
        "dvc.lock names; of an earlier night first `git checkout REVISION -- dvc.lock`"
    )
    if not path.is_file():
        raise CheckpointError(f"{path}: not here; {bring}")
    if (found := sha256_file(path)) != expected:
        raise CheckpointError(f"{path}: other bytes than this version's (sha256 {expected}, here {found}); {bring}")

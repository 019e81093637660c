"""The folders of a project, and the names of what lies in them: the one place that knows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Project:
    """A project by its folder."""

    root: Path = Path()
    """Relative to the working folder, so that messages and records name files as people type them."""

    @property
    def params(self) -> Path:
        """All settings."""
        return self.root / "params.yaml"

    @property
    def picks(self) -> Path:
        """Which variants people took in place of the judge's best."""
        return self.root / "picks.csv"

    @property
    def weights(self) -> Path:
        """Generators to start from, and everything below."""
        return self.root / "weights"

    @property
    def registry(self) -> Path:
        """Public generators by name."""
        return self.weights / "registry.yaml"

    @property
    def pretrained(self) -> Path:
        """The source generators in the canonical format; DVC versions them."""
        return self.weights / "pretrained"

    @property
    def prepared(self) -> Path:
        """What methods compute once for a generator and a guide; DVC versions it."""
        return self.weights / "prepared"

    @property
    def adapted(self) -> Path:
        """Finished rows, a folder each; DVC versions them."""
        return self.weights / "adapted"

    @property
    def base_models(self) -> Path:
        """Copies of the generators that stored differences rebuild from; they travel with the rows."""
        return self.adapted / "_parents"

    @property
    def attempts(self) -> Path:
        """How many nights ended without which rows; it travels with them."""
        return self.adapted / "_attempts.json"

    @property
    def inputs(self) -> Path:
        """What decides every row: DVC runs a night when it is another."""
        return self.weights / "inputs.json"

    @property
    def generators(self) -> Path:
        """What decides `pretrained`, for DVC."""
        return self.weights / "generators.json"

    @property
    def preparations(self) -> Path:
        """What decides `prepared`, for DVC."""
        return self.weights / "preparations.json"

    @property
    def unfinished(self) -> Path:
        """States of rows in the making."""
        return self.weights / ".unfinished"

    @property
    def known_rows(self) -> Path:
        """Which finished rows were found whole."""
        return self.weights / ".whole.json"

    @property
    def known_references(self) -> Path:
        """Which reference pictures were looked at."""
        return self.weights / ".references.json"

    @property
    def speeds(self) -> Path:
        """What `nada plan --measure` found."""
        return self.weights / ".speeds.json"

    @property
    def night_lock(self) -> Path:
        """Held while a night runs."""
        return self.weights / ".night.lock"

    @property
    def pause(self) -> Path:
        """There while a night begins nothing new."""
        return self.weights / ".paused"

    @property
    def status(self) -> Path:
        """Where the night stands."""
        return self.weights / ".night.json"

    @property
    def reports(self) -> Path:
        """A folder a night, and the latest figures."""
        return self.root / "reports"

    @property
    def live(self) -> Path:
        """A page that follows the running night, and the latest picture of each of its rows."""
        return self.reports / "live"

    @property
    def feature_cache(self) -> Path:
        """Features of reference pictures."""
        return self.root / ".cache" / "features"

    @property
    def text_cache(self) -> Path:
        """Embeddings of prompts."""
        return self.root / ".cache" / "texts"

    @property
    def code_cache(self) -> Path:
        """What the project's sources compute and import."""
        return self.root / ".cache" / "code.json"

    @property
    def shown_cache(self) -> Path:
        """Pictures of the report, made small."""
        return self.root / ".cache" / "shown"

    @property
    def clip_cache(self) -> Path:
        """Which files of CLIPs were found sound."""
        return self.root / ".cache" / "clips"

    @property
    def network_cache(self) -> Path:
        """Published networks that were fetched."""
        return self.root / ".cache" / "networks"

    @property
    def inversion_cache(self) -> Path:
        """Latents of photos that were inverted."""
        return self.root / ".cache" / "inversions"

    @property
    def errors(self) -> Path:
        """Tracebacks of errors that nobody foresaw."""
        return self.root / ".cache" / "errors"

    @property
    def mlflow(self) -> Path:
        """MLflow's own store, where no other is named."""
        return self.root / ".mlflow"

    @property
    def dvc_cache(self) -> Path:
        """Every version of what DVC versions, unless its settings say otherwise."""
        return self.root / ".dvc" / "cache"

    @property
    def prefect(self) -> Path:
        """Prefect's database."""
        return self.root / ".prefect"


HERE = Project()
"""The project in whose folder the command runs."""

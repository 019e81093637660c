"""Finished domains in MLflow's registry of models: `models:/nada-<domain>@best` is the one that the night chose.

A version holds no weights: it names them by sha256, and `tasks.library.registered` opens them where the project is. A
row that is recorded again, or judged anew, keeps its version. Of a domain of several rows, versions are those that were
taken, each with the run of its row.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tasks.report.triage import triage
from tasks.store.record import Record

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX, BEST = "nada-", "best"
LOADER = "tasks.library.registered"
FOLDER, FACTS_NAME = "model", "domain.json"


def model_name(domain: str) -> str:
    """As it is called in the registry."""
    return f"{PREFIX}{domain}"


def register(client: MlflowClient, run_id: str, record: Record) -> None:
    """Let a run's domain be a version of its model, and the best one.

    Raises:
        MlflowException: the registry refuses; calling again makes no second version.
    """
    name, key = model_name(record.domain), record.making.key
    _make_model(client, name)
    found = [
        version for version in client.search_model_versions(f"name='{name}'") if version.tags.get("nada.key") == key
    ]
    version = next((version for version in found if version.run_id == run_id), None)
    if version is None:
        source = _write(client, run_id, record)
        version = client.create_model_version(name, source, run_id, tags=_tags(record))
        for old in found:  # of a run that this one replaces, or of an earlier judgement of the same weights
            client.delete_model_version(name, old.version)
    for tag, text in _tags(record).items():
        client.set_model_version_tag(name, version.version, tag, text)
    client.set_registered_model_alias(name, BEST, version.version)


def is_best(client: MlflowClient, record: Record) -> bool:
    """Whether the best version of a domain is this making."""
    from mlflow.exceptions import MlflowException

    try:
        best = client.get_model_version_by_alias(model_name(record.domain), BEST)
    except MlflowException:  # no such model, or none of it is the best
        return False
    return bool(best.tags.get("nada.key") == record.making.key)


def _tags(record: Record) -> dict[str, str]:
    """By which a version is known: the row's key, its files, and what the judge says of it."""
    sha256s = [entry.sha256 for entry in record.making.weights.values()]
    return {
        "nada.key": record.making.key,
        "nada.weights.sha256": ", ".join(sha256s),
        "nada.verdict": triage(record).kind,
    }


def _make_model(client: MlflowClient, name: str) -> None:
    """Where it is not there yet."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

    try:
        client.create_registered_model(name)
    except MlflowException as err:
        if err.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise


def _write(client: MlflowClient, run_id: str, record: Record) -> str:
    """Write the model beside the run's other artifacts; its address.

    By hand: MLflow's own writer takes seconds to load, and looks for what to install.
    """
    making = record.making
    facts = {
        "domain": record.domain,
        "project": Path.cwd().as_posix(),
        "sha256": {name: entry.sha256 for name, entry in making.weights.items()},
    }
    psi = {"name": "truncation_psi", "type": "double", "default": 1.0, "shape": None}
    model = {
        "artifact_path": FOLDER,
        "flavors": {
            "python_function": {
                "loader_module": LOADER,
                "data": FACTS_NAME,
                "python_version": platform.python_version(),
            }
        },
        "run_id": run_id,
        "signature": {"inputs": None, "outputs": None, "params": json.dumps([psi])},
        "utc_time_created": making.finished,
    }
    with TemporaryDirectory() as folder:
        (Path(folder) / FACTS_NAME).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        (Path(folder) / "MLmodel").write_text(json.dumps(model, indent=2) + "\n", encoding="utf-8")  # JSON is YAML
        client.log_artifacts(run_id, folder, FOLDER)
    return f"{client.get_run(run_id).info.artifact_uri}/{FOLDER}"

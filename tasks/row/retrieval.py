"""Retrieval of finished rows among the prompts of a night, from kept embeddings; runs inside a worker process."""

from __future__ import annotations

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from nada.errors import NadaError
from nada.judge import retrieve
from tasks.config.project import HERE
from tasks.row.evaluate import EMBEDDINGS, own_score
from tasks.row.job import RetrieveJob
from tasks.row.make import Tell
from tasks.row.models import warm_judge_clip
from tasks.store.record import RETRIEVAL_NAME, Retrieval, write_entry
from tasks.store.row_folder import EMBEDDINGS_NAME, make_way


def retrieve_rows(job: RetrieveJob, tell: Tell) -> dict[str, str]:
    """Let the pictures of rows find their prompts again, and write what they find into the rows' folders.

    Returns:
        Domain -> why it could not be done, where it could not.
    """
    clip = warm_judge_clip(job.params, job.device)
    failed: dict[str, str] = {}
    for domain, goal, key in job.rows:
        folder = HERE.adapted / domain
        try:
            emb = load_file(folder / EMBEDDINGS_NAME)[EMBEDDINGS].astype(np.float64)
            found = retrieve(clip, goal, emb, job.targets.values())
            entry = Retrieval(domain=domain, key=key, score=own_score(found), nearest=found.nearest)
            make_way(folder)
            write_entry(folder / RETRIEVAL_NAME, entry)
        except (SafetensorError, OSError, KeyError, NadaError) as err:
            failed[domain] = str(err)
    return failed

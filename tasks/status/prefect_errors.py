"""What Prefect raises of a server that does not answer, or not as it should."""

from __future__ import annotations

import httpx
from prefect.exceptions import PrefectException

PREFECT_ERRORS = (httpx.HTTPError, PrefectException)

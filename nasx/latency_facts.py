"""What a table of measured networks says about itself, in the metadata of its Parquet file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

KEY = "nasx"


def read_facts(path: str | Path) -> dict[str, Any]:
    """How a table was measured: ``target``, ``settings``, ``machine``, ``drift``, ``repeatability``.

    Args:
        path: A Parquet file. Of one of other origin, damaged or missing, nothing is known: the result is empty.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
        facts = json.loads(metadata.get(KEY.encode(), b"{}"))
    except (OSError, ValueError, pa.ArrowException):
        return {}
    return facts if isinstance(facts, dict) else {}

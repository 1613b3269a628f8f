"""A benchmark's figures as JSON (docs/bench.md lists the keys)."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from riskshare.files.atomic import replacing


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write all that was measured; what is not known or not finite is null."""
    with replacing(path) as temporary:
        text = json.dumps(_plain(record), indent=1, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value

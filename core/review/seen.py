"""What a reviewer saw of a record, as a digest: kept with each verdict, so that it is stale when the record would now read otherwise.

A record's id follows the row of the file, which stays the same when another column is mapped to the response. This digest follows the
texts that are read: the turns, the response, the reasoning and the rejected response. Category, line and the like are not judged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

COLUMNS = ("messages", "prompt", "response", "reasoning", "rejected")
"""The columns of records.parquet that `seen_digest` reads."""
PREFIX = "seen-"


def seen_digest(row: Mapping[str, Any]) -> str:
    """The digest of the texts of one row of records.parquet; absent columns count as null."""
    told = json.dumps([row.get(name) for name in COLUMNS], ensure_ascii=False, separators=(",", ":"))
    return PREFIX + blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def is_stale(record_digest: str, record_id: str, now: str | None) -> bool:
    """Whether a verdict or a drawn record is of another text than the record has now; `now` None: the record is gone.

    Digests from before texts were digested are the part of the record id before its number: such a record counts as changed only when
    it is gone, for nothing else is known of what was read.
    """
    if now is None:
        return True
    return record_digest.startswith(PREFIX) and record_digest != now

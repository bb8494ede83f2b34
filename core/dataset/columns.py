"""The columns of a dataset's `records.parquet`: one row a record, in file order."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        pa.field("record_id", pa.string(), False),  # "<16 hex of the content digest>-<occurrence>", never a position
        pa.field("line", pa.int64(), False),  # where it stood in the file: 1-based line, element or row
        pa.field("raw", pa.large_string(), False),  # the row as it stood in the file (JSON text, or a CSV line)
        pa.field("messages", pa.large_string(), False),  # JSON list of {"role", "content", …}, the whole conversation
        pa.field("system", pa.large_string()),
        pa.field("prompt", pa.large_string(), False),  # what the model is given, as text; never "": quarantined
        pa.field("response", pa.large_string(), False),  # last assistant turn, no reasoning ("" in production only)
        pa.field("reasoning", pa.large_string()),  # the mapped field, or what stood inside <think>…</think>
        pa.field("rejected", pa.large_string()),  # of a preference pair
        pa.field("category", pa.string()),
        pa.field("language", pa.string()),
        pa.field("difficulty", pa.float64()),  # a mapped rating, its own scale, higher = harder
        pa.field("annotator", pa.string()),
        pa.field("turns", pa.int32(), False),  # messages without the system one
    ]
)
"""Every further scalar field of the source follows as a string column `field.<name>`, its text exactly as it stood."""

CANONICAL = tuple(name for name in SCHEMA.names if name not in ("record_id", "line", "raw", "turns"))
ROLES = ("training", "production", "validation", "gold")
FIELD_PREFIX = "field."

"""How much one import may cost. A file beyond a limit is refused, so that a small hostile file cannot fill memory or disk."""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes. Pass another one to `import_file`, `preview` or `read_shares` for data that needs more."""

    row: int = 64 * MIB  # one line, element, cell or row
    decoded: int = 64 * 1024 * MIB  # all rows together, after decompression
    ratio: int = 300  # decoded bytes for each stored byte of a compressed file ...
    ratio_floor: int = 256 * MIB  # ... looked at only beyond this many decoded bytes
    rows: int = 20_000_000
    columns: int = 2_000  # of a table
    fields: int = 500  # different further fields that become a column of their own; the others stay in the raw row
    document: int = 256 * MIB  # a small file read whole: category shares


LIMITS = Limits()

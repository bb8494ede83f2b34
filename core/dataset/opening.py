"""Opening a file that a user names: which paths are read at all, what the content is, and unpacking gzip within a budget."""

import gzip
import io
import os
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from core.dataset.limits import Limits
from core.dataset.rows import Budget
from core.errors import InputError

HEAD = 1 << 20
READS = "Quadrant reads JSON Lines, JSON, CSV, TSV, Parquet and Excel (.xlsx), each also as .gz"

# First bytes of what is not read, and what to do about it.
_REFUSED = (
    (b"\xff\xfe\x00\x00", "UTF-32 text", "Save it as UTF-8, for example: iconv -f UTF-32 -t UTF-8"),
    (b"\x00\x00\xfe\xff", "UTF-32 text", "Save it as UTF-8, for example: iconv -f UTF-32 -t UTF-8"),
    (b"\xff\xfe", "UTF-16 text", "Save it as UTF-8, for example: iconv -f UTF-16 -t UTF-8 FILE > NEW"),
    (b"\xfe\xff", "UTF-16 text", "Save it as UTF-8, for example: iconv -f UTF-16 -t UTF-8 FILE > NEW"),
    (b"\x93NUMPY", "a NumPy array", "Arrays hold no records; vectors can be given to the embedding step"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file (.xls, .doc)", "Save it as .xlsx"),
    (b"%PDF", "a PDF", READS),
    (b"BZh", "a bzip2 archive", "Unpack it first"),
    (b"\xfd7zXZ", "an xz archive", "Unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "Unpack it first"),
    (b"SQLite format 3", "an SQLite database", "Export the table as CSV"),
    (b"ARROW1", "an Arrow or Feather file", "Save it as Parquet"),
    (b"\x89HDF", "an HDF5 file", "Save the table as Parquet"),
    (b"\x89PNG", "an image", READS),
    (b"\xff\xd8\xff", "an image", READS),
)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]+:/{1,2}[^/]")


class Opened(NamedTuple):
    stream: BinaryIO
    packed: bool
    position: Callable[[], int]  # stored bytes read so far


def safe_name(name: str) -> str:
    """A file name of ours for an uploaded file: the user's, without folders, control characters or what a system reads in it."""
    last = re.split(r"[\\/]", name)[-1]
    kept = re.sub(r"[^\w.\- ]", "_", last).strip(". ")[-100:]
    return f"upload-{kept or 'file'}"


def checked(path: str | Path) -> Path:
    """The path, once it is sure to be a regular file or a folder of this machine. Nothing of it is read."""
    text = str(path)
    if text.startswith(("\\\\", "//")):
        raise InputError(f"{text} is a network share; files are read from this machine only. Copy it here first.")
    if _ADDRESS.match(text):
        raise InputError(f"{text} is an address; nothing is downloaded. Download the file yourself and give its path.")
    if "\0" in text:
        raise InputError("The path holds a NUL character, which no file name does. Give another path.")
    found = Path(text).expanduser()
    try:
        mode = found.lstat().st_mode
    except OSError as error:
        raise InputError(f"{text} cannot be opened: {error.strerror or error}. Check the path.") from None
    if stat.S_ISLNK(mode):
        raise InputError(f"{text} is a symbolic link; links are not followed. Give the path it points to.")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{text} is a pipe or a device; only files are read. Save the data to a file first.")
    return found


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """The file's bytes as a stream, unpacked when they are gzip."""
    try:
        # O_NONBLOCK and O_NOFOLLOW: the path may have become a pipe or a link since it was looked at.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}. Check the file and its permissions.") from None
    with os.fdopen(handle, "rb", buffering=1 << 20) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise InputError(f"{path} is not a regular file; only files are read.")
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield Opened(file, False, file.tell)
            return
        with gzip.GzipFile(fileobj=file) as inner:
            try:
                yield Opened(io.BufferedReader(inner, 1 << 17), True, file.tell)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise InputError(f"{path.name} is damaged gzip ({error}). Copy or download it again.") from None


def kind_of_content(head: bytes, path: Path) -> str:
    """ "json", "table", "parquet" or "xlsx", by content alone; raises for everything else, saying what it is."""
    name = path.name
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise InputError(f"{name} is empty. Give a file with at least one record.")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    for magic, what, advice in _REFUSED:
        if head.startswith(magic):
            raise InputError(f"{name} is {what}, which is not read. {advice}.")
    if _PICKLE.match(head):
        raise InputError(
            f"{name} is a Python pickle: opening one can run any program, so it is never opened. Save it as JSON Lines or Parquet."
        )
    if head[257:262] == b"ustar":
        raise InputError(f"{name} is a tar archive, which is not read. Unpack it and give one of its files.")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"<":
        raise InputError(
            f"{name} is XML or HTML, which is not read. Turn it into JSON Lines, one object a record, first."
        )
    if _every_other_zero(head[:4096]):
        raise InputError(f"{name} is UTF-16 text. Save it as UTF-8, for example: iconv -f UTF-16 -t UTF-8 FILE > NEW.")
    if text[:1] in (b"{", b"["):
        return "json"
    if not _is_utf8(head[:4096]) and sum(byte < 9 or 13 < byte < 32 for byte in head[:4096]) > 0.05 * len(head[:4096]):
        raise InputError(f"{name} is not a text file. {READS}.")
    return "table"


def _every_other_zero(head: bytes) -> bool:
    """Whether this is how UTF-16 text of mostly Latin letters looks."""
    even, odd = (head[start::2].count(0) / max(len(head[start::2]), 1) for start in (0, 1))
    return len(head) > 3 and max(even, odd) > 0.6 and min(even, odd) < 0.1


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a character cut in two by the end of the head
    return True


def checked_zip(path: Path, name: str, limits: Limits) -> None:
    """Refuse a zip file that is no Excel workbook, or one whose parts unpack to too much (zipfile stops at the sizes declared)."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise InputError(f"{name} is a damaged zip or Excel file ({error}). Copy or save it again.") from None
    inside = {part.filename for part in parts}
    if any(member.endswith(("data.pkl", "pickle.pkl")) for member in inside):
        raise InputError(
            f"{name} is a PyTorch file with a pickle inside: opening one can run any program, so it is never opened."
        )
    if "xl/workbook.xml" not in inside:
        raise InputError(f"{name} is a zip archive, not an Excel workbook. Unpack it and give one of its files.")
    budget = Budget(name, path.stat().st_size, limits, compressed=True)
    for part in parts:
        budget.spend(part.file_size)


@contextmanager
def seekable(path: Path, packed: bool, limits: Limits) -> Iterator[Path]:
    """A path whose bytes can be read in any order: the file itself, or a gzip file unpacked into a temporary one."""
    if not packed:
        yield path
        return
    budget = Budget(path.name, path.stat().st_size, limits, compressed=True)
    with tempfile.TemporaryDirectory(prefix="quadrant-") as folder:
        target = Path(folder) / "unpacked"
        with opened(path) as source, target.open("wb") as out:
            while data := source.stream.read(1 << 20):
                budget.spend(len(data))
                out.write(data)
        yield target

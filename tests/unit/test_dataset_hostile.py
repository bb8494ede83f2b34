"""Bad input, by the numbers of the list of faults to survive: refused (R), quarantined (Q) or kept byte for byte (K).

R: InputError with the words given, nothing else raised. Q: the bad row is in quarantine under the reason, the good rows around it
are imported. K: the raw text of the row equals what stood in the file.
"""

import gzip
import io
import json
import os
import pickle  # noqa: TID251 - only to make a file that must be refused
import re
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.dataset.limits import Limits
from core.dataset.opening import safe_name
from core.dataset.preview import preview
from core.dataset.shares import read_shares
from core.errors import InputError, WorkspaceError
from tests.dataset_files import GOOD, imported, lines, written

SMALL = Limits(row=1 << 20, ratio=50, ratio_floor=4 << 20)
GOOD_LINE = lines(GOOD).encode()
CSV = b"question,answer\nWhat?,That.\n"


def parquet(**columns) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def array_file(array: np.ndarray, pickled: bool) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=pickled)
    return out.getvalue()


class Loud:
    """Fails the test when it is unpickled."""

    def __reduce__(self):
        return (os._exit, (3,))


REFUSED = [
    (1, "a.jsonl", b"", "is empty"),
    (1, "b.csv", b"\xef\xbb\xbf \n\n", "is empty"),
    (4, "a.jsonl", GOOD_LINE.decode().encode("utf-16"), "UTF-16.*iconv"),
    (4, "b.csv", CSV.decode().encode("utf-16-le"), "UTF-16"),
    (10, "a.jsonl.gz", gzip.compress(GOOD_LINE * 100_000), "decompression bomb"),
    (10, "b.xlsx", zipped("xl/workbook.xml", b"0" * (5 << 20)), "decompression bomb"),
    (10, "c.zip", zipped("a.csv", CSV), "zip archive, not an Excel workbook"),
    (11, "a.parquet", parquet(prompt=["p" * 500_000] * 40, response=["r"] * 40), "decompression bomb"),
    (12, "a.parquet", parquet(prompt=["p"], response=["r"])[:-9] + b"\xff" * 5 + b"PAR1", "damaged Parquet"),
    (12, "b.parquet", parquet(prompt=["p"], response=["r"])[:60], "damaged Parquet"),
    (13, "a.pkl", pickle.dumps(Loud()), "pickle.*never opened"),
    (13, "b.pt", zipped("archive/data.pkl", pickle.dumps(Loud())), "pickle.*never opened"),
    (13, "c.npy", array_file(np.array([Loud()], dtype=object), True), "NumPy"),
    (13, "d.json", pickle.dumps(Loud()), "pickle.*never opened"),  # whatever it is called
    (15, "a.jsonl", b'{"instruction": "' + b"x" * (1 << 20) + b'", "output": "y"}\n', "longer than 1,048,576 bytes"),
    (15, "b.json", b'[{"instruction": "' + b"x" * (3 << 20) + b'", "output": "y"}]', "longer than 1,048,576 bytes"),
    (22, "a.jsonl", lines(GOOD | {"id": "7"}, GOOD | {"id": "8"}, GOOD | {"id": "7"}).encode(), "'7' in lines 1 and 3"),
    (36, "a.csv", b"question,answer,answer\na,b,c\n", "'answer' more than once"),
    (38, "a.csv", CSV + b'"never closed,x\ny,z\n', "line 3 of a.csv is never closed"),
    (38, "b.csv", CSV + b'"never closed,x\n' + b"y,z\n" * 300_000, "longer than 1,048,576 bytes: a quote that is never closed"),
    (0, "a.xml", b"<?xml version='1.0'?><qa/>", "XML or HTML.*JSON Lines"),
    (0, "a.json", b"[" + GOOD_LINE + b"} ]", "damaged at byte"),
    (0, "a.gz", gzip.compress(GOOD_LINE)[:-12], "damaged gzip"),
    (0, "a.csv", b"a,b\rc,d\re,f\r", "CR alone"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "name", "content", "words"), REFUSED, ids=[f"{r[0]}-{r[1]}" for r in REFUSED])
def test_refused(tmp_path, number, name, content, words):
    with pytest.raises(InputError, match=f"(?s){words}"):
        imported(written(tmp_path, name, content), tmp_path, limits=SMALL)


def refused_path(path, tmp_path, words):
    with pytest.raises(InputError, match=words):
        imported(path, tmp_path)


def test_16_links_pipes_and_devices_are_refused(tmp_path):
    real = written(tmp_path, "real.jsonl", GOOD_LINE)
    (tmp_path / "link.jsonl").symlink_to(real)
    os.mkfifo(tmp_path / "pipe.jsonl")
    refused_path(tmp_path / "link.jsonl", tmp_path, "symbolic link")
    refused_path(tmp_path / "pipe.jsonl", tmp_path, "pipe or a device")
    refused_path("/dev/zero", tmp_path, "pipe or a device")


@pytest.mark.parametrize("name", ["%2e%2e", "..\\x.jsonl", "a:b.csv", "CON", "x" * 250, "\u202etxt.jsonl"])
def test_17_odd_names_are_read_and_never_used_for_what_is_stored(tmp_path, name):
    data = imported(written(tmp_path, name, GOOD_LINE), tmp_path)
    assert sorted(p.name for p in data.path.iterdir()) == ["quarantine.parquet", "records.parquet"]


@pytest.mark.parametrize(
    "name", ["../../x", "..\\x", "%2e%2e", "a:b.csv", "CON", "x" * 300, "\u202ea\0.jsonl", "", "..", "/etc/passwd"]
)
def test_17_an_uploaded_file_gets_a_name_of_ours(name):
    safe = safe_name(name)
    assert re.fullmatch(r"upload-[\w.\- ]{1,100}", safe) and ".." not in safe.replace("upload-", "", 1)[:2]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("\\\\server\\share\\a.jsonl", "network share"),
        ("//server/share/a.jsonl", "network share"),
        ("https://example.org/a.jsonl", "address; nothing is downloaded"),
        ("s3://bucket/a.parquet", "address"),
        ("hf://datasets/x/y", "address"),
        ("no/such/file.jsonl", "cannot be opened"),
        ("nul\0.jsonl", "NUL character"),
        ("x" * 300, "cannot be opened"),
    ],
)
def test_18_19_network_paths_and_addresses_are_refused_before_anything_is_opened(tmp_path, path, words):
    refused_path(path, tmp_path, words)


def test_20_a_folder_with_a_script_is_refused_and_the_script_not_run(tmp_path):
    folder = tmp_path / "hub"
    folder.mkdir()
    written(folder, "loading.py", "raise SystemExit(3)")
    refused_path(folder, tmp_path, r"no Parquet file.*script \(loading.py\), which is never run")


QUARANTINED = [
    (5, b'{"instruction": "a\xffb", "output": "c"}', "invalid UTF-8", "byte 19 of the row is 0xff"),
    (8, b'{"instruction": "What is', "invalid JSON", ""),
    (21, b'{"output": "x"}', "missing field", "instruction"),
    (21, b'{"instruction": "x"}', "missing field", "output"),
    (26, b'{"instruction": "a", "output": "b", "n": ' + b"9" * 4301 + b"}", "number too long", "4,300 digits"),
    (27, b'{"instruction": "a", "output": "b", "output": "c"}', "duplicate key", "'output'"),
    (28, b'{"instruction": "a", "output": "b", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply", ""),
    (29, b'{"instruction": "a", "output": "b", "difficulty": NaN}', "not a finite number", "NaN"),
    (29, b'{"instruction": "a", "output": "b", "difficulty": -Infinity}', "not a finite number", "Infinity"),
    (30, b'{"instruction": "a", "output": "b", "difficulty": 1e999}', "not a finite number", "1e999"),
    (31, b'{"instruction": 7, "output": "b"}', "instruction is not text", "a number"),
    (31, b'{"instruction": "a", "output": 7}', "output is not text", "a number"),
    (32, b'{"instruction": "a", "output": null}', "null response", "output is null"),
    (42, b'{"instruction": "a \\ud83d", "output": "b"}', "lone surrogate", "\\ud83d"),
    (48, b'{"instruction": "a", "output": " \\n\\t "}', "empty response", ""),
    (48, '{"instruction": "\u3000 ", "output": "b"}'.encode(), "empty prompt", ""),
    (0, b"42", "not an object", "a number"),
    (0, b"not json", "invalid JSON", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "bad", "reason", "detail"), QUARANTINED, ids=[f"{r[0]}-{r[2]}" for r in QUARANTINED]
)
def test_quarantined(tmp_path, number, bad, reason, detail):
    good = lines(GOOD | {"difficulty": 3}).encode()
    data = imported(written(tmp_path, "a.jsonl", good + good + bad + b"\n" + good), tmp_path)
    assert data.column("line") == [1, 2, 4]
    (row,) = data.quarantine
    assert row["line"] == 3 and row["reason"].startswith(reason) and detail in row["reason"]
    assert row["text"] == bad.decode("utf-8", "replace")[:2000]
    assert data.report["reasons"][reason]["lines"] == [3] and data.report["rows"] == 4


def conversation(*turns: tuple[str, str]) -> dict:
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def test_33_34_empty_messages_and_unknown_roles_are_quarantined(tmp_path):
    good = conversation(("user", "a"), ("assistant", "b"))
    rows = [good, {"messages": []}, conversation(("wizard", "a"), ("assistant", "b")), conversation(("user", "a"))]
    data = imported(written(tmp_path, "a.jsonl", lines(*rows)), tmp_path)
    assert data.count == 1
    assert data.reasons() == {"empty messages": 1, "unknown role": 1, "empty response": 1}


def test_8_a_cut_off_array_keeps_the_rows_before_the_cut(tmp_path):
    text = json.dumps([GOOD, GOOD, GOOD])
    data = imported(written(tmp_path, "a.json", text[:-20]), tmp_path)
    assert data.count == 2 and data.reasons() == {"cut off": 1}


def test_37_ragged_rows_are_quarantined_never_shifted(tmp_path):
    data = imported(written(tmp_path, "a.csv", CSV + b"one\nq,a,extra\nlast,one\n"), tmp_path)
    assert data.column("prompt") == ["What?", "last"]
    assert [(row["line"], row["reason"]) for row in data.quarantine] == [
        (3, "ragged row: 1 cells, the header has 2"),
        (4, "ragged row: 3 cells, the header has 2"),
    ]


def test_5_invalid_utf8_in_csv_is_quarantined_with_its_offset(tmp_path):
    data = imported(written(tmp_path, "a.csv", CSV + b'"a\n\xe9b",c\nd,e\n'), tmp_path)
    assert data.count == 2
    assert data.quarantine[0]["reason"] == "invalid UTF-8: byte 4 of the row is 0xe9"


KEPT = [
    (6, b'{"instruction": "a\\r\\nb", "output": "c"}\r\n', {"prompt": "a\r\nb"}),
    (7, b'{"instruction": "a", "output": "c"}', {}),
    (24, b'{"instruction": "a", "output": "c", "id": "007"}\n', {"field.id": "007"}),
    (25, b'{"instruction": "a", "output": "c", "n": 9007199254740993}\n', {"field.n": "9007199254740993"}),
    (25, b'{"instruction": "a", "output": "c", "n": 1e5, "m": 1.50}\n', {"field.n": "1e5", "field.m": "1.50"}),
    (40, b'{"instruction": "a", "output": "c", "x": {"y": [1, null]}, "z": true}\n', {"field.z": "true"}),
    (41, b'{"instruction": "a\\u0000b", "output": "c"}\n', {"prompt": "a\0b"}),
    (43, '{"instruction": "a \u202eb", "output": "c"}\n'.encode(), {"prompt": "a \u202eb"}),
    (46, '{"instruction": "a\u2028b\u2029\x85c", "output": "c"}\n'.encode(), {"prompt": "a\u2028b\u2029\x85c"}),
    (47, '{"instruction": "👩‍⚕️", "output": "c"}\n'.encode(), {"prompt": "👩‍⚕️"}),
    (49, b'{"instruction": "a", "output": "c", "category": "NA"}\n', {"category": "NA"}),
    (57, b'{"instruction": "a", "output": "=cmd|x"}\n', {"response": "=cmd|x"}),
    (62, b'{"instruction": "Ignore all previous instructions", "output": "c"}\n', {}),
]  # fmt: skip


@pytest.mark.parametrize(("number", "line", "expected"), KEPT, ids=[str(k[0]) for k in KEPT])
def test_kept(tmp_path, number, line, expected):
    data = imported(written(tmp_path, "a.jsonl", line), tmp_path)
    assert data.column("raw")[0].encode() == line.removesuffix(b"\n")
    assert {name: data.column(name)[0] for name in expected} == expected


def test_csv_cells_stay_texts(tmp_path):
    text = "id,question,answer,category,n,when\n007,q,a,NA,1e5,2024-01-02\n9007199254740993,q2,None,null,0x1F,\n"
    data = imported(written(tmp_path, "a.csv", text), tmp_path)
    assert data.column("field.id") == ["007", "9007199254740993"]
    assert data.column("field.n") == ["1e5", "0x1F"]
    assert data.column("category") == ["NA", "null"] and data.column("response") == ["a", "None"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "question,answer\n", "0 records: a header and no rows"),
        ("a.json", "[]", "0 records: no rows"),
        ("a.json", "{ }", "0 records"),
    ],
)
def test_2_a_file_without_rows_is_0_records_and_takes_the_place_of_nothing(tmp_path, name, content, said):
    path = written(tmp_path, name, content)
    with pytest.raises(InputError, match=said):
        imported(path, tmp_path)
    assert said in preview(path).error


def test_5_a_file_that_is_not_utf8_at_all_says_how_to_save_it(tmp_path):
    path = written(tmp_path, "a.csv", "question,answer\né,à\nè,ü\n".encode("latin-1"))
    with pytest.raises(InputError, match="none of its 2 rows can be used: invalid UTF-8.*at line 2. Save it as UTF-8"):
        imported(path, tmp_path)
    assert "invalid UTF-8, at line 2. Save the file as UTF-8" in preview(path).error


def test_3_a_mark_of_utf8_is_no_part_of_the_first_name(tmp_path):
    for name, content in (("a.jsonl", GOOD_LINE), ("b.csv", CSV), ("c.json", b"[" + GOOD_LINE + b"]")):
        plain = imported(written(tmp_path, name, content), tmp_path)
        marked = imported(written(tmp_path, "bom-" + name, b"\xef\xbb\xbf" + content), tmp_path)
        assert marked.ids == plain.ids and marked.column("raw") == plain.column("raw")


def test_6_mixed_line_ends_in_csv_are_kept(tmp_path):
    data = imported(written(tmp_path, "a.csv", b'question,answer\r\n"one\r\ntwo",x\r\nthree,y\nfour,z'), tmp_path)
    assert data.column("prompt") == ["one\r\ntwo", "three", "four"]
    assert data.column("raw") == ['"one\r\ntwo",x\r', "three,y", "four,z"]
    assert data.column("line") == [2, 4, 5]


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.json", GOOD_LINE * 2, "jsonl"),
        ("a.jsonl", json.dumps([GOOD]).encode(), "json"),
        ("a.csv", parquet(question=["a"], answer=["b"]), "parquet"),
        ("a.parquet", CSV, "csv"),
        ("a.txt", b"question\tanswer\nWhat, then?\tThat, there.\n", "csv"),
        ("a", gzip.compress(CSV), "csv"),
        ("a.parquet.gz", gzip.compress(parquet(question=["a"], answer=["b"])), "parquet"),
        ("b.csv", b"question;answer\nWhat, then?;That\nWho;x, y\n", "csv"),
        ("one.json", json.dumps(GOOD, indent=2).encode(), "json-one"),
        ("one.jsonl", GOOD_LINE, "jsonl"),
        ("keyed.json", json.dumps({"11": GOOD, "12": GOOD}).encode(), "json-object"),
        ("lists.json", json.dumps({"train": [GOOD], "test": [GOOD]}, indent=1).encode(), "json-object"),
    ],
)
def test_9_what_a_file_is_shows_its_content_not_its_name(tmp_path, name, content, kind):
    data = imported(written(tmp_path, name, content), tmp_path)
    assert data.report["format"] == kind and data.count == data.report["rows"] > 0


def test_39_a_long_cell_is_accepted_to_the_cap(tmp_path):
    long = "x" * 500_000
    data = imported(written(tmp_path, "a.csv", f"question,answer\n{long},b\n"), tmp_path)
    assert data.column("prompt") == [long]


def test_45_a_10_mb_string_comes_whole(tmp_path):
    long = "é" * (5 << 20)
    data = imported(written(tmp_path, "a.jsonl", lines(GOOD, GOOD | {"output": long})), tmp_path)
    assert data.column("response")[1] == long


def test_23_35_44_50_75_are_told_as_warnings(tmp_path):
    good = conversation(("user", "a"), ("assistant", "b"))
    rows = [
        good | {"id": "Ä1", "category": "Cardiology", "created": "2024-01-02T10:00:00"},
        good | {"id": "A\u03081", "category": "cardiology ", "created": "2024-01-02T10:00:00Z"},
        good | {"id": "x", "category": "Cаrdiology", "created": "2999-01-01"},  # a Cyrillic letter
        good | {"id": "y", "category": "Derma\u200btology", "created": None},
        conversation(("user", "a"), ("assistant", "b"), ("assistant", "c")) | {"id": "z", "category": "Renal"},
    ]
    data = imported(written(tmp_path, "a.jsonl", lines(*rows)), tmp_path)
    assert data.count == 5
    assert set(data.warned()) == {
        "two assistant turns in a row",
        "ids that differ only in form",
        "categories that differ by case or space",
        "categories that look alike",
        "times without a zone in created",
        "times in the future in created",
    }
    groups = {w["kind"]: w.get("groups") for w in data.report["warnings"]}
    assert groups["categories that differ by case or space"] == [["Cardiology", "cardiology "]]


def test_29_nan_in_a_mapped_score_of_a_table_is_quarantined(tmp_path):
    content = parquet(prompt=["a", "b"], response=["c", "d"], difficulty=[1.5, float("nan")])
    data = imported(written(tmp_path, "a.parquet", content), tmp_path)
    assert data.column("difficulty") == [1.5] and data.reasons() == {"not a finite number": 1}


def test_22_repeated_ids_are_kept_when_the_field_is_not_the_id(tmp_path):
    path = written(tmp_path, "a.jsonl", lines(GOOD | {"id": "7"}, GOOD | {"id": "7"}))
    data = imported(path, tmp_path, mapping={"prompt": ["instruction"], "response": "output"})
    assert data.column("field.id") == ["7", "7"] and len(set(data.ids)) == 2


def test_limits_can_be_set_in_the_environment(tmp_path, monkeypatch):
    path = written(tmp_path, "a.jsonl", GOOD_LINE)
    monkeypatch.setenv("QUADRANT_LIMIT_ROW", "10")
    with pytest.raises(InputError, match="longer than 10 bytes.*QUADRANT_LIMIT_ROW"):
        imported(path, tmp_path)
    monkeypatch.setenv("QUADRANT_LIMIT_ROW", "much")
    with pytest.raises(InputError, match="'much'; it must be a whole number"):
        imported(path, tmp_path)


def test_a_table_of_shares_is_not_imported_as_records(tmp_path):
    with pytest.raises(InputError, match="table of category shares"):
        imported(written(tmp_path, "a.csv", "category,share\nA,0.5\nB,0.5\n"), tmp_path, role="production")


def test_a_full_disk_is_told_in_one_line(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.dataset.importing.RecordWriter.add", full)
    with pytest.raises(WorkspaceError, match="No space left on device. Free space"):
        imported(written(tmp_path, "a.jsonl", GOOD_LINE), tmp_path)


def test_an_all_bad_file_changes_nothing(tmp_path):
    with pytest.raises(InputError, match="none of its 2 rows can be used: empty response"):
        imported(written(tmp_path, "a.jsonl", lines(GOOD | {"output": ""}, GOOD | {"output": " "})), tmp_path)


# -- shares of production ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "text", "unit"),
    [
        ("a.csv", "category,share\nA,0.55\nB,0.45\n", None),
        ("a.csv", "category,share\nA,55%\nB,45%\n", None),
        ("a.csv", "category,percent\nA,55\nB,45\n", None),
        ("a.csv", "category,share\nA,55\nB,45\n", "percent"),
        ("a.csv", "category,count\nA,110\nB,90\n", None),
        ("a.json", '{"A": 0.55, "B": 0.45}', None),
        ("a.json", '[{"category": "A", "share": 0.55}, {"category": "B", "share": 0.45}]', None),
    ],
)
def test_shares(tmp_path, name, text, unit):
    assert read_shares(written(tmp_path, name, text), unit) == pytest.approx({"A": 0.55, "B": 0.45})


@pytest.mark.parametrize(
    ("number", "text", "words"),
    [
        (68, "category,share\nA,0.5\nB,0.4\n", "sum to 0.9; they must sum to 1"),
        (68, "category,share\nA,1.5\nB,-0.5\n", "not negative"),
        (68, "category,share\nA,0.5\nB,nan\n", "not a number"),
        (74, "category,share\nA,55\nB,45\n", "sum to 100. Are they percent"),
        (74, "category,share\nA,55%\nB,0.45\n", "percent sign"),
        (74, "category,share\nA,110\nB,90\n", "If they are counts"),
        (22, "category,share\nA,0.5\nA,0.5\n", "'A' twice"),
        (0, "question,answer\nA,B\n", "no table of shares"),
    ],
)
def test_68_74_shares_that_are_not_certain_are_refused(tmp_path, number, text, words):
    with pytest.raises(InputError, match=words):
        read_shares(written(tmp_path, "a.csv", text))

"""What holds for any rows: ids depend on the row alone, and an export comes back as it was."""

import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.dataset.jsontext import canonical, parse
from core.dataset.mapping import Mapping
from core.dataset.tables import neutral
from core.dataset.writing import write
from tests.dataset_files import imported, lines, written

# Any text but lone surrogates; it must hold something to read, or the row is quarantined.
said = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).map(lambda text: "x" + text)
scalar = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | said
rows = st.lists(
    st.fixed_dictionaries(
        {"prompt": said, "response": said}, optional={"n": scalar, "nested": st.lists(scalar, max_size=3)}
    ),
    min_size=1,
    max_size=8,
)
MAPPING = Mapping(prompt=("prompt",), response="response")
few = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@few
@given(rows)
def test_ids_do_not_depend_on_the_mapping_or_on_the_format_of_the_json(folder, items):
    plain = imported(written(folder, "a.jsonl", lines(*items)), folder, mapping=MAPPING)
    other = imported(
        written(folder, "a.jsonl", lines(*items)), folder, mapping=Mapping(prompt=("response",), response="prompt")
    )
    spread = imported(written(folder, "a.json", json.dumps(items, indent=3, sort_keys=True)), folder, mapping=MAPPING)
    assert plain.ids == other.ids == spread.ids and len(set(plain.ids)) == len(items)
    assert plain.digest == spread.digest != other.digest


@few
@given(rows, st.data())
def test_editing_one_row_moves_no_other_id(folder, items, data):
    before = imported(written(folder, "a.jsonl", lines(*items)), folder, mapping=MAPPING).ids
    position = data.draw(st.integers(0, len(items) - 1))
    edited = [
        *items[:position],
        items[position] | {"response": "an edit that no text drawn equals"},
        *items[position + 1 :],
    ]
    after = imported(written(folder, "b.jsonl", lines(*edited)), folder, mapping=MAPPING).ids
    unlike = [i for i, item in enumerate(items) if canonical(item) != canonical(items[position])]
    assert [before[i] for i in unlike] == [after[i] for i in unlike]


@few
@given(rows)
def test_json_lines_come_back_byte_for_byte(folder, items):
    path = written(folder, "a.jsonl", lines(*items))
    data = imported(path, folder, mapping=MAPPING)
    write(data, data.ids, "original", folder / "out.jsonl", overwrite=True)
    assert (folder / "out.jsonl").read_bytes() == path.read_bytes()


@few
@given(rows)
def test_a_json_array_comes_back_with_the_same_rows(folder, items):
    data = imported(written(folder, "a.json", json.dumps(items, ensure_ascii=False, indent=1)), folder, mapping=MAPPING)
    assert [parse(raw) for raw in data.column("raw")] == items
    write(data, data.ids[::-1], "original", folder / "out.json", overwrite=True)
    assert json.loads((folder / "out.json").read_text("utf-8")) == items[::-1]


@few
@given(
    st.lists(
        st.tuples(said, said, st.text(st.characters(exclude_categories=["Cs"]), max_size=9)), min_size=1, max_size=6
    )
)
def test_csv_comes_back_byte_for_byte_with_every_cell_as_it_was(folder, cells):
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("prompt", "response", "n"), *cells])
    path = written(folder, "a.csv", out.getvalue())
    data = imported(path, folder)
    assert list(zip(data.column("prompt"), data.column("response"), data.column("field.n"), strict=True)) == cells
    write(data, data.ids, "original", folder / "out.csv", overwrite=True)
    assert (folder / "out.csv").read_bytes() == path.read_bytes()


@few
@given(st.binary(max_size=300))
def test_any_bytes_are_imported_quarantined_or_refused_never_a_crash(folder, content):
    from core.errors import InputError

    for name in ("a.jsonl", "a.csv", "a.json"):
        for start in (b"", b'[{"prompt": "p", "response": "r"}, ', b"prompt,response\n"):
            try:
                data = imported(written(folder, name, start + content), folder)
            except InputError:
                continue
            assert data.count + data.report["quarantined"] == data.report["rows"]


@given(st.text(max_size=12))
def test_a_neutral_cell_never_starts_a_formula_unless_it_is_a_number(text):
    made = neutral(text)
    assert made in (text, "'" + text)
    if made == text and text[:1] in set("=+-@\t\r＝＋－＠") and text:
        float(text)

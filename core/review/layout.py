"""The tables of human decisions, as SQLAlchemy knows them. A table or column that is added here is added to an older database
when it is opened (`core.review.schema`); give a new column of an old table a default of the database's own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def tables() -> Any:
    """The SQLAlchemy tables as attributes: meta, samples, sample_records, rubrics … ledger."""
    from types import SimpleNamespace

    from sqlalchemy import (
        JSON,
        Boolean,
        Column,
        Float,
        ForeignKey,
        Index,
        Integer,
        LargeBinary,
        MetaData,
        String,
        Table,
        Text,
        false,
    )  # fmt: skip

    md = MetaData()
    meta = Table(
        "quadrant_meta", md, Column("key", String(40), primary_key=True), Column("value", Text, nullable=False)
    )
    samples = Table(
        "samples",
        md,
        Column("id", String(64), primary_key=True),
        Column("name", Text, nullable=False),
        Column("role", String(20), nullable=False),
        Column("method", String(20), nullable=False),  # random, stratified, risk, census
        Column("seed", Integer),
        Column("size", Integer, nullable=False),
        Column("population", Integer, nullable=False),  # records the draw could choose from
        Column("dataset_digest", String(128), nullable=False),
        Column("strata", JSON, nullable=False),  # [{"name", "population", "drawn"}, …]; [] when not stratified
        Column("recipe", JSON, nullable=False),  # what a reader needs to draw it again: generator, order, field
        Column("created_at", String(32), nullable=False),
        Column("created_by", Text, nullable=False),
    )
    sample_records = Table(
        "sample_records",
        md,
        Column("sample_id", ForeignKey("samples.id"), primary_key=True),
        Column("position", Integer, primary_key=True),  # the order of reading, from 0
        Column("record_id", String(64), nullable=False),
        Column("record_digest", String(64), nullable=False),
        Column("stratum", Text),
        Column("probability", Float, nullable=False),  # of being included, for the weighted estimates
        Index("sample_records_by_record", "sample_id", "record_id", unique=True),
    )
    verdicts = Table(
        "verdicts",
        md,
        Column("client_id", String(64), primary_key=True),  # made by the screen, so that a retry is harmless
        Column("sample_id", ForeignKey("samples.id"), nullable=False),
        Column("record_id", String(64), nullable=False),
        Column("record_digest", String(64), nullable=False),
        Column("reviewer", Text, nullable=False),
        Column("outcome", String(12), nullable=False),  # pass, fail, unsure; withdrawn = the undo of an earlier one
        Column("answers", JSON, nullable=False),  # question -> yes, no, unsure, na
        Column("note", Text, nullable=False),
        Column("seconds", Float),
        Column("created_at", String(32), nullable=False),  # the reviewer's clock, UTC
        Column("received_at", String(32), nullable=False),  # this machine's clock, UTC
        Column("supersedes", JSON, nullable=False),  # client ids; two when it settles a conflict
        # Since layout 2; the defaults are the database's own, so that rows written before, or by an older program, have them too.
        Column(
            "rubric", String(64), nullable=False, server_default=""
        ),  # its digest; "" = the audit's questions before rubrics
        Column("answer_notes", JSON, nullable=False, server_default="{}"),  # criterion -> note
        Column("error_types", JSON, nullable=False, server_default="[]"),
        Column("severity", String(40), nullable=False, server_default=""),
        Column("high_stakes", Boolean, nullable=False, server_default=false()),
        Column("guideline", Text, nullable=False, server_default=""),  # a reference in the reader's words, never opened
        Column("correction", Text),  # the response as it should be: a proposed edit; null = none
        Index("verdicts_by_sample", "sample_id", "record_id"),
    )
    rubrics = Table(
        "rubrics",
        md,
        Column("digest", String(64), primary_key=True),
        Column("name", String(40), nullable=False),
        Column(
            "content", Text, nullable=False
        ),  # its file, so that an old verdict can be read under the rubric it was given
        Column("created_at", String(32), nullable=False),
    )
    sample_rubrics = Table(  # the newest row of a sample is in force; none = the default rubric
        "sample_rubrics",
        md,
        Column("entry", Integer, primary_key=True, autoincrement=True),
        Column("sample_id", ForeignKey("samples.id"), nullable=False),
        Column("rubric", ForeignKey("rubrics.digest"), nullable=False),
        Column("created_at", String(32), nullable=False),
        Column("created_by", Text, nullable=False),
    )
    edits = Table(  # what was decided on proposed responses; the newest accept or withdraw of a record is in force
        "edits",
        md,
        Column("entry", Integer, primary_key=True, autoincrement=True),
        Column("record_id", String(64), nullable=False),
        Column("action", String(12), nullable=False),  # accept, reject, withdraw
        Column("text", Text, nullable=False),  # the response as accepted; "" when withdrawn
        Column("text_digest", String(64), nullable=False),
        Column("proposed_by", Text, nullable=False),
        Column("verdict", String(64), nullable=False),  # the client id that carried it
        Column("created_by", Text, nullable=False),
        Column("created_at", String(32), nullable=False),
        Index("edits_by_record", "record_id"),
    )
    subsets = Table(
        "subsets",
        md,
        Column("id", String(64), primary_key=True),
        Column("name", Text, nullable=False),
        Column("strategy", Text, nullable=False),
        Column("params", JSON, nullable=False),
        Column("dataset_digest", String(128), nullable=False),
        Column("count", Integer, nullable=False),
        Column("members", LargeBinary, nullable=False),
        Column("created_at", String(32), nullable=False),
        Column("created_by", Text, nullable=False),
        Column("deleted_at", String(32)),  # a tombstone: exports that name it can still be explained
        Column("deleted_by", Text),
    )
    ledger = Table(
        "ledger",
        md,
        Column("entry", Integer, primary_key=True, autoincrement=True),
        Column("action", String(12), nullable=False),  # remove, keep, undo
        Column("reason", Text, nullable=False),
        Column("created_by", Text, nullable=False),
        Column("created_at", String(32), nullable=False),
        Column("count", Integer, nullable=False),
        Column("records", LargeBinary, nullable=False),
        Column("undoes", ForeignKey("ledger.entry")),
        Column("token", String(64), unique=True),  # of the click, so that a double click is one entry
    )
    relabels = Table(  # since layout 3: what an entry of the ledger with the action relabel changes
        "relabels",
        md,
        Column("entry", ForeignKey("ledger.entry"), primary_key=True),
        Column("field", Text, nullable=False),  # the column of the labels
        Column("rule", JSON, nullable=False),
        Column(
            "changes", LargeBinary, nullable=False
        ),  # [[before, after], …] as compressed JSON, aligned with the entry's records
    )
    ratings = Table(  # how hard a person found a record; the newest row of a record and rater is in force
        "difficulty_ratings",
        md,
        Column("entry", Integer, primary_key=True, autoincrement=True),
        Column("record_id", String(64), nullable=False),
        Column("record_digest", String(64), nullable=False),
        Column("level", Integer, nullable=False),  # 1 easy … 5 hard; 0 = withdrawn
        Column("rater", Text, nullable=False),
        Column("picked", String(12), nullable=False),  # random, useful, given: why this record was rated
        Column("created_at", String(32), nullable=False),
        Column("token", String(64), nullable=False, unique=True),  # of the key press, so that a retry is one rating
        Index("difficulty_ratings_by_record", "record_id"),
    )
    frames = Table(  # since layout 3: what a sample was drawn from, so that the draw can be repeated from its record
        "sample_frames",
        md,
        Column("sample_id", ForeignKey("samples.id"), primary_key=True),
        Column(
            "kind", String(12), nullable=False
        ),  # these: the ids drawn from; without: the ids of the dataset left out
        Column("members", LargeBinary, nullable=False),
        Column("marks", LargeBinary),  # stratum or risk of each, over the ids sorted as text; null = none
        Column("digest", String(64), nullable=False),  # of the ids drawn from and their marks
    )
    people = Table(  # who reads; the newest row of a name is in force
        "people",
        md,
        Column("entry", Integer, primary_key=True, autoincrement=True),
        Column("name", String(80), nullable=False),
        Column("role", String(20), nullable=False),  # annotator, second, advisor
        Column("specialty", Text, nullable=False),
        Column("credential", Text, nullable=False),
        Column("email", Text, nullable=False),  # of the sign-in; "" = none
        Column("active", Boolean, nullable=False),
        Column("created_at", String(32), nullable=False),
        Column("created_by", Text, nullable=False),
        Index("people_by_name", "name"),
    )
    adjudications = Table(  # the newest row of a sample and record is in force
        "adjudications",
        md,
        Column("entry", Integer, primary_key=True, autoincrement=True),
        Column("sample_id", ForeignKey("samples.id"), nullable=False),
        Column("record_id", String(64), nullable=False),
        Column("outcome", String(12), nullable=False),  # pass, fail, unsure; withdrawn = open again
        Column("reason", Text, nullable=False),
        Column("settled", JSON, nullable=False),  # [{"client_id", "reviewer", "outcome"}]: what was decided between
        Column("adjudicator", Text, nullable=False),
        Column("role", String(20), nullable=False),  # the adjudicator's, at that moment
        Column("created_at", String(32), nullable=False),
        Column("token", String(64), nullable=False, unique=True),  # of the click, so that a retry is one decision
        Index("adjudications_by_sample", "sample_id", "record_id"),
    )
    cluster_names = Table(  # the newest row of essentially the same members is in force
        "cluster_names",
        md,
        Column("entry", Integer, primary_key=True, autoincrement=True),
        Column("members_digest", String(64), nullable=False),
        Column("sketch", JSON, nullable=False),  # the smallest hashes of the members, to know the cluster again
        Column("size", Integer, nullable=False),
        Column("name", Text, nullable=False),  # "" = taken back
        Column("created_by", Text, nullable=False),
        Column("created_at", String(32), nullable=False),
    )
    return SimpleNamespace(
        metadata=md,
        cluster_names=cluster_names,
        meta=meta,
        samples=samples,
        sample_records=sample_records,
        rubrics=rubrics,
        sample_rubrics=sample_rubrics,
        verdicts=verdicts,
        edits=edits,
        subsets=subsets,
        ledger=ledger,
        relabels=relabels,
        ratings=ratings,
        frames=frames,
        people=people,
        adjudications=adjudications,
    )

"""Hypothesis strategies for valid commands."""

from __future__ import annotations

from datetime import UTC
from typing import get_args

from hypothesis import strategies as st

from messages.base import TableFormat
from messages.control import CancelJob, RetryJob
from messages.creditsafe import (
    RECORD_FIELDS,
    AddRecords,
    Deduplicate,
    DeletePortfolio,
    DeleteRecords,
    Enrich,
    ExportRecords,
    ImportFile,
    Portfolio,
    Record,
    RunMatching,
)
from messages.data8 import DeleteDataset, DownloadDataset, Input, StartJob, UploadDataset
from messages.envelope import Request
from messages.portfolio import (
    Cleansing,
    Deduplication,
    Enrichment,
    Matching,
    ProcessPortfolio,
    Resolution,
)
from messages.sayari import CollectChanges, Entity, ExportProject, Identifier, Project, ResolveEntities
from messages.sayari_graph import FetchEntities, TraceRelationships, TraversalOptions

lines = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)
texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), min_size=1)
job_ids = st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True)
portfolios = st.builds(Portfolio, id=lines) | st.builds(
    Portfolio, name=lines, description=st.none() | st.text(st.characters(exclude_categories=["Cs"]))
)
names = st.lists(lines, min_size=1, max_size=3)
records = st.builds(
    Record.model_validate,
    st.dictionaries(st.sampled_from(RECORD_FIELDS), lines, min_size=1, max_size=4),
)
datasets = st.from_regex("[a-z][a-z0-9_]{0,30}", fullmatch=True)
formats = st.sampled_from(["csv", "jsonl", "parquet"])
inputs = st.builds(Input, file=lines) | st.builds(Input, dataset=datasets)
entities = st.builds(
    Entity, name=texts, identifier=st.none() | st.just([Identifier(value="1", type="uk_vat")])
)
projects = st.none() | st.builds(Project, id=lines) | st.builds(Project, label=lines)
ids = st.lists(st.from_regex("[A-Za-z0-9_-]{1,22}", fullmatch=True), min_size=1, max_size=5)
words = st.lists(st.from_regex("[a-z0-9_]{1,20}", fullmatch=True), min_size=1, max_size=3)
traversals = st.builds(
    TraversalOptions,
    limit=st.none() | st.integers(1, 99),
    max_depth=st.none() | st.integers(0, 10),
    psa=st.none() | st.booleans(),
    types=st.none() | words,
    name=st.none() | lines,
)
columns = st.dictionaries(lines, st.sampled_from([*RECORD_FIELDS, "lei"]), max_size=3)
commands = st.one_of(
    st.builds(ImportFile, file=lines, portfolio=portfolios),
    st.builds(RunMatching, portfolio_id=lines),
    st.builds(AddRecords, portfolio_id=lines, records=st.lists(records, min_size=1, max_size=3)),
    st.builds(Deduplicate, portfolio_id=lines, fields=names, remove=st.booleans()),
    st.builds(Enrich, portfolio_id=lines, fields=names),
    st.builds(ExportRecords, portfolio_id=lines, format=st.sampled_from(get_args(TableFormat))),
    st.builds(DeleteRecords, portfolio_id=lines, record_ids=names),
    st.builds(DeletePortfolio, portfolio_id=lines),
    st.builds(
        StartJob,
        workflow=lines,
        name=st.none() | st.from_regex(r"[A-Za-z0-9 ._-]{1,128}", fullmatch=True),
        inputs=st.dictionaries(lines, inputs, max_size=5),
        input_filename=st.none() | lines,
        parameters=st.dictionaries(lines, st.text(st.characters(exclude_categories=["Cs"])), max_size=5),
        format=formats,
    ),
    st.builds(
        UploadDataset,
        file=lines,
        name=st.none() | datasets,
        columns=st.dictionaries(lines, st.sampled_from(["text", "whole_number"]), max_size=5),
    ),
    st.builds(DownloadDataset, dataset=datasets, format=formats),
    st.builds(DeleteDataset, dataset=datasets),
    st.builds(ResolveEntities, file=lines, project=projects, delete_project=st.booleans()),
    st.builds(ResolveEntities, entities=st.lists(entities, min_size=1, max_size=5), project=projects),
    st.builds(
        TraceRelationships,
        entity_ids=ids,
        kind=st.sampled_from(["ubo", "downstream", "watchlist", "traversal"]),
        options=st.none() | traversals,
    ),
    st.builds(
        TraceRelationships,
        file=lines,
        kind=st.just("traversal"),
        options=st.builds(TraversalOptions, relationships=words, watchlist=st.booleans()),
    ),
    st.builds(FetchEntities, file=lines, format=st.sampled_from(["json", "csv", "pdf", "xlsx"])),
    st.builds(FetchEntities, entity_ids=ids, detail=st.sampled_from(["summary", "full"])),
    st.builds(ExportProject, project_id=lines, content=st.sampled_from(["entity", "record", "resource"])),
    st.builds(CollectChanges, project_id=lines, types=st.none() | words),
    st.builds(CollectChanges, project_id=lines, clear=st.just(True)),
    st.builds(
        ProcessPortfolio,
        file=lines,
        name=lines,
        cleanse=st.none() | st.builds(Cleansing, workflow=lines, slot=lines, columns=columns),
        match=st.none() | st.builds(Matching),
        deduplicate=st.none() | st.builds(Deduplication, fields=names, remove=st.booleans()),
        enrich=st.none() | st.builds(Enrichment, fields=names),
        resolve=st.none() | st.builds(Resolution, watchlist=st.booleans(), ownership=st.booleans()),
        columns=columns,
        format=formats,
    ),
    st.builds(CancelJob, job_id=job_ids),
    st.builds(RetryJob, job_id=job_ids, repeat_effect=st.booleans()),
)
requests = st.builds(
    Request,
    id=job_ids,
    source=st.from_regex(r"[A-Za-z0-9./:#?-]{1,60}", fullmatch=True),
    command=commands,
    correlation_id=lines,
    traceparent=st.none() | lines,
    tracestate=st.none() | lines,
    not_before=st.none() | st.datetimes(timezones=st.just(UTC)),
)

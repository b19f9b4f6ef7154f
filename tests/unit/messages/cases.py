"""Valid and invalid commands."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from messages.base import Command, dump
from messages.catalogue import COMMANDS

FILE = "file:///data/customers.csv"


def smallest_data(command: type[Command]) -> dict[str, Any]:
    """Return the command's example without every field that it does not need."""
    data = dump(command.example()[0])
    for name in list(data):
        smaller = {key: value for key, value in data.items() if key != name}
        if is_valid(command, smaller):
            data = smaller
    return data


def is_valid(model: type[BaseModel], data: object) -> bool:
    try:
        model.model_validate(data)
    except ValidationError:
        return False
    return True


DATA: dict[str, dict[str, Any]] = {type_: smallest_data(command) for type_, command in COMMANDS.items()}


def event_of(type: str = "creditsafe.import_file", /, **changes: Any) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": "job-1", "source": "/crm", "type": type, "data": DATA.get(type, {})}
    return {name: value for name, value in (event | changes).items() if value is not ...}


BAD_ATTRIBUTES: list[tuple[str, dict[str, Any]]] = [
    ("specversion", {"specversion": ...}),
    ("specversion", {"specversion": "0.3"}),
    ("specversion", {"specversion": 1.0}),
    ("id", {"id": ...}),
    ("id", {"id": ""}),
    ("id", {"id": 7}),
    ("id", {"id": "a/b"}),
    ("id", {"id": "a b"}),
    ("id", {"id": "a\n"}),
    ("id", {"id": "x" * 129}),
    ("source", {"source": ...}),
    ("source", {"source": ""}),
    ("source", {"source": "not a reference"}),
    ("source", {"source": "/crm\x00"}),
    ("type", {"type": ...}),
    ("type", {"type": 7}),
    ("type", {"type": "creditsafe.unheard_of"}),
    ("type", {"type": "creditsafe.import_file\n"}),
    ("time", {"time": "yesterday"}),
    ("time", {"time": "2026-08-03"}),
    ("time", {"time": "2026-08-03T09:30:00"}),
    ("notbefore", {"notbefore": "tomorrow"}),
    ("notbefore", {"notbefore": "2026-08-03T09:30:00"}),
    ("notbefore", {"notbefore": 1_785_000_000}),
    ("datacontenttype", {"datacontenttype": "text/xml"}),
    ("correlationid", {"correlationid": ""}),
    ("correlationid", {"correlationid": "a\r\nb"}),
    ("correlationid", {"correlationid": 7}),
    ("traceparent", {"traceparent": "\x00"}),
    ("data", {"data": ...}),
    ("data", {"data": None}),
    ("data", {"data": []}),
    ("data_base64", {"data_base64": "e30="}),
    ("Tenant", {"Tenant": "upper case"}),
    ("\ufffd", {"\ud800": 1}),
]

BAD_DATA: list[tuple[str, str, dict[str, Any]]] = [
    ("creditsafe.import_file", "data.file", {"portfolio": {"name": "n"}}),
    ("creditsafe.import_file", "data.portfolio", {"file": FILE}),
    ("creditsafe.import_file", "data.fiel", {"file": FILE, "fiel": FILE, "portfolio": {"name": "n"}}),
    ("creditsafe.import_file", "data.file", {"file": "", "portfolio": {"name": "n"}}),
    ("creditsafe.import_file", "data.file", {"file": "a\x00b", "portfolio": {"name": "n"}}),
    ("creditsafe.import_file", "data.file", {"file": "x" * 2049, "portfolio": {"name": "n"}}),
    ("creditsafe.import_file", "data.portfolio", {"file": FILE, "portfolio": {}}),
    ("creditsafe.import_file", "data.portfolio", {"file": FILE, "portfolio": {"id": "1", "name": "n"}}),
    (
        "creditsafe.import_file",
        "data.portfolio",
        {"file": FILE, "portfolio": {"id": "1", "description": "d"}},
    ),
    ("creditsafe.import_file", "data.portfolio.id", {"file": FILE, "portfolio": {"id": 7}}),
    ("creditsafe.import_file", "data.portfolio.nmae", {"file": FILE, "portfolio": {"nmae": "n"}}),
    ("creditsafe.run_matching", "data.portfolio_id", {}),
    ("creditsafe.run_matching", "data.portfolio_id", {"portfolio_id": 7}),
    ("creditsafe.run_matching", "data.match_against", {"portfolio_id": "p", "match_against": ""}),
    ("creditsafe.add_records", "data.records", {"portfolio_id": "p"}),
    ("creditsafe.add_records", "data.records", {"portfolio_id": "p", "records": []}),
    ("creditsafe.add_records", "data.records", {"portfolio_id": "p", "records": [{"name": "n"}] * 3_001}),
    ("creditsafe.add_records", "data.records.0", {"portfolio_id": "p", "records": [{}]}),
    (
        "creditsafe.add_records",
        "data.records.1",
        {"portfolio_id": "p", "records": [{"name": "n"}, {"name": None}]},
    ),
    (
        "creditsafe.add_records",
        "data.records.0.org_number",
        {"portfolio_id": "p", "records": [{"org_number": "1"}]},
    ),
    (
        "creditsafe.add_records",
        "data.records.0.personalID",
        {"portfolio_id": "p", "records": [{"personalID": 7}]},
    ),
    (
        "creditsafe.add_records",
        "data.records.0.town",
        {"portfolio_id": "p", "records": [{"town": "x" * 2_001}]},
    ),
    ("creditsafe.deduplicate", "data.fields", {"portfolio_id": "p"}),
    ("creditsafe.deduplicate", "data.fields", {"portfolio_id": "p", "fields": []}),
    ("creditsafe.deduplicate", "data.remove", {"portfolio_id": "p", "fields": ["name"], "remove": "yes"}),
    ("creditsafe.enrich", "data.fields", {"portfolio_id": "p"}),
    ("creditsafe.enrich", "data.fields.0", {"portfolio_id": "p", "fields": [""]}),
    ("creditsafe.enrich", "data.type", {"portfolio_id": "p", "fields": ["f"], "type": "OTHER"}),
    ("creditsafe.export_records", "data.format", {"portfolio_id": "p", "format": "xlsx"}),
    ("creditsafe.delete_records", "data.record_ids", {"portfolio_id": "p", "record_ids": []}),
    ("creditsafe.delete_records", "data.record_ids.0", {"portfolio_id": "p", "record_ids": ["a\nb"]}),
    ("creditsafe.delete_portfolio", "data.portfolio_id", {"portfolio_id": ""}),
    ("data8.start_job", "data.workflow", {}),
    ("data8.start_job", "data.name", {"workflow": "w", "name": "a/b"}),
    ("data8.start_job", "data.inputs.In", {"workflow": "w", "inputs": {"In": {}}}),
    (
        "data8.start_job",
        "data.inputs.In",
        {"workflow": "w", "inputs": {"In": {"file": FILE, "dataset": "d"}}},
    ),
    ("data8.start_job", "data.inputs.In.dataset", {"workflow": "w", "inputs": {"In": {"dataset": "Upper"}}}),
    ("data8.start_job", "data.inputs.\ufffd.[key]", {"workflow": "w", "inputs": {"\n": {"dataset": "d"}}}),
    ("data8.start_job", "data.inputs_", {"workflow": "w", "inputs_": {}}),
    ("data8.start_job", "data.parameters.k", {"workflow": "w", "parameters": {"k": 7}}),
    ("data8.upload_dataset", "data.name", {"file": FILE, "name": "Upper"}),
    ("data8.upload_dataset", "data.columns.a", {"file": FILE, "columns": {"a": "number"}}),
    ("data8.upload_dataset", "data.columns.\ufffd.[key]", {"file": FILE, "columns": {"\n": "text"}}),
    ("data8.download_dataset", "data.dataset", {"dataset": "1st"}),
    ("data8.download_dataset", "data.format", {"dataset": "d", "format": "xlsx"}),
    ("data8.delete_dataset", "data.dataset", {}),
    ("sayari.resolve_entities", "data", {}),
    ("sayari.resolve_entities", "data", {"file": FILE, "entities": [{"name": ["a"]}]}),
    ("sayari.resolve_entities", "data.entities", {"entities": []}),
    ("sayari.resolve_entities", "data.entities.1", {"entities": [{"name": ["a"]}, {}]}),
    ("sayari.resolve_entities", "data.entities.0", {"entities": [{"name": None}]}),
    ("sayari.resolve_entities", "data.entities.0.name", {"entities": [{"name": []}]}),
    ("sayari.resolve_entities", "data.entities.0.name", {"entities": [{"name": "a"}]}),
    ("sayari.resolve_entities", "data.project", {"file": FILE, "project": {"id": "p", "label": "l"}}),
    ("sayari.resolve_entities", "data.delete_project", {"file": FILE, "delete_project": "yes"}),
    ("sayari.trace_relationships", "data", {"kind": "ubo"}),
    ("sayari.trace_relationships", "data", {"kind": "ubo", "file": FILE, "entity_ids": ["a"]}),
    ("sayari.trace_relationships", "data.kind", {"file": FILE}),
    ("sayari.trace_relationships", "data.kind", {"file": FILE, "kind": "shortest_path"}),
    ("sayari.trace_relationships", "data.entity_ids.1", {"kind": "ubo", "entity_ids": ["a", "Tesco PLC"]}),
    (
        "sayari.trace_relationships",
        "data.options.depth",
        {"file": FILE, "kind": "ubo", "options": {"depth": 1}},
    ),
    (
        "sayari.trace_relationships",
        "data.options.max_depth",
        {"file": FILE, "kind": "ubo", "options": {"max_depth": 11}},
    ),
    (
        "sayari.trace_relationships",
        "data.options.countries.0",
        {"file": FILE, "kind": "ubo", "options": {"countries": ["GB"]}},
    ),
    (
        "sayari.trace_relationships",
        "data.options.relationships",
        {"file": FILE, "kind": "downstream", "options": {"relationships": ["has_shareholder"]}},
    ),
    (
        "sayari.trace_relationships",
        "data.options.watchlist",
        {"file": FILE, "kind": "watchlist", "options": {"watchlist": False}},
    ),
    ("sayari.fetch_entities", "data.entity_ids", {"entity_ids": []}),
    ("sayari.fetch_entities", "data.entity_ids", {"entity_ids": ["a"] * 1_001}),
    ("sayari.fetch_entities", "data.detail", {"file": FILE, "detail": "summary", "format": "pdf"}),
    ("sayari.fetch_entities", "data.format", {"file": FILE, "format": "xml"}),
    ("sayari.export_project", "data.project_id", {"content": "entity"}),
    ("sayari.export_project", "data.format", {"project_id": "p", "format": "csv"}),
    ("sayari.collect_changes", "data.types.0", {"project_id": "p", "types": ["New Name"]}),
    ("sayari.collect_changes", "data.clear", {"project_id": "p", "types": ["name"], "clear": True}),
    ("portfolio.process", "data.name", {"file": FILE}),
    ("portfolio.process", "data.export", {"file": FILE, "name": "n", "export": {}}),
    ("portfolio.process", "data.cleanse.workflow", {"file": FILE, "name": "n", "cleanse": {}}),
    (
        "portfolio.process",
        "data.deduplicate.fields",
        {"file": FILE, "name": "n", "deduplicate": {"fields": []}},
    ),
    ("portfolio.process", "data.enrich.fields", {"file": FILE, "name": "n", "enrich": {}}),
    ("portfolio.process", "data.resolve.pep", {"file": FILE, "name": "n", "resolve": {"pep": True}}),
    ("portfolio.process", "data.columns.Firm", {"file": FILE, "name": "n", "columns": {"Firm": "no field"}}),
    ("job.cancel", "data.job_id", {}),
    ("job.cancel", "data.job_id", {"job_id": "a/b"}),
    ("job.retry", "data.repeat_effect", {"job_id": "a", "repeat_effect": 1}),
]
BAD_EVENTS = [
    *[(field, event_of(**changes)) for field, changes in BAD_ATTRIBUTES],
    *[(field, event_of(type_, data=data)) for type_, field, data in BAD_DATA],
]

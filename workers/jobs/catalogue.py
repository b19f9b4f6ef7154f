"""The job function of every command."""

from __future__ import annotations

from messages.control import CancelJob, RetryJob
from messages.creditsafe import (
    AddRecords,
    Deduplicate,
    DeletePortfolio,
    DeleteRecords,
    Enrich,
    ExportRecords,
    ImportFile,
    RunMatching,
)
from messages.data8 import DeleteDataset, DownloadDataset, StartJob, UploadDataset
from messages.portfolio import ProcessPortfolio
from messages.sayari import CollectChanges, ExportProject, ResolveEntities
from messages.sayari_graph import FetchEntities, TraceRelationships
from workers.engine.registry import JobFunction
from workers.jobs.control import cancel, retry
from workers.jobs.creditsafe.add_records import add_records
from workers.jobs.creditsafe.deduplicate import deduplicate
from workers.jobs.creditsafe.delete_portfolio import delete_portfolio
from workers.jobs.creditsafe.delete_records import delete_records
from workers.jobs.creditsafe.enrich import enrich
from workers.jobs.creditsafe.export_records import export_records
from workers.jobs.creditsafe.import_file import import_file
from workers.jobs.creditsafe.run_matching import run_matching
from workers.jobs.data8.delete_dataset import delete_dataset
from workers.jobs.data8.download_dataset import download_dataset
from workers.jobs.data8.start_job import start_job
from workers.jobs.data8.upload_dataset import upload_dataset
from workers.jobs.portfolio.process import process_portfolio
from workers.jobs.sayari.collect_changes import collect_changes
from workers.jobs.sayari.export_project import export_project
from workers.jobs.sayari.fetch_entities import fetch_entities
from workers.jobs.sayari.resolve_entities import resolve_entities
from workers.jobs.sayari.trace_relationships import trace_relationships

#: The job function of every command, by the command's type.
JOBS: dict[str, JobFunction] = {
    ImportFile.type_: import_file,
    AddRecords.type_: add_records,
    RunMatching.type_: run_matching,
    Deduplicate.type_: deduplicate,
    Enrich.type_: enrich,
    ExportRecords.type_: export_records,
    DeleteRecords.type_: delete_records,
    DeletePortfolio.type_: delete_portfolio,
    StartJob.type_: start_job,
    UploadDataset.type_: upload_dataset,
    DownloadDataset.type_: download_dataset,
    DeleteDataset.type_: delete_dataset,
    ResolveEntities.type_: resolve_entities,
    TraceRelationships.type_: trace_relationships,
    FetchEntities.type_: fetch_entities,
    ExportProject.type_: export_project,
    CollectChanges.type_: collect_changes,
    ProcessPortfolio.type_: process_portfolio,
    CancelJob.type_: cancel,
    RetryJob.type_: retry,
}

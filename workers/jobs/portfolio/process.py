"""`portfolio.process`: the other commands' job functions as stages of one job, and a report of them all."""

from __future__ import annotations

from dataclasses import dataclass

from messages.base import File
from messages.creditsafe import (
    Deduplicate,
    DeduplicateResult,
    Enrich,
    EnrichResult,
    ExportRecords,
    ExportRecordsResult,
    ImportFile,
    ImportFileResult,
    Portfolio,
    RunMatching,
    RunMatchingResult,
)
from messages.data8 import StartJobResult
from messages.errors import Code
from messages.portfolio import STAGES, ProcessPortfolio, ProcessPortfolioResult
from messages.sayari import Project, ResolveEntities, ResolveEntitiesResult
from messages.sayari_graph import (
    FetchEntities,
    FetchEntitiesResult,
    TraceRelationships,
    TraceRelationshipsResult,
)
from workers.engine.context import Run
from workers.engine.registry import Services
from workers.errors import JobFailed
from workers.jobs.creditsafe.deduplicate import deduplicate
from workers.jobs.creditsafe.enrich import enrich
from workers.jobs.creditsafe.export_records import export_records
from workers.jobs.creditsafe.import_file import import_file
from workers.jobs.creditsafe.run_matching import run_matching
from workers.jobs.portfolio.report import Files
from workers.jobs.portfolio.stages import COMPANIES, ENTITIES, MATCHES, Stages
from workers.jobs.sayari.fetch_entities import fetch_entities
from workers.jobs.sayari.resolve_entities import resolve_entities
from workers.jobs.sayari.trace_relationships import trace_relationships


def process_portfolio(command: ProcessPortfolio, run: Run, services: Services) -> ProcessPortfolioResult:
    """Cleanse, import, match, deduplicate, enrich and resolve, as far as asked for; then report.

    Records are listed before duplicates are removed, so that the report has them all.
    """
    check_settings(command, services)
    stages = Stages(command, run, services)
    done = Done()
    records, rejects = stages.take_in()
    cleansed = None
    if command.cleanse:
        done.cleanse, cleansed = stages.cleanse(command.cleanse, records)
    stages.prepare(cleansed or records)
    new = Portfolio(name=command.name)
    done.import_ = stages.do("import", import_file, ImportFile(file=COMPANIES, portfolio=new))
    portfolio = done.import_.portfolio_id
    if command.match:
        match = RunMatching(portfolio_id=portfolio, match_against=command.match.match_against)
        done.match = stages.do("match", run_matching, match)
    if "export" in command.stages():
        done.export = stages.do("export", export_records, ExportRecords(portfolio_id=portfolio))
    if command.deduplicate:
        fields, remove = command.deduplicate.fields, command.deduplicate.remove
        equal = Deduplicate(portfolio_id=portfolio, fields=fields, remove=remove)
        done.deduplicate = stages.do("deduplicate", deduplicate, equal)
    if command.enrich:
        addition = Enrich(portfolio_id=portfolio, fields=command.enrich.fields)
        done.enrich = stages.do("enrich", enrich, addition)
    if command.resolve:
        project = Project(label=command.resolve.label or command.name)
        entities = ResolveEntities(
            file=ENTITIES, project=project, delete_project=command.resolve.delete_project
        )
        done.resolve = stages.do("resolve", resolve_entities, entities)
        some = bool(stages.list_matches(done.resolve.resolved))
        if command.resolve.watchlist and some:
            best = FetchEntities(file=MATCHES, detail="summary")
            done.watchlist = stages.do("watchlist", fetch_entities, best)
        if command.resolve.ownership and some:
            owners = TraceRelationships(file=MATCHES, kind="ubo")
            done.ownership = stages.do("ownership", trace_relationships, owners)
    report, unplaced = stages.report(records, cleansed, done.files())
    return ProcessPortfolioResult(**vars(done), report=report, unplaced=unplaced, rejects=rejects)


def check_settings(command: ProcessPortfolio, services: Services) -> None:
    """Check that all vendors that the stages need have settings. Raises `vendor_auth` before anything has happened."""
    needed = {STAGES[stage].partition(".")[0] for stage in command.stages()}
    if missing := sorted(needed - services.vendors()):
        raise JobFailed(
            Code.VENDOR_AUTH,
            f"this worker has no settings for {' and '.join(missing)}, which the command needs;"
            " give them to every worker of kyb.portfolio, then retry the job",
        )


@dataclass
class Done:
    """The results of the stages so far, named as in `ProcessPortfolioResult`."""

    cleanse: StartJobResult | None = None
    import_: ImportFileResult | None = None
    match: RunMatchingResult | None = None
    export: ExportRecordsResult | None = None
    deduplicate: DeduplicateResult | None = None
    enrich: EnrichResult | None = None
    resolve: ResolveEntitiesResult | None = None
    watchlist: FetchEntitiesResult | None = None
    ownership: TraceRelationshipsResult | None = None

    def files(self) -> Files:
        """Return the files from which the report is made."""
        summaries = self.watchlist.entities if self.watchlist else None
        return Files(
            listed=self.export.records if self.export else None,
            duplicates=self.deduplicate.duplicates if self.deduplicate else None,
            enriched=self.enrich.enriched if self.enrich else None,
            resolved=self.resolve.resolved if self.resolve else None,
            summaries=summaries if isinstance(summaries, File) else None,
            owners=self.ownership.paths if self.ownership else None,
            untraced=self.ownership.missing if self.ownership else None,
        )

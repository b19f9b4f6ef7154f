"""Import a file of companies into a portfolio: `creditsafe.import_file`."""

from __future__ import annotations

from clients.creditsafe import Creditsafe
from messages.creditsafe import ImportFile, ImportFileResult
from messages.creditsafe import Portfolio as Wanted
from messages.errors import Code
from workers.engine.context import Run
from workers.engine.recovery import baseline, repeatable
from workers.engine.registry import Services
from workers.errors import JobFailed, Undecided
from workers.jobs.creditsafe.counts import record_count
from workers.jobs.creditsafe.file_parts import PartPacker, check_header, read_through
from workers.jobs.input import intake
from workers.polling.next_poll import PollResult


def import_file(command: ImportFile, run: Run, services: Services) -> ImportFileResult:
    """Import a file of companies into a portfolio, in as many parts as Creditsafe's limit needs.

    The whole file is checked before anything happens at Creditsafe.
    """
    creditsafe = services.creditsafe
    source = intake(run, services.storage, command.file, strict=command.strict, check_header=check_header)
    plan = run.transfer("read", lambda at: read_through(source, at), kind="read")
    portfolio_id = get_or_create_portfolio(command.portfolio, run, creditsafe)
    # A portfolio of our own held nothing; what another one held cannot be seen once our rows may be in it.
    before = run.once(
        "count",
        lambda: record_count(creditsafe, portfolio_id),
        recover=baseline if command.portfolio.id is not None else _none_yet,
    )["records"]
    background = False
    with PartPacker(source, plan) as packing:
        for number, part in enumerate(packing.parts, start=1):
            importing = PartImport(creditsafe, packing, number, portfolio_id, before, background=background)
            answer = run.once(f"import part {number}", importing.send, recover=importing.find)
            if answer["execution_id"] is not None:
                background = True
                run.poll(f"finish part {number}", importing.look, size=part.rows)
            before = None if before is None else before + part.rows
    if before is not None:
        expected, ours_alone = before, command.portfolio.id is None
        run.once(
            "count again",
            lambda: checked(record_count(creditsafe, portfolio_id), expected, ours_alone=ours_alone),
            recover=repeatable,
        )
    rejects = source.publish_rejects(run)
    source.discard(run)
    return ImportFileResult(
        portfolio_id=portfolio_id, records=plan["done"], parts=len(packing.parts), rejects=rejects
    )


def get_or_create_portfolio(wanted: Wanted, run: Run, creditsafe: Creditsafe) -> str:
    """The id of the portfolio asked for: the given one if it is there, or a new one.

    A new one carries our job's id in its description, `[kyb:<job id>]`, behind what the command says there.
    By its name and this reference it is found again when the answer to its creation was lost. Assumed: names
    need not be unique, and a listing shows descriptions.
    """
    name, reference = wanted.name, f"[kyb:{run.job_id}]"
    if wanted.id is not None or name is None:
        portfolio_id = wanted.id or ""
        return run.once(
            "portfolio", lambda: creditsafe.portfolios.get(portfolio_id).portfolio_id, recover=repeatable
        )

    def create() -> str:
        description = f"{wanted.description} {reference}" if wanted.description else reference
        return creditsafe.portfolios.create(name, description).portfolio_id

    def find() -> str | None:
        same_name = [portfolio for portfolio in creditsafe.portfolios.all() if portfolio.name == name]
        for portfolio in same_name:
            if reference in (portfolio.description or ""):
                return portfolio.portfolio_id
        if any(portfolio.description is None for portfolio in same_name):
            raise Undecided("a portfolio of this name is there, without a description to tell whose it is")
        return None

    return run.once("portfolio", create, recover=find)


class PartImport:
    """One part on its way into a portfolio that held `before` records; None if that is not known.

    Assumed, as nothing is published: the rows of an import count in the portfolio's `recordCount` when
    the answer is there, unless the answer names an execution; then they do when it is over. How an import
    that runs in the background is asked for is not documented either, so the count has to tell.
    """

    def __init__(
        self,
        creditsafe: Creditsafe,
        packing: PartPacker,
        number: int,
        portfolio_id: str,
        before: int | None,
        *,
        background: bool,
    ) -> None:
        self._creditsafe = creditsafe
        self._packing = packing
        self._number = number
        self._part = packing.parts[number - 1]
        self._portfolio_id = portfolio_id
        self._before = before
        self._background = background

    def send(self) -> dict[str, str | None]:
        """Upload the part."""
        # an import in the background ends the turn: what was packed ahead would be for nothing
        with self._packing.part(self._number, ahead=not self._background) as (content, format):
            answer = self._creditsafe.records.import_file(self._portfolio_id, content, format=format)
        return {"execution_id": answer.execution_id}

    def find(self) -> dict[str, str | None] | None:
        """Return whether the upload took effect, by the number of records now."""
        grown = self._grown()
        if grown is None:
            raise Undecided("Creditsafe does not say how many records the portfolio has")
        if grown == self._part.rows:
            return {"execution_id": None}
        if grown == 0 and not self._background:
            return None
        raise Undecided(f"the portfolio has grown by {grown} records, the part has {self._part.rows}")

    def look(self) -> PollResult:
        """Return the progress of an import in the background."""
        grown = self._grown()
        if grown is not None and grown < self._part.rows:
            return PollResult("running", done=grown, total=self._part.rows)
        return PollResult("done", answer={"records": grown})

    def _grown(self) -> int | None:
        now = record_count(self._creditsafe, self._portfolio_id)["records"]
        return None if now is None or self._before is None else now - self._before


def _none_yet() -> dict[str, int | None]:
    return {"records": 0}


def checked(counted: dict[str, int | None], expected: int, *, ours_alone: bool) -> dict[str, int | None]:
    """The count, or `vendor_failed` if rows are missing, or too many in a portfolio that only we fill."""
    records = counted["records"]
    if records is not None and (records < expected or (records > expected and ours_alone)):
        raise JobFailed(
            Code.VENDOR_FAILED,
            f"the portfolio holds {records} records after the import, {expected} were expected; look at it there",
        )
    return counted

"""Recovery of effects in doubt: whether an effect that was intended happened at the vendor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from messages.errors import Code
from workers.engine.signals import Suspended
from workers.errors import JobFailed, Undecided
from workers.ledger.claim import Claim
from workers.ledger.records import Step
from workers.observability.turn_stats import TurnStats

J = TypeVar("J")


def repeatable() -> None:
    """Recover an effect that may simply be repeated, e.g. a write that overwrites itself."""


def baseline() -> None:
    """Recover a reading of the vendor's state before this job's effects, e.g. a count to compare with later.

    After a crash the reading is simply repeated. After a restore of the ledger the effects may have happened before
    the repeated reading, so the job fails as `outcome_unknown`.
    """


def doubt_after_restore(claim: Claim, name: str, step: Step | None, recover: object) -> Step | None:
    """Return the step; after a restore, one that the ledger may have forgotten counts as intended.

    Raises:
        JobFailed: `outcome_unknown` for a baseline that the ledger has lost.
    """
    restored_at = claim.job.restored_at
    if restored_at is None or recover is repeatable:
        return step
    if step is None or step.started_at < restored_at:
        step = claim.record_uncertain(name, restored_at)
    if recover is baseline and step.started_at == restored_at:
        raise outcome_unknown(
            name, "the ledger was restored, and what was there before can no longer be seen"
        )
    return step


def recover_effect(
    claim: Claim,
    step: Step,
    recover: Callable[[], J | None] | None,
    *,
    unique: bool,
    settle_seconds: float,
    stats: TurnStats,
) -> J | None:
    """Return the result of an effect in doubt if it happened, None if it certainly did not.

    Args:
        claim: of the turn.
        step: of the effect, in the state `intended`.
        recover: as for `Run.once`.
        unique: None from `recover` is trusted at once.
        settle_seconds: how long after its intent a request may still take effect: otherwise None is trusted only
            after that.
        stats: counts the recovery.

    Raises:
        JobFailed: `outcome_unknown` if the vendor cannot say.
        Suspended: the effect may still happen.
    """
    if recover is None:
        stats.recovered.append("undecided")
        raise outcome_unknown(step.name, "the vendor offers no way to find out")
    started_at = claim.now
    try:
        adopted = recover()
    except Undecided as undecided:
        stats.recovered.append("undecided")
        raise outcome_unknown(step.name, str(undecided)) from undecided
    if adopted is None and not unique:
        settled_at = step.started_at + settle_seconds
        if started_at < settled_at:
            raise Suspended(settled_at)
    stats.recovered.append("not_happened" if adopted is None else "adopted")
    return adopted


def outcome_unknown(step: str | None, why: str) -> JobFailed:
    """Return the failure of a job whose effect may or may not have happened."""
    return JobFailed(Code.OUTCOME_UNKNOWN, f"{step}: it may or may not have happened at the vendor: {why}")

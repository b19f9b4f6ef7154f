"""When to ask a vendor again: one pure function of what is known of a job."""

from __future__ import annotations

from dataclasses import dataclass

#: Without better evidence the next look comes after this share of the time already waited: the end of any
#: job is then noticed within a fifth of its duration, with few looks at long ones.
GROWTH = 0.2
#: Extrapolated ends are met this much early or late: a look too early costs one call, too late costs delay.
MARGIN = 1.05


@dataclass(frozen=True)
class Evidence:
    """What is known of a running vendor job. Seconds throughout.

    Attributes:
        elapsed: since it was started.
        percent: 0 to 100 as the vendor says, if it does.
        remaining: until the vendor expects it to be done, if it says so.
    """

    elapsed: float
    percent: float | None = None
    remaining: float | None = None


def next_look(evidence: Evidence, min_delay: float, max_delay: float) -> float:
    """Seconds until the vendor is asked again, within the bounds.

    A stated end or a percentage moves the next look forward or back, but never beyond three times what the
    time already waited alone would give: such numbers are often wrong.
    """
    patient = evidence.elapsed * GROWTH
    delay = patient
    if evidence.remaining is not None and evidence.remaining > 0:
        delay = min(evidence.remaining * MARGIN, max(patient * 3, min_delay * 3))
    elif evidence.percent is not None and 0 < evidence.percent < 100:  # noqa: PLR2004
        left = evidence.elapsed * (100 - evidence.percent) / evidence.percent
        delay = min(left * MARGIN, max(patient * 3, min_delay * 3))
    return min(max(delay, min_delay), max_delay)

"""From the cost of a job and a turn to the size of an installation: a linear fit, and a simulation of queues."""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass

from benchmarks.scaling.costs import Sample

#: Stations, in the order in which a turn passes through them.
STATIONS = ("rabbitmq", "worker", "postgresql")


@dataclass(frozen=True)
class Cost:
    """The amount of one resource that a job uses besides its turns, and that each turn uses."""

    job: float
    turn: float

    def of(self, turns: float) -> float:
        """Return the amount for a job of that many turns."""
        return self.job + self.turn * turns


def fitted(short: Sample, long: Sample) -> dict[str, Cost]:
    """Return the cost of each resource: the line through jobs of few and of many turns."""

    def line(name: str) -> Cost:
        points = [(each.turns / each.jobs, amount(each, name) / each.jobs) for each in (short, long)]
        (few, cheap), (many, dear) = points
        turn = max((dear - cheap) / (many - few), 0.0)
        return Cost(max(cheap - turn * few, 0.0), turn)

    return {name: line(name) for name in (*STATIONS, "commits", "wal", "stored", "messages")}


def amount(sample: Sample, name: str) -> float:
    """Return the amount of one resource in a sample."""
    return sample.cpu[name] if name in sample.cpu else float(getattr(sample, name))


@dataclass(frozen=True)
class Forecast:
    """The result of a simulation: the utilisation of each station's cores, and the time of a turn in seconds."""

    busy: dict[str, float]
    turn_median: float
    turn_p99: float
    done: int


def simulate(
    costs: dict[str, Cost],
    cores: dict[str, int],
    jobs_per_second: float,
    turns: int,
    wait: float,
    seconds: float,
) -> Forecast:
    """Simulate jobs that arrive at random; each turn passes all stations, queueing for their cores, and then waits.

    Args:
        costs: CPU seconds at each station.
        cores: number of cores of each station.
        jobs_per_second: mean rate of arrival.
        turns: number of turns per job.
        wait: seconds between two turns of a job.
        seconds: how long to simulate.
    """
    chance = random.Random(1)
    means = {name: costs[name].of(turns) / turns for name in STATIONS}
    free = dict(cores)
    queues: dict[str, deque[tuple[float, int, int]]] = {name: deque() for name in STATIONS}
    busy, lengths, done, number = dict.fromkeys(STATIONS, 0.0), [], 0, 0
    # (time, tie-break, event, station, (start of the turn, turns left, 0))
    calendar: list[tuple[float, int, str, int, tuple[float, int, int]]] = [
        (chance.expovariate(jobs_per_second), 0, "arrive", 0, (0.0, turns, 0))
    ]

    def put(at: float, what: str, station: int, turn: tuple[float, int, int]) -> None:
        nonlocal number
        number += 1
        heapq.heappush(calendar, (at, number, what, station, turn))

    def enter(now: float, station: int, turn: tuple[float, int, int]) -> None:
        name = STATIONS[station]
        if not free[name]:
            queues[name].append(turn)
            return
        free[name] -= 1
        work = chance.expovariate(1 / means[name]) if means[name] else 0.0
        busy[name] += min(work, max(seconds - now, 0.0))
        put(now + work, "leave", station, turn)

    while calendar and calendar[0][0] < seconds:
        now, _, what, station, turn = heapq.heappop(calendar)
        if what == "arrive":
            put(now + chance.expovariate(jobs_per_second), "arrive", 0, turn)
            enter(now, 0, (now, turns, 0))
        elif what == "wake":
            enter(now, 0, (now, turn[1], 0))
        else:
            name = STATIONS[station]
            free[name] += 1
            if queues[name]:
                enter(now, station, queues[name].popleft())
            if station + 1 < len(STATIONS):
                enter(now, station + 1, turn)
                continue
            lengths.append(now - turn[0])
            if turn[1] > 1:
                put(now + wait, "wake", 0, (now, turn[1] - 1, 0))
            else:
                done += 1
    lengths.sort()
    median, p99 = (lengths[int(share * (len(lengths) - 1))] if lengths else 0.0 for share in (0.5, 0.99))
    shares = {name: busy[name] / (seconds * cores[name]) for name in STATIONS}
    return Forecast(shares, median, p99, done)

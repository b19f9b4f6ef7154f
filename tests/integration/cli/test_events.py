"""`kyb events tail` with the embedded broker reads the ledger."""

from __future__ import annotations

import json
import signal

from sandbox import Sandbox
from tests.support.cli import Kyb, kyb_process
from tests.support.waiting import wait_for_line

SUBMIT = ["submit", "job.cancel", "--job-id", "nowhere", "--id"]


def test_what_is_there_is_printed_and_ends(kyb: Kyb, vendors: Sandbox) -> None:
    for id in ("one", "two"):
        kyb(*SUBMIT, id)
    events = kyb("events", "tail", "--no-follow", "--json").json
    assert [event["subject"] for event in events] == ["one", "two"]
    assert {event["type"] for event in events} == {"job.cancel.accepted"}
    (mine,) = kyb("events", "tail", "--no-follow", "--json", "--job", "two").json
    assert mine["subject"] == "two"
    assert len(kyb("events", "tail", "--no-follow", "--json", "--from", "1h").json) == 2
    assert kyb("events", "tail", "--no-follow", "--json", "--from", "0").json == []
    lines = kyb("events", "tail", "--no-follow").out.splitlines()
    assert [line.split()[1:] for line in lines] == [
        ["one", "job.cancel", "accepted"],
        ["two", "job.cancel", "accepted"],
    ]


def test_ages_are_durations(kyb: Kyb, vendors: Sandbox) -> None:
    assert kyb("events", "tail", "--from", "yesterday").code == 2


def test_what_comes_is_followed_until_interrupted(kyb: Kyb, vendors: Sandbox) -> None:
    kyb(*SUBMIT, "old")
    with kyb_process("events", "tail", "--json", "--job", "new") as tail:
        kyb(*SUBMIT, "new")
        event = json.loads(wait_for_line(tail.stdout, "new"))
        assert (event["subject"], event["type"]) == ("new", "job.cancel.accepted")
        tail.send_signal(signal.SIGINT)
        assert tail.wait(10) == 0
        assert tail.stderr is not None
        assert tail.stderr.read() == ""

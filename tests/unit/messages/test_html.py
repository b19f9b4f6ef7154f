"""The pages of the AsyncAPI document: well formed, whole, and without anything from elsewhere."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from messages import examples
from messages.asyncapi import asyncapi
from messages.catalogue import COMMANDS
from messages.html import pages

DOCUMENT = asyncapi()
PAGES = pages(DOCUMENT)
VOID = {"meta"}


class Reader(HTMLParser):
    """Checks that every tag is closed, and collects what there is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_well_formed_and_needs_nothing_else(name: str) -> None:
    read = Reader(PAGES[name])

    assert "script" not in read.tags
    assert set(read.links) <= PAGES.keys()


def test_the_first_page_leads_to_every_command() -> None:
    assert {f"{type_}.html" for type_ in COMMANDS} <= set(Reader(PAGES["index.html"]).links)


@pytest.mark.parametrize("type_", COMMANDS)
def test_a_page_has_every_field_and_the_examples(type_: str) -> None:
    texts = Reader(PAGES[f"{type_}.html"]).texts

    for name, field in COMMANDS[type_].model_fields.items():
        assert field.alias or name in texts
    for name, field in COMMANDS[type_].result.model_fields.items():
        assert f"result.{field.alias or name}" in texts
    shown = [json.loads(text) for text in texts if text.startswith("{\n")]
    events = [event for name, event in examples.events().items() if name.rpartition(".")[0] == type_]
    assert shown == [examples.commands()[type_], *events]


def test_what_a_page_says_of_a_field() -> None:
    page = PAGES["data8.start_job.html"]

    assert "<td><code>inputs.*.file</code></td><td>string or null</td>" in page
    assert "exactly one of <code>file</code>, <code>dataset</code>" in page
    assert "<td><code>result.outputs.*.sha256</code></td>" in page
    hostile = json.loads(json.dumps(DOCUMENT).replace("Run a workflow", "<script>Run a workflow"))
    assert "script" not in Reader(pages(hostile)["data8.start_job.html"]).tags

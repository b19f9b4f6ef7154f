"""Sayari Graph: all 43 operations of its API reference.

with Sayari.connect("https://api.sayari.com", client_id, client_secret) as sayari:
    for page in token_pages(sayari.projects.list, limit=100):
        …
"""

from clients.sayari.client import Sayari
from clients.sayari.paging import entity_pages, history_pages, offset_pages, reference_pages, token_pages
from clients.sayari.requests import UploadEntity, UploadIdentifier, known_header

__all__ = [
    "Sayari",
    "UploadEntity",
    "UploadIdentifier",
    "entity_pages",
    "history_pages",
    "known_header",
    "offset_pages",
    "reference_pages",
    "token_pages",
]

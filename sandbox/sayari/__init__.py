"""Sayari's simulator: a small register of well-known companies to search, traverse and resolve against."""

from sandbox.sayari.server import Sayari

__all__ = ["Sayari"]

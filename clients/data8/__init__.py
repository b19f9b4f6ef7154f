"""Data8: administration of API keys and credentials, datasets, and batch cleansing jobs."""

from clients.data8.assumptions import Assumptions
from clients.data8.client import Data8
from clients.data8.models import (
    ApiKey,
    ApiKeyRef,
    ClientCredential,
    ClientSecret,
    Dataset,
    DatasetRef,
    Job,
    JobRef,
    NewClientSecret,
    Record,
    Verdict,
)

__all__ = [
    "ApiKey",
    "ApiKeyRef",
    "Assumptions",
    "ClientCredential",
    "ClientSecret",
    "Data8",
    "Dataset",
    "DatasetRef",
    "Job",
    "JobRef",
    "NewClientSecret",
    "Record",
    "Verdict",
]

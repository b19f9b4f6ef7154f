"""Every operation that the vendors document: our name for it, and its endpoint as documented.

Token calls are counted where the vendor lists them among its operations: Data8 does not. Sayari writes
`:id` for what is `{id}` here. Nine of Creditsafe's paths are documented, the others assumed.
"""

from __future__ import annotations

from typing import NamedTuple


class DocumentedOperation(NamedTuple):
    """One operation."""

    vendor: str
    name: str
    method: str
    path: str


_CREDITSAFE = """
authenticate             POST   /v1/authenticate
portfolios.create        POST   /v1/datastudio/portfolios
portfolios.get           GET    /v1/datastudio/portfolios/{portfolioId}
portfolios.list          GET    /v1/datastudio/portfolios
portfolios.update        PATCH  /v1/datastudio/portfolios/{portfolioId}
portfolios.delete        DELETE /{apiVersion}/datastudio/portfolios/{portfolioId}
records.create           POST   /v1/datastudio/portfolios/{portfolioId}/records
records.import_file      POST   /v1/datastudio/portfolios/{portfolioId}/records/import
records.list             GET    /v1/datastudio/portfolios/{portfolioId}/records
records.delete           POST   /{apiVersion}/datastudio/portfolios/{portfolioId}/records/delete
matching.start           POST   /v1/datastudio/portfolios/{portfolioId}/match
matching.status          GET    /v1/datastudio/portfolios/{portfolioId}/match/{executionId}
duplicates.identify      POST   /{apiVersion}/datastudio/portfolios/{portfolioId}/duplicates/identify
duplicates.status        GET    /{apiVersion}/datastudio/portfolios/{portfolioId}/duplicates/{executionId}
duplicates.remove        POST   /v1/datastudio/portfolios/{portfolioId}/duplicates/remove
enrichment.start         POST   /v1/datastudio/portfolios/{portfolioId}/enrich
enrichment.status        GET    /v1/datastudio/portfolios/{portfolioId}/enrich/{executionId}
"""

_DATA8 = """
api_keys.list                        GET    /ApiKey
api_keys.create                      POST   /ApiKey
api_keys.get                         GET    /ApiKey/{key}
api_keys.update                      PUT    /ApiKey/{key}
api_keys.delete                      DELETE /ApiKey/{key}
api_keys.allowed_domains.list        GET    /ApiKey/{key}/allowedDomains
api_keys.allowed_domains.add         PUT    /ApiKey/{key}/allowedDomains/{domain}
api_keys.allowed_domains.remove      DELETE /ApiKey/{key}/allowedDomains/{domain}
api_keys.allowed_ips.list            GET    /ApiKey/{key}/allowedIPs
api_keys.allowed_ips.add             POST   /ApiKey/{key}/allowedIPs
api_keys.allowed_ips.put             PUT    /ApiKey/{key}/allowedIPs/{network}/{prefix}
api_keys.allowed_ips.remove          DELETE /ApiKey/{key}/allowedIPs/{network}/{prefix}
api_keys.allowed_services.list       GET    /ApiKey/{key}/allowedServices
api_keys.allowed_services.add        PUT    /ApiKey/{key}/allowedServices/{service}
api_keys.allowed_services.remove     DELETE /ApiKey/{key}/allowedServices/{service}
client_credentials.list              GET    /ClientCredential
client_credentials.create            POST   /ClientCredential
client_credentials.get               GET    /ClientCredential/{id}
client_credentials.update            PUT    /ClientCredential/{id}
client_credentials.delete            DELETE /ClientCredential/{id}
client_credentials.secrets.list      GET    /ClientCredential/{id}/secrets
client_credentials.secrets.create    POST   /ClientCredential/{id}/secrets
client_credentials.secrets.get       GET    /ClientCredential/{id}/secrets/{secretId}
client_credentials.secrets.update    PUT    /ClientCredential/{id}/secrets/{secretId}
client_credentials.secrets.delete    DELETE /ClientCredential/{id}/secrets/{secretId}
datasets.list                        GET    /Dataset
datasets.create                      POST   /Dataset
datasets.get                         GET    /Dataset/{name}
datasets.update                      PUT    /Dataset/{name}
datasets.delete                      DELETE /Dataset/{name}
datasets.upload                      PATCH  /Dataset/{name}/data
datasets.download                    GET    /Dataset/{name}/data
jobs.list                            GET    /Job
jobs.create                          POST   /Job
jobs.get                             GET    /Job/{name}
"""

_SAYARI = """
auth.token                                  POST   /oauth/token
entities.get                                GET    /v1/entity/{id}
entities.summary                            GET    /v1/entity_summary/{id}
traversals.traverse                         GET    /v1/traversal/{id}
traversals.ubo                              GET    /v1/ubo/{id}
traversals.downstream                       GET    /v1/downstream/{id}
traversals.watchlist                        GET    /v1/watchlist/{id}
traversals.shortest_path                    GET    /v1/shortest_path
records.get                                 GET    /v1/record/{id}
search.entities                             GET    /v1/search/entity
search.entities_post                        POST   /v1/search/entity
search.records                              GET    /v1/search/record
search.records_post                         POST   /v1/search/record
sources.get                                 GET    /v1/source/{id}
sources.list                                GET    /v1/sources
projects.create                             POST   /v1/projects
projects.list                               GET    /v1/projects
projects.get                                GET    /v1/project/{id}
projects.contents                           GET    /v1/project/{id}/contents
projects.update                             PATCH  /v1/project/{id}
projects.delete                             DELETE /v1/projects/{id}
projects.entities                           GET    /v1/project/{id}/entity
projects.records                            GET    /v1/project/{id}/record
projects.resources                          GET    /v1/project/{id}/resource
resources.create                            POST   /v1/resource
resources.get                               GET    /v1/resource/{id}
resources.update                            PATCH  /v1/resource/{id}
resources.delete                            DELETE /v1/resource/{id}
projects.change_notifications.list          GET    /v1/project/{id}/change_notifications
resources.change_notifications.list         GET    /v1/resource/{id}/change_notifications
resources.change_notifications.count        GET    /v1/resource/{id}/change_notifications/count
projects.change_notifications.delete        DELETE /v1/project/{id}/change_notifications
resources.change_notifications.delete       DELETE /v1/resource/{id}/change_notifications
projects.resolutions.upload                 POST   /v1/project/{id}/resolutions
projects.resolutions.progress               GET    /v1/project/{id}/resolutions/progress
projects.resolutions.resolved               GET    /v1/project/{id}/resolutions/resolved
projects.resolutions.unresolved             GET    /v1/project/{id}/resolutions/unresolved
projects.resolutions.delete_resolved        DELETE /v1/project/{id}/resolutions/resolved/{resolutionId}
projects.resolutions.delete_unresolved      DELETE /v1/project/{id}/resolutions/unresolved/{resolutionId}
projects.resolutions.delete_all_resolved    DELETE /v1/project/{id}/resolutions/resolved
projects.resolutions.delete_all_unresolved  DELETE /v1/project/{id}/resolutions/unresolved
usage                                       GET    /usage
history                                     GET    /history
"""

OPERATIONS: list[DocumentedOperation] = [
    DocumentedOperation(vendor, *line.split())
    for vendor, table in (("creditsafe", _CREDITSAFE), ("data8", _DATA8), ("sayari", _SAYARI))
    for line in table.strip().splitlines()
]

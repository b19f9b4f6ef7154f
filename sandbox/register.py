"""A small register of real companies, as a vendor's own database: public names, invented Safe Numbers.

The names, towns and countries are public knowledge; the numbers open nothing and mean nothing elsewhere.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple


class Company(NamedTuple):
    """A company of the register; `country` is its ISO 3166-1 alpha-2 code."""

    safe_number: str
    name: str
    town: str
    country: str


#: How a country may be written: alpha-2, alpha-3, English names.
COUNTRIES: dict[str, tuple[str, ...]] = {
    "BE": ("BEL", "Belgium"),
    "CH": ("CHE", "Switzerland"),
    "DE": ("DEU", "Germany"),
    "DK": ("DNK", "Denmark"),
    "ES": ("ESP", "Spain"),
    "FI": ("FIN", "Finland"),
    "FR": ("FRA", "France"),
    "GB": ("GBR", "United Kingdom", "Great Britain", "UK", "England", "Scotland", "Wales"),
    "IE": ("IRL", "Ireland"),
    "IT": ("ITA", "Italy"),
    "JP": ("JPN", "Japan"),
    "KR": ("KOR", "South Korea", "Korea"),
    "LU": ("LUX", "Luxembourg"),
    "NL": ("NLD", "Netherlands", "The Netherlands"),
    "NO": ("NOR", "Norway"),
    "SE": ("SWE", "Sweden"),
    "US": ("USA", "United States", "United States of America"),
}

_COMPANIES = """
AB InBev SA/NV|Leuven|BE
ABB Ltd|Zurich|CH
Adidas AG|Herzogenaurach|DE
Airbus SE|Leiden|NL
Allianz SE|Munich|DE
Amazon.com, Inc.|Seattle|US
Apple Inc.|Cupertino|US
A.P. Møller - Mærsk A/S|Copenhagen|DK
ArcelorMittal S.A.|Luxembourg|LU
ASML Holding N.V.|Veldhoven|NL
AstraZeneca PLC|Cambridge|GB
Banco Santander, S.A.|Santander|ES
Barclays PLC|London|GB
BASF SE|Ludwigshafen am Rhein|DE
Bayerische Motoren Werke Aktiengesellschaft|Munich|DE
BNP Paribas S.A.|Paris|FR
BP p.l.c.|London|GB
BT Group plc|London|GB
Carrefour S.A.|Massy|FR
Cisco Systems, Inc.|San Jose|US
CRH public limited company|Dublin|IE
Danone S.A.|Paris|FR
Deutsche Bank Aktiengesellschaft|Frankfurt am Main|DE
Deutsche Telekom AG|Bonn|DE
Diageo plc|London|GB
Enel S.p.A.|Rome|IT
Eni S.p.A.|Rome|IT
Equinor ASA|Stavanger|NO
Ferrari N.V.|Amsterdam|NL
GSK plc|London|GB
H & M Hennes & Mauritz AB|Stockholm|SE
Heineken N.V.|Amsterdam|NL
HSBC Holdings plc|London|GB
Iberdrola, S.A.|Bilbao|ES
Industria de Diseño Textil, S.A.|Arteixo|ES
ING Groep N.V.|Amsterdam|NL
J Sainsbury plc|London|GB
Kerry Group public limited company|Tralee|IE
Koninklijke Philips N.V.|Amsterdam|NL
Kone Oyj|Espoo|FI
L'Oréal S.A.|Clichy|FR
LVMH Moët Hennessy Louis Vuitton SE|Paris|FR
Marks and Spencer Group plc|London|GB
Mercedes-Benz Group AG|Stuttgart|DE
Microsoft Corporation|Redmond|US
Nestlé S.A.|Vevey|CH
Nokia Oyj|Espoo|FI
Novartis AG|Basel|CH
Novo Nordisk A/S|Bagsværd|DK
Orange S.A.|Issy-les-Moulineaux|FR
Renault S.A.|Boulogne-Billancourt|FR
Rolls-Royce Holdings plc|London|GB
Ryanair Holdings public limited company|Swords|IE
Samsung Electronics Co., Ltd.|Suwon|KR
SAP SE|Walldorf|DE
Shell plc|London|GB
Siemens Aktiengesellschaft|Munich|DE
Sony Group Corporation|Tokyo|JP
Telefónica, S.A.|Madrid|ES
Telefonaktiebolaget LM Ericsson|Stockholm|SE
Tesco PLC|Welwyn Garden City|GB
TotalEnergies SE|Courbevoie|FR
Toyota Motor Corporation|Toyota|JP
Unilever PLC|London|GB
Vodafone Group Public Limited Company|Newbury|GB
Volkswagen Aktiengesellschaft|Wolfsburg|DE
Aktiebolaget Volvo|Gothenburg|SE
""".strip()

_FORMS = {
    *("ab", "ag", "aktiebolaget", "aktiengesellschaft", "as", "asa", "co", "company", "corp", "corporation"),
    *("gmbh", "inc", "incorporated", "limited", "llc", "ltd", "nv", "oyj", "plc", "public", "sa", "sanv"),
    *("se", "spa"),
}
_LETTERS = str.maketrans(
    {"ø": "o", "æ": "ae", "ß": "ss", "ł": "l", "&": " and ", ".": "", "'": "", "\u2019": "", "/": ""}
)


def normalised(name: str) -> str:
    """A company's name for comparison: no case, accents, punctuation or legal form."""
    # Decomposed on both sides of the folding: some letters have a case only once they are taken apart.
    folded = unicodedata.normalize("NFKD", name).casefold()
    plain = unicodedata.normalize("NFKD", folded.translate(_LETTERS))
    words = re.findall(r"[^\W_]+", "".join(c for c in plain if not unicodedata.combining(c)))
    return " ".join(word for word in words if word not in _FORMS) or " ".join(words)


def country_code(country: str) -> str:
    """The alpha-2 code of a country, however it is written; what is not known, in capitals as it is."""
    return _CODES.get(country.strip().casefold(), country.strip().upper())


def find(name: str, country: str = "") -> Company | None:
    """The company of that name, unless a country is given and it is another."""
    company = _BY_NAME.get(normalised(name))
    if company is None or (country.strip() and country_code(country) != company.country):
        return None
    return company


COMPANIES: tuple[Company, ...] = tuple(
    Company(f"{country}{number:08d}", name, town, country)
    for number, (name, town, country) in enumerate(
        (line.split("|") for line in _COMPANIES.splitlines()), start=10_000_001
    )
)
_BY_NAME = {normalised(company.name): company for company in COMPANIES}
BY_SAFE_NUMBER: dict[str, Company] = {company.safe_number: company for company in COMPANIES}
_CODES = {form.casefold(): code for code, forms in COUNTRIES.items() for form in (code, *forms)}

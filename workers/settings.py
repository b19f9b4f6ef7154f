"""Settings: environment variables `KYB_…` (`__` nests), `.env`, and files in `KYB_SECRETS_DIR` (`/run/secrets`).

`docs/reference/settings.md` explains each setting. A worker does not serve vendors without settings.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as ParseError

from workers.credentials import secrets_folder
from workers.redaction import REDACTOR, secrets_in

_UNIT_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_SPAN_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0}


def parse_duration(value: object) -> object:
    """Return `30`, `30s`, `5m`, `24h` or `7d` in seconds; other types unchanged."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)\s*", value)
    if match is None:
        msg = "must be seconds, or a number with s, m, h or d behind it"
        raise ValueError(msg)
    return float(match[1]) * _UNIT_SECONDS[match[2]]


class Rate(BaseModel):
    """A rate limit: at most `calls` in any window of `seconds`; written `200/minute` or `15/10s`."""

    model_config = ConfigDict(frozen=True)

    calls: int = Field(gt=0)
    seconds: float = Field(gt=0)


def parse_rate(value: object) -> object:
    """Return `N/second`, `N/minute` or `N/10s` as a `Rate`; other types unchanged."""
    if not isinstance(value, str):
        return value
    calls, slash, span = value.replace(" ", "").partition("/")
    if not slash or not calls.isdigit():
        msg = "must look like 200/minute or 15/10s"
        raise ValueError(msg)
    return Rate(calls=int(calls), seconds=_SPAN_SECONDS.get(span) or float(str(parse_duration(span))))


Duration = Annotated[float, BeforeValidator(parse_duration), Field(ge=0)]
CallRate = Annotated[Rate, BeforeValidator(parse_rate)]


def _strip_slash(url: str) -> str:
    return url.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_strip_slash), Field(pattern=r"^https?://[^/]+")]


class VendorSettings(BaseModel):
    """Settings that every vendor has."""

    model_config = ConfigDict(extra="forbid")

    timeout: Duration = 30.0
    concurrency: int = Field(default=8, gt=0)
    rate: CallRate | None = None


class CreditsafeSettings(VendorSettings):
    """Creditsafe DataStudio."""

    base_url: BaseUrl = "https://connect.creditsafe.com"
    username: str
    password: SecretStr


def parse_codes(value: object) -> object:
    """Return `2`, `2,5` or `Finished` as a set of codes, of integers where possible."""
    if not isinstance(value, (str, int)):
        return value
    words = [word.strip() for word in str(value).split(",") if word.strip()]
    return {int(word) if re.fullmatch("-?[0-9]+", word) else word for word in words}


Codes = Annotated[frozenset[int | str] | None, BeforeValidator(parse_codes)]


class Data8Assumptions(BaseModel):
    """Overrides of the assumptions about what Data8 does not document, see `clients.data8.Assumptions`."""

    model_config = ConfigDict(extra="forbid")

    complete: Codes = None
    failed: Codes = None
    text: int | None = None
    whole_number: int | None = None
    include_input: str | None = None
    include_output: str | None = None
    count: str | None = None
    token_lifetime: Annotated[float | None, BeforeValidator(parse_duration), Field(gt=0)] = None


class Data8Settings(VendorSettings):
    """Data8 batch cleansing and administration."""

    base_url: BaseUrl = "https://api.data-8.co.uk"
    token_url: BaseUrl = "https://auth.data-8.co.uk/connect/token"  # noqa: S105 - an address
    client_id: str
    client_secret: SecretStr
    basic_auth: bool = False
    assumptions: Data8Assumptions = Data8Assumptions()


class SayariSettings(VendorSettings):
    """Sayari Graph. `rate_advanced` is for search, traversals and shortest path."""

    base_url: BaseUrl = "https://api.sayari.com"
    client_id: str
    client_secret: SecretStr
    rate: CallRate | None = Rate(calls=200, seconds=60)
    rate_advanced: CallRate | None = Rate(calls=15, seconds=10)


class S3Settings(BaseModel):
    """Access to S3; unset values come from botocore's usual sources."""

    model_config = ConfigDict(extra="forbid")

    key: str | None = None
    secret: SecretStr | None = None
    endpoint_url: BaseUrl | None = None
    region: str | None = None

    @model_validator(mode="after")
    def _key_with_secret(self) -> S3Settings:
        if (self.key is None) != (self.secret is None):
            msg = "__KEY and __SECRET must be set both, or neither"
            raise ValueError(msg)
        return self


class SftpSettings(BaseModel):
    """Access to SFTP servers. The password also decrypts the private key."""

    model_config = ConfigDict(extra="forbid")

    username: str | None = None
    password: SecretStr | None = None
    private_key: Path | None = None
    known_hosts: Path | None = None


class HttpsSettings(BaseModel):
    """Private addresses that inputs may be read from: `10.1.0.0/16, 192.168.7.4`."""

    model_config = ConfigDict(extra="forbid")

    networks: str = ""


class StorageSettings(BaseModel):
    """Allowed input roots, and the folder of results."""

    model_config = ConfigDict(extra="forbid")

    inputs: str = "./"
    results: str = "./results"
    s3: S3Settings = S3Settings()
    sftp: SftpSettings = SftpSettings()
    https: HttpsSettings = HttpsSettings()

    def roots(self) -> list[str]:
        """Return the allowed input roots."""
        return [root.strip() for root in self.inputs.split(",") if root.strip()]


class PollingSettings(BaseModel):
    """Limits of polling, and the deadline of jobs."""

    model_config = ConfigDict(extra="forbid")

    min_delay: Duration = 1.0
    max_delay: Duration = 300.0
    deadline: Duration = 86_400.0
    stall: Duration = 3_600.0


class WorkerSettings(BaseModel):
    """Threads, processes and time limits of a worker."""

    model_config = ConfigDict(extra="forbid")

    threads: int = Field(default=8, gt=0)
    processes: int = Field(default=1, gt=0)
    turn: Duration = 15.0
    shutdown_grace: Duration = 30.0


class HttpSettings(BaseModel):
    """Host and port of the probes."""

    model_config = ConfigDict(extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=9191, ge=0, le=65_535)


class LogSettings(BaseModel):
    """Format and level of logs; the default format is `console` on a terminal and `json` elsewhere."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["console", "json"] | None = None
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(BaseSettings):
    """All settings of a process. Printed secrets show as stars."""

    model_config = SettingsConfigDict(
        env_prefix="KYB_",
        env_nested_delimiter="__",
        env_file=".env",
        extra="ignore",
        nested_model_default_partial_update=True,
    )

    broker_url: SecretStr = SecretStr("memory://")
    ledger_url: SecretStr = SecretStr("sqlite:///kyb.db")
    creditsafe: CreditsafeSettings | None = None
    data8: Data8Settings | None = None
    sayari: SayariSettings | None = None
    storage: StorageSettings = StorageSettings()
    polling: PollingSettings = PollingSettings()
    worker: WorkerSettings = WorkerSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - as pydantic calls it
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources by precedence: the environment, `.env`, secret files."""
        secret_files = NestedSecretsSettingsSource(
            file_secret_settings, secrets_folder(), secrets_dir_missing="ok"
        )
        return init_settings, env_settings, dotenv_settings, secret_files

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, url: SecretStr) -> SecretStr:
        if not re.match(r"memory://$|amqps?://", url.get_secret_value()):
            msg = "must be memory://, amqp://… or amqps://…"
            raise ValueError(msg)
        return url

    @field_validator("ledger_url")
    @classmethod
    def _known_ledger(cls, url: SecretStr) -> SecretStr:
        if not re.match(r"sqlite:///.|postgres(ql)?://", url.get_secret_value()):
            msg = "must be sqlite:///PATH or postgresql://…"
            raise ValueError(msg)
        return url

    @property
    def embedded(self) -> bool:
        """Whether the embedded broker is used."""
        return self.broker_url.get_secret_value() == "memory://"


class SettingsError(Exception):
    """The settings are invalid. The message names each variable and its problem, never its value."""


def load(**overrides: Any) -> Settings:
    """Load the settings and redact their secrets in logs from now on. Raises `SettingsError`."""
    try:
        settings = Settings(**overrides)
    except ParseError as error:
        raise SettingsError(f"{error}: several settings in one variable are a JSON object") from None
    except ValidationError as error:
        lines = [
            f"KYB_{'__'.join(str(part).upper() for part in e['loc'])}: {e['msg']}"
            for e in error.errors(include_input=False, include_url=False)
        ]
        raise SettingsError("\n".join(lines)) from None
    REDACTOR.learn(*secrets_in(settings))
    return settings

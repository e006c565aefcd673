"""What can be set from outside: the only reader of the environment, with bounds and units.

It opens no connection and starts nothing. Every other room is handed the values it needs.
"""

from __future__ import annotations

import base64
import binascii
import json
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from secret_files import SecretFiles

DEMO_SECRET = "endcap-demo-secret-that-is-no-secret"  # noqa: S105  refused outside the demo
DEMO_PAYLOAD_KEYS = "demo:" + base64.b64encode(b"endcap-demo-payload-key-is-open!").decode()
PAYLOAD_KEY_BYTES = 32
CDN = "https://cdn.jsdelivr.net/npm"


class PriceChannel(BaseModel):
    """How prices reach a channel: `http` needs `url` and `key`, `csv` the folder that both sides share; `sandbox` shows
    to itself what it is told.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: Literal["sandbox", "http", "csv"]
    url: str | None = None
    key: SecretStr | None = None
    folder: Path | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        needed: dict[str, tuple[str, ...]] = {"http": ("url", "key"), "csv": ("folder",), "sandbox": ()}
        for name in ("url", "key", "folder"):
            if (getattr(self, name) is None) == (name in needed[self.kind]):
                raise ValueError(f"kind {self.kind} {'needs' if name in needed[self.kind] else 'has no'} {name}")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("url must begin with http:// or https://")
        return self


ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class LocalSettings(BaseSettings):
    """What a command beside a running stack needs: no secret, which it finds in the state folder instead."""

    model_config = SettingsConfigDict(
        env_prefix="ENDCAP_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
        validate_default=True,
        frozen=True,
        hide_input_in_errors=True,  # an error must not print a secret
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given first counts: arguments, the environment, files it names, `.env`, the state folder."""
        return init_settings, env_settings, SecretFiles(settings_cls), dotenv_settings, file_secret_settings

    home: Path = Path(".endcap")
    database_url: str | None = Field(default=None, validation_alias=AliasChoices("DATABASE_URL", "ENDCAP_DATABASE_URL"))
    demo_speed: float = Field(default=60.0, gt=0, le=100_000)
    demo_seed: int = Field(default=7, ge=0)
    # Where prices of promotions are published: channel → how it is reached
    price_channels: Annotated[dict[ChannelName, PriceChannel], NoDecode] = {
        "web": PriceChannel(kind="sandbox"),
        "pos": PriceChannel(kind="sandbox"),
    }

    @field_validator("price_channels", mode="before")
    @classmethod
    def _channels_can_be_read(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError("must be JSON: channel name to kind, url, key or folder") from error

    @field_validator("database_url")
    @classmethod
    def _postgresql_only(cls, value: str | None) -> str | None:
        if value is None or value == "":
            return None
        scheme, separator, rest = value.partition("://")
        if not separator or scheme not in {"postgresql", "postgres", "postgresql+asyncpg"}:
            raise ValueError("must be a PostgreSQL address: postgresql://user:password@host:port/database")
        return f"postgresql://{rest}"


class Settings(LocalSettings):
    """Settings of one Endcap process, read from `ENDCAP_*`, `DATABASE_URL`, `TEMPORAL_ADDRESS` and `.env`.

    Raises `pydantic.ValidationError` naming each value that is out of bounds. `demo` is off by default: whoever
    runs Endcap for real must give `secret` and `payload_keys`; `endcap up` makes its own (see `EmbeddedSettings`).
    """

    # Where things are
    host: str = "127.0.0.1"
    port: int = Field(default=8400, ge=1, le=65535)
    public_url: str | None = None
    database_pool_size: int = Field(default=10, ge=1, le=200)
    database_timeout_s: float = Field(default=30.0, ge=1, le=600)
    temporal_address: str | None = Field(
        default=None, validation_alias=AliasChoices("TEMPORAL_ADDRESS", "ENDCAP_TEMPORAL_ADDRESS")
    )
    temporal_namespace: str = "endcap"
    temporal_ui_url: str | None = None  # where Temporal's own pages are; cases and journeys link to them for who may
    task_queue: str = "endcap"

    # Mail
    smtp_host: str | None = None
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_tls: Literal["none", "starttls", "tls"] = "starttls"
    smtp_from: str = "Endcap <endcap@localhost>"

    # Payments
    payment_provider: Literal["sandbox", "http"] = "sandbox"
    payment_url: str | None = None
    payment_key: SecretStr | None = None

    # Carriers that are asked where parcels are; without an address none is, and their news comes by event alone.
    tracking_url: str | None = None
    tracking_key: SecretStr | None = None
    tracking_every_s: int = Field(default=1800, ge=60, le=86_400)

    # Photos of what came back
    photo_store: Literal["folder", "s3"] = "folder"
    photo_folder: Path | None = None  # `photos` in the state folder when left out
    photo_url: str | None = None
    photo_bucket: str | None = None
    photo_region: str = "us-east-1"
    photo_key_id: str | None = None
    photo_key: SecretStr | None = None
    photo_max_bytes: int = Field(default=8_000_000, ge=10_000, le=50_000_000)

    # Webhooks
    webhook_allow_local: bool = False  # for development: http, and endpoints on this machine

    # Single sign-on
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_name: str = Field(default="single sign-on", min_length=1, max_length=60)  # what people call the provider
    oidc_algorithm: Literal["RS256", "PS256", "ES256"] = "RS256"
    oidc_session_hours: int = Field(default=12, ge=1, le=12)  # how long a session lasts that it has begun
    oidc_networks: str = ""  # networks of ours in which the provider may lie: 10.20.0.0/16,127.0.0.0/8
    local_sign_in: Literal["everybody", "admins"] = "everybody"

    # Secrets of our own
    secret: SecretStr = SecretStr(DEMO_SECRET)
    payload_keys: SecretStr = SecretStr(DEMO_PAYLOAD_KEYS)

    # Demo
    demo: bool = False
    mailbox_url: str | None = None  # where the demo's mails can be read; pages of the demo link to it

    # Customers are forgotten so many days after all they had was over; 0 keeps them.
    customers_kept_days: int = Field(default=0, ge=0, le=36_500)

    # Behaviour of the processes
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"
    otlp_endpoint: str | None = None  # http(s)://host:4318 of an OpenTelemetry collector
    trace_share: float = Field(default=1.0, ge=0, le=1)
    asset_base: str = CDN
    sticky_queue_schedule_to_start_timeout_s: float = Field(default=3.0, ge=0.5, le=60)
    worker_relay: bool = True
    graceful_shutdown_timeout_s: float = Field(default=10.0, ge=0, le=600)
    max_body_bytes: int = Field(default=2_000_000, ge=1_000, le=50_000_000)
    api_requests_per_minute: int = Field(default=60_000, ge=1, le=100_000_000)

    # The embedded servers of `endcap up`
    temporal_sqlite_synchronous: Literal["full", "normal"] = "full"
    postgres_max_connections: int = Field(default=200, ge=20, le=2_000)

    @field_validator(
        "public_url",
        "asset_base",
        "payment_url",
        "mailbox_url",
        "temporal_ui_url",
        "photo_url",
        "tracking_url",
    )
    @classmethod
    def _http_without_trailing_slash(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None or value == "":
            return None
        if not value.startswith(("http://", "https://")):
            raise ValueError(f"{info.field_name} must begin with http:// or https://")
        return value.rstrip("/")

    @field_validator("temporal_address", "smtp_host", "smtp_user")
    @classmethod
    def _empty_is_unset(cls, value: str | None) -> str | None:
        return value or None

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer_is_an_address(cls, value: str | None) -> str | None:
        """As the provider writes it, to the letter: with or without a slash at its end."""
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("oidc_issuer must begin with https://, or with http:// on this machine")
        return value or None

    @field_validator("oidc_networks")
    @classmethod
    def _networks_can_be_read(cls, value: str) -> str:
        parse_networks(value)
        return value

    @field_validator("payload_keys")
    @classmethod
    def _keys_can_be_read(cls, value: SecretStr) -> SecretStr:
        parse_payload_keys(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _secrets_are_real_outside_the_demo(self) -> Self:
        if self.demo:
            return self
        if self.secret.get_secret_value() == DEMO_SECRET:
            raise ValueError("ENDCAP_SECRET must be set (32 characters or more): the demo's secret is known to all")
        if len(self.secret.get_secret_value()) < 32:
            raise ValueError("ENDCAP_SECRET must have 32 characters or more")
        if self.payload_keys.get_secret_value() == DEMO_PAYLOAD_KEYS:
            raise ValueError(
                "ENDCAP_PAYLOAD_KEYS must be set (name:base64 of 32 bytes): the demo's key is known to all"
            )
        return self

    @model_validator(mode="after")
    def _carriers_have_an_address_and_a_key(self) -> Self:
        if (self.tracking_url is None) != (self.tracking_key is None):
            raise ValueError("ENDCAP_TRACKING_URL and ENDCAP_TRACKING_KEY belong together: give both or neither")
        return self

    @model_validator(mode="after")
    def _single_sign_on_is_whole(self) -> Self:
        if (self.oidc_issuer is None) != (self.oidc_client_id is None):
            raise ValueError("ENDCAP_OIDC_ISSUER and ENDCAP_OIDC_CLIENT_ID belong together: give both or neither")
        if self.local_sign_in == "admins" and self.oidc_issuer is None:
            raise ValueError("ENDCAP_LOCAL_SIGN_IN=admins needs ENDCAP_OIDC_ISSUER: nobody else could sign in")
        return self

    @model_validator(mode="after")
    def _http_payments_have_an_address(self) -> Self:
        if self.payment_provider == "http" and (self.payment_url is None or self.payment_key is None):
            raise ValueError("ENDCAP_PAYMENT_PROVIDER=http needs ENDCAP_PAYMENT_URL and ENDCAP_PAYMENT_KEY")
        return self

    @model_validator(mode="after")
    def _a_bucket_has_an_address(self) -> Self:
        if self.photo_store == "s3" and not (
            self.photo_url and self.photo_bucket and self.photo_key_id and self.photo_key
        ):
            raise ValueError(
                "ENDCAP_PHOTO_STORE=s3 needs ENDCAP_PHOTO_URL, ENDCAP_PHOTO_BUCKET, ENDCAP_PHOTO_KEY_ID and "
                "ENDCAP_PHOTO_KEY"
            )
        return self

    @property
    def base_url(self) -> str:
        """The address people and mails use, without a trailing slash."""
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def oidc_network_list(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks of ours in which the provider of single sign-on may lie."""
        return parse_networks(self.oidc_networks)

    @property
    def sqlalchemy_url(self) -> str:
        """`database_url` for SQLAlchemy's asyncpg dialect. Raises ValueError when no database is set."""
        return sqlalchemy_url(self.require_database_url())

    def require_database_url(self) -> str:
        """`postgresql://…`; raises ValueError with the name of the setting when it is missing."""
        if self.database_url is None:
            raise ValueError("DATABASE_URL is not set: postgresql://user:password@host:port/database")
        return self.database_url

    @field_validator("otlp_endpoint")
    @classmethod
    def _collector_is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://: the address of an OpenTelemetry collector")
        return value

    def require_temporal_address(self) -> str:
        """`host:port`; raises ValueError with the name of the setting when it is missing."""
        if self.temporal_address is None:
            raise ValueError("TEMPORAL_ADDRESS is not set: host:port of a Temporal server")
        return self.temporal_address

    @property
    def payload_keyring(self) -> dict[str, bytes]:
        """Keys of the payload codec by name, 32 bytes each. The first one encrypts; all of them decrypt."""
        return parse_payload_keys(self.payload_keys.get_secret_value())


class EmbeddedSettings(Settings):
    """Settings of `endcap up`: the demo is on unless `ENDCAP_DEMO=off`, and secrets come from files it made itself."""

    demo: bool = True


def read_settings() -> Settings:
    """Settings of a server process (web, worker, migrate)."""
    return Settings()


def read_home() -> Path:
    """The state folder, absolute; nothing is created."""
    return LocalSettings().home.expanduser().absolute()


def read_embedded_settings(secrets_dir: Path) -> EmbeddedSettings:
    """Settings of the one-command stack; `secrets_dir` holds `endcap_secret` and `endcap_payload_keys`."""
    return EmbeddedSettings(_secrets_dir=secrets_dir)


def sqlalchemy_url(database_url: str) -> str:
    """`postgresql://…` → `postgresql+asyncpg://…`."""
    return "postgresql+asyncpg://" + database_url.partition("://")[2]


def parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read `10.20.0.0/16,fd00::/8`. Raises ValueError for what is no network."""
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError("networks are written 10.20.0.0/16, separated by commas") from error


def parse_payload_keys(text: str) -> dict[str, bytes]:
    """Read `name:base64,name:base64`. Raises ValueError where a key is not 32 bytes or a name comes twice."""
    keys: dict[str, bytes] = {}
    for part in text.split(","):
        name, separator, encoded = part.strip().partition(":")
        if not separator or not name:
            raise ValueError("payload keys are written name:base64, separated by commas")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise ValueError(f"payload key {name} is not base64") from error
        if len(key) != PAYLOAD_KEY_BYTES:
            raise ValueError(f"payload key {name} must be {PAYLOAD_KEY_BYTES} bytes long")
        if name in keys:
            raise ValueError(f"payload key {name} is given twice")
        keys[name] = key
    return keys

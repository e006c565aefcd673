"""Settings: what is read, what is refused, and that `.env.example` knows every one of them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from embedded.home import make_secrets
from settings import DEMO_SECRET, EmbeddedSettings, Settings, parse_payload_keys, read_embedded_settings, read_home

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
GOOD_KEY = base64.b64encode(b"k" * 32).decode()
REAL: dict[str, Any] = {"secret": "s" * 32, "payload_keys": f"k1:{GOOD_KEY}"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no `.env` of whoever runs the tests."""
    for name in variable_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def variable_names() -> dict[str, str]:
    """Each variable of the environment with the field it sets."""
    special = {"database_url": "DATABASE_URL", "temporal_address": "TEMPORAL_ADDRESS"}
    return {special.get(name, f"ENDCAP_{name.upper()}"): name for name in Settings.model_fields}


def example() -> dict[str, str]:
    """The lines of `.env.example`."""
    lines = [line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def made(**values: Any) -> Settings:
    """Settings of an Endcap that is no demo, as if `values` had been read from the environment."""
    return Settings(**(REAL | values))


class TestExample:
    def test_it_lists_every_setting_and_no_other(self) -> None:
        assert set(example()) == set(variable_names())

    def test_its_values_are_the_defaults(self) -> None:
        defaults = Settings(**REAL)
        for variable, text in example().items():
            field = variable_names()[variable]
            if text and field not in REAL:
                assert getattr(Settings(**(REAL | {field: text})), field) == getattr(defaults, field), variable


class TestReading:
    def test_plain_names_and_prefixed_names_are_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgres://u:p@db:5432/x")
        monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal:7233")
        monkeypatch.setenv("ENDCAP_PORT", "9000")
        found = Settings(**REAL)
        assert found.database_url == "postgresql://u:p@db:5432/x"
        assert found.sqlalchemy_url == "postgresql+asyncpg://u:p@db:5432/x"
        assert (found.require_temporal_address(), found.port) == ("temporal:7233", 9000)

    def test_the_home_is_absolute_and_not_created(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("ENDCAP_HOME", "state")
        assert read_home() == tmp_path / "state"
        assert not (tmp_path / "state").exists()

    def test_the_embedded_stack_reads_the_secrets_it_made(self, tmp_path: Path) -> None:
        make_secrets(tmp_path / "secrets")
        found = read_embedded_settings(tmp_path / "secrets")
        assert found.demo
        assert found.secret.get_secret_value() == (tmp_path / "secrets" / "endcap_secret").read_text()
        assert list(found.payload_keyring) == ["k1"]

    def test_the_environment_beats_the_secrets_it_made(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        make_secrets(tmp_path / "secrets")
        monkeypatch.setenv("ENDCAP_SECRET", "e" * 40)
        assert read_embedded_settings(tmp_path / "secrets").secret.get_secret_value() == "e" * 40

    def test_an_empty_value_counts_as_unset(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ENDCAP_SECRET", "")
        monkeypatch.setenv("DATABASE_URL", "")
        with pytest.raises(ValidationError, match="ENDCAP_SECRET must be set"):
            Settings()
        assert Settings(**REAL).database_url is None

    def test_no_secret_is_printed(self) -> None:
        found = made(payment_key="pay-key", smtp_password="mail-password")
        for secret in ("s" * 32, GOOD_KEY, "pay-key", "mail-password"):
            assert secret not in repr(found)

    @pytest.mark.parametrize(("text", "expected"), [("on", True), ("off", False)])
    def test_the_demo_is_switched_by_on_and_off(
        self, monkeypatch: pytest.MonkeyPatch, text: str, expected: bool
    ) -> None:
        monkeypatch.setenv("ENDCAP_DEMO", text)
        assert EmbeddedSettings(**REAL).demo is expected


class TestSecretsByFile:
    @pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
    def test_each_secret_may_stand_in_a_file(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ending: str
    ) -> None:
        given = {
            "ENDCAP_SECRET": "f" * 40,
            "ENDCAP_PAYLOAD_KEYS": f"k1:{GOOD_KEY}",
            "ENDCAP_OIDC_CLIENT_SECRET": "of the provider",
            "ENDCAP_SMTP_PASSWORD": "of the mail",
            "DATABASE_URL": "postgresql://u:p@db/x",
        }
        for name, value in given.items():
            (tmp_path / name).write_bytes((value + ending).encode())
            monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
        found = Settings()
        assert found.secret.get_secret_value() == "f" * 40
        assert list(found.payload_keyring) == ["k1"]
        assert found.oidc_client_secret is not None
        assert found.oidc_client_secret.get_secret_value() == "of the provider"
        assert found.smtp_password is not None
        assert found.smtp_password.get_secret_value() == "of the mail"
        assert found.database_url == "postgresql://u:p@db/x"

    def test_a_secret_given_twice(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "s").write_text("f" * 40)
        monkeypatch.setenv("ENDCAP_SECRET", "e" * 40)
        monkeypatch.setenv("ENDCAP_SECRET_FILE", str(tmp_path / "s"))
        with pytest.raises(ValidationError, match=r"ENDCAP_SECRET_FILE\n.*is given as well"):
            Settings(payload_keys=SecretStr(f"k1:{GOOD_KEY}"))

    @pytest.mark.parametrize("what", ["missing", "folder", "bytes"])
    def test_a_file_that_cannot_be_read_is_named_and_never_shown(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
    ) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "bytes").write_bytes(b"secret\xff\xfe")
        monkeypatch.setenv("ENDCAP_SECRET_FILE", str(tmp_path / what))
        with pytest.raises(ValidationError, match="cannot be read") as refused:
            Settings(payload_keys=SecretStr(f"k1:{GOOD_KEY}"))
        assert "ENDCAP_SECRET_FILE" in str(refused.value)
        assert "xff" not in str(refused.value)

    def test_what_is_no_secret_is_not_read_from_files(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "p").write_text("9000")
        monkeypatch.setenv("ENDCAP_PORT_FILE", str(tmp_path / "p"))
        assert made().port == 8400

    def test_a_short_secret_in_a_file_is_refused_as_well(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "s").write_text("too-short-to-be-good")
        monkeypatch.setenv("ENDCAP_SECRET_FILE", str(tmp_path / "s"))
        with pytest.raises(ValidationError, match="32 characters") as refused:
            Settings(payload_keys=SecretStr(f"k1:{GOOD_KEY}"))
        assert "too-short-to-be-good" not in str(refused.value)


class TestRefusing:
    def test_the_demo_secret_outside_the_demo(self) -> None:
        with pytest.raises(ValidationError, match="ENDCAP_SECRET must be set"):
            Settings()

    def test_the_demo_payload_key_outside_the_demo(self) -> None:
        with pytest.raises(ValidationError, match="ENDCAP_PAYLOAD_KEYS must be set"):
            Settings(secret=SecretStr("s" * 32))

    def test_a_short_secret(self) -> None:
        with pytest.raises(ValidationError, match="32 characters"):
            Settings(**(REAL | {"secret": "short"}))

    def test_an_error_does_not_repeat_the_secret(self) -> None:
        with pytest.raises(ValidationError) as refused:
            made(secret="too-short-to-be-good")
        assert "too-short-to-be-good" not in str(refused.value)
        assert GOOD_KEY not in str(refused.value)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("port", 0),
            ("port", 70_000),
            ("database_url", "mysql://u@h/d"),
            ("database_url", "not an address"),
            ("public_url", "ftp://x"),
            ("smtp_tls", "maybe"),
            ("max_body_bytes", 1),
            ("demo_speed", 0),
            ("sticky_queue_schedule_to_start_timeout_s", 0.1),
            ("payload_keys", "k1:too-short"),
            ("payload_keys", "no-colon"),
            ("oidc_issuer", "login.example"),
            ("oidc_algorithm", "HS256"),
            ("oidc_algorithm", "none"),
            ("oidc_networks", "10.0.0.0/33"),
            ("oidc_networks", "10.0.0.1/8"),
            ("local_sign_in", "nobody"),
        ],
    )
    def test_values_out_of_bounds(self, field: str, value: object) -> None:
        with pytest.raises(ValidationError, match=field):
            Settings(**(REAL | {field: value}))

    def test_http_payments_without_an_address(self) -> None:
        with pytest.raises(ValidationError, match="ENDCAP_PAYMENT_URL"):
            Settings(**REAL, payment_provider="http")

    @pytest.mark.parametrize(
        ("values", "because"),
        [
            ({"oidc_issuer": "https://login.example"}, "ENDCAP_OIDC_CLIENT_ID"),
            ({"oidc_client_id": "endcap"}, "ENDCAP_OIDC_ISSUER"),
            ({"local_sign_in": "admins"}, "nobody else could sign in"),
        ],
    )
    def test_half_a_single_sign_on(self, values: dict[str, str], because: str) -> None:
        with pytest.raises(ValidationError, match=because):
            made(**values)

    def test_a_payload_key_given_twice(self) -> None:
        with pytest.raises(ValueError, match="twice"):
            parse_payload_keys(f"k1:{GOOD_KEY},k1:{GOOD_KEY}")

    def test_asking_for_a_database_that_is_not_set(self) -> None:
        with pytest.raises(ValueError, match="DATABASE_URL is not set"):
            Settings(**REAL).require_database_url()

    def test_the_demo_secret_is_long_enough_to_be_mistaken_for_a_real_one(self) -> None:
        assert len(DEMO_SECRET) >= 32, "so only its value can be what is refused"


class TestPriceChannels:
    def test_each_kind_is_read_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(
            "ENDCAP_PRICE_CHANNELS",
            '{"web": {"kind": "http", "url": "https://shop.example/v1", "key": "k"},'
            ' "pos": {"kind": "csv", "folder": "/srv/prices"}, "app": {"kind": "sandbox"}}',
        )
        found = made().price_channels
        assert {name: how.kind for name, how in found.items()} == {"web": "http", "pos": "csv", "app": "sandbox"}
        assert found["web"].key is not None
        assert "'k'" not in repr(found)

    @pytest.mark.parametrize(
        ("value", "because"),
        [
            ("web", "must be JSON"),
            ('{"web": {"kind": "http", "url": "https://shop.example"}}', "kind http needs key"),
            ('{"web": {"kind": "csv", "url": "https://shop.example"}}', "kind csv has no url"),
            ('{"web": {"kind": "http", "url": "ftp://shop.example", "key": "k"}}', "http:// or https://"),
            ('{"Web shop": {"kind": "sandbox"}}', "pattern"),
            ('{"web": {"kind": "telegraph"}}', "sandbox"),
        ],
    )
    def test_what_cannot_be_is_refused_by_name(self, monkeypatch: pytest.MonkeyPatch, value: str, because: str) -> None:
        monkeypatch.setenv("ENDCAP_PRICE_CHANNELS", value)
        with pytest.raises(ValidationError, match=because):
            made()

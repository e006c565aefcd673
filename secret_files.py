"""Settings that are secrets, read from files. A part of `settings.py`, which alone uses it."""

import os
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import PydanticBaseSettingsSource

HOLD_SECRETS = frozenset({"database_url", "price_channels"})


class SecretFiles(PydanticBaseSettingsSource):
    """Secrets from files, as container platforms provide them: with `ENDCAP_SECRET_FILE=/run/secrets/endcap`,
    `ENDCAP_SECRET` is read from there, without the line end. The same holds for every secret, and for what contains
    one (`DATABASE_URL`, `ENDCAP_PRICE_CHANNELS`).
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:
        """The content of the file that the field's variable names. Raises `ValidationError` where it cannot be read, or
        where the value is given as well."""
        variable = "DATABASE_URL" if field_name == "database_url" else f"ENDCAP_{field_name.upper()}"
        place = os.environ.get(f"{variable}_FILE")
        is_secret = field_name in HOLD_SECRETS or SecretStr in (field.annotation, *get_args(field.annotation))
        if not place or not is_secret:
            return None, field_name, False
        if os.environ.get(variable):
            raise _refused(f"{variable}_FILE", f"{variable} is given as well; give one of them")
        try:
            return Path(place).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise _refused(f"{variable}_FILE", f"{place} cannot be read: {type(error).__name__}") from error

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


def _refused(variable: str, words: str) -> ValidationError:
    wrong = PydanticCustomError("file", "{words}", {"words": words})
    return ValidationError.from_exception_data("Settings", [{"type": wrong, "loc": (variable,), "input": None}])

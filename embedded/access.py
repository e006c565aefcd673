"""`access.json`: where a running stack can be reached and with what, for people and scripts on the same machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from embedded.home import write_private


class Account(BaseModel):
    """Somebody who can sign in to the console."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    email: str
    password: str
    role: str
    regions: list[str]
    name: str | None = None


class Access(BaseModel):
    """All that is needed to use, look into, or break a running stack. Holds secrets: written with mode 0600 only."""

    base_url: str
    api_key: str | None
    api_keys: dict[str, str]
    accounts: list[Account]
    mailbox: str
    mailbox_url: str | None
    database_url: str
    temporal_address: str
    temporal_ui: str | None
    python: str = sys.executable
    pids: dict[str, int]

    def write(self, home: Path) -> Path:
        """Replace `access.json` in `home`; returns its path."""
        file = home / "access.json"
        write_private(file, self.model_dump_json(indent=2) + "\n")
        return file


def read_access(home: Path) -> dict[str, Any]:
    """The content of `access.json`; raises FileNotFoundError when no stack was ever started on `home`."""
    content: dict[str, Any] = json.loads((home / "access.json").read_text(encoding="utf-8"))
    return content

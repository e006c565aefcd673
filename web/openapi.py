"""The published description of the API: `python -m web.openapi` writes docs/openapi.json, or checks it."""

import json
import sys
from pathlib import Path

from settings import Settings
from web.app import create_app

PUBLISHED = Path(__file__).parent.parent / "docs" / "openapi.json"


def text() -> str:
    """The description as it is published: stable from run to run."""
    app = create_app(Settings(_env_file=None, demo=True))
    return json.dumps(app.openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or with `--check` say whether it is current (exit status 1 when not)."""
    current = text()
    if "--check" in arguments:
        if PUBLISHED.is_file() and PUBLISHED.read_text(encoding="utf-8") == current:
            return 0
        sys.stderr.write("docs/openapi.json is not what the application says: run `python -m web.openapi`\n")
        return 1
    PUBLISHED.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

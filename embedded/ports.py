"""Free ports of 127.0.0.1, remembered in the state folder so that a second start uses the same addresses."""

from __future__ import annotations

import json
import socket
from pathlib import Path


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """True when a server could listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection in TIME_WAIT is no listener
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def remembered_ports(memory: Path, names: list[str]) -> dict[str, int]:
    """A free port for each name: the one in `memory` (a JSON file) while it is free, else another, written back."""
    known: dict[str, int] = {}
    if memory.exists():
        read = json.loads(memory.read_text(encoding="utf-8"))
        known = {name: port for name, port in read.items() if isinstance(port, int)}
    chosen: dict[str, int] = {}
    for name in names:
        port = known.get(name)
        while port is None or port in chosen.values() or not is_free(port):
            port = free_port()
        chosen[name] = port
    if known != chosen:
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps(chosen, indent=2) + "\n", encoding="utf-8")
    return chosen

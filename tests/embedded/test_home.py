"""The state folder: one holder, private secrets, ports that stay, left-overs that go."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from embedded import home, ports
from embedded.access import Access, read_access
from embedded.ports import free_port, is_free, remembered_ports
from embedded.process import StackError

SLEEPER = [sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"]


def mode(file: Path) -> int:
    """Permission bits."""
    return stat.S_IMODE(file.stat().st_mode)


class TestTaking:
    def test_a_second_holder_is_told_who_holds_it(self, tmp_path: Path) -> None:
        program = "import sys; from pathlib import Path; from embedded import home; home.take(Path(sys.argv[1]))"
        held = home.take(tmp_path)
        try:
            second = subprocess.run(
                [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
            )
        finally:
            held.release()
        assert second.returncode != 0
        assert f"process {psutil.Process().pid}" in second.stderr
        assert "ENDCAP_HOME" in second.stderr

    def test_a_folder_that_was_let_go_can_be_taken_again(self, tmp_path: Path) -> None:
        home.take(tmp_path).release()
        home.take(tmp_path).release()


class TestSecrets:
    def test_they_are_made_once_and_only_their_owner_reads_them(self, tmp_path: Path) -> None:
        folder = tmp_path / "secrets"
        home.make_secrets(folder)
        first = {file.name: file.read_text() for file in folder.iterdir()}
        home.make_secrets(folder)
        assert {file.name: file.read_text() for file in folder.iterdir()} == first
        assert mode(folder) == 0o700
        assert {mode(file) for file in folder.iterdir()} == {0o600}

    def test_two_homes_have_different_secrets(self, tmp_path: Path) -> None:
        home.make_secrets(tmp_path / "a")
        home.make_secrets(tmp_path / "b")
        for name in ("endcap_secret", "endcap_payload_keys", "postgres_password"):
            assert (tmp_path / "a" / name).read_text() != (tmp_path / "b" / name).read_text()


class TestAccess:
    def test_it_is_private_and_can_be_read_back(self, tmp_path: Path) -> None:
        written = Access(
            base_url="http://127.0.0.1:8400",
            api_key="k",
            api_keys={"oms": "k"},
            accounts=[],
            mailbox="m",
            mailbox_url=None,
            database_url="postgresql://x",
            temporal_address="127.0.0.1:7233",
            temporal_ui=None,
            pids={"web": 1},
        ).write(tmp_path)
        assert mode(written) == 0o600
        assert read_access(tmp_path)["pids"] == {"web": 1}

    def test_there_is_none_before_the_first_start(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            read_access(tmp_path)


class TestPorts:
    def test_they_stay_the_same(self, tmp_path: Path) -> None:
        memory = tmp_path / "ports.json"
        first = remembered_ports(memory, ["a", "b"])
        assert remembered_ports(memory, ["a", "b"]) == first
        assert len(set(first.values())) == 2

    def test_a_port_that_was_taken_meanwhile_is_replaced(self, tmp_path: Path) -> None:
        memory = tmp_path / "ports.json"
        first = remembered_ports(memory, ["a", "b"])
        with socket.create_server(("127.0.0.1", first["a"])):
            second = remembered_ports(memory, ["a", "b"])
        assert second["a"] != first["a"]
        assert second["b"] == first["b"]
        assert json.loads(memory.read_text()) == second

    def test_none_is_one_that_outgoing_connections_are_given(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        told = tmp_path / "range"
        monkeypatch.setattr(ports, "_EPHEMERAL", told)
        told.write_text("20000\t60999\n")
        assert all(15_000 <= free_port() < 20_000 for _ in range(50))

    @pytest.mark.parametrize("words", ["1024 65535", "", "what?"])
    def test_where_there_is_none_below_or_nothing_is_told_the_system_chooses(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str
    ) -> None:
        told = tmp_path / "range"
        monkeypatch.setattr(ports, "_EPHEMERAL", told)
        told.write_text(words)
        assert is_free(free_port())

    def test_a_taken_port_is_not_free(self) -> None:
        port = free_port()
        assert is_free(port)
        with socket.create_server(("127.0.0.1", port)):
            assert not is_free(port)


class TestLeftovers:
    def test_a_child_of_a_killed_supervisor_is_ended(self, tmp_path: Path) -> None:
        with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE, start_new_session=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            home.remember_children(tmp_path, {"sleeper": child.pid})
            assert home.end_leftovers(tmp_path) == ["sleeper"]
            assert not psutil.pid_exists(child.pid)
        assert home.end_leftovers(tmp_path) == []

    def test_a_stranger_with_the_same_pid_is_left_alone(self, tmp_path: Path) -> None:
        with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE, start_new_session=True) as stranger:
            home.remember_children(tmp_path, {"sleeper": stranger.pid})
            noted = json.loads((tmp_path / "children.json").read_text())
            noted["sleeper"]["born"] -= 1000
            (tmp_path / "children.json").write_text(json.dumps(noted))
            assert home.end_leftovers(tmp_path) == []
            assert stranger.poll() is None
            stranger.kill()


class TestEmptying:
    def test_all_state_goes(self, tmp_path: Path) -> None:
        folder = tmp_path / "state"
        home.take(folder).release()
        home.make_secrets(folder / "secrets")
        assert home.empty(folder) == [folder]
        assert not folder.exists()

    def test_a_folder_that_is_no_state_of_ours_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        with pytest.raises(StackError, match="does not look like"):
            home.empty(tmp_path)
        assert (tmp_path / "photos").exists()

    def test_a_running_stack_is_refused(self, tmp_path: Path) -> None:
        program = (
            "import sys, signal; from pathlib import Path; from embedded import home;"
            "held = home.take(Path(sys.argv[1])); print('held', flush=True); signal.pause()"
        )
        with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            with pytest.raises(StackError, match=f"process {holder.pid}"):
                home.empty(tmp_path)
            assert tmp_path.exists()
            holder.kill()

    def test_nothing_there_is_nothing_deleted(self, tmp_path: Path) -> None:
        assert home.empty(tmp_path / "never") == []


def test_long_logs_are_set_aside(tmp_path: Path) -> None:
    (tmp_path / "long.log").write_bytes(b"x" * (home.LOG_LIMIT_BYTES + 1))
    (tmp_path / "short.log").write_bytes(b"x")
    home.shorten_logs(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["long.log.1", "short.log"]

"""Newcomers are turned away on a socket that is the server's own, or let in where the kernel asks for root."""

from __future__ import annotations

import socket

import pytest
from granian._granian import ListenerSpec

from matrix_app.up import door
from matrix_app.up.door import DoorServer


class Strict(socket.socket):
    def setsockopt(self, *_: object) -> None:
        raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("kind", [socket.socket, Strict])
def test_who_turns_newcomers_away_leaves_the_socket_to_its_server(
    kind: type[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = DoorServer.__new__(DoorServer)
    server._shd = ListenerSpec("127.0.0.1", 0, 8).build()
    monkeypatch.setattr(door.socket, "socket", kind)

    server.turn_away()
    monkeypatch.undo()

    with socket.socket(fileno=server._shd.get_fd()) as kept:
        assert kept.getsockname()[0] == "127.0.0.1"  # bound as before, and no other file

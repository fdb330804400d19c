from __future__ import annotations

import os
from collections.abc import Sequence

from core.hardware import describe, keep_awake


class Helper:
    def __init__(self, command: Sequence[str]) -> None:
        self.command, self.ended = list(command), False

    def kill(self) -> None:
        self.ended = True

    def wait(self) -> int:
        return 0


def test_a_mac_stays_awake_while_a_worker_works_and_no_longer() -> None:
    started: list[Helper] = []

    def launch(command: Sequence[str]) -> Helper:
        started.append(Helper(command))
        return started[-1]

    with keep_awake("darwin", launch):
        assert started[0].command == ["/usr/bin/caffeinate", "-i", "-w", str(os.getpid())]
        assert not started[0].ended
    assert started[0].ended
    with keep_awake("linux", launch):
        assert len(started) == 1


def test_a_mac_without_caffeinate_works_all_the_same() -> None:
    def launch(_command: Sequence[str]) -> Helper:
        raise FileNotFoundError

    with keep_awake("darwin", launch):
        pass
    assert describe()["memory_bytes"] > 0

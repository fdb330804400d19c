"""Which adapters stay: by count and bytes, never without the active and the pinned."""

from __future__ import annotations

from pathlib import Path

from core.errors import AppError
from core.inference.engine import AdapterRef
from core.inference.faults import FIRST_S, Faults
from core.inference.residency import Limits, Residency

AS_IT_WAS, CHANGED = (1, 1), (2, 1)


def resident(policy: Residency) -> list[str]:
    return list(policy.sizes)


def test_the_least_recently_used_leaves_and_a_use_counts() -> None:
    policy = Residency(Limits(2))
    assert [policy.admit(name, AS_IT_WAS, 10) for name in ("a", "b")] == [[], []]
    assert policy.use("a", AS_IT_WAS)
    assert policy.admit("c", AS_IT_WAS, 10) == ["b"]
    assert resident(policy) == ["a", "c"]


def test_a_file_that_was_written_again_is_not_resident() -> None:
    policy = Residency()
    policy.admit("a", AS_IT_WAS, 10)
    assert not policy.use("a", CHANGED)
    assert not policy.use("b", AS_IT_WAS)
    policy.admit("a", CHANGED, 20)
    assert policy.use("a", CHANGED)
    assert policy.size_bytes == 20


def test_active_and_pinned_stay_over_every_limit() -> None:
    policy = Residency(Limits(1))
    policy.admit("a", AS_IT_WAS, 10)
    policy.activate("a")
    policy.pin(["b"])
    assert policy.admit("b", AS_IT_WAS, 10) == []
    assert policy.admit("c", AS_IT_WAS, 10) == []
    assert policy.activate(None) == ["a", "c"]
    assert policy.relieve() == []
    assert resident(policy) == ["b"]
    assert policy.pin([]) == []
    assert policy.relieve() == ["b"]


def test_bytes_are_a_limit_of_their_own_and_one_that_is_too_large_stays_alone() -> None:
    policy = Residency(Limits(9, 100))
    for name in ("a", "b"):
        policy.admit(name, AS_IT_WAS, 40)
    assert policy.admit("c", AS_IT_WAS, 40) == ["a"]
    assert policy.admit("huge", AS_IT_WAS, 1_000) == ["b", "c"]
    assert resident(policy) == ["huge"]
    assert policy.limit(Limits(9, 0)) == []
    policy.forget("huge")
    assert policy.size_bytes == 0


BROKEN = AdapterRef("a", "/nowhere")


def test_what_failed_is_tried_again_after_a_while_that_doubles() -> None:
    moment = [0.0]
    faults = Faults(lambda: moment[0])
    error = AppError("bad_adapter", "It is broken.")
    assert faults.held(BROKEN) is None
    faults.add(BROKEN, error)
    assert faults.held(BROKEN) is error
    moment[0] = FIRST_S
    assert faults.held(BROKEN) is None
    faults.add(BROKEN, error)
    moment[0] += FIRST_S
    assert faults.held(BROKEN) is error
    moment[0] += FIRST_S
    assert faults.held(BROKEN) is None
    faults.clear("a")
    faults.add(BROKEN, error)
    moment[0] += FIRST_S
    assert faults.held(BROKEN) is None


def test_other_files_are_tried_at_once(tmp_path: Path) -> None:
    adapter, faults = AdapterRef("a", str(tmp_path)), Faults(lambda: 0.0)
    faults.add(adapter, AppError("bad_adapter", "It is broken."))
    assert faults.held(adapter) is not None
    (tmp_path / "adapters.safetensors").write_bytes(b"whole")
    assert faults.held(adapter) is None

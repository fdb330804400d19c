"""Tests of one group stay on one worker: what the group makes once is made once."""

from __future__ import annotations

import os

import pytest


@pytest.mark.xdist_group("groups_hold")
def test_a_group_is_known_to_whoever_hands_out_the_tests(request: pytest.FixtureRequest) -> None:
    # Without workers there is nothing to hand out.
    assert request.node.nodeid.endswith("@groups_hold" if "PYTEST_XDIST_WORKER" in os.environ else "_tests")

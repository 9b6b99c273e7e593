"""What a machine cannot do is said before anything is blamed for it."""

import pytest

from hearing import limits

BIG = {"files": 20_000, "files_of_all": 10**9, "ports": 28_232, "queue": 4_096, "tcp_bytes": 2_360_000_000, "free_bytes": 22_000_000_000, "tracked_max": None}


def test_this_is_a_machine_for_two_hundred_thousand():
    assert limits.impossible(230_000, False, 2_000, 18_500, BIG) == []
    assert limits.impossible(150_000, True, 2_000, 18_500, BIG) == []


@pytest.mark.parametrize(
    ("lack", "word"),
    [
        ({"files": 1_024}, "ulimit"),
        ({"files_of_all": 100_000}, "fs.file-max"),
        ({"ports": 2_000}, "ip_local_port_range"),
        ({"queue": 128}, "somaxconn"),
        ({"tcp_bytes": 100_000_000}, "tcp_mem"),
        ({"free_bytes": 2_000_000_000}, "memory"),
        ({"tracked_max": 65_536}, "nf_conntrack_max"),
    ],
)
def test_each_lack_is_named(lack, word):
    found = limits.impossible(210_000, False, 2_000, 18_500, BIG | lack)
    assert len(found) == 1 and word in found[0]


def test_what_is_known_of_this_machine_is_complete():
    assert set(limits.facts()) == set(BIG)

"""The judge of `./x peers`: what is whole, and what is seen to be not."""

import numpy as np
import pytest

from hearing import peers, source

PLAN = source.Plan.of(("speaker",), 30)


@pytest.fixture(scope="module")
def sound():
    noise = np.random.default_rng(7).normal(0, 0.05, 20 * peers.RATE).astype(np.float32)
    return source.spoken(PLAN, "speaker", noise)


def whole(told):
    return peers.is_whole(told, PLAN.seconds)


def test_a_recording_with_every_mark_is_whole_though_it_began_late(sound):
    told = peers.judge(sound, PLAN)
    assert (told["expected"], told["missing"], told["repeated"], told["jumps"]) == (27, 0, 0, 0) and whole(told)
    late = peers.judge(sound[5 * peers.RATE :], PLAN)
    assert (late["expected"], late["missing"]) == (22, 0) and whole(late)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda sound: np.delete(sound, slice(12 * peers.RATE, 14 * peers.RATE)), "missing"),
        (lambda sound: np.concatenate([sound[: 13 * peers.RATE], sound[11 * peers.RATE :]]), "repeated"),
        (lambda sound: np.insert(sound, int(12.8 * peers.RATE), np.zeros(peers.RATE // 4)), "jumps"),
    ],
)
def test_a_hole_a_repetition_and_a_jump_are_seen(sound, spoil, what):
    told = peers.judge(spoil(sound).astype(np.float32), PLAN)
    assert told[what] > 0 and not whole(told), told


def test_what_the_programme_itself_did_is_no_jump_of_a_peer(sound):
    moved = np.insert(sound, int(12.8 * peers.RATE), np.zeros(peers.RATE // 7)).astype(np.float32)
    assert peers.judge(moved, PLAN)["jumps"] == 1
    assert whole(peers.judge(moved, PLAN, programme=peers.places(moved)))
    assert peers.judge(sound, PLAN, programme=peers.places(moved))["jumps"] == 1


def test_silence_and_the_breaks_are_not_whole(sound):
    assert not whole(peers.judge(np.zeros(30 * peers.RATE, dtype=np.float32), PLAN))
    assert not whole(peers.judge(np.zeros(0, dtype=np.float32), PLAN))
    assert not whole(peers.judge(sound, PLAN, "skip"))

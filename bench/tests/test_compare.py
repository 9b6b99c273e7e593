"""What is whole is found whole; every kind of damage is found, and named."""

import numpy as np
import pytest

from hearing import breaks, compare, mark

RATE = mark.RATE


def what(conversation, sound):
    return compare.compare(conversation.plan, conversation.sources, sound)


def places_in_speech(conversation, length_s, seed):
    """Beginnings of stretches of this length in which somebody speaks all the time, at most one in every other second."""
    said = sum(conversation.sources.values())
    level = np.sqrt(np.convolve(said**2, np.ones(160) / 160, "same"))
    rng, length = np.random.default_rng(seed), int(length_s * RATE)
    for second in range(1, conversation.plan.seconds, 2):
        if conversation.plan.speaker(second) is None:
            continue
        for _ in range(200):
            at = int((second + 0.5 + 0.3 * rng.random()) * RATE)
            if level[at - 160 : at + length + 160].min() > 0.02:
                yield at
                break


def test_what_two_encoders_and_a_gain_did_is_no_gap(conversation):
    result = what(conversation, conversation.heard)
    assert result.gaps == []
    assert min(result.stoi.values()) > 0.97 and result.likeness > 0.95
    assert len(result.marks) == sum(len(conversation.plan.numbers(who)) for who in conversation.plan.publishers)


@pytest.mark.parametrize("kind", ["holes", "conceal"])
def test_sixty_milliseconds_are_found_and_thirty_are_not(conversation, kind):
    # A vowel that goes on for 60 ms is rightly no gap when its last 20 ms are repeated; 100 ms is longer than most.
    for length_s, least in ((0.060, 0.6), (0.100, 0.85), (0.030, None)):
        sound, length = np.array(conversation.heard), int(length_s * RATE)
        places = list(places_in_speech(conversation, length_s, seed=3))
        assert len(places) > 8
        for at in places:
            sound[at : at + length] = np.resize(sound[at - RATE // 50 : at], length) if kind == "conceal" else 0.0
        found = what(conversation, sound).gaps
        if least is None:
            # A concealed frame takes its neighbours with it now and then.
            assert len(found) <= len(places) // 8
        else:
            # A repeated frame may fit again for a moment: one damage, two gaps. But none where there is no damage.
            near = [[at for at in places if abs(gap.at - at / RATE) < 0.15] for gap in found]
            assert all(near) and len({at for (at,) in near}) >= least * len(places)
            assert all(gap.length < length_s + 0.07 for gap in found)


def test_invented_sound_in_a_pause_is_a_gap(conversation):
    said = sum(conversation.sources.values())
    quiet = np.convolve(np.abs(said) < 1e-4, np.ones(RATE // 10), "valid") >= RATE // 10 - 1
    inside = [at for at in np.flatnonzero(quiet) if 1 < at / RATE % 10 < 8]
    sound = np.array(conversation.heard)
    at = inside[0] + int(0.02 * RATE)
    sound[at : at + int(0.06 * RATE)] += 0.1 * np.sin(np.arange(int(0.06 * RATE)) * 0.3)
    assert [gap.what for gap in what(conversation, sound).gaps] == ["invented"]


def test_a_skipped_second_and_a_repeated_one_are_named(conversation):
    skipped = {gap.what: gap.length for gap in what(conversation, breaks.sound("skip", conversation.heard)).gaps}
    assert abs(skipped["skipped"] - 1.0) < 0.05 and "missing" in skipped
    looped = {gap.what: gap.length for gap in what(conversation, breaks.sound("loop", conversation.heard)).gaps}
    assert "repeated" in looped and abs(looped["invented"] - 1.0) < 0.5


def test_a_turn_that_nobody_heard_is_lost(conversation):
    sound = np.array(conversation.heard)
    sound[10 * RATE : 20 * RATE] = 0.0
    result = what(conversation, sound)
    assert "lost" in {gap.what for gap in result.gaps} and result.stoi["chromium"] == 0.0


def test_noise_costs_intelligibility(conversation):
    scores = what(conversation, breaks.sound("noise", conversation.heard)).stoi
    assert np.mean(list(scores.values())) < 0.92


def test_a_clock_that_is_slightly_off_is_no_gap(conversation):
    at = np.arange(0, len(conversation.heard) - 2, 1.0 + 300e-6)
    assert what(conversation, np.interp(at, np.arange(len(conversation.heard)), conversation.heard)).gaps == []

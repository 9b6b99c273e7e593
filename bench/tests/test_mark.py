"""Marks are found, exactly and only where they are."""

import numpy as np
from conftest import coded

from hearing import ffmpeg, mark, source


def test_every_mark_survives_opus_at_24_kbit_within_a_millisecond():
    rng = np.random.default_rng(7)
    voice = source.speech(source.demo_voices()[0], ffmpeg.EXE)
    numbers = rng.permutation(mark.COUNT)[:90]
    # Twice as dense as in a source, and in the middle of speech.
    sound = np.take(voice, np.arange(len(numbers) * source.RATE // 2), mode="wrap")
    for place, number in enumerate(numbers):
        mark.put(sound, number, 0.5 * place + 0.2, source.RATE)
    found = mark.find(source.for_analysis(coded(sound, "-b:a", "24k", "-application", "voip")))
    assert [one.number for one in found] == list(numbers)
    errors = np.array([one.at - (0.5 * place + 0.2) for place, one in enumerate(found)])
    assert np.ptp(errors) < 0.008, "a speech codec may move a mark by a few milliseconds, no more"


def test_speech_holds_no_marks():
    for file in source.demo_voices():
        speech = source.for_analysis(source.speech(file, ffmpeg.EXE))
        for pace in (0.93, 1.0, 1.08):
            paced = np.interp(np.arange(0, len(speech) - 2, pace), np.arange(len(speech)), speech)
            assert mark.find(paced.astype(np.float32)) == []


def test_no_two_numbers_sound_alike():
    digits = {tuple(mark._digits(number)) for number in range(mark.COUNT)}
    assert len(digits) == mark.COUNT


def test_a_mark_in_the_silence_is_placed_to_a_tenth_of_a_millisecond():
    sound = np.zeros(3 * source.RATE, dtype=np.float32)
    mark.put(sound, 421, 1.23456, source.RATE)
    (found,) = mark.find(source.for_analysis(sound))
    assert found.number == 421 and abs(found.at - 1.23456) < 1e-4


def test_a_spoiled_sweep_is_read_by_its_tones_and_spoiled_tones_give_no_other_number():
    rng = np.random.default_rng(5)
    for number in range(0, mark.COUNT, 64):
        sound = rng.normal(0.0, 1e-3, mark.RATE).astype(np.float32)
        mark.put(sound, number, 0.4, mark.RATE)
        # Speech as loud as the sweep under it: about half of what is there is no sweep.
        sweep = slice(int(0.4 * mark.RATE), int((0.4 + mark.SWEEP_S) * mark.RATE))
        sound[sweep] = mark.LEVEL * 0.6 * sound[sweep] / np.abs(sound[sweep]).max() + rng.normal(0.0, 0.06, sound[sweep].shape)
        assert [one.number for one in mark.find(sound)] == [number]
        tones = slice(sweep.stop, sweep.stop + int(3 * mark.TONE_S * mark.RATE))
        sound[tones] += rng.normal(0.0, 0.25, sound[tones].shape)
        assert mark.find(sound) == [] or mark.find(sound)[0].number == number


def test_the_marks_of_five_minutes_are_all_read_after_two_encoders():
    plan = source.Plan.of(("ffmpeg", "chromium", "aiortc"), 600)
    mixed = sum(source.spoken(plan, who, source.speech(file, ffmpeg.EXE)) for who, file in zip(plan.publishers, source.demo_voices()))
    # From 300 s on: the second half has the sweeps that lie worst for a speech codec.
    heard = coded(coded(mixed[270 * source.RATE : 570 * source.RATE], "-b:a", "32k", "-application", "voip"), "-b:a", "32k", "-compression_level", "5")
    numbers = {one.number for one in mark.find(source.for_analysis(heard))}
    assert {number for number in range(271, 569) if plan.speaker(number)} <= numbers

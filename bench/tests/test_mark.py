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
        assert mark.find(source.for_analysis(source.speech(file, ffmpeg.EXE))) == []


def test_no_two_numbers_sound_alike():
    digits = {tuple(mark._digits(number)) for number in range(mark.COUNT)}
    assert len(digits) == mark.COUNT


def test_a_mark_in_the_silence_is_placed_to_a_tenth_of_a_millisecond():
    sound = np.zeros(3 * source.RATE, dtype=np.float32)
    mark.put(sound, 421, 1.23456, source.RATE)
    (found,) = mark.find(source.for_analysis(sound))
    assert found.number == 421 and abs(found.at - 1.23456) < 1e-4

"""The judge of `./x bench withdraw`, on voices made up here."""

import numpy as np

from hearing import withdraw

RATE = withdraw.RATE


def _voice(seed, seconds=30):
    """Hiss that comes and goes as syllables do."""
    time = np.arange(seconds * RATE) / RATE
    rng = np.random.default_rng(seed)
    swell = np.maximum(0.02, np.sin(2 * np.pi * (3 + seed) * time + seed))
    return (0.1 * swell * rng.normal(0.0, 1.0, len(time))).astype(np.float32)


def _recordings(left_in=0.0):
    """Sources, the replay with all of them 1.234 s later, and the one without the withdrawn voice, or with some of it."""
    sources = {who: withdraw.spoken(who, _voice(n), RATE) for n, who in enumerate(withdraw.VOICES)}
    late = np.zeros(round(1.234 * RATE), dtype=np.float32)
    whole = np.concatenate([late, sum(sources.values())])
    without = np.concatenate([late, sum(sound for who, sound in sources.items() if who != withdraw.GONE)])
    return sources, whole, without + np.concatenate([late, left_in * sources[withdraw.GONE]])


def test_who_is_gone_is_gone_and_the_others_are_understood():
    out = withdraw.compared(*_recordings())
    assert out["stoi_min"] > 0.95
    assert out["withdrawn_correlation_max"] < 0.05
    assert out["withdrawn_correlation_before"] > withdraw.THERE


def test_a_voice_that_was_held_for_longer_on_its_way_is_judged_at_its_place():
    sources, _, _ = _recordings()
    middle, held = 25 * RATE, np.zeros(round(0.04 * RATE), dtype=np.float32)
    heard = {who: np.concatenate([sound[:middle], held, sound[middle:]]) if who == "noor" else sound for who, sound in sources.items()}
    longest = max(map(len, heard.values()))
    heard = {who: np.pad(sound, (0, longest - len(sound))) for who, sound in heard.items()}
    without = sum(sound for who, sound in heard.items() if who != withdraw.GONE)
    assert withdraw.compared(sources, sum(heard.values()), without)["stoi_min"] > 0.95


def test_a_voice_that_was_left_in_is_found_also_when_it_is_faint():
    assert withdraw.compared(*_recordings(left_in=1.0))["withdrawn_correlation_max"] > 0.9
    # 30 dB down: only where nobody else speaks, and there without a doubt.
    assert withdraw.compared(*_recordings(left_in=0.03))["withdrawn_correlation_max"] > 0.5


def test_damage_to_the_others_is_seen():
    sources, before, after = _recordings()
    noise = np.random.default_rng(9).normal(0.0, 0.1, len(after)).astype(np.float32)
    assert withdraw.compared(sources, before, after + noise)["stoi_min"] < withdraw.STOI_MIN


def test_a_name_is_found_however_it_is_written():
    words = withdraw.trace_words('ليلى "x"', "p123")
    assert withdraw.words_in('{"name":"ليلى \\"x\\"","id":"p123"}'.encode(), words) == 2
    assert withdraw.words_in(b'{"name":"\\u0644\\u064a\\u0644\\u0649 \\"x\\""}', words) == 1
    assert withdraw.words_in("ليل".encode(), words) == 0


def test_what_is_unwanted_is_said():
    run = {
        "withdrew": {"exit_code": 0, "why": ""},
        "traces": {"layla": 9, "noor": 9, "salim": 0, "silent": 9},
        "export_is_replay": True,
        "server_exit_code": 0,
    }
    good = {"stoi_min": 0.95, "withdrawn_correlation_max": 0.02, "withdrawn_correlation_before": 0.5, "name_traces": 0, "name_traces_before": 40}
    assert withdraw.unwanted(good, run) == []
    for worse in ({"stoi_min": 0.89}, {"withdrawn_correlation_max": 0.1}, {"withdrawn_correlation_before": 0.1}, {"name_traces": 1}, {"name_traces_before": 0}):
        assert len(withdraw.unwanted(good | worse, run)) == 1
    assert len(withdraw.unwanted(good, run | {"export_is_replay": False})) == 1

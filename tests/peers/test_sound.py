"""Other people's programs, heard: FFmpeg, aiortc and Chromium speak; FFmpeg and mpv listen. A tone tells who is who."""

import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import RATE, ROOT, hear, strengths, tone

from hearing import ffmpeg, processes, source
from hearing.clock import now

SPEAK_IN_S = 0.3


def ffmpeg_says(stage, hz, folder, token, name="ffmpeg"):
    publisher = ffmpeg.Publisher(stage.whip, token, folder / f"{name}.log")
    publisher.connected(10.0)
    publisher.speak(tone(hz), now() + SPEAK_IN_S)
    return publisher


def aiortc_says(client, stage, token, file):
    client.tell(do="whip", url=stage.whip, token=token)
    client.hear("connected", 20)
    client.tell(do="speak", file=file, t0=now() + SPEAK_IN_S)
    client.hear("speaking", 10)


@pytest.mark.parametrize("kind", ["ogg", "mp4"])
def test_ffmpeg_is_heard(stage, tmp_path, kind):
    publisher = ffmpeg_says(stage, 440, tmp_path, stage.speaker("ffmpeg"))
    hear(stage.listen(kind), [440], [554, 660])
    assert publisher.stop() == 0, "FFmpeg leaves by a DELETE that is answered as it expects"


def test_aiortc_is_heard_and_hears_the_others_and_not_itself(stage, tmp_path, clients, tone_file):
    publisher = ffmpeg_says(stage, 440, tmp_path, stage.speaker("ffmpeg"))
    client = clients("one")
    aiortc_says(client, stage, stage.speaker("one"), tone_file(660))
    hear(stage.listen(), [440, 660])
    time.sleep(1.0)  # so much of the return is looked at
    client.tell(do="stop")
    assert client.hear("stopped", 15)["heard"] > RATE
    returned = np.fromfile(tmp_path / "one.s16", dtype="<i2")[-RATE // 2 :] / 32768
    levels = strengths(returned, [440, 660])
    assert levels[440] > -40 and levels[660] < -55, levels
    publisher.stop()


def test_chromium_is_heard_also_after_an_ice_restart(stage, house, tmp_path):
    source.write_wav(tmp_path / "microphone.wav", tone(520) / 32768)
    browser = processes.Colleague(["node", ROOT / "bench/hearing/browser.mjs", tmp_path, tmp_path / "microphone.wav"], tmp_path / "browser.log")
    try:
        browser.hear("ready", 30)
        browser.tell(do="publish", url=stage.whip, token=stage.speaker("chromium"), origin=house.public)
        browser.hear("publishing", 30)
        hear(stage.listen(), [520], [440])
        browser.tell(do="restart")
        told = browser.hear("restarted", 20)
        assert told["before"] != told["after"] and told["ufrag"][0] != told["ufrag"][1]
        hear(stage.listen(), [520], [440])
        browser.tell(do="stop")
        assert browser.hear("stopped", 15)["errors"] == []
    finally:
        processes.stop(browser.process)


def test_a_killed_publisher_comes_back_and_nobody_hears_two(stage, tmp_path):
    token = stage.speaker("ffmpeg")
    first = ffmpeg_says(stage, 440, tmp_path, token, "first")
    hear(stage.listen(), [440])
    first.process.send_signal(signal.SIGKILL)
    second = ffmpeg_says(stage, 587, tmp_path, token, "second")
    hear(stage.listen(), [587], [440])
    assert len(stage.house.space(stage.space)["speakers"]) == 1
    second.stop()
    first.stop()


def test_the_newest_publisher_wins_while_the_older_still_speaks(stage, tmp_path, clients, tone_file):
    token = stage.speaker("one person")
    older = ffmpeg_says(stage, 440, tmp_path, token)
    hear(stage.listen(), [440])
    aiortc_says(clients("newer"), stage, token, tone_file(698))
    hear(stage.listen(), [698], [440])
    older.stop()


@pytest.mark.skipif(not shutil.which("mpv"), reason="mpv is not installed")
def test_mpv_hears(stage, tmp_path):
    publisher = ffmpeg_says(stage, 440, tmp_path, stage.speaker("ffmpeg"))
    for kind in ("ogg", "mp4"):
        command = ["mpv", "--no-config", "--no-video", "--really-quiet", "--ao=pcm", "--ao-pcm-file=/dev/stdout", "--ao-pcm-waveheader=no",
                   "--audio-format=s16", "--audio-channels=mono", f"--audio-samplerate={RATE}", stage.listen(kind)]  # fmt: skip
        hear(stage.listen(kind), [440], player=command)
    publisher.stop()


def test_the_replay_holds_what_was_said(house, tmp_path, clients, tone_file):
    from conftest import Stage

    one = Stage(house)
    aiortc_says(clients("one"), one, one.speaker("one"), tone_file(440))
    hear(one.listen(), [440])
    house.end(one.space, one.host)
    deadline = now() + 10
    while not (replay := house.space(one.space)["replay"]):
        assert now() < deadline, "a replay is promised within 10 s"
        time.sleep(0.1)
    for kind in ("ogg", "mp4"):
        sound = ffmpeg.decode(house.public + replay[kind], within_s=30)
        assert len(sound) / RATE == pytest.approx(replay["duration"], abs=0.1)
        assert strengths(sound[-RATE // 2 :], [440])[440] > -40
    assert Path(house.data, "spaces", one.space, "replay").is_dir()

"""What stands between a cache or a player and the server: passed on, counted, failed once, and blind to directives."""

from hearing import hls, players


class Origin(players._Server):
    """Answers with what it was asked for."""

    def __init__(self):
        self.asked = []
        super().__init__(self._answer)

    def _answer(self, target, fields):
        self.asked.append(target)
        return 200, {"Cache-Control": "max-age=7", "X-Own": "1", "Content-Encoding": fields["Accept-Encoding"]}, target.encode()


def test_a_front_counts_and_fails_once():
    origin = Origin()
    front = players.Front(origin.origin)
    front.failing["/a?b=1"] = 503
    assert [hls.fetch(f"{front.origin}/a?b=1").status for _ in range(3)] == [503, 200, 200]
    answer = hls.fetch(f"{front.origin}/a?b=1")
    assert (answer.body, answer.max_age()) == (b"/a?b=1", 7)
    assert hls.fetch(f"{front.origin}/a", {"Accept-Encoding": "x"}).headers["content-encoding"] == "x"
    assert (front.count("/a?b=1"), front.count("/a"), len(origin.asked)) == (4, 1, 4)
    front.close()
    origin.close()
    assert hls.fetch(f"{front.origin}/a").status == 0


def test_a_blind_front_takes_directives_off_and_keeps_the_playlist():
    origin = Origin()
    front = players.Front(origin.origin, blind_s=60.0)
    for target in ("/live.m3u8?_HLS_msn=1&pass=x", "/live.m3u8?_HLS_msn=2&pass=x", "/1.m4s", "/1.m4s"):
        assert hls.fetch(front.origin + target).status == 200
    assert origin.asked == ["/live.m3u8?pass=x", "/1.m4s", "/1.m4s"]
    front.close()
    origin.close()


def test_a_page_names_its_player_and_the_playlist():
    pages = players.Pages()
    page = pages.page("hlsjs", "http://a/hls/x/live.m3u8?pass=y&z")
    assert page.endswith("/player.html?with=hlsjs&src=http%3A%2F%2Fa%2Fhls%2Fx%2Flive.m3u8%3Fpass%3Dy%26z")
    for file in ("/player.html", "/player.js", "/hls.js", "/shaka.js"):
        assert hls.fetch(pages.origin + file).status == 200, file
    assert hls.fetch(pages.origin + "/../secret").status == 404
    pages.close()

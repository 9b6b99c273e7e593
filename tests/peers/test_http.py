"""WHIP as HTTP: RFC 9725, rule by rule, with offers that real clients have made."""

import asyncio
import json
import re
from datetime import datetime, timedelta, timezone
from urllib.parse import urljoin

import pytest
from aiortc import RTCPeerConnection
from conftest import Stage, ask

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"


async def _offer(*kinds):
    peer = RTCPeerConnection()
    for kind in kinds:
        peer.addTransceiver(kind, direction="sendonly")
    await peer.setLocalDescription(await peer.createOffer())
    sdp = peer.localDescription.sdp
    await peer.close()
    return sdp


@pytest.fixture(scope="module")
def offer():
    return asyncio.run(_offer("audio"))


@pytest.fixture(scope="module")
def hall(house):
    """One space for all tests that leave nothing behind."""
    return Stage(house)


def publish(stage, sdp, who="someone"):
    token = stage.speaker(who)
    status, headers, body = ask("POST", stage.whip, sdp, token, Content_Type=SDP)
    assert status == 201, body
    return urljoin(stage.whip, headers["location"]), headers, body, token


def problem(answer, status, name):
    got, headers, body = answer
    assert got == status, body
    assert headers["content-type"].startswith("application/problem+json")
    told = json.loads(body)
    assert told["type"] == f"/problems/{name}" and told["status"] == status and told["title"] and told["detail"]


def test_an_offer_is_answered_with_a_session_of_its_own(hall, offer):
    session, headers, answer, token = publish(hall, offer)
    assert headers["content-type"] == SDP and re.fullmatch(r'"[^"]+"', headers["etag"])
    assert re.fullmatch(r"/whip/[a-z0-9-]+/[A-Za-z0-9_-]{16,}", headers["location"]), "absolute, and not to be guessed"
    for line in ("a=ice-lite", "a=rtcp-mux", "a=setup:passive", "a=candidate:", "a=recvonly", "a=fingerprint:sha-256 "):
        assert line in answer, f"{line} is missing in the answer:\n{answer}"
    assert "transport-wide-cc" not in answer
    other, *_ = publish(hall, offer, "someone else")
    assert other != session
    assert ask("DELETE", session, token=token)[0] == 200
    problem(ask("DELETE", session, token=token), 404, "session-not-found")


def test_options_tell_what_to_post_without_a_pass(hall):
    status, headers, _ = ask("OPTIONS", hall.whip)
    assert status in (200, 204) and headers["accept-post"] == SDP


def test_browsers_of_other_origins_may_call_and_read_the_headers(hall, offer):
    asked = {"Origin": "https://elsewhere.example", "Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization,content-type,if-match"}
    status, headers, _ = ask("OPTIONS", hall.whip, **asked)
    assert status in (200, 204) and headers["access-control-allow-origin"] == "*"
    assert {"authorization", "content-type", "if-match"} <= set(re.split(r",\s*", headers["access-control-allow-headers"].lower()))
    assert {"POST", "PATCH", "DELETE"} <= set(re.split(r",\s*", headers["access-control-allow-methods"]))
    token = hall.speaker("someone")
    _, headers, _ = ask("POST", hall.whip, offer, token, Content_Type=SDP, Origin="https://elsewhere.example")
    assert {"location", "etag", "link"} <= set(re.split(r",\s*", headers["access-control-expose-headers"].lower()))
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_at_an_endpoint_or_a_session_costs_nothing(hall, offer, method):
    session, *_, token = publish(hall, offer)
    assert ask(method, hall.whip)[0] == 204
    assert ask(method, session, token=token)[0] == 204


def test_no_pass_a_wrong_pass_and_one_for_another_space_are_told_apart(house, hall, offer):
    missing = ask("POST", hall.whip, offer, Content_Type=SDP)
    problem(missing, 401, "pass-missing")
    assert missing[1]["www-authenticate"].startswith("Bearer")
    problem(ask("POST", hall.whip, offer, "nonsense", Content_Type=SDP), 401, "pass-invalid")
    token = hall.speaker("someone")
    problem(ask("POST", hall.whip, offer, token[:-2] + ("AA" if token[-2:] != "AA" else "BB"), Content_Type=SDP), 401, "pass-invalid")
    problem(ask("POST", hall.whip, offer, Stage(house).host, Content_Type=SDP), 403, "pass-wrong-space")


def test_an_unknown_space_is_not_found(hall, offer):
    problem(ask("POST", hall.whip[:-3] + "zzz", offer, hall.host, Content_Type=SDP), 404, "space-not-found")


def test_a_space_whose_doors_are_shut_is_a_conflict_with_a_time_to_return(house, offer):
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    made = house.create("Later", starts_at=tomorrow.isoformat(timespec="seconds"))
    answer = ask("POST", house.whip(made["space"]["id"]), offer, made["host_pass"], Content_Type=SDP)
    problem(answer, 409, "doors-shut")
    assert int(answer[1]["retry-after"]) > 0
    over = Stage(house)
    house.end(over.space, over.host)
    problem(ask("POST", over.whip, offer, over.host, Content_Type=SDP), 409, "already-ended")


def test_starting_and_ending_twice_are_conflicts(house):
    one = Stage(house)
    api = f"{house.stage}/api/spaces/v1/spaces/{one.space}"
    problem(ask("POST", f"{api}/start", token=one.host), 409, "already-started")
    assert ask("POST", f"{api}/end", token=one.host)[0] == 200
    problem(ask("POST", f"{api}/end", token=one.host), 409, "already-ended")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
def test_only_sdp_is_an_offer(hall, offer, content_type):
    headers = {"Content_Type": content_type} if content_type else {}
    problem(ask("POST", hall.whip, offer, hall.host, **headers), 415, "media-type")


@pytest.mark.parametrize("body", ["", "hello", "v=0", "v=0\r\nm=audio\r\n", "\x00" * 100, "v=0\r\n" * 40])
def test_what_is_not_sdp_is_a_bad_request(hall, body):
    status, _, told = ask("POST", hall.whip, body, hall.host, Content_Type=SDP)
    assert status in (400, 422), told
    assert json.loads(told)["type"] in ("/problems/offer-malformed", "/problems/offer-refused")


def test_an_oversized_offer_is_too_large(hall, offer):
    problem(ask("POST", hall.whip, offer + "a=x:" + "y" * 200_000 + "\r\n", hall.host, Content_Type=SDP), 413, "body-too-large")


def test_video_is_refused_as_a_whole(hall):
    for kinds in (("video",), ("audio", "video")):
        problem(ask("POST", hall.whip, asyncio.run(_offer(*kinds)), hall.host, Content_Type=SDP), 422, "offer-refused")


def credentials(sdp):
    return re.search(r"a=ice-ufrag:(\S+)", sdp)[1], re.search(r"a=ice-pwd:(\S+)", sdp)[1]


def fragment(ufrag, pwd, *candidates):
    return "\r\n".join([f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{pwd}", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0", *candidates, ""])


CANDIDATE = "a=candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host"


def test_candidates_trickle_in_with_the_right_tag_only(hall, offer):
    session, headers, _, token = publish(hall, offer)
    etag, body = headers["etag"], fragment(*credentials(offer), CANDIDATE)
    assert ask("PATCH", session, body, token, Content_Type=FRAGMENT, If_Match=etag)[0] == 204
    problem(ask("PATCH", session, body, token, Content_Type=FRAGMENT), 428, "if-match-missing")
    problem(ask("PATCH", session, body, token, Content_Type=FRAGMENT, If_Match='"old"'), 412, "if-match-stale")
    problem(ask("PATCH", session, body, token, Content_Type=SDP, If_Match=etag), 415, "media-type")
    problem(ask("PATCH", session, body, Content_Type=FRAGMENT, If_Match=etag), 401, "pass-missing")
    status, _, told = ask("PATCH", session, "rubbish", token, Content_Type=FRAGMENT, If_Match=etag)
    assert status in (400, 422), told


def test_new_credentials_restart_ice_and_change_the_tag(hall, offer):
    session, headers, answer, token = publish(hall, offer)
    status, after, body = ask("PATCH", session, fragment("fresh123", "f" * 24), token, Content_Type=FRAGMENT, If_Match=headers["etag"])
    assert status == 200, body
    assert after["content-type"].startswith(FRAGMENT) and after["etag"] != headers["etag"]
    assert credentials(body) != credentials(answer)
    body = fragment("fresh123", "f" * 24, CANDIDATE)
    problem(ask("PATCH", session, body, token, Content_Type=FRAGMENT, If_Match=headers["etag"]), 412, "if-match-stale")
    assert ask("PATCH", session, body, token, Content_Type=FRAGMENT, If_Match=after["etag"])[0] == 204


def test_a_session_is_its_speakers_alone(hall, offer):
    session, *_, token = publish(hall, offer, "one")
    problem(ask("DELETE", session, token=hall.speaker("two")), 403, "not-themselves")
    problem(ask("DELETE", session), 401, "pass-missing")
    problem(ask("DELETE", session, token=hall.host), 403, "not-themselves")
    assert ask("DELETE", session, token=token)[0] == 200


def test_the_newest_session_of_a_participant_takes_the_place_of_the_older(hall, offer):
    old, *_, token = publish(hall, offer)
    status, headers, _ = ask("POST", hall.whip, offer, token, Content_Type=SDP)
    assert status == 201
    problem(ask("DELETE", old, token=token), 404, "session-not-found")
    assert ask("DELETE", urljoin(hall.whip, headers["location"]), token=token)[0] == 200

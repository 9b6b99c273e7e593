"""The judge of `./x bench chaos`, on crowds made up here."""

import pytest

from hearing import chaos

PLACES, SECONDS = 1_000, 900
SPARED = PLACES - PLACES // 50
WAIT = "http://127.0.0.1:1/s/x/wait"


def moments(**at):
    """As many inside as may be, from the beginning on, ten requests a second; `at`: what else was in a second, as `s200={...}`."""
    nothing = dict.fromkeys(("requests", "alone", "told", "entered", "back", "left", "cut", "unanswered"), 0)
    rows = [{"at_s": second, **nothing, "requests": 10, "alone": 10, "told": 10} for second in range(SECONDS)]
    rows[0]["entered"] = SPARED
    for name, more in at.items():
        rows[int(name[1:])] |= more
    return rows


def visit(promised_at=80.0, wait=100.0, entered=181.0, **other):
    return {"kind": "Alone", "comes_s": 5.0, "patience_s": 86_400.0, "promised_at_s": promised_at, "promised_wait_s": wait, "entered_s": entered, "cut_at_s": "", "away_s": ""} | other


FIGURES = {"cap_exceeded": 0, "untrue": 0, "cut": 0, "promise_kept": 1.0, "crowd_late_ms_max": 10, "packets_dropped": 0}
MARKS = [{"name": "worker", "from_s": 200.0, "to_s": 200.1}, {"name": "outage", "from_s": 300.0, "to_s": 360.0}]
NODE = [{"name": "node", "from_s": 200.2, "to_s": 203.4}]
LOOKS = [{"at_s": 1.0, "what": "page", "status": 200, "true": True}, {"at_s": 201.0, "what": "wait", "status": None, "true": None}]


USUAL = [visit(entered=0.0, left_s="", kind="Neighbour")] * SPARED


def judged(figures=FIGURES, rows=None, visits=(visit(),), marks=MARKS, looks=LOOKS, usual=USUAL):
    return chaos.judged(figures, rows or moments(), list(visits), [usual], marks, looks, PLACES, SECONDS)


def test_a_door_that_goes_on_as_it_should_is_not_told():
    # Cut off by the mishap, and back half a minute later.
    rows = moments(s200={"cut": 400, "unanswered": 30}, s230={"back": 400})
    assert chaos.unwanted(judged(rows=rows, visits=[visit(), visit(cut_at_s=200.0, away_s=30.0)])) == []


@pytest.mark.parametrize(
    "name, bad",
    [
        ("cap_exceeded", judged(FIGURES | {"cap_exceeded": 1})),
        ("untrue", judged(FIGURES | {"untrue": 1})),
        ("untrue_pages", judged(looks=[*LOOKS, {"at_s": 2.0, "what": "wait", "status": 200, "true": False}])),
        ("cut_for_nothing", judged(rows=moments(s310={"cut": 1}, s311={"back": 1}))),
        ("packets_dropped", judged(FIGURES | {"packets_dropped": 1})),
        ("crowd_late_ms_max", judged(FIGURES | {"crowd_late_ms_max": 1_001})),
        ("not_back", judged(FIGURES | {"cut": 1})),
        ("unanswered_after", judged(rows=moments(s280={"unanswered": 1}))),
        ("promise_kept", judged(visits=[visit(entered="")])),
        ("promise_kept", judged(visits=[visit(entered=196.0)])),
        ("promise_kept", judged(visits=[])),
        ("used_after", judged(rows=moments(s199={"left": SPARED}))),
        ("used_after", judged(rows=moments(s150={"left": SPARED // 15}))),
        ("away_s_max", judged(visits=[visit(cut_at_s=200.0, away_s=46.0)])),
        ("rate_after_outage", judged(rows=moments(s365={"alone": 300}))),
        ("rate_after_outage", judged(rows=moments(s500={"alone": 300}))),
        ("rate_after_outage", judged(rows=moments(s790={"alone": 300}))),
        ("rate_during_outage", judged(rows=moments(s310={"alone": 160}))),
        ("rate_usual_over_told", judged(rows=moments(**{f"s{second}": {"alone": 13} for second in range(SECONDS)}))),
        ("rate_after_over_before", judged(rows=moments(**{f"s{second}": {"alone": 16, "told": 16} for second in range(360, 450)}))),
    ],
)
def test_each_of_the_bounds_is_one(name, bad):
    said = chaos.unwanted(bad)
    assert len(said) == 1 and said[0].startswith(name)


def test_a_promise_for_the_time_of_a_mishap_is_told_apart():
    assert judged(visits=[visit(wait=130.0, entered="")])["promises"] == 0, "due at 210 s"
    assert judged(visits=[visit(wait=170.0, entered=250.0)])["promises"] == 1, "due at 250 s"
    assert judged(visits=[visit(kind="Bot"), visit(patience_s=60.0), visit(wait=890.0), visit("", "", "")])["promises"] == 0


def test_a_restart_of_the_node_is_told_of_by_those_whom_it_cut_off():
    # Of another mishap are those who were cut off before it, and after it.
    rows = moments(s150={"cut": 7, "back": 90}, s200={"cut": 600}, s201={"cut": 20, "requests": 450}, s204={"back": 250}, s207={"back": 370, "requests": 400}, s250={"cut": 9, "requests": 900})
    visits = [visit(), *(visit(cut_at_s=at, away_s=away) for at, away in ((150.0, 40.0), (200.3, 4.0), (200.4, 6.5), (201.0, 7.0), (250.0, 30.0)))]
    told = judged(rows=rows, visits=visits, marks=NODE)
    assert {name: value for name, value in told.items() if name.startswith("node_")} == {
        "node_down_s": 3.2,
        "node_cut": 620,
        "node_away_s_p50": 6.5,
        "node_away_s_max": 7.0,
        "node_back_per_s_max": 370,
        "node_requests_per_s_max": 450,
    }
    assert {value for name, value in judged().items() if name.startswith("node_")} == {None}, "where there was none"


def test_nobody_who_is_back_after_a_restart_tells_so():
    told = judged(FIGURES | {"cut": 600}, moments(s200={"cut": 600}), marks=NODE)
    assert (told["node_away_s_p50"], told["node_away_s_max"]) == (None, None)
    assert any(said.startswith("not_back") for said in chaos.unwanted(told))


def test_a_waiting_page_says_when_and_no_time_that_is_over():
    at = lambda refresh, status=200: chaos.read(status, {"Refresh": refresh}, "<html>", WAIT)
    found = at("12; url=/s/x/wait?t=abc")
    assert (found["true"], found["seconds"], found["next"]) == (True, 12, "/s/x/wait?t=abc")
    assert not at("0; url=/s/x/wait?t=abc")["true"] and not at("4000; url=/x")["true"] and not at("soon")["true"]
    assert chaos.read(200, {}, "<audio controls>", WAIT)["true"]
    assert not chaos.read(200, {}, "<p>", WAIT)["true"]
    assert chaos.read(503, {"Content-Type": "application/problem+json"}, "{}", WAIT)["true"]
    assert not chaos.read(500, {"Content-Type": "text/html"}, "", WAIT)["true"]
    page = '<!doctype html><script type="application/json" id="space">{}</script>'.format
    own = lambda island, status=200: chaos.read(status, {}, page(island), "http://127.0.0.1:1/s/x")["true"]
    assert own('{"id":"x","state":"live"}')
    # Of another conversation, of one that is over, of none, and no page at all.
    for island in ['{"id":"y","state":"live"}', '{"id":"x","state":"ended"}', "{}", "", "[", '{"id":"x"}']:
        assert not own(island)
    assert not own('{"id":"x","state":"live"}', 502)


def test_rows_are_numbers_where_there_are_some(tmp_path):
    file = tmp_path / "visits.csv"
    file.write_text("who,kind,address,entered_s\n1,Bot,127.1.2.3,\n2,Alone,127.0.0.1,3.500\n")
    assert chaos.rows(file) == [
        {"who": 1.0, "kind": "Bot", "address": "127.1.2.3", "entered_s": ""},
        {"who": 2.0, "kind": "Alone", "address": "127.0.0.1", "entered_s": 3.5},
    ]


def test_what_the_same_launch_has_without_a_mishap_is_told_beside_it_and_excuses_nothing():
    usual = [visit(entered=0.0, left_s=150.0, kind="Neighbour")] * (SPARED // 2) + USUAL[SPARED // 2 :]
    result = judged(usual=usual)
    assert result["used_usually"] < 0.7 and result["used_after"] == 1.0
    worse = judged(rows=moments(s150={"left": SPARED // 10}), usual=usual)
    assert [said.split()[0] for said in chaos.unwanted(worse)] == ["used_after"]


def test_what_is_normal_in_an_outage_are_the_times_that_were_told_for_it():
    # Twice as many are told to come from its end on, and do: that is no rush.
    more = {"alone": 20, "told": 20}
    result = judged(rows=moments(**{f"s{second}": more for second in range(360, SECONDS)}))
    assert (result["rate_usual_over_told"], result["rate_during_outage"], result["rates_after_outage"]) == (1.0, 1.0, [1.0] * 5)
    assert result["rate_after_over_before"] == 2.0
    # If others come as often who were not told to, it is one; nor does it excuse one that some had given up before.
    assert judged(rows=moments(**{f"s{second}": {"told": 5} for second in range(360, SECONDS)}))["rate_after_outage"] == 2.0
    gone = moments(**{f"s{second}": {"alone": 5} for second in range(300)})
    assert judged(rows=gone)["rate_after_outage"] == 2.0

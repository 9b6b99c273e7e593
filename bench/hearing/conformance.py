"""Whether a server keeps the rules of Low-Latency HLS, seen from outside: `./x bench hls --only conformance [--url URL]`.

One named check for each rule, with its section of draft-pantos-hls-rfc8216bis; "B.1" is that draft's profile for low-latency servers, "authoring" Apple's
HLS authoring specification. Each ends as ok, failed or not applicable, with what was seen. Runs against any media playlist that is live, and the
first of a multivariant one. Every request has a connection of its own.
"""

import math
import socket
import ssl
import struct
import time
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from . import hls

SLACK_S = 1.0
"""A held answer may come so much after its part was due: a part is made, sent and read in this time on a busy machine."""

DATE_SLACK_S = 0.25
"""Dates of segments and their durations may differ by so much."""

OK, FAILED, NOT_APPLICABLE = "ok", "failed", "not applicable"
PLAYLIST_TYPES = ("application/vnd.apple.mpegurl", "audio/mpegurl")
MEDIA_TYPES = ("audio/mp4", "video/mp4", "video/iso.segment", "audio/iso.segment", "application/mp4")
_ONCE = ("#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF", "#EXT-X-SKIP", "#EXT-X-ENDLIST", "#EXT-X-INDEPENDENT-SEGMENTS")  # fmt: skip
_BEFORE_SEGMENTS = ("#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE")
_OF_SEGMENTS = ("#EXTINF", "#EXT-X-PART", "#EXT-X-DISCONTINUITY", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-GAP")


@dataclass
class Check:
    """One rule. `seen`: in words, what was found."""

    name: str
    section: str
    status: str
    seen: str


@dataclass
class Step:
    """One blocking reload on the way along the live edge, and the hinted part asked for at the same time."""

    number: int
    part: int
    answer: hls.Answer
    playlist: hls.Playlist
    hint: str = None
    hinted: hls.Answer = None


class Suite:
    """All checks of one playlist. `end`: ends the stream, if the suite may; `patience_s`: how long a playlist may need to grow until it can be skipped from."""

    def __init__(self, url, end=None, patience_s=0.0):
        self.url, self.end, self.patience_s = url, end, patience_s
        self.checks = []
        self.steps, self.errors = [], []

    def run(self):
        """Returns the checks, in the order of the rules looked at."""
        if not self._open():
            return self.checks
        if self.first.ended:
            self._static(self.first)
            self._say("live", "6.2.2", FAILED, "EXT-X-ENDLIST: nothing of what is live can be looked at")
            return self.checks
        oldest = self.first.segments[0] if self.first.segments else None
        oldest_answer = hls.fetch(self.first.at(oldest.uri)) if oldest and not oldest.gap else None
        self.deadline = time.monotonic() + self.patience_s
        if self.first.control.get("CAN-BLOCK-RELOAD") == "YES" and self.first.part_target:
            self._follow()
            self._changes()
            self._blocking()
            self._hints()
            self._beyond()
            self._refusals()
        else:
            for name in ("block-part", "block-segment", "block-past-end", "refuse-part-alone", "preload-hint"):
                self._say(name, "6.2.5.2", NOT_APPLICABLE, "no CAN-BLOCK-RELOAD=YES with parts")
        self._media()
        self._headers()
        self._delta()
        self._removed(oldest, oldest_answer)
        # Now it is as long as it gets here.
        self._static(self._playlist()[1])
        self._ending()
        return self.checks

    # ---- saying

    def _say(self, name, section, status, seen):
        self.checks.append(Check(name, section, status, str(seen)[:400]))

    def _check(self, name, section, good, seen, applies=True):
        """`seen` is told either way: an ok without what was seen convinces nobody."""
        self._say(name, section, NOT_APPLICABLE if not applies else OK if good else FAILED, seen)

    def _none(self, name, section, wrong, looked_at):
        """Ok when `wrong` is empty; not applicable when nothing was looked at."""
        seen = "; ".join(map(str, wrong[:3])) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "") if wrong else f"{looked_at} looked at"
        self._check(name, section, not wrong, seen, applies=bool(looked_at))

    # ---- asking

    def _playlist(self, **directives):
        answer = hls.fetch(hls.directed(self.url, **directives))
        return answer, hls.Playlist(answer.text(), self.url)

    def _grown(self, enough):
        """The playlist, once `enough` of it or the suite's patience has ended."""
        while True:
            _, playlist = self._playlist()
            if enough(playlist) or playlist.ended or time.monotonic() > self.deadline:
                return playlist
            number, _ = playlist.edge()
            self._playlist(msn=number)

    def _open(self):
        answer, playlist = self._playlist()
        if answer.status == 200 and any(name == "#EXT-X-STREAM-INF" for name, _ in playlist.tags):
            variant = next(line for line in playlist.lines if not line.startswith("#"))
            self.url = urljoin(self.url, variant)
            answer, playlist = self._playlist()
        good = answer.status == 200 and playlist.lines[:1] == ["#EXTM3U"]
        self._check("playlist", "4.4.1.1", good, f"status {answer.status}, first line {(playlist.lines or [''])[0][:60]!r}")
        self.first_answer, self.first = answer, playlist
        return good

    # ---- one playlist by itself

    def _static(self, playlist):
        names = [name for name, _ in playlist.tags]
        twice = [name for name in _ONCE if names.count(name) > 1]
        self._none("tags-once", "4.4.3", [f"{name} comes {names.count(name)} times" for name in twice], len(names))
        first = next((i for i, name in enumerate(names) if name in _OF_SEGMENTS), len(names))
        late = [name for name in _BEFORE_SEGMENTS if name in names and names.index(name) > first]
        self._none("tags-order", "4.4.3.2", [f"{name} after the first segment" for name in late], len(names))
        needed = 6 if playlist.map else 3
        self._check("version", "8", (playlist.version or 1) >= needed, f"EXT-X-VERSION {playlist.version}; {needed} is needed without a skip")
        target = playlist.target
        self._check("target-duration", "4.4.3.1", bool(target), f"EXT-X-TARGETDURATION {target}")
        wrong = [f"{s.number}: {s.duration}" for s in playlist.segments if s.duration is None or math.floor(s.duration + 0.5) > (target or 0)]
        self._none("segment-durations", "4.4.3.1", wrong, len(playlist.segments))
        self._control(playlist)
        self._parts(playlist)
        self._dates(playlist)
        if playlist.ended:
            self._check("no-hint-after-end", "4.4.5.3", not playlist.hints, f"{len(playlist.hints)} hints")
        total = sum(s.length for s in playlist.everything())
        enough = total >= 3 * (target or 0) - 0.5
        self._check("window", "6.2.2", enough, f"{total:.1f} s listed, three target durations are {3 * (target or 0)}", applies=playlist.sequence > 0)

    def _control(self, playlist):
        control, part, target = playlist.control, playlist.part_target, playlist.target or 0
        low = part is not None
        self._check("part-inf", "4.4.3.7", bool(part) or not any(s.parts for s in playlist.everything()), f"PART-TARGET {part}")
        self._check("part-inf-present", "B.1", bool(part), f"PART-TARGET {part}")
        self._check("can-block-reload", "B.1", control.get("CAN-BLOCK-RELOAD") == "YES", f"CAN-BLOCK-RELOAD {control.get('CAN-BLOCK-RELOAD')}")
        back = hls._number(control.get("PART-HOLD-BACK"), float)
        seen = f"PART-HOLD-BACK {back}, PART-TARGET {part}"
        self._check("part-hold-back", "4.4.3.8", back is not None and back >= 2 * (part or 0) - 1e-6, seen, applies=low)
        self._check("part-hold-back-three", "authoring 14.3", back is not None and back >= 3 * (part or 0) - 1e-6, seen, applies=low)
        hold = hls._number(control.get("HOLD-BACK"), float)
        self._check("hold-back", "4.4.3.8", hold is None or hold >= 3 * target, f"HOLD-BACK {hold}, TARGETDURATION {target}", applies="HOLD-BACK" in control)
        skip = hls._number(control.get("CAN-SKIP-UNTIL"), float)
        seen = f"CAN-SKIP-UNTIL {skip}, TARGETDURATION {target}"
        self._check("can-skip-until", "4.4.3.8", skip is not None and skip >= 6 * target, seen, applies="CAN-SKIP-UNTIL" in control)
        self._check("can-skip", "B.1", skip is not None, seen)

    def _parts(self, playlist):
        part, target = playlist.part_target or 0, playlist.target or 0
        everything = playlist.everything()
        parts = [(s, i, p) for s in everything for i, p in enumerate(s.parts)]
        self._none("part-durations", "4.4.4.9", [f"{s.number}.{i}: {p.duration}" for s, i, p in parts if p.duration > part + 1e-4], len(parts))
        short, early = [], []
        for s, i, p in parts:
            last = i == len(s.parts) - 1 and s.duration is not None
            next_gap = i + 1 < len(s.parts) and s.parts[i + 1].gap
            if p.duration < 0.85 * part - 1e-4 and not (last or p.gap or next_gap):
                early.append(f"{s.number}.{i}: {p.duration}")
                if not p.independent:
                    short.append(f"{s.number}.{i}: {p.duration}")
        self._none("part-durations-least", "4.4.4.9", short, len(parts))
        # Independent parts may be shorter; for sound, where all are, that would allow anything.
        self._none("part-durations-even", "authoring 14.2", early, len(parts))
        whole = [s for s in playlist.segments if s.parts and not s.gap]
        wrong = [f"{s.number}: parts {s.parts_length:.3f}, EXTINF {s.duration:.3f}" for s in whole if abs(s.parts_length - s.duration) > 0.005]
        self._none("parts-make-segment", "4.4.4.9", wrong, len(whole))
        self._none("tags-before-parts", "4.4.4.9", [f"{s.number}" for s in everything if not s.tags_before_parts], sum(1 for s in everything if s.parts))
        begins, since = [], 0.0
        for s in reversed(everything):
            if since < 3 * target and not s.parts and not s.gap:
                begins.append(f"{s.number} ends {since:.1f} s before the end and has no parts")
            since += s.length
        self._none("parts-near-edge", "6.2.2", begins, len(everything) if part else 0)
        independent = [f"{s.number}" for s in everything if s.parts and not s.parts[0].independent and not s.parts[0].gap]
        promised = any(name == "#EXT-X-INDEPENDENT-SEGMENTS" for name, _ in playlist.tags)
        self._none("independent", "4.4.2.1", independent, sum(1 for s in everything if s.parts) if promised else 0)

    def _dates(self, playlist):
        dated = [s for s in playlist.everything() if s.date is not None]
        self._check("program-date-time", "B.1", bool(dated), f"{len(dated)} of {len(playlist.everything())} segments have one")
        wrong, at = [], None
        for s in playlist.everything():
            if s.date is not None:
                if at is not None and not s.discontinuity and abs(s.date - at) > DATE_SLACK_S:
                    wrong.append(f"{s.number} is {s.date - at:+.3f} s from where the one before ends")
                at = s.date
            at = None if at is None or s.gap else at + s.length
        self._none("dates-follow", "4.4.4.6", wrong, len(dated) - 1 if dated else 0)

    # ---- along the live edge

    def _follow(self):
        """Asks for each next part for two segments' time, and for the hinted part beside it."""
        _, playlist = self._playlist()
        per_segment = max((len(s.parts) for s in playlist.segments), default=1) or 1
        self.per_segment = per_segment
        until = time.monotonic() + 3 * (playlist.target + SLACK_S) + 2 * per_segment * playlist.part_target
        while len(self.steps) < 2 * per_segment + 2 and time.monotonic() < until and not playlist.ended:
            number, part = playlist.edge()
            hint = next((h for h in playlist.hints if h.get("TYPE") == "PART"), {})
            # Of a hinted range the end may be unknown.
            uri = hint.get("URI") if "BYTERANGE-START" not in hint else None
            pending = hls.Pending(playlist.at(uri)) if uri else None
            answer, after = self._playlist(msn=number, part=part)
            self.steps.append(Step(number, part, answer, after, uri, pending.answer() if pending else None))
            if answer.status != 200:
                break
            playlist = after
        self.newest = playlist

    def _blocking(self):
        bad = [f"{s.number}.{s.part}: status {s.answer.status} after {s.answer.took_s:.2f} s" for s in self.steps if s.answer.status != 200]
        self._none("block-answers", "6.2.5.2", bad, len(self.steps))
        good = [s for s in self.steps if s.answer.status == 200]
        wrong = [f"{s.number}.{s.part} asked for, {s.playlist.edge()} is next in the answer" for s in good if not (s.playlist.has(s.number, s.part) or s.playlist.ended)]
        self._none("block-part", "6.2.5.2", wrong, len(good))
        if len(good) > 2:
            # What is answered when its part is there comes, on the whole, at the pace of the parts; never earlier than it.
            spent = good[-1].answer.ended - good[0].answer.ended
            due = sum(self._duration(s) for s in good[1:])
            part = self.first.part_target
            self._check("block-not-early", "6.2.5.2", spent > due - part - SLACK_S / 2 and spent > 0.5 * due, f"{len(good) - 1} parts of {due:.2f} s came in {spent:.2f} s")
            late = [f"{s.number}.{s.part}: {s.answer.took_s:.2f} s" for s in good if s.answer.took_s > part + SLACK_S]
            self._none("block-not-late", "6.2.5.2", late, len(good))
            waits = sorted(s.answer.took_s for s in good)
            self._check("block-holds", "6.2.5.2", waits[len(waits) // 2] > 0.3 * part, f"median wait {waits[len(waits) // 2]:.3f} s of parts of {part} s")
        number, _ = self._edge_now()
        answer, playlist = self._playlist(msn=number)
        seen = f"segment {number} asked for, {playlist.next_number} is next after {answer.took_s:.2f} s, status {answer.status}"
        self._check("block-segment", "6.2.5.2", answer.status == 200 and playlist.has(number), seen)

    def _duration(self, step):
        for segment in step.playlist.everything():
            if segment.number == step.number and step.part < len(segment.parts):
                return segment.parts[step.part].duration
        return self.first.part_target

    def _edge_now(self):
        _, playlist = self._playlist()
        return playlist.edge()

    def _beyond(self):
        """A part past the end of a whole segment is the first of the next one. Asked right after the segment became whole."""
        number, _ = self._edge_now()
        answer, playlist = self._playlist(msn=number)
        if answer.status != 200 or not playlist.has(number):
            return self._say("block-past-end", "6.2.5.2", FAILED, f"segment {number}: status {answer.status}")
        whole = playlist.segments[-1]
        answer, after = self._playlist(msn=whole.number, part=max(len(whole.parts), self.per_segment))
        seen = f"{whole.number}.{max(len(whole.parts), self.per_segment)} asked for, {after.edge()} is next, status {answer.status} after {answer.took_s:.2f} s"
        self._check("block-past-end", "6.2.5.2", answer.status == 200 and (after.has(whole.number + 1, 0) or after.ended), seen)

    def _hints(self):
        hinted = [s for s in self.steps if s.hint]
        self._none("hint-present", "B.1", [f"none at {s.number}.{s.part}" for s in self.steps if not s.hint and not s.playlist.ended], len(self.steps))
        listed = [s.hint for s in self.steps if any(h.get("URI") == p.uri for h in s.playlist.hints if "BYTERANGE-START" not in h for q in s.playlist.everything() for p in q.parts)]
        self._none("hint-is-new", "4.4.5.3", listed, len(hinted))
        bad = [f"{s.hint}: status {s.hinted.status}" for s in hinted if s.hinted.status != 200]
        self._none("hint-answered", "B.1", bad, len(hinted))
        part = self.first.part_target
        late = [f"{s.hint}: {s.hinted.ended - s.answer.ended:+.2f} s after the playlist" for s in hinted if s.hinted.ended > s.answer.ended + SLACK_S]
        self._none("hint-not-late", "6.2.6", late, len(hinted))
        waits = sorted(s.hinted.took_s for s in hinted) or [0.0]
        self._check("hint-held", "6.2.6", waits[len(waits) // 2] > 0.3 * part, f"median wait {waits[len(waits) // 2]:.3f} s", applies=bool(hinted))
        wrong, compared = [], 0
        for s in hinted:
            part = next((p for q in s.playlist.everything() if q.number == s.number for p in q.parts[s.part : s.part + 1]), None)
            if s.hinted.status != 200 or part is None or part.gap:
                continue
            if part.uri != s.hint:
                wrong.append(f"hinted {s.hint}, listed {part.uri}")
                continue
            compared += 1
            if s.playlist.fetch(part).body != s.hinted.body:
                wrong.append(f"{part.uri} is not what was sent for the hint")
        self._none("hint-is-part", "4.4.5.3", wrong, compared + len(wrong))

    def _changes(self):
        back, changed, gone, constant, breaks = [], [], [], [], []
        good = [self.first] + [s.playlist for s in self.steps if s.answer.status == 200]
        for old, new in zip(good, good[1:]):
            if new.sequence < old.sequence or new.edge() < old.edge() and not new.ended:
                back.append(f"{old.sequence}, next {old.edge()}, then {new.sequence}, next {new.edge()}")
            if (new.discontinuity_sequence or 0) < (old.discontinuity_sequence or 0):
                back.append(f"discontinuity sequence {old.discontinuity_sequence}, then {new.discontinuity_sequence}")
            if (old.target, old.part_target) != (new.target, new.part_target):
                constant.append(f"{old.target}/{old.part_target}, then {new.target}/{new.part_target}")
            now = {s.number: s for s in new.everything()}
            for s in old.everything():
                if s.number < new.sequence:
                    continue
                other = now.get(s.number)
                if other is None:
                    gone.append(f"{s.number} is gone, {new.sequence} is the first")
                    continue
                if s.duration is not None and s.facts() != other.facts():
                    changed.append(f"{s.number}: {s.facts()} became {other.facts()}")
                for a, b in zip(s.parts, other.parts):
                    if (a.uri, a.duration, a.independent) != (b.uri, b.duration, b.independent):
                        changed.append(f"part {a.uri} became {b.uri}")
                if s.duration is None and other.duration is None and len(other.parts) < len(s.parts):
                    gone.append(f"parts of {s.number}")
            removed = sum(1 for s in old.segments if s.number < new.sequence and s.discontinuity)
            if (new.discontinuity_sequence or 0) != (old.discontinuity_sequence or 0) + removed:
                breaks.append(f"{removed} breaks removed: {old.discontinuity_sequence}, then {new.discontinuity_sequence}")
        looked = len(good) - 1
        self._none("never-back", "6.2.2", back, looked)
        self._none("only-appends", "6.2.1", changed, looked)
        self._none("removes-oldest-first", "6.2.2", gone, looked)
        self._none("targets-stay", "4.4.3.1", constant, looked)
        self._none("discontinuity-sequence", "6.2.2", breaks, looked)

    # ---- refusals

    def _refusals(self):
        number, _ = self._edge_now()
        self._refused("refuse-part-alone", "6.2.5.2", part=0)
        self._refused("refuse-far-segment", "6.2.5.2", msn=number + 5)
        for name, directives in (("word", {"msn": "two"}), ("negative", {"msn": "-1"}), ("fraction", {"msn": number, "part": "0.5"}), ("huge", {"msn": "9" * 30})):
            self._refused(f"refuse-{name}", "6.2.5", **directives)
        limit = 3 if self.first.part_target >= 1 else math.ceil(3 / self.first.part_target)
        far = 2 * self.per_segment - 1
        if far - self.per_segment >= limit:
            # Whatever the part that is being filled: the last of the next segment lies farther ahead than the limit.
            self._refused("refuse-far-part", "6.2.5.2", msn=self._edge_now()[0] + 1, part=self.per_segment - 1)
        else:
            self._say("refuse-far-part", "6.2.5.2", NOT_APPLICABLE, f"two segments have fewer parts than may be asked for in advance ({limit})")
        missing = hls.fetch(urljoin(self.url, "no-such-file.m4s"))
        self._check("missing", "6.2.1", missing.status in (403, 404, 410), f"status {missing.status} for a file that is none")
        self.errors.append(missing)
        kept = [f"{a.status} {a.url.rpartition('/')[2]}: Cache-Control {a.headers.get('cache-control')!r}" for a in self.errors if a.max_age() != 0 and a.status]
        self._none("errors-not-kept", "B.1", kept, len(self.errors))

    def _refused(self, name, section, **directives):
        answer, _ = self._playlist(**directives)
        self._check(name, section, answer.status == 400 and answer.took_s < SLACK_S, f"{directives}: status {answer.status} after {answer.took_s:.2f} s")
        if answer.status >= 400:
            self.errors.append(answer)

    # ---- media

    def _media(self):
        _, playlist = self._playlist()
        if not playlist.map:
            for name in ("init", "parts-are-segment", "parts-are-fragments", "media-time"):
                self._say(name, "3.1.2", NOT_APPLICABLE, "no EXT-X-MAP: not fragmented MP4")
            return
        self.init_answer = hls.fetch(playlist.at(playlist.map))
        try:
            of = hls.init(self.init_answer.body)
            self._check("init", "3.1.2", self.init_answer.status == 200 and of.timescale > 0, f"{of.codec}, timescale {of.timescale}")
        except (ValueError, struct.error, StopIteration) as error:
            return self._say("init", "3.1.2", FAILED, f"status {self.init_answer.status}: {error}")
        whole = [s for s in playlist.segments if s.parts and not s.gap and not any(p.gap for p in s.parts)][-2:]
        different, broken, times, durations, self.media, expected = [], [], [], [], [], None
        for segment in whole:
            parts = [playlist.fetch(part) for part in segment.parts]
            answer = hls.fetch(playlist.at(segment.uri))
            self.media += [*parts, answer]
            if answer.status != 200 or any(p.status not in (200, 206) for p in parts):
                different.append(f"{segment.uri}: status {answer.status}, parts {[p.status for p in parts]}")
                continue
            if b"".join(p.body for p in parts) != answer.body:
                different.append(f"{segment.uri}: {len(answer.body)} bytes, its parts {[len(p.body) for p in parts]}")
            if segment.discontinuity:
                expected = None
            for part, got in zip(segment.parts, parts):
                try:
                    found = hls.fragments(got.body, of)
                except (ValueError, struct.error) as error:
                    broken.append(f"{part.uri}: {error}")
                    expected = None
                    continue
                for when, duration in found:
                    if expected is not None and when != expected:
                        times.append(f"{part.uri}: {when}, and {expected} was next")
                    expected = when + duration
                length = sum(duration for _, duration in found) / of.timescale
                if abs(length - part.duration) > 0.005:
                    durations.append(f"{part.uri}: {length:.4f} s in it, {part.duration} listed")
        looked = sum(len(s.parts) for s in whole)
        self._none("parts-are-segment", "4.4.4.9", different, len(whole))
        self._none("parts-are-fragments", "3.1.2", broken, looked)
        self._none("media-time", "6.2.4", times, looked)
        self._none("part-durations-true", "4.4.4.9", durations, looked)

    def _removed(self, oldest, answer):
        self._check("oldest-listed", "6.2.2", answer is not None and answer.status == 200, f"{oldest and oldest.uri}: status {answer and answer.status}", applies=answer is not None)
        now = self._grown(lambda playlist: oldest is not None and playlist.sequence > oldest.number)
        if answer is None or oldest.number >= now.sequence:
            return self._say("removed-stays", "6.2.2", NOT_APPLICABLE, "nothing was removed meanwhile")
        again = hls.fetch(self.first.at(oldest.uri))
        # The duration of the segment and of the longest playlist with it: the suite is shorter than that.
        self._check("removed-stays", "6.2.2", again.status == 200 and again.body == answer.body, f"{oldest.uri}, no longer listed: status {again.status}")

    # ---- HTTP

    def _headers(self):
        target = self.first.target or 1
        plain = self.first_answer
        kind = _mime(plain)
        self._check("playlist-type", "4", kind in PLAYLIST_TYPES, f"Content-Type {kind}")
        age = plain.max_age()
        self._check("playlist-cache", "B.1", age is not None and age <= max(1, target / 2), f"a playlist not waited for: Cache-Control {plain.headers.get('cache-control')!r}")
        waited = [s.answer for s in self.steps if s.answer.status == 200]
        short = [f"Cache-Control {a.headers.get('cache-control')!r}" for a in waited if (a.max_age() or 0) < target]
        self._none("blocked-cache", "B.1", short, len(waited))
        media = [a for a in [getattr(self, "init_answer", None), *getattr(self, "media", [])] if a and a.status in (200, 206)]
        self._none("media-type", "3.1.2", [f"{a.url}: {_mime(a)}" for a in media if _mime(a) not in MEDIA_TYPES], len(media))
        self._none("media-cache", "B.1", [f"{a.url}: Cache-Control {a.headers.get('cache-control')!r}" for a in media if (a.max_age() or 0) < target], len(media))
        everything = [plain, *waited, *media]
        blind = [a.url for a in everything if a.headers.get("access-control-allow-origin") not in ("*", "https://player.example")]
        self._none("cors", "authoring 9", blind, len(everything))
        varied = [f"{a.url}: Vary {a.headers['vary']}" for a in everything if a.headers.get("vary", "").strip() == "*" or "cookie" in a.headers.get("vary", "").lower() or "set-cookie" in a.headers]
        self._none("cacheable", "B.1", varied, len(everything))
        where = urlsplit(self.url)
        if where.scheme != "https":
            return self._say("http2", "B.1", NOT_APPLICABLE, "not https")
        context = ssl.create_default_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        try:
            with socket.create_connection((where.hostname, where.port or 443), timeout=10) as plain_socket, context.wrap_socket(plain_socket, server_hostname=where.hostname) as secure:
                spoken = secure.selected_alpn_protocol()
        except OSError as error:
            spoken = str(error)
        self._check("http2", "B.1", spoken == "h2", f"ALPN {spoken}")

    # ---- delta updates, and the end

    def _delta(self):
        until = hls._number(self.first.control.get("CAN-SKIP-UNTIL"), float)
        names = ("skip", "skip-version", "skip-boundary", "skip-merges")
        if until is None:
            for name in names:
                self._say(name, "6.2.5.1", NOT_APPLICABLE, "no CAN-SKIP-UNTIL")
            return
        # A server may leave the one segment that ends just at the boundary.
        self._grown(lambda playlist: _skippable(playlist, until) > 1)
        for _ in range(4):
            _, whole = self._playlist()
            answer, delta = self._playlist(skip="YES")
            if whole.edge() == delta.edge():
                break
        skippable = _skippable(whole, until)
        if skippable < 2:
            self._check("skip-nothing", "6.2.5.1", delta.skipped <= skippable, f"{delta.skipped} skipped, {skippable} old enough")
            for name in names:
                self._say(name, "6.2.5.1", NOT_APPLICABLE, f"the playlist is not longer than CAN-SKIP-UNTIL ({until} s)")
            return
        # A server may skip less than it could, and may answer in full.
        self._check("skip", "6.2.5.1", answer.status == 200 and delta.skipped > 0, f"{delta.skipped} of {len(whole.segments)} skipped, {skippable} could be, status {answer.status}")
        self._check("skip-version", "8", (delta.version or 1) >= 9, f"EXT-X-VERSION {delta.version}", applies=delta.skipped > 0)
        self._check("skip-boundary", "4.4.5.2", delta.skipped <= skippable, f"{delta.skipped} skipped, {skippable} end before the boundary", applies=delta.skipped > 0)
        try:
            same = hls.merged(whole, delta) == [s.facts() for s in whole.segments] and delta.sequence == whole.sequence and whole.edge() == delta.edge()
            seen = f"{delta.skipped} + {len(delta.segments)} segments from {delta.sequence} on, {len(whole.segments)} from {whole.sequence} on in full"
        except ValueError as error:
            same, seen = False, error
        self._check("skip-merges", "6.3.7", same, seen, applies=delta.skipped > 0)

    def _ending(self):
        names = ("end-listed", "end-no-hint", "end-releases", "end-answers")
        if self.end is None:
            for name in names:
                self._say(name, "4.4.3.4", NOT_APPLICABLE, "the stream is not ours to end")
            return
        number, _ = self._edge_now()
        held = hls.Pending(hls.directed(self.url, msn=number + 1))
        self.end()
        released = held.answer()
        kept = hls.Playlist(released.text(), self.url)
        target = self.first.target
        self._check("end-releases", "6.2.5.2", released.status == 200 and kept.ended, f"who waited: status {released.status}, {'with' if kept.ended else 'without'} ENDLIST, after {released.took_s:.2f} s")
        deadline = time.monotonic() + target + 5
        while True:
            answer, last = self._playlist()
            if last.ended or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        self._check("end-listed", "4.4.3.4", last.ended, f"EXT-X-ENDLIST {'is there' if last.ended else 'is not there'}, status {answer.status}")
        self._check("end-no-hint", "4.4.5.3", not last.hints, f"{len(last.hints)} hints", applies=last.ended)
        after, _ = self._playlist(msn=last.next_number + 1, part=0)
        self._check("end-answers", "6.2.5.2", after.status in (200, 400) and after.took_s < SLACK_S, f"status {after.status} after {after.took_s:.2f} s", applies=last.ended)


def _mime(answer):
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _skippable(playlist, until_s):
    """How many segments end before the skip boundary (§4.4.5.2)."""
    after = playlist.filling.parts_length if playlist.filling else 0.0
    for kept, segment in enumerate(reversed(playlist.segments)):
        # A segment is earlier than the boundary when all of it is.
        if after >= until_s - 1e-6:
            return len(playlist.segments) - kept
        after += segment.duration or 0.0
    return 0


def figures(checks):
    """The checks as the benchmark tells them."""
    of = {status: [c for c in checks if c.status == status] for status in (OK, FAILED, NOT_APPLICABLE)}
    return {
        "conformance_ok": len(of[OK]),
        "conformance_failed": len(of[FAILED]),
        "conformance_not_applicable": len(of[NOT_APPLICABLE]),
        "failed": {c.name: c.seen for c in of[FAILED]},
    }


def table(checks):
    """One line for each, for people."""
    return "\n".join(f"{c.status:15}{c.name:24}{c.section:16}{c.seen}" for c in checks)

/** The pure parts of the player, as facts. */
import { describe, expect, it } from "vitest";
import { Backoff, retryAfterMs } from "./backoff";
import { BoxWalker, NotBoxes, type Box } from "./boxes";
import { CatchUp, Lateness } from "./catch_up";
import { Agenda, eventsOf, parse } from "./event";

function box(type: string, body: Uint8Array | number[]): Uint8Array {
  const bytes = new Uint8Array(8 + body.length);
  new DataView(bytes.buffer).setUint32(0, bytes.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(body, 8);
  return bytes;
}

function concat(...parts: (Uint8Array | number[])[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const text = (value: string) => new TextEncoder().encode(value);
const parsed = (json: string) => parse(text(json));
const number = (value: number, bytes: number) => Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** (bytes - 1 - i)) % 256);
const synchsafe = (value: number) => [21, 14, 7, 0].map((shift) => (value >> shift) & 0x7f);

function emsg(json: string, { time = 96_000, scheme = "https://aomedia.org/emsg/ID3", owner = "hiwar", version = 1 } = {}): Box {
  const data = concat(text(`${owner}\0`), text(json));
  const frame = concat(text("PRIV"), synchsafe(data.length), [0, 0], data);
  const tag = concat(text("ID3"), [4, 0, 0], synchsafe(frame.length), frame);
  const body = concat([version, 0, 0, 0], number(48_000, 4), number(time, 8), number(0, 4), number(7, 4), text(`${scheme}\0\0`), tag);
  return { type: "emsg", bytes: box("emsg", body), body: 8 };
}

describe("boxes", () => {
  it("come out whole however the bytes are cut", () => {
    const stream = concat(box("ftyp", [1, 2]), box("moof", []), box("mdat", new Uint8Array(300).fill(9)));
    for (let cut = 1; cut < stream.length; cut += 7) {
      const walker = new BoxWalker();
      const boxes: Box[] = [];
      for (let at = 0; at < stream.length; at += cut) boxes.push(...walker.handle(stream.slice(at, at + cut)));
      expect(boxes.map((found) => found.type)).toEqual(["ftyp", "moof", "mdat"]);
      expect(concat(...boxes.map((found) => found.bytes))).toEqual(stream);
    }
  });

  it("with a 64-bit length are read", () => {
    const [found] = new BoxWalker().handle(concat(number(1, 4), text("mdat"), number(17, 8), [5]));
    expect(found).toMatchObject({ type: "mdat", body: 16 });
  });

  it("with an impossible length end the connection", () => {
    for (const size of [0, 7, 0x7fffffff]) {
      expect(() => new BoxWalker().handle(concat(number(size, 4), text("mdat"), new Uint8Array(9)))).toThrow(NotBoxes);
    }
    expect(() => new BoxWalker().handle(concat(number(1, 4), text("mdat"), number(2 ** 40, 8)))).toThrow(NotBoxes);
  });
});

describe("events", () => {
  it("carry their second of media time", () => {
    expect(eventsOf(emsg('{"t":"speaking","id":"a"}'))).toEqual([{ at: 2, event: { t: "speaking", id: "a" } }]);
    // A week at 48 kHz needs the high half of the presentation time.
    const week = 604_800 * 48_000;
    expect(eventsOf(emsg('{"t":"ended"}', { time: week }))[0]?.at).toBe(604_800);
  });

  it("of others are passed over", () => {
    expect(eventsOf(emsg('{"t":"ended"}', { owner: "somebody" }))).toEqual([]);
    expect(eventsOf(emsg('{"t":"ended"}', { scheme: "urn:scte:scte35" }))).toEqual([]);
    expect(eventsOf(emsg('{"t":"ended"}', { version: 0 }))).toEqual([]);
    expect(eventsOf(emsg('{"t":"later-kind"}'))).toEqual([]);
  });

  it("that are damaged anywhere never throw", () => {
    const whole = emsg('{"t":"stage","speakers":[{"id":"a","name":"نور"}]}');
    for (let length = 8; length < whole.bytes.length; length++) {
      expect(() => eventsOf({ ...whole, bytes: whole.bytes.slice(0, length) })).not.toThrow();
      const flipped = whole.bytes.slice();
      flipped[length]! ^= 0xff;
      expect(() => eventsOf({ ...whole, bytes: flipped })).not.toThrow();
    }
  });

  it("of a stage keep only speakers with an id and a name", () => {
    const event = parsed('{"t":"stage","speakers":[{"id":"a","name":"n"},{"id":1},null]}');
    expect(event).toMatchObject({ speakers: [{ id: "a", name: "n" }] });
    expect(parsed('{"t":"stage"}')).toBeNull();
    expect(parsed("{")).toBeNull();
  });

  it("say that nothing follows, whether it is over or does not take place", () => {
    expect(parsed('{"t":"ended"}')).toEqual({ t: "ended" });
    expect(parsed('{"t":"cancelled","reason":"r"}')).toEqual({ t: "ended", cancelled: true, reason: "r" });
  });

  it("call somebody by their id", () => {
    expect(parsed('{"t":"called","id":"p1"}')).toEqual({ t: "called", id: "p1" });
    expect(parsed('{"t":"call","id":"p1"}')).toBeNull();
  });

  it("are due when the ear is there, in order", () => {
    const agenda = new Agenda();
    agenda.add([{ at: 2, event: { t: "ended" } }, { at: 1, event: { t: "speaking", id: "a" } }]);
    expect(agenda.due(0.5)).toEqual([]);
    expect(agenda.has("ended")).toBe(true);
    expect(agenda.due(3)).toEqual([{ t: "speaking", id: "a" }, { t: "ended" }]);
    expect(agenda.due(9)).toEqual([]);
  });

  it("say that the house is away only after what was sent before that", () => {
    const agenda = new Agenda();
    expect(parsed('{"t":"away"}')).toEqual({ t: "away" });
    agenda.add([{ at: 5, event: { t: "speaking", id: "a" } }]);
    agenda.add([{ at: 0, event: { t: "away" } }]);
    expect(agenda.due(4)).toEqual([]);
    expect(agenda.due(5)).toEqual([{ t: "speaking", id: "a" }, { t: "away" }]);
    agenda.add([{ at: 0, event: { t: "away" } }]);
    expect(agenda.due(5)).toEqual([{ t: "away" }]);
  });
});

describe("catching up", () => {
  const act = (current: number, ...ranges: [number, number][]) =>
    new CatchUp().act(current, ranges.map(([start, end]) => ({ start, end })));

  it("begins half a second behind live", () => {
    expect(act(0, [100, 100.6])).toEqual({ kind: "seek", to: 100.1 });
    expect(act(0, [100, 100.2])).toEqual({ kind: "seek", to: 100 });
    expect(act(0)).toEqual({ kind: "none" });
  });

  it("hurries past 0.9 s until the target is reached, and not before", () => {
    const policy = new CatchUp();
    const ahead = (seconds: number) => policy.act(10, [{ start: 0, end: 10 + seconds }]);
    expect(ahead(0.85)).toEqual({ kind: "rate", rate: 1 });
    expect(ahead(1)).toEqual({ kind: "rate", rate: 1.05 });
    expect(ahead(0.8)).toEqual({ kind: "rate", rate: 1.05 });
    expect(ahead(0.5)).toEqual({ kind: "rate", rate: 1 });
  });

  it("jumps when more than 4 s behind", () => {
    expect(act(10, [0, 14.1])).toEqual({ kind: "seek", to: 13.6 });
  });

  it("jumps once more when a slow start has left it behind", () => {
    const policy = new CatchUp();
    const act = () => policy.act(10, [{ start: 0, end: 12 }]);
    expect(act()).toEqual({ kind: "rate", rate: 1.05 });
    policy.begun();
    expect(act()).toEqual({ kind: "seek", to: 11.5 });
    policy.begun();
    expect(act()).toEqual({ kind: "rate", rate: 1.05 });
  });

  it("steps over the hole that a lost connection left", () => {
    expect(act(10, [0, 10], [12, 12.4])).toEqual({ kind: "seek", to: 12 });
    expect(act(10, [0, 10])).toEqual({ kind: "none" });
  });

  it("follows a clock that was set back", () => {
    expect(act(500, [0, 2])).toEqual({ kind: "seek", to: 1.5 });
  });

  it("asks for a longer buffer after each stall, up to 2 s", () => {
    const policy = new CatchUp();
    policy.stalled();
    expect(policy.target).toBe(0.75);
    for (let i = 0; i < 20; i++) policy.stalled();
    expect(policy.target).toBe(2);
    expect(policy.act(10, [{ start: 0, end: 12.3 }])).toEqual({ kind: "rate", rate: 1 });
  });
});

describe("catching up at a longer cadence", () => {
  const act = (policy: CatchUp, ahead: number) => policy.act(100, [{ start: 0, end: 100 + ahead }]);

  it("is not behind with a piece of four seconds in hand", () => {
    const policy = new CatchUp(3.8);
    for (const ahead of [4.6, 4.3, 0.3]) expect(act(policy, ahead)).toEqual({ kind: "rate", rate: 1 });
    expect(act(policy, 7.9)).toEqual({ kind: "seek", to: 100 + 7.9 - 4.3 });
  });

  it("does not jump when pieces become shorter, but hurries", () => {
    const policy = new CatchUp(3.8);
    expect(act(policy, 4.6).kind).toBe("rate");
    policy.cadence(0, "now");
    expect(act(policy, 4.6)).toEqual({ kind: "rate", rate: 1.05 });
    expect(act(policy, 0.5)).toEqual({ kind: "rate", rate: 1 });
    expect(act(policy, 4.6).kind).toBe("seek");
  });

  it("saves after a notice also while it hurries", () => {
    const policy = new CatchUp(3.8);
    policy.cadence(0, "now");
    expect(act(policy, 1.5)).toEqual({ kind: "rate", rate: 1.05 });
    policy.cadence(1.8, "later");
    expect(act(policy, 1.4)).toEqual({ kind: "rate", rate: 0.9 });
  });

  it("saves after a notice, until there is enough", () => {
    const policy = new CatchUp();
    policy.cadence(1.8, "later");
    expect(act(policy, 0.5)).toEqual({ kind: "rate", rate: 0.9 });
    expect(act(policy, 2.2)).toEqual({ kind: "rate", rate: 0.9 });
    expect(act(policy, 2.31)).toEqual({ kind: "rate", rate: 1 });
    policy.cadence(1.8, "now");
    expect(act(policy, 0.4)).toEqual({ kind: "rate", rate: 1 });
    policy.stalled();
    expect(act(policy, 0.4)).toEqual({ kind: "rate", rate: 0.9 });
  });

  it("believes no length that makes no sense", () => {
    expect(parsed('{"t":"cadence","ms":2000,"in_ms":20000}')).toEqual({ t: "cadence", ms: 2000, in_ms: 20000 });
    for (const ms of ["0", "-5", "1e999", "60000", "null", '"x"', "[]"]) expect(parsed(`{"t":"cadence","ms":${ms}}`)).toBeNull();
  });
});

describe("lateness", () => {
  it("is unknown before sound has come", () => {
    expect(new Lateness().seconds(5, 0)).toBeNull();
  });

  it("counts from live, also while the network brings nothing", () => {
    const lateness = new Lateness();
    lateness.arrived(10, 100);
    expect(lateness.seconds(10, 99.5)).toBeCloseTo(0.75);
    // The fragment of 10.2 came 600 ms late: live did not wait for it.
    expect(lateness.seconds(10.8, 99.5)).toBeCloseTo(1.55);
    lateness.arrived(10.8, 100.2);
    expect(lateness.seconds(10.8, 99.7)).toBeCloseTo(1.35, 2);
  });
});

describe("backoff", () => {
  it("doubles its spread up to half a minute, with full jitter", () => {
    const most = new Backoff(() => 1);
    expect(Array.from({ length: 8 }, () => most.next())).toEqual([500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
    expect(new Backoff(() => 0).next()).toBe(0);
    most.reset();
    expect(most.next()).toBe(500);
  });

  it("never comes before the server's wish", () => {
    expect(new Backoff(() => 0.5).next(7000)).toBe(7250);
  });

  it("reads Retry-After as seconds or a date", () => {
    const now = Date.parse("2026-11-23T12:00:00Z");
    const check = (header: string | null, ms: number | null) => expect(retryAfterMs(header, now)).toBe(ms);
    check("3", 3000);
    check("Mon, 23 Nov 2026 12:00:10 GMT", 10_000);
    check("Mon, 23 Nov 2026 11:00:00 GMT", 0);
    check("999999", 300_000);
    check("soon", null);
    check(null, null);
  });
});

/** The pure parts of the stage's client, as facts. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { Advice } from "./microphone";
import { follow, Lines, told } from "./news";
import { read } from "./pass";
import { codecs, returnsVoices, sessionUrl, takesVoice } from "./sdp";

const answer = (direction: string, port = 9) =>
  `v=0\r\ns=-\r\nm=audio ${port} UDP/TLS/RTP/SAVPF 63 111\r\na=${direction}\r\na=rtpmap:63 red/48000/2\r\na=rtpmap:111 opus/48000/2\r\n`;

describe("a session description", () => {
  it("takes our voice when its audio section receives", () => {
    expect(takesVoice(answer("recvonly"))).toBe(true);
    expect(takesVoice(answer("sendrecv"))).toBe(true);
    expect(takesVoice(answer("inactive"))).toBe(false);
    expect(takesVoice(answer("sendonly"))).toBe(false);
    expect(takesVoice(answer("recvonly", 0))).toBe(false);
    expect(takesVoice("v=0\r\nm=video 9 X 96\r\na=recvonly\r\n")).toBe(false);
  });

  it("brings the others back when it both sends and receives", () => {
    expect(returnsVoices(answer("sendrecv"))).toBe(true);
    expect(returnsVoices(answer("recvonly"))).toBe(false);
  });

  it("names its codecs in order of preference", () => {
    expect(codecs(answer("sendrecv"))).toEqual(["red", "opus"]);
    expect(codecs("")).toEqual([]);
  });
});

describe("a session's address", () => {
  it("is relative to the endpoint, not to the page", () => {
    const endpoint = "https://stage.example:8081/whip/demo";
    const check = (location: string | null, url: string | null) => expect(sessionUrl(location, endpoint)).toBe(url);
    check("/whip/demo/abc", "https://stage.example:8081/whip/demo/abc");
    check("demo/abc", "https://stage.example:8081/whip/demo/abc");
    check("https://other.example/x", "https://other.example/x");
    check("http://[", null);
    check(null, null);
  });
});

describe("a pass", () => {
  const text = (value: string) => {
    const bytes = [...new TextEncoder().encode(value)];
    return [bytes.length, ...bytes];
  };
  const token = (kind: string, ...texts: string[]) =>
    Buffer.from([1, kind.charCodeAt(0), ...Array(8).fill(0), 16, 39, 0, 0, 0, 0, 0, 0, ...texts.flatMap(text), ...Array(64).fill(0)]).toString("base64url");

  it("says who it is for", () => {
    expect(read(token("S", "demo", "p1", "ليلى"))).toMatchObject({ kind: "speak", space: "demo", participant: "p1", name: "ليلى", expires: 10_000 });
    expect(read(token("C"))).toMatchObject({ kind: "create", space: null, participant: null });
    expect(read(token("I", "demo"))).toMatchObject({ kind: "invite", space: "demo", participant: null });
    expect(read(token("A", "demo", "g1", "Omar"))).toMatchObject({ kind: "guest", space: "demo", participant: "g1", name: "Omar" });
  });

  it("that is none is nothing", () => {
    for (const nonsense of ["", "x", "%%%", "AAAA", token("X", "demo"), "A".repeat(301)]) expect(read(nonsense)).toBeNull();
  });
});

describe("server-sent events", () => {
  it("come out whole however the text is cut", () => {
    const stream = ': hello\r\n\r\nevent: stage\ndata: {"a":\ndata: 1}\n\nid: 4\ndata:x\r\n\r\n';
    for (let cut = 1; cut < stream.length; cut++) {
      const lines = new Lines();
      const found = [];
      for (let at = 0; at < stream.length; at += cut) found.push(...lines.handle(stream.slice(at, at + cut)));
      expect(found).toEqual([{ event: "stage", data: '{"a":\n1}' }, { event: "", data: "x" }]);
    }
  });
});

describe("the stage's news", () => {
  const space = { id: "demo", title: "T", state: "live", speakers: [{ id: "a", name: "n", speaking: true }], recording: "on" };
  const stage = { you: { id: "a", role: "speaker", place: null }, consent_needed: false, hands: [], people: [] };

  it("is the whole space, or the whole stage", () => {
    expect(told({ event: "space", data: JSON.stringify(space) })).toEqual({ space });
    expect(told({ event: "stage", data: JSON.stringify(stage) })).toEqual({ stage });
  });

  it("that is damaged or of another kind is none", () => {
    for (const data of ["{", "null", "[]", "{}", '{"you":null}']) {
      for (const event of ["space", "stage"]) expect(told({ event, data })).toBeNull();
    }
    expect(told({ event: "other", data: JSON.stringify(space) })).toBeNull();
    expect(told({ event: "stage", data: JSON.stringify(space) })).toBeNull();
  });
});

describe("where too many watch", () => {
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  /** How often the stream was tried and how often it was asked, in a minute and a half in which every stream is refused. */
  async function refused(waits: boolean): Promise<{ tried: number; asked: number }> {
    vi.useFakeTimers();
    vi.stubGlobal("removeEventListener", () => {});
    const seen = { tried: 0, asked: 0 };
    vi.stubGlobal("fetch", async () => {
      seen.tried += 1;
      return new Response(null, { status: 503, headers: { "Retry-After": "2" } });
    });
    const stop = new AbortController();
    const ask = async () => void (seen.asked += 1);
    const following = follow({ url: "/events", token: "t", onNews: () => {}, onBreak: () => {}, waits: () => waits, ask }, stop.signal);
    await vi.advanceTimersByTimeAsync(90_000);
    stop.abort();
    await following;
    return seen;
  }

  it("one of many who wait asks about every twenty seconds, and seldom tries to be let in", async () => {
    const { tried, asked } = await refused(true);
    expect(asked).toBeGreaterThanOrEqual(3);
    expect(asked).toBeLessThanOrEqual(6);
    expect(tried).toBeLessThanOrEqual(2);
  });

  it("whoever stands on the stage goes on trying, as soon as the server lets them", async () => {
    const { tried, asked } = await refused(false);
    expect(tried).toBeGreaterThan(3);
    expect(asked).toBe(0);
  });
});

describe("advice at the microphone", () => {
  const after = (seconds: number, db: (at: number) => number) => {
    const advice = new Advice();
    let verdict = "";
    for (let at = 0; at <= seconds; at += 0.05) verdict = advice.handle(at, db(at));
    return verdict;
  };

  it("waits, then asks whether it is the right one", () => {
    expect(after(2, () => -90)).toBe("say");
    expect(after(8, () => -90)).toBe("nothing");
  });

  it("hears speech, soft speech and shouting", () => {
    expect(after(2, () => -25)).toBe("heard");
    expect(after(2, () => -45)).toBe("quiet");
    expect(after(2, () => -2)).toBe("loud");
  });

  it("is not taken in by a door that falls shut", () => {
    expect(after(2, (at) => (at > 1 && at < 1.2 ? -20 : -80))).toBe("say");
  });
});

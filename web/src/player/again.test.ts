/** What the player does while the server cannot say yet whether there is a space. The browser is a sketch of one; the clock is the test's. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { look, ways } from "./plain";
import { until } from "../wait/wait";
import type { Told } from "./ticket";
import { Player, type State } from "./player";

const starting = () => new Response("{}", { status: 503, headers: { "Retry-After": "1" } });
const missing = () => new Response("{}", { status: 404 });

class Element extends EventTarget {
  src = "";
  currentTime = 0;
  play = () => new Promise<void>(() => {});
  pause = () => {};
  load = () => {};
  removeAttribute = () => {};
  canPlayType = () => "maybe";
}

class Source extends EventTarget {
  static isTypeSupported = () => true;
  readyState = "closed";
}

let answers: (() => Response)[] = [];
/** When the player asked, in milliseconds. */
let asked: number[] = [];
let waits: [string, number][] = [];
let shown: string[] = [];
/** And whether it said with it that the browser plays the delayed stream. */
let says: boolean[] = [];

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  vi.stubGlobal("addEventListener", () => {});
  vi.stubGlobal("removeEventListener", () => {});
  vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:sound");
  asked = [];
  [waits, shown, says] = [[], [], []];
  // Some have locks, which would outlive a player here, as they do a page's only.
  vi.stubGlobal("navigator", {});
  vi.stubGlobal("document", Object.assign(new EventTarget(), { hidden: false }));
  vi.stubGlobal("Audio", class { play = async () => {}; pause() {} });
  for (const kept of ["localStorage", "sessionStorage"]) {
    const map = new Map<string, string>();
    vi.stubGlobal(kept, { getItem: (key: string) => map.get(key) ?? null, setItem: (key: string, value: string) => map.set(key, value), removeItem: (key: string) => map.delete(key) });
  }
  vi.stubGlobal("fetch", (address: string, init?: RequestInit) => {
    if (init?.signal?.aborted) return Promise.reject(new DOMException("", "AbortError"));
    asked.push(Date.now());
    shown.push(address.split("?t=")[1]?.replace("&hls", "")!);
    says.push(address.includes("&hls"));
    const answer = answers.shift();
    return answer ? Promise.resolve(answer()) : new Promise(() => {});
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function player(begun = true, voucher: string | null = null): { player: Player; states: State[]; audio: Element } {
  const audio = new Element();
  const states: State[] = [];
  const config = { audio: audio as unknown as HTMLAudioElement, space: "demo", hls: "/hls/demo/", pass: null, voucher, begun: () => begun, queue: (told: Told, signal: AbortSignal) => until(told, signal, (left) => waits.push([told.stage, left])) };
  return { player: new Player({ ...config, onState: (state) => states.push(state), onEvent: () => {}, onBehind: () => {} }), states, audio };
}

it("asks again when the server wishes, and says meanwhile that it tries", async () => {
  vi.stubGlobal("MediaSource", Source);
  answers = [starting, starting];
  const { player: one, states } = player();
  one.listen();
  await vi.advanceTimersByTimeAsync(10_000);
  // A second, and a random part of a spread that doubles.
  expect(asked).toEqual([0, 1_250, 2_750]);
  expect(states).toEqual(["connecting", "reconnecting"]);
  one.stop();
});

it("waits for doors that are shut as long as the server says", async () => {
  vi.stubGlobal("MediaSource", Source);
  answers = [() => new Response("{}", { status: 503, headers: { "Retry-After": "20" } })];
  const { player: one, states } = player(false);
  one.listen();
  await vi.advanceTimersByTimeAsync(25_000);
  expect(asked).toEqual([0, 20_250]);
  expect(states.slice(0, 2)).toEqual(["connecting", "waiting"]);
  one.stop();
});

it("says that there is no such space only when the server does", async () => {
  vi.stubGlobal("MediaSource", Source);
  answers = [starting, missing];
  const { player: one, states } = player();
  one.listen();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked.length).toBe(2);
  expect(states.at(-1)).toBe("missing");
});

it("plays the delayed stream by the browser itself where whoever comes now is sent there", async () => {
  vi.stubGlobal("MediaSource", Source);
  answers = [() => Object.defineProperty(new Response("#EXTM3U"), "redirected", { value: true })];
  const { player: one, states, audio } = player();
  one.listen();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(audio.src).toBe("/hls/demo/live.m3u8");
  audio.dispatchEvent(new Event("playing"));
  expect(states).toEqual(["connecting", "idle", "connecting", "playing"]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toEqual([0]);
  one.stop();
});

it("says whether the browser plays the delayed stream, where it may be sent", async () => {
  vi.stubGlobal("MediaSource", Source);
  for (const can of ["", "maybe"]) {
    const { player: one, audio } = player();
    audio.canPlayType = () => can;
    one.listen();
    await vi.advanceTimersByTimeAsync(1_000);
    one.stop();
  }
  expect(says).toEqual([false, true]);
});

it("tries another way where the browser fetches the sound and the server cannot say", async () => {
  answers = [starting];
  const { player: one, states, audio } = player();
  one.listen();
  expect(audio.src).toBe("/hls/demo/live.m3u8");
  audio.dispatchEvent(new Event("error"));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(audio.src).toBe("/listen/demo.ogg");
  expect(states).toEqual(["connecting", "reconnecting"]);
  one.stop();
});

it("takes no 503 for an answer", async () => {
  answers = [starting, missing];
  const { signal } = new AbortController();
  expect(await look("demo", null, signal)).toBe("unknown");
  expect(await look("demo", null, signal)).toBe("missing");
});

/** What a door answers to somebody who has to wait. */
const wait = (ticket: string, stage: string, wait_ms: number) => () =>
  new Response(JSON.stringify({ type: "/problems/wait", status: 503, ticket, stage, wait_ms }), { status: 503, headers: { "Retry-After": "99" } });

it("comes back when it was told to, and asks for nothing meanwhile", async () => {
  vi.stubGlobal("MediaSource", Source);
  answers = [wait("drawn", "draw", 70_000), wait("placed", "place", 600_000)];
  const { player: one, states } = player();
  one.listen();
  await vi.advanceTimersByTimeAsync(700_000);
  // Half of what is spread, for chance is a half here.
  expect(asked).toEqual([0, 70_150, 670_300]);
  expect(shown).toEqual(["", "drawn", "placed"]);
  expect(states).toEqual(["connecting", "queued"]);
  expect(waits[0]).toEqual(["draw", 70_150]);
  // Told anew now and then, and not each second.
  expect(waits.length).toBeLessThan(50);
  one.stop();
});

it("plays the delayed stream for whoever would rather not wait, and asks for no place any more", async () => {
  vi.stubGlobal("MediaSource", Source);
  answers = [wait("ranked", "rank", 1_800_000)];
  const audio = new Element();
  let press = () => {};
  const queue = () => new Promise<"delayed">((resolve) => (press = () => resolve("delayed")));
  const states: State[] = [];
  const one = new Player({
    audio: audio as unknown as HTMLAudioElement, space: "demo", hls: "https://cdn.example/hls/demo/", pass: "P", voucher: null, begun: () => true, queue,
    onState: (state) => states.push(state), onEvent: () => {}, onBehind: () => {},
  });
  one.listen();
  await vi.advanceTimersByTimeAsync(1_000);
  expect([states.at(-1), shown]).toEqual(["queued", [""]]);
  press();
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(audio.src).toBe("https://cdn.example/hls/demo/live.m3u8?pass=P");
  expect([states.at(-1), shown]).toEqual(["connecting", [""]]);
  one.stop();
});

it("stays stopped if somebody presses and stops at once", async () => {
  vi.stubGlobal("MediaSource", Source);
  answers = [wait("ranked", "rank", 1_800_000)];
  const audio = new Element();
  let press = () => {};
  const queue = () => new Promise<"delayed">((resolve) => (press = () => resolve("delayed")));
  const config = { audio: audio as unknown as HTMLAudioElement, space: "demo", hls: "/hls/demo/", pass: null, voucher: null, begun: () => true, queue };
  const one = new Player({ ...config, onState: () => {}, onEvent: () => {}, onBehind: () => {} });
  one.listen();
  await vi.advanceTimersByTimeAsync(1_000);
  press();
  one.stop();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(one.state).toBe("idle");
  expect(audio.src).not.toContain("m3u8");
});

it("keeps its place if the page is closed", async () => {
  vi.stubGlobal("MediaSource", Source);
  answers = [wait("mine", "place", 60_000)];
  const { player: one } = player();
  one.listen();
  await vi.advanceTimersByTimeAsync(1_000);
  one.stop();
  await vi.advanceTimersByTimeAsync(120_000);
  expect(shown).toEqual([""]);
  const { player: other } = player();
  other.listen();
  await vi.advanceTimersByTimeAsync(0);
  expect(shown).toEqual(["", "mine"]);
  other.stop();
});

it("shows the place that it was let in by when the line breaks, in this tab alone", async () => {
  vi.stubGlobal("MediaSource", Source);
  const entered = () => new Response(new ReadableStream({ start: (to) => to.close() }), { headers: { "Hiwar-Place": "inside" } });
  answers = [wait("mine", "place", 1_000), entered];
  const { player: one } = player();
  one.listen();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(shown.slice(0, 3)).toEqual(["", "mine", "inside"]);
  expect([sessionStorage.getItem("hiwar:ticket:demo"), localStorage.getItem("hiwar:ticket:demo")]).toEqual(["inside", ""]);
  one.stop();
});

it("comes back with its place to a server that was gone, and waits longer each time that nobody answers", async () => {
  vi.stubGlobal("MediaSource", Source);
  const entered = () => new Response(new ReadableStream({ start: (to) => to.close() }), { headers: { "Hiwar-Place": "inside" } });
  const gone = () => {
    throw new TypeError("Failed to fetch");
  };
  answers = [entered, gone, gone, gone, wait("again", "soon", 4_000)];
  const { player: one } = player();
  one.listen();
  await vi.advanceTimersByTimeAsync(60_000);
  // Half of a spread that doubles, from half a second on; then when the server says.
  expect(asked).toEqual([0, 250, 750, 1_750, 3_750, 7_900]);
  expect(shown).toEqual(["", "inside", "inside", "inside", "inside", "again"]);
  one.stop();
});

it("comes at once if it was asleep when it was due", async () => {
  vi.stubGlobal("MediaSource", Source);
  answers = [wait("mine", "place", 3_600_000)];
  const { player: one } = player();
  one.listen();
  await vi.advanceTimersByTimeAsync(1_000);
  // Its timers stood still, and a clock went on.
  vi.setSystemTime(4_000_000);
  document.dispatchEvent(new Event("visibilitychange"));
  await vi.advanceTimersByTimeAsync(0);
  expect(shown).toEqual(["", "mine"]);
  one.stop();
});

it("takes a new ticket for one that is of no use any more, and is inside with the third request", async () => {
  vi.stubGlobal("MediaSource", Source);
  localStorage.setItem("hiwar:ticket:demo", "used");
  const entered = () => new Response(new ReadableStream(), { headers: { "Hiwar-Place": "inside" } });
  answers = [wait("new", "draw", 60_000), wait("placed", "place", 60_000), entered];
  const { player: one, states } = player();
  one.listen();
  await vi.advanceTimersByTimeAsync(600_000);
  expect(shown).toEqual(["used", "new", "placed"]);
  expect(states).toEqual(["connecting", "queued"]);
  expect(sessionStorage.getItem("hiwar:ticket:demo")).toBe("inside");
  one.stop();
});

it("asks twenty times in a minute at most, whatever is answered and however often somebody presses", async () => {
  vi.stubGlobal("MediaSource", Source);
  // Of no use: come at once, or at a time that is none.
  answers = Array.from({ length: 200 }, (_, n) => wait("mine", "place", n % 2 ? 0 : (undefined as unknown as number)));
  const { player: one } = player();
  one.listen();
  await vi.advanceTimersByTimeAsync(30_000);
  one.stop();
  one.listen();
  await vi.advanceTimersByTimeAsync(29_000);
  expect(asked.length).toBe(20);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(asked.length).toBeGreaterThan(40);
  expect(asked.every((at, n) => at - (asked[n - 20] ?? -Infinity) >= 60_000)).toBe(true);
  one.stop();
});

it("tells of a broken line while it waits, and comes back with what it has", async () => {
  vi.stubGlobal("MediaSource", Source);
  answers = [wait("mine", "place", 60_000), starting, wait("mine", "place", 60_000)];
  const { player: one, states } = player();
  one.listen();
  await vi.advanceTimersByTimeAsync(70_000);
  expect(shown).toEqual(["", "mine", "mine"]);
  expect(states).toEqual(["connecting", "queued", "reconnecting", "queued"]);
  one.stop();
});

it("shows its voucher whenever it asks, with its ticket", async () => {
  vi.stubGlobal("MediaSource", Source);
  answers = [wait("mine", "draw", 1_000)];
  const { player: one } = player(true, "a&b");
  one.listen();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(shown).toEqual(["&voucher=a%26b", "mine&voucher=a%26b"]);
  one.stop();
  expect(ways(new Element() as unknown as HTMLAudioElement, "demo", "/hls/demo/", { pass: "p", voucher: "v" })[1]).toBe("/listen/demo.ogg?pass=p&voucher=v");
  expect(ways(new Element() as unknown as HTMLAudioElement, "demo", "/hls/demo/", { pass: null, voucher: null })[1]).toBe("/listen/demo.ogg");
});

it("sees that it is time when it is thawed or brought back", async () => {
  vi.stubGlobal("MediaSource", Source);
  const back = new EventTarget();
  vi.stubGlobal("addEventListener", back.addEventListener.bind(back));
  for (const wake of [() => document.dispatchEvent(new Event("resume")), () => back.dispatchEvent(new Event("pageshow"))]) {
    const before = Date.now();
    shown = [];
    answers = [wait("mine", "place", 3_600_000)];
    const { player: one } = player();
    one.listen();
    await vi.advanceTimersByTimeAsync(1_000);
    vi.setSystemTime(before + 4_000_000);
    wake();
    await vi.advanceTimersByTimeAsync(0);
    expect(shown.length).toBe(2);
    one.stop();
  }
});

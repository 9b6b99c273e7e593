/** What the player does while the server cannot say yet whether there is a space. The browser is a sketch of one; the clock is the test's. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { look } from "./plain";
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

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  vi.stubGlobal("addEventListener", () => {});
  vi.stubGlobal("removeEventListener", () => {});
  vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:sound");
  asked = [];
  vi.stubGlobal("fetch", () => {
    asked.push(Date.now());
    const answer = answers.shift();
    return answer ? Promise.resolve(answer()) : new Promise(() => {});
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function player(begun = true): { player: Player; states: State[]; audio: Element } {
  const audio = new Element();
  const states: State[] = [];
  const config = { audio: audio as unknown as HTMLAudioElement, space: "demo", hls: "/hls/demo/", pass: null, begun: () => begun };
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

/** Pages that wait with one ticket. The locks are a sketch of a browser's; the clock is the test's. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { pause } from "./backoff";
import { Player } from "./player";
import { Ticket } from "./ticket";

const KEY = "hiwar:ticket:demo";
/** As they are written: which it is stays when it is exchanged. */
const ticket = (serial: string, of: string) => `demoofus${serial.padEnd(10, "_")}${of}`;
const [MINE, LATER, OTHERS] = [ticket("mine", "draw"), ticket("mine", "place"), ticket("others", "rank")];

type Taken = () => Promise<void> | undefined;
/** One holds what has a name, and the others wait in line for it until they are told not to. */
class Locks {
  #lines = new Map<string, (() => void)[]>();

  request(name: string, { signal }: { signal: AbortSignal }, taken: Taken): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const line = this.#lines.get(name) ?? [];
    this.#lines.set(name, line);
    return new Promise((done, fails) => {
      const gone = () => {
        line.splice(line.indexOf(turn), 1);
        fails(signal.reason);
      };
      const turn = async () => {
        signal.removeEventListener("abort", gone);
        await taken();
        line.shift();
        done();
        line[0]?.();
      };
      signal.addEventListener("abort", gone);
      if (line.push(turn) === 1) void Promise.resolve().then(() => line[0]?.());
    });
  }

  get held(): string[] {
    return [...this.#lines].filter(([, line]) => line.length > 0).map(([name]) => name);
  }
}

class Element extends EventTarget {
  currentTime = 0;
  canPlayType = () => "";
  play = () => new Promise<void>(() => {});
  pause = () => {};
  load = () => {};
  removeAttribute = () => {};
}

class Source extends EventTarget {
  static isTypeSupported = () => true;
  readyState = "closed";
}

interface Ask {
  at: number;
  shown: string;
  answers: (response: Response) => void;
  fails: (error: Error) => void;
}

let locks = new Locks();
let asks: Ask[] = [];
const stops: (() => void)[] = [];

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:sound");
  // Younger than locks are.
  vi.spyOn(AbortSignal, "timeout").mockImplementation(() => {
    throw new TypeError("AbortSignal.timeout is not a function");
  });
  [locks, asks] = [new Locks(), []];
  vi.stubGlobal("navigator", { locks });
  vi.stubGlobal("MediaSource", Source);
  vi.stubGlobal("addEventListener", () => {});
  vi.stubGlobal("removeEventListener", () => {});
  const kept = new Map([[KEY, MINE]]);
  vi.stubGlobal("localStorage", { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => kept.set(key, value) });
  // Each page has its own, and all of them are new here.
  vi.stubGlobal("sessionStorage", { getItem: () => null, setItem: () => {} });
  vi.stubGlobal("fetch", (address: string, { signal }: { signal: AbortSignal }) => {
    return new Promise<Response>((answers, fails) => {
      const gone = () => fails(new DOMException("", "AbortError"));
      if (signal.aborted) return gone();
      signal.addEventListener("abort", gone);
      asks.push({ at: Date.now(), shown: address.split("?t=")[1]!, answers, fails });
    });
  });
});

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function page(): Player {
  const queue = (told: { wait_ms: number }, signal: AbortSignal) => pause(told.wait_ms, signal);
  const config = { audio: new Element() as unknown as HTMLAudioElement, space: "demo", hls: "/hls/demo/", pass: null, voucher: null, begun: () => true, queue };
  const one = new Player({ ...config, onState: () => {}, onEvent: () => {}, onBehind: () => {} });
  stops.push(() => one.stop());
  return one;
}

const wait = (given: string, wait_ms = 600_000) => new Response(JSON.stringify({ ticket: given, stage: "place", wait_ms }), { status: 503 });
const entered = (given: string, body: ReadableStream) => new Response(body, { headers: { "Hiwar-Place": given } });
const shown = () => asks.map(({ at, shown }) => [at, shown]);
const passes = (ms: number) => vi.advanceTimersByTimeAsync(ms);

it("asks one page at a time, and the next by the same ticket", async () => {
  const [one, other] = [page(), page()];
  one.listen();
  other.listen();
  await passes(1_000);
  expect(shown()).toEqual([[0, MINE]]);
  asks[0]!.answers(wait(LATER));
  await passes(0);
  expect(shown()[1]).toEqual([1_000, MINE]);
  asks[1]!.answers(wait(LATER));
  await passes(10_000);
  expect(asks.length).toBe(2);
  expect(localStorage.getItem(KEY)).toBe(LATER);
  expect(locks.held).toEqual([]);
});

it("comes as others do when another page's answer is late, and leaves that page's ticket kept", async () => {
  const [one, other] = [page(), page()];
  one.listen();
  other.listen();
  await passes(3_000);
  expect(shown()).toEqual([[0, MINE], [2_000, ""]]);
  asks[1]!.answers(wait(OTHERS, 10_000));
  await passes(0);
  expect(localStorage.getItem(KEY)).toBe(MINE);
  asks[0]!.answers(wait(LATER));
  await passes(10_000);
  expect(localStorage.getItem(KEY)).toBe(LATER);
  expect(shown()[2]).toEqual([13_000, OTHERS]);
  // Nor does it go when the other is let in by its own.
  asks[2]!.answers(entered(OTHERS, new ReadableStream()));
  await passes(0);
  expect(localStorage.getItem(KEY)).toBe(LATER);
});

it("lets another ask at once when its line is broken", async () => {
  const [one, other] = [page(), page()];
  one.listen();
  other.listen();
  await passes(500);
  asks[0]!.fails(new TypeError("no network"));
  await passes(0);
  expect(shown()).toEqual([[0, MINE], [500, MINE]]);
});

it("lets another ask at once when somebody stops it", async () => {
  const [one, other] = [page(), page()];
  one.listen();
  other.listen();
  await passes(500);
  one.stop();
  await passes(0);
  expect(shown()).toEqual([[0, MINE], [500, MINE]]);
});

it("is one page still when it was stopped and listens again", async () => {
  const [one, other] = [page(), page()];
  one.listen();
  await passes(500);
  one.stop();
  one.listen();
  await passes(100);
  expect(shown()).toEqual([[0, MINE], [500, MINE]]);
  // Who was stopped has freed nothing of who asks now.
  other.listen();
  await passes(1_000);
  expect(asks.length).toBe(2);
  // And while it waits for another it is in line once.
  asks[1]!.answers(wait(MINE));
  await passes(0);
  expect(shown()[2]).toEqual([1_600, MINE]);
  one.stop();
  one.listen();
  await passes(1_000);
  one.stop();
  one.listen();
  await passes(500);
  asks[2]!.answers(wait(MINE));
  await passes(0);
  expect(shown().slice(3)).toEqual([[3_100, MINE]]);
  one.stop();
  await passes(5_000);
  expect(locks.held).toEqual([]);
  expect(asks.length).toBe(4);
});

it("claims nothing for whoever has stopped", async () => {
  const stop = new AbortController();
  const turn = new Ticket("demo").turn(stop.signal);
  stop.abort();
  await turn;
  expect(locks.held).toEqual([]);
  const one = new Ticket("demo");
  await one.turn(stop.signal);
  await one.read(entered(LATER, new ReadableStream()), stop.signal);
  expect([locks.held, one.text]).toEqual([[], LATER]);
});

it("keeps its place to itself as long as it is inside, and comes back by it", async () => {
  const [one, other] = [page(), page()];
  let line!: ReadableStreamDefaultController;
  one.listen();
  await passes(0);
  asks[0]!.answers(entered(LATER, new ReadableStream({ start: (to) => void (line = to) })));
  await passes(5_000);
  other.listen();
  await passes(3_000);
  expect(shown().slice(1)).toEqual([[7_000, ""]]);
  line.close();
  await passes(1_000);
  expect(shown().slice(2)).toEqual([[8_250, LATER]]);
  expect(localStorage.getItem(KEY)).toBe("");
});

it("shows its ticket where locks are for nobody", async () => {
  vi.stubGlobal("navigator", { locks: { request: () => Promise.reject(new DOMException("", "SecurityError")) } });
  page().listen();
  await passes(0);
  expect(shown()).toEqual([[0, MINE]]);
});

/**
 * Pieces become longer and shorter while somebody listens: the whole player, with a sketch of a browser and of a worker, on the test's clock.
 *
 * The browser runs dry as real ones do; the worker holds chunks of 200 ms back until a piece is whole, and the network brings it up to 100 ms late.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { beginning } from "./list";
import { Player, type State } from "./player";

const CHUNK_MS = 200;
const JITTER_MS = 100;
/** Media second of the first chunk. */
const BEGAN = 100;
/** Chromium needs about this long to begin, and goes on after a stall with this much in hand. */
const [STARTS_MS, RESUMES_S] = [300, 0.1];

function box(type: string, body: Uint8Array | number[]): Uint8Array {
  const bytes = new Uint8Array(8 + body.length);
  new DataView(bytes.buffer).setUint32(0, bytes.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(body, 8);
  return bytes;
}

const join = (...parts: (Uint8Array | number[])[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
const text = (value: string) => new TextEncoder().encode(value);
const big = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
const synchsafe = (value: number) => [21, 14, 7, 0].map((shift) => (value >> shift) & 0x7f);

function emsg(event: object): Uint8Array {
  const data = join(text("hiwar\0"), text(JSON.stringify(event)));
  const frame = join(text("PRIV"), synchsafe(data.length), [0, 0], data);
  const tag = join(text("ID3"), [4, 0, 0], synchsafe(frame.length), frame);
  return box("emsg", join([1, 0, 0, 0], big(48_000), big(0), big(0), big(0xffff_ffff), big(0x4000_0001), text("https://aomedia.org/emsg/ID3\0\0"), tag));
}

function chunk(n: number): Uint8Array {
  const tfdt = box("tfdt", join([1, 0, 0, 0], big(0), big((BEGAN + n * 0.2) * 48_000)));
  return join(box("moof", box("traf", tfdt)), box("mdat", [7]));
}

let seed = 1;
const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;

/** Of a stream that has been live for ten seconds. */
class Worker {
  cadence = CHUNK_MS;
  /** Says to nobody how it sends. */
  silent = false;
  /** Chunks that are whole, and of these how many were sent. */
  #whole = 0;
  #sent = 0;
  #line: Line | null = null;

  constructor() {
    this.#whole = 50;
    setInterval(() => this.#chunk(), CHUNK_MS);
  }

  fetch(): { ok: boolean; body: unknown; headers: Headers } {
    const line = (this.#line = new Line());
    line.send(join(box("ftyp", []), box("moov", [])));
    if (this.cadence !== CHUNK_MS) this.#say({ ms: this.cadence });
    this.#sent = this.#whole - Math.round((this.cadence + 600) / CHUNK_MS);
    this.#flush();
    return { ok: true, body: line, headers: new Headers() };
  }

  /** As to everyone: longer pieces after a notice, shorter ones at once. */
  change(ms: number): void {
    if (ms < this.cadence) return this.move(ms);
    const in_ms = Math.max(20_000, 10 * ms);
    this.#say({ ms, in_ms });
    setTimeout(() => this.move(ms), in_ms);
  }

  cut(): void {
    this.#line?.end();
    this.#line = null;
  }

  move(ms: number): void {
    this.cadence = ms;
    this.#say({ ms });
  }

  #say(event: object): void {
    if (!this.silent) this.#line?.send(emsg({ t: "cadence", ...event }));
  }

  #chunk(): void {
    this.#whole += 1;
    if ((this.#whole - this.#sent) * CHUNK_MS >= this.cadence) this.#flush();
  }

  #flush(): void {
    const piece: Uint8Array[] = [];
    for (; this.#sent < this.#whole; this.#sent++) piece.push(chunk(this.#sent));
    this.#line?.send(join(...piece));
  }
}

/** The body of an answer: what was sent comes later, and in order. */
class Line {
  #come: (Uint8Array | null)[] = [];
  #wants: (() => void) | null = null;
  #last = 0;

  send(bytes: Uint8Array | null): void {
    this.#last = Math.max(this.#last, Date.now() + random() * JITTER_MS);
    setTimeout(() => {
      this.#come.push(bytes);
      this.#wants?.();
    }, this.#last - Date.now());
  }

  end(): void {
    this.send(null);
  }

  getReader(): unknown {
    return {
      read: async () => {
        if (this.#come.length === 0) await new Promise<void>((resolve) => (this.#wants = resolve));
        const value = this.#come.shift();
        return { done: !value, value };
      },
      cancel: async () => {
        this.#come.push(null);
        this.#wants?.();
      },
    };
  }
}

class Buffer extends EventTarget {
  updating = false;
  ranges: { start: number; end: number }[] = [];

  get buffered(): { length: number; start: (n: number) => number; end: (n: number) => number } {
    return { length: this.ranges.length, start: (n) => this.ranges[n]!.start, end: (n) => this.ranges[n]!.end };
  }

  appendBuffer(bytes: Uint8Array): void {
    const start = beginning(bytes);
    this.#later(() => {
      if (start === null) return;
      const last = this.ranges.find((range) => start >= range.start && start < range.end + 0.01);
      if (last) last.end = Math.max(last.end, start + 0.2);
      else this.ranges.push({ start, end: start + 0.2 });
    });
  }

  remove(from: number, to: number): void {
    this.#later(() => {
      this.ranges = this.ranges.flatMap((range) => (from <= range.start ? [{ start: Math.max(range.start, to), end: range.end }] : [range])).filter((range) => range.end > range.start);
    });
  }

  #later(act: () => void): void {
    this.updating = true;
    setTimeout(() => {
      act();
      this.updating = false;
      this.dispatchEvent(new Event("updateend"));
    }, 2);
  }
}

let buffer: Buffer;

class Source extends EventTarget {
  static isTypeSupported = () => true;
  readyState = "closed";

  constructor() {
    super();
    setTimeout(() => {
      this.readyState = "open";
      this.dispatchEvent(new Event("sourceopen"));
    }, 1);
  }

  addSourceBuffer(): Buffer {
    return (buffer = new Buffer());
  }
}

/** Plays, and keeps account. */
class Element extends EventTarget {
  canPlayType = () => "";
  src = "";
  paused = true;
  ended = false;
  playbackRate = 1;
  rates = new Set<number>();
  /** Seconds without sound since it began. */
  dry = 0;
  /** Where the needle was put by hand since it began. */
  seeks: { from: number; to: number }[] = [];
  #at = 0;
  #plays: "not yet" | "plays" | "dry" = "not yet";
  #ready = 0;
  #resolve: () => void = () => {};
  pause = () => {};
  load = () => {};
  removeAttribute = () => {};

  /** What was done to begin does not count. */
  begun(): void {
    this.rates.clear();
    [this.dry, this.seeks] = [0, []];
  }

  get currentTime(): number {
    return this.#at;
  }

  set currentTime(to: number) {
    if (this.#plays !== "not yet") this.seeks.push({ from: this.#at, to });
    this.#at = to;
  }

  play(): Promise<void> {
    this.paused = false;
    setInterval(() => this.#step(0.01), 10);
    return new Promise((resolve) => (this.#resolve = resolve));
  }

  #step(seconds: number): void {
    const range = buffer?.ranges.find(({ start, end }) => this.#at >= start && this.#at < end);
    const ahead = range ? range.end - this.#at : 0;
    if (this.#plays === "plays" && ahead <= 0) {
      this.#plays = "dry";
      this.dispatchEvent(new Event("waiting"));
    } else if (this.#plays !== "plays" && ahead > RESUMES_S) {
      this.#ready += seconds;
      if (this.#plays === "not yet" && this.#ready * 1000 < STARTS_MS) return;
      if (this.#plays === "not yet") this.#resolve();
      this.#plays = "plays";
      this.dispatchEvent(new Event("playing"));
    }
    if (this.#plays === "dry") this.dry += seconds;
    if (this.#plays !== "plays") return;
    this.rates.add(this.playbackRate);
    this.#at += seconds * this.playbackRate;
  }
}

beforeEach(() => {
  seed = 7;
  vi.useFakeTimers({ now: 0 });
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  vi.stubGlobal("addEventListener", () => {});
  vi.stubGlobal("removeEventListener", () => {});
  vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:sound");
  vi.spyOn(URL, "revokeObjectURL").mockReturnValue();
  vi.stubGlobal("MediaSource", Source);
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** Somebody who listens to a worker that sends like this. */
function listener(cadence = CHUNK_MS) {
  const worker = new Worker();
  worker.cadence = cadence;
  vi.stubGlobal("fetch", async () => worker.fetch());
  const audio = new Element();
  const states: State[] = [];
  const config = { audio: audio as unknown as HTMLAudioElement, space: "demo", hls: "/hls/demo/", pass: null, begun: () => true, queue: async () => {} };
  const player = new Player({ ...config, onState: (state) => states.push(state), onEvent: () => {}, onBehind: () => {} });
  player.listen();
  const hear = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);
  /** Until whatever a start brings is over. */
  const settle = async () => {
    await hear(15);
    audio.begun();
  };
  return { worker, audio, player, states, hear, settle };
}

/** How late it is after so many seconds more: the most in five of them. */
async function lateness({ player, hear }: ReturnType<typeof listener>): Promise<number> {
  let most = 0;
  for (let i = 0; i < 50; i++) {
    await hear(0.1);
    most = Math.max(most, player.lateness() ?? Infinity);
  }
  return most;
}

describe("a change of cadence", () => {
  for (const ms of [400, 1_000, 2_000, 4_000]) {
    it(`to ${ms} ms and back is not noticed, but for the pace`, async () => {
      const one = listener();
      const { worker, audio, player, hear, settle } = one;
      await settle();
      expect(await lateness(one)).toBeLessThan(1.3);
      expect([...audio.rates, player.crowded]).toEqual([1, false]);
      worker.change(ms);
      await hear(0.2);
      expect([audio.playbackRate, player.crowded]).toEqual([0.9, true]);
      await hear(Math.max(20, ms / 100) + 60);
      expect(audio.playbackRate).toBe(1);
      const long = await lateness(one);
      expect(long).toBeGreaterThan(ms / 1000 + 0.3);
      expect(long).toBeLessThan(ms / 1000 + 1.2);
      worker.change(CHUNK_MS);
      await hear(100);
      expect(await lateness(one)).toBeLessThan(1.3);
      expect(player.crowded).toBe(false);
      expect({ dry: audio.dry, seeks: audio.seeks }).toEqual({ dry: 0, seeks: [] });
      expect([...audio.rates].every((rate) => [0.9, 1, 1.05].includes(rate))).toBe(true);
      player.stop();
    });
  }

  it("is heard as gaps by whoever is not told", async () => {
    const { worker, audio, player, hear, settle } = listener();
    worker.silent = true;
    await settle();
    worker.change(2_000);
    await hear(60);
    expect(audio.dry).toBeGreaterThan(1);
    player.stop();
  });

  it("that comes long before its time costs some words twice, and no silence", async () => {
    const { worker, audio, player, hear, settle } = listener();
    await settle();
    worker.change(2_000);
    await hear(5);
    worker.move(2_000);
    await hear(10);
    expect([audio.dry, audio.seeks.length]).toEqual([0, 1]);
    expect(audio.seeks[0]!.from - audio.seeks[0]!.to).toBeLessThan(1.8);
    player.stop();
  });

  it("that is taken back during the notice is hurried down from", async () => {
    const one = listener();
    await one.settle();
    one.worker.change(2_000);
    await one.hear(15);
    one.worker.move(CHUNK_MS);
    await one.hear(0.5);
    expect(one.audio.playbackRate).toBe(1.05);
    expect([one.audio.dry, one.audio.seeks]).toEqual([0, []]);
    one.player.stop();
  });
});

describe("who joins at a longer cadence", () => {
  for (const ms of [400, 1_000, 2_000, 4_000]) {
    it(`of ${ms} ms hears without a gap from the first moment`, async () => {
      const one = listener(ms);
      await one.hear(2);
      expect(one.player.state).toBe("playing");
      await one.hear(60);
      expect([one.audio.dry, one.player.crowded]).toEqual([0, true]);
      expect(one.audio.rates.has(0.9)).toBe(false);
      expect(await lateness(one)).toBeLessThan(ms / 1000 + 1.5);
      one.player.stop();
    });
  }

  it("after a broken line goes back a little, and then hears without a gap", async () => {
    const { worker, audio, player, hear, settle } = listener();
    await settle();
    worker.cut();
    worker.cadence = 2_000;
    await hear(5);
    const { dry } = audio;
    expect(audio.seeks.length).toBeGreaterThan(0);
    await hear(60);
    expect(audio.dry).toBe(dry);
    // Nothing was left out.
    expect(audio.seeks.every(({ from, to }) => to < from)).toBe(true);
    player.stop();
  });

  it("keeps what is in hand when the line breaks for a moment", async () => {
    const { worker, audio, player, hear, settle } = listener(4_000);
    await settle();
    for (let i = 0; i < 8; i++) {
      worker.cut();
      await hear(10.3);
    }
    expect({ dry: audio.dry, seeks: audio.seeks }).toEqual({ dry: 0, seeks: [] });
    player.stop();
  });

  it("and then at the usual one after a broken line is back at live soon", async () => {
    const one = listener(4_000);
    await one.hear(20);
    one.worker.cut();
    one.worker.cadence = CHUNK_MS;
    await one.hear(100);
    expect(await lateness(one)).toBeLessThan(1.3);
    expect(one.player.crowded).toBe(false);
    one.player.stop();
  });
});

/**
 * The past of a live conversation: fetches the segments around the needle, from up to four hours ago to the moment in which the
 * live stream takes over.
 *
 * Segment n begins at media second n × 4 plus an offset, which is 0 unless time has jumped; what was fetched tells.
 */
import { BoxWalker, NotBoxes } from "./boxes";
import type { Range } from "./catch_up";
import { eventsOf, type Timed } from "./event";
import { beginning, listIn, type List, type Segment } from "./list";

/** Where a listener is who has gone back; media seconds. */
export interface Place {
  /** The oldest sound there is, what is heard, and what is being said. */
  begin: number;
  at: number;
  live: number;
}

/** A segment's bytes, and what is known of it. */
export interface Piece {
  bytes: Uint8Array<ArrayBuffer>;
  events: Timed[];
  /** Media seconds. */
  start: number;
  end: number;
}

/** What is in hand under the needle and ahead of it, over what was lost. Pure. */
export class Stretch {
  #hole: { from: number; to: number } | null = null;
  #asked = 0;

  /** Where the sound that goes on from `at` ends; where the next piece is asked for; and where the needle is to jump to, if anywhere. */
  ahead(at: number, ranges: Range[]): { end: number; ask: number; jump: number | null } {
    const hole = this.#hole;
    const over = (end: number, start: number) => !!hole && Math.abs(end - hole.from) < 0.1 && Math.abs(start - hole.to) < 0.1;
    const inside = ranges.findIndex((range) => at >= range.start - 0.05 && at < range.end + 0.05);
    const under = ranges[inside]?.end ?? at;
    let end = under;
    // Two stretches less than a frame apart are one.
    for (const range of ranges) if (range.start > at && (range.start - end < 0.05 || over(end, range.start))) end = Math.max(end, range.end);
    const jump = hole && under - at < 0.15 && Math.abs(under - hole.from) < 0.1 && hole.to > at ? hole.to : null;
    return { end, ask: Math.max(end + 0.02, this.#asked), jump };
  }

  /** A piece came for where the sound ended. */
  got(piece: Piece, end: number, ranges: Range[]): void {
    const next = ranges.find((range) => range.start > end);
    if (piece.start > end + 0.05) this.#hole = { from: end, to: piece.start };
    // What we had already, with a hole in it.
    else if (piece.start < end - 0.1 && next) this.#hole = { from: end, to: next.start };
    else if (piece.start < end - 0.1) this.#asked = piece.end + 0.02;
  }

  clear(): void {
    [this.#hole, this.#asked] = [null, 0];
  }
}

/** Nothing more is to be had before the list is asked for again this much later. */
const LIST_AGAIN_MS = 2_000;

export class Past {
  #list: List | null = null;
  #listed = -Infinity;
  #offset = 0;

  constructor(
    /** Of its HLS, with the slash at the end. */
    private folder: string,
    private pass: string | null,
  ) {}

  /** Media second of the oldest sound there is; `null` before anything is known. */
  get begin(): number | null {
    const first = this.#list?.segments[0];
    return first ? this.#start(first) : null;
  }

  /** Whether the list is complete, and `at` is behind its end. */
  over(at: number): boolean {
    const last = this.#list?.segments.at(-1);
    return !!this.#list?.ended && !!last && at >= this.#start(last) + last.duration - 0.1;
  }

  /** When the sound at media second `at` was said: milliseconds since 1970. */
  wall(at: number): number | null {
    const segments = this.#list?.segments;
    const found = segments && this.#find(at);
    if (!segments || !found) return null;
    return found.wall + (at - this.#start(found)) * 1000;
  }

  /**
   * The sound at media second `at`, or the first after it where it was lost; `null` if there is none yet, or no way to it.
   */
  async piece(at: number, signal: AbortSignal): Promise<Piece | null> {
    try {
      return await this.#piece(at, signal);
    } catch (error) {
      // Network and damage alike; anything else is a bug and must be seen.
      if (!(error instanceof TypeError || error instanceof NotBoxes || error instanceof DOMException)) throw error;
      return null;
    }
  }

  async #piece(at: number, signal: AbortSignal): Promise<Piece | null> {
    await this.#renew(at, signal);
    for (let tries = 0; tries < 4; tries++) {
      const segment = this.#wanted(at);
      if (!segment || at >= this.#start(segment) + this.#list!.target) return null;
      const response = await this.#get(`${segment.number}.m4a`, signal);
      if (!response.ok) {
        // Gone, or not here yet: what comes after it is asked for next time, or the next list tells.
        void response.body?.cancel();
        segment.lost = response.status === 404;
        return null;
      }
      const bytes = new Uint8Array(await response.arrayBuffer());
      const start = beginning(bytes);
      if (start === null) return null;
      // One that is short may have lost its beginning, and tells nothing of the others.
      if (segment.duration > this.#list!.target - 0.01) this.#offset = start - segment.number * this.#list!.target;
      const end = start + segment.duration;
      // One beside it, because time has jumped: now it is known by how much.
      if (this.#wanted(at) !== segment) continue;
      if (at < end - 0.01) return { bytes, events: new BoxWalker().handle(bytes).flatMap(eventsOf), start, end };
      // One that is too short to reach `at`: the next.
      at = this.#start(segment) + this.#list!.target + 0.01;
    }
    return null;
  }

  #start(segment: Segment): number {
    return segment.number * this.#list!.target + this.#offset;
  }

  /** The segment at `at`, or the first after it that is not lost. */
  #wanted(at: number): Segment | undefined {
    let segment = this.#find(at);
    while (segment?.lost) segment = this.#numbered(segment.number + 1);
    return segment;
  }

  #numbered(number: number): Segment | undefined {
    const segments = this.#list?.segments;
    return segments?.[number - segments[0]!.number];
  }

  /** The segment at `at`, or the nearest there is. */
  #find(at: number): Segment | undefined {
    const list = this.#list;
    if (!list) return undefined;
    const [first, last] = [list.segments[0]!.number, list.segments.at(-1)!.number];
    const number = Math.floor((at - this.#offset) / list.target + 1e-6);
    return this.#numbered(Math.min(Math.max(number, first), last));
  }

  async #renew(at: number, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const last = this.#list?.segments.at(-1);
    if (this.#list?.ended || (last && at < this.#start(last) + last.duration) || now - this.#listed < LIST_AGAIN_MS) return;
    this.#listed = now;
    for (const skip of this.#list ? ["?_HLS_skip=YES", ""] : [""]) {
      const response = await this.#get(`rewind.m3u8${skip}`, signal);
      if (!response.ok) {
        void response.body?.cancel();
        // The conversation is over, and so is what there is of it.
        if (response.status === 410 && this.#list) this.#list.ended = true;
        return;
      }
      const list = listIn(await response.text(), this.#list);
      if (!list) continue;
      this.#list = list;
      return;
    }
  }

  /** With the pass as a field, so that the address is everybody's. */
  #get(name: string, signal: AbortSignal): Promise<Response> {
    return fetch(`${this.folder}${name}`, { signal, headers: this.pass ? { Authorization: `Bearer ${this.pass}` } : {} });
  }
}

/**
 * A listener's place in time. A ticket outlives the page, for whoever closes it keeps their place; the place of whoever was let in is of this tab alone, for it is one connection's.
 * Pages that wait with one ticket are one person: whichever comes in by it stays there, and the others come as others do.
 */

import { pause } from "./backoff";
import type { SpaceEvent } from "./event";

/** So many requests in a minute at most, whatever is answered; the first of a back-off and some presses have room in it. */
const ASKS = 20;
/** So long another page may take to ask with the same ticket. One that is let in by it keeps it. */
const OTHERS_MS = 2_000;
/** Where a ticket says which it is: that stays when it is exchanged, or was used (docs/formats/ticket.md). */
const SERIAL = [8, 18] as const;

/** What somebody is told who has to wait (crates/delivery/src/door.rs). */
export interface Told {
  ticket: string;
  wait_ms: number;
  /** What comes then: the next try, a draw, a place, or another look. */
  stage: "soon" | "draw" | "place" | "rank";
  /** To whom no place can be promised yet: about how long until they have one, if that is within half an hour. */
  expected_ms?: number;
  /** False: nothing is kept for them, and they come again as others do. */
  kept?: boolean;
  /** Where others carry the delayed stream, for whoever is told no time. */
  elsewhere?: string;
}

export class Ticket {
  /** To show; empty: none. */
  text = "";
  #key: string;
  /** What no other page shows as long as this one has it, and who of this page asks with it. */
  #claimed = "";
  #by?: AbortSignal;
  #free = () => {};
  #asked: number[] = Array(ASKS).fill(-6e4);

  constructor(space: string) {
    this.#key = `hiwar:ticket:${space}`;
    try {
      this.text = sessionStorage.getItem(this.#key) || localStorage.getItem(this.#key) || "";
    } catch {
      // No storage: the place is this page's.
    }
  }

  /**
   * What to show, as soon as this page may ask: a server that answers at once that it should come at once, or that breaks off each line,
   * is not asked without end.
   */
  async turn(signal: AbortSignal): Promise<string> {
    const now = performance.now();
    const at = Math.max(now, this.#asked.shift()! + 6e4);
    this.#asked.push(at);
    if (at > now) await pause(at - now, signal);
    await this.#claim(signal);
    return this.text;
  }

  /** A copied tab has the same ticket: it is the page's that comes in by it first, or they would throw each other out for ever. */
  #claim(signal: AbortSignal): Promise<void> {
    const serial = this.text.slice(...SERIAL);
    // Not without HTTPS, but at one's own machine.
    const locks = globalThis.navigator?.locks;
    if (!locks || !this.text || signal.aborted || (serial === this.#claimed && signal === this.#by)) return Promise.resolve();
    // Another's of this page was stopped, or is another ticket's.
    this.free(this.#by);
    const others = new AbortController();
    void pause(OTHERS_MS, signal).then(() => others.abort());
    return new Promise((done) => {
      const taken = () => {
        done();
        if (signal.aborted) return;
        [this.#claimed, this.#by] = [serial, signal];
        return new Promise<void>((free) => (this.#free = free));
      };
      locks.request(this.#key + serial, { signal: others.signal }, taken).catch(() => {
        // Another page has it; where there are locks for nobody, it is shown without.
        if (others.signal.aborted && !signal.aborted) this.text = "";
        done();
      });
    });
  }

  /** Whoever waits with the same may ask, too. */
  free(by?: AbortSignal): void {
    if (by !== this.#by) return;
    this.#claimed = "";
    this.#free();
  }

  /** Reads an answer: what somebody has to wait for, if they have to. Only the door's 503 has a ticket in it. */
  async read(response: Response, signal: AbortSignal): Promise<Told | null> {
    this.#take(response.headers.get("Hiwar-Place"));
    await this.#claim(signal);
    if (response.status !== 503) return null;
    const told = (await response.json().catch(() => null)) as Told | null;
    this.#take(told?.ticket, told?.ticket);
    this.free(signal);
    return told?.ticket ? told : null;
  }

  #take(ticket?: string | null, outlives = ""): void {
    if (!ticket) return;
    const shown = this.text.slice(...SERIAL);
    this.text = ticket;
    try {
      sessionStorage.setItem(this.#key, ticket);
      // Another page may wait with one of its own, and that is kept.
      const kept = localStorage.getItem(this.#key);
      if (!kept || kept.slice(...SERIAL) === shown) localStorage.setItem(this.#key, outlives);
    } catch {
      // As above.
    }
  }
}

/** What there is to say of a conversation that is gone: that it does not take place, if that is so. */
export async function lastWords(gone: Response): Promise<SpaceEvent[]> {
  const problem = (await gone.json().catch(() => null)) as { type?: string } | null;
  return problem?.type === "/problems/cancelled" ? [{ t: "ended", cancelled: true }] : [];
}

/**
 * A listener's place in time. A ticket outlives the page, for whoever closes it keeps their place; the place of whoever was let in is of this tab alone, for it is one connection's.
 */

import { pause } from "./backoff";
import type { SpaceEvent } from "./event";

/** So many requests in a minute at most, whatever is answered; the first of a back-off and some presses have room in it. */
const ASKS = 20;

/** What somebody is told who has to wait (crates/delivery/src/door.rs). */
export interface Told {
  ticket: string;
  wait_ms: number;
  /** What comes then: the next try, a draw, a place, or another look. */
  stage: "soon" | "draw" | "place" | "rank";
}

export class Ticket {
  /** To show; empty: none. */
  text = "";
  #key: string;
  /** It is the place of whoever is inside, which one page shows. */
  #isPlace = false;
  /** Places that this page has claimed. */
  #claimed = new Set<string>();
  #asked: number[] = Array(ASKS).fill(-6e4);

  constructor(space: string) {
    this.#key = `hiwar:ticket:${space}`;
    try {
      this.text = sessionStorage.getItem(this.#key) || "";
      this.#isPlace = this.text !== "";
      this.text ||= localStorage.getItem(this.#key) || "";
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
    if (this.#isPlace) await this.#claim();
    return this.text;
  }

  /** A copied tab has the same place: it is the page's that shows it first, or they would throw each other out for ever. */
  #claim(): Promise<void> {
    // Not without HTTPS, but at one's own machine.
    const locks = globalThis.navigator?.locks;
    if (!locks) return Promise.resolve();
    return new Promise((done) => {
      void locks.request(this.#key + this.text, { ifAvailable: true }, (lock) => {
        if (!lock && !this.#claimed.has(this.text)) this.text = "";
        else this.#claimed.add(this.text);
        done();
        return lock && new Promise(() => {});
      });
    });
  }

  /** Reads an answer: what somebody has to wait for, if they have to. Only the door's 503 has a ticket in it. */
  async read(response: Response): Promise<Told | null> {
    this.#take(response.headers.get("Hiwar-Place"));
    if (response.status !== 503) return null;
    const told = (await response.json().catch(() => null)) as Told | null;
    this.#take(told?.ticket, told?.ticket);
    return told?.ticket ? told : null;
  }

  #take(ticket?: string | null, outlives = ""): void {
    if (!ticket) return;
    this.text = ticket;
    this.#isPlace = !outlives;
    try {
      sessionStorage.setItem(this.#key, ticket);
      localStorage.setItem(this.#key, outlives);
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

/**
 * How close to live the player stays, and what it does when it is not. Pure: it is given positions and answers with one act.
 *
 * Measured in Chromium with 200 ms fragments: a buffer of 0.3–0.4 s is stable and one under 0.3 s stalls again and again,
 * so we begin with 0.5 s and let a stall widen it. The pitch is kept by the browser (`preservesPitch`), 5 % is not heard in speech.
 *
 * All of these are for pieces of 200 ms. With longer ones what is in hand swings by so much more, and that *swing* comes on top of each.
 */

/** Seconds of sound that we like to have in hand when a piece has come: 0.3 are left when the next one does. */
export const TARGET_S = 0.5;
/**
 * Beyond this much in hand we play 5 % faster until the target is reached again. What is in hand swings by one chunk (200 ms),
 * so this is two chunks above the target; a browser that needs 300 ms to begin is back at the target after six seconds.
 */
export const HURRY_S = 0.9;
/** Beyond this the listener has clearly fallen behind (a sleeping tab, a stalled network): jump. */
export const JUMP_S = 4;
/** Each stall asks for this much more, up to `TARGET_MAX_S`: a shaky network gets a longer buffer instead of many gaps. */
const WIDEN_S = 0.25;
const TARGET_MAX_S = 2;

export interface Range {
  start: number;
  end: number;
}

export type Act =
  | { kind: "seek"; to: number }
  | { kind: "rate"; rate: number }
  | { kind: "none" };

export class CatchUp {
  #wide = TARGET_S;
  /** The longest swing since what is in hand was last as little as wanted: whoever is told of a shorter one is not behind for that. */
  #from: number;
  /** More is to be in hand than there is. */
  #saving: boolean;
  #hurrying = false;
  #beginning: "silent" | "just heard" | "over" = "silent";

  /** `swing`: seconds by which a piece is longer than 200 ms. */
  constructor(public swing = 0) {
    this.#from = swing;
    this.#saving = swing > 0;
  }

  /** Seconds wanted in hand when a piece has come. */
  get target(): number {
    return this.#wide + this.swing;
  }

  /** Pieces have another length, or will: then more is wanted beforehand, and less only afterwards. */
  cadence(swing: number, when: "now" | "later"): void {
    if (when === "later" && swing < this.swing) return;
    this.#saving = swing > this.swing || (swing > 0 && this.#saving);
    this.#hurrying = false;
    this.swing = swing;
    this.#from = Math.max(this.#from, swing);
  }

  /** The element gives sound. A slow start has left it behind; one jump then is not missed by anybody, later ones would be. */
  begun(): void {
    if (this.#beginning === "silent") this.#beginning = "just heard";
  }

  /** The element ran dry while it should have played. */
  stalled(): void {
    this.#wide = Math.min(this.#wide + WIDEN_S, TARGET_MAX_S);
    // Of 200 ms a stall itself brings enough; of longer pieces every single one would be waited for.
    this.#saving = this.swing > 0;
  }

  /** What to do when the ear is at `current` and `buffered` is in hand (ascending, disjoint). */
  act(current: number, buffered: Range[]): Act {
    const last = buffered.at(-1);
    if (!last) return { kind: "none" };
    const edge = last.end;
    const live = Math.max(last.start, edge - this.target);
    const inside = buffered.find((range) => current >= range.start - 0.01 && current < range.end);
    if (!inside) {
      // Nothing under the needle: before everything (just joined), or in a hole left by a lost connection.
      const next = buffered.find((range) => range.start > current);
      // Past everything: either dry (wait), or the space's clock was set back (follow it).
      if (!next) return current > edge + 1 ? { kind: "seek", to: live } : { kind: "none" };
      return { kind: "seek", to: next === last ? Math.max(next.start, live) : next.start };
    }
    const ahead = edge - current;
    const hurry = this.swing + Math.max(HURRY_S, this.#wide + 0.4);
    const jump = this.#beginning === "just heard" ? hurry : this.#from + Math.max(JUMP_S, this.#wide + 2);
    if (this.#beginning === "just heard") this.#beginning = "over";
    if (ahead > jump) return { kind: "seek", to: live };
    if (ahead > hurry) this.#hurrying = true;
    // Just before the next piece, which is when the least is in hand.
    if (ahead <= this.#wide + 0.05) {
      this.#hurrying = false;
      this.#from = this.swing;
    }
    if (ahead >= this.target) this.#saving = false;
    return { kind: "rate", rate: this.#hurrying ? 1.05 : this.#saving ? 0.9 : 1 };
  }
}

/**
 * How late the ear is, honestly: from the newest sound that the server can have, not from what happens to be buffered.
 *
 * A fragment that arrives quickest tells where live is; from then on live moves with the clock, also while the network brings nothing.
 */
export class Lateness {
  #best = -Infinity;
  #at = 0;

  /** A fragment ending at media second `end` arrived at `now` (seconds, any monotonic clock). */
  arrived(now: number, end: number): void {
    // One part in 2,000 is let go, so that a sound card's own idea of a second does not add up over hours.
    this.#best = Math.max(this.#best - (now - this.#at) * 0.0005, end - now);
    this.#at = now;
  }

  /** Seconds between the stage and the ear at `now` with the needle at `current`; `null` before anything has arrived. */
  seconds(now: number, current: number): number | null {
    if (this.#best === -Infinity) return null;
    return Math.max(0, this.#best + now - current) + BEFORE_US_S;
  }

  clear(): void {
    this.#best = -Infinity;
  }
}

/**
 * What passes before the first byte can reach us: filling a 200 ms chunk (100 ms for the average word), the speaker's
 * jitter buffer and the mix (about 100 ms), the browser's own output (about 50 ms).
 */
export const BEFORE_US_S = 0.25;

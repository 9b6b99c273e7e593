/** What a live page has seen since it was opened: a point a second, for an hour. Pure. */
import type { Door } from "../api/spaces";

/** How it is now. The last three are counts that only grow, until the house begins anew. */
export interface Reading {
  level: number | null;
  listening: number;
  waiting: number;
  arrived: number;
  admitted: number;
  away: number;
}

/** At a moment; what grows, as how much it grew in the minute before. */
export interface Point extends Reading {
  at: number;
}

export const POINTS_MAX = 3_600;
const MINUTE_S = 60;

/** All classes together. */
export const sum = (byClass: Record<string, number>) => Object.values(byClass).reduce((all, each) => all + each, 0);

/** Who comes and who is let in is counted at a door: who waits asks there again and again, and comes once. Without one, whoever is not turned away is let in. */
export function reading(level: number | null, listening: number, joined: number, turnedAway: number, door: Door | null): Reading {
  const admitted = door ? sum(door.entered) : joined;
  return { level, listening, waiting: door?.waiting ?? 0, arrived: door?.arrived ?? joined + turnedAway, admitted, away: turnedAway };
}

export class History {
  readonly points: Point[] = [];
  #seen: (Reading & { at: number })[] = [];

  /** `at`: seconds since 1970. A second that is not later than the last is left out. */
  handle(at: number, now: Reading): void {
    const last = this.points.at(-1);
    if (last && at <= last.at) return;
    this.#seen.push({ ...now, at });
    while (this.#seen[0]!.at < at - MINUTE_S) this.#seen.shift();
    const grown = (of: "arrived" | "admitted" | "away") => {
      let more = 0;
      // A count that is lower than before began anew.
      for (let n = 1; n < this.#seen.length; n++) {
        const [before, after] = [this.#seen[n - 1]![of], this.#seen[n]![of]];
        more += after < before ? after : after - before;
      }
      return more;
    };
    this.points.push({ ...now, at, arrived: grown("arrived"), admitted: grown("admitted"), away: grown("away") });
    if (this.points.length > POINTS_MAX) this.points.shift();
  }
}

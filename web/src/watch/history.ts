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

/** Who comes and who is let in is counted at a door; without one, everybody is who is not turned away. */
export function reading(level: number | null, listening: number, joined: number, turnedAway: number, door: Door | null): Reading {
  const admitted = door ? Object.values(door.entered).reduce((sum, each) => sum + each, 0) : joined;
  return { level, listening, waiting: door?.waiting ?? 0, arrived: door?.asked ?? joined + turnedAway, admitted, away: turnedAway };
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
      let sum = 0;
      // A count that is lower than before began anew.
      for (let n = 1; n < this.#seen.length; n++) {
        const [before, after] = [this.#seen[n - 1]![of], this.#seen[n]![of]];
        sum += after < before ? after : after - before;
      }
      return sum;
    };
    this.points.push({ ...now, at, arrived: grown("arrived"), admitted: grown("admitted"), away: grown("away") });
    if (this.points.length > POINTS_MAX) this.points.shift();
  }
}

/**
 * When to try again: exponential backoff with full jitter, and never before the server's own Retry-After.
 *
 * Full jitter because everybody's connection breaks at the same moment when a worker dies: without it they all come back at once.
 */

const BASE_MS = 500;
const CAP_MS = 30_000;

export class Backoff {
  #attempt = 0;
  #random: () => number;

  /** `random` as `Math.random`; given in tests. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Milliseconds to wait before the next attempt. `retryAfterMs`: the server's wish, or `null`. */
  next(retryAfterMs: number | null = null): number {
    const spread = Math.min(CAP_MS, BASE_MS * 2 ** this.#attempt);
    this.#attempt = Math.min(this.#attempt + 1, 16);
    return Math.round((retryAfterMs ?? 0) + this.#random() * spread);
  }

  /** It worked: the next break starts from the beginning. */
  reset(): void {
    this.#attempt = 0;
  }
}

/** Retry-After as milliseconds from `nowMs` (RFC 9110 §10.2.3: seconds or a date), at most five minutes; `null` if absent or nonsense. */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  if (header === null) return null;
  const text = header.trim();
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  if (!Number.isFinite(ms)) return null;
  return Math.min(Math.max(ms, 0), 300_000);
}

/** Resolves after `ms` or when `signal` aborts; with `wake: "online"` also at once when the network comes back. */
export function pause(ms: number, signal: AbortSignal, wake: "online" | "never" = "never"): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (wake === "online") addEventListener("online", done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}

/** A place at the door, for whoever listens on another page: nothing is stored there, so it is this element's and kept as long as that page is open. */
import { until } from "../wait/wait";
import type { Told } from "../player/ticket";

/**
 * Whoever finds the door full waits until it is their turn, and is told so. Returns the address at which they hear then; `null`: there is no door in their way, or nobody answers.
 *
 * `sound`: what they would hear. A browser says of what it cannot play only that it cannot, so it is asked for here first, as our page asks, with the place that they had, if they had one.
 */
export async function queue(sound: URL, signal: AbortSignal, tell: (told: Told, left_ms: number) => void): Promise<string | null> {
  for (;;) {
    const { told, place } = await ask(sound, signal);
    const ticket = told?.ticket ?? place;
    if (!ticket || signal.aborted) return null;
    sound.searchParams.set("t", ticket);
    if (!told) return sound.href;
    await until(told, signal, (left) => tell(told, left));
  }
}

/** What the door answers: a time to wait for; or a place, which is kept for half a minute for whoever has had it. Never throws. */
async function ask(sound: URL, signal: AbortSignal): Promise<{ told?: Told; place?: string | null }> {
  const asked = new URL(sound);
  if (!asked.searchParams.has("t")) asked.searchParams.set("t", "");
  const heard = new AbortController();
  try {
    const answer = await fetch(asked, { signal: AbortSignal.any([signal, heard.signal]), cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer" });
    if (answer.status === 503) return { told: (await answer.json()) as Told };
    return { place: answer.ok ? answer.headers.get("Hiwar-Place") : null };
  } catch {
    return {};
  } finally {
    heard.abort();
  }
}

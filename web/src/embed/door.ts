/**
 * A place at the door, for whoever listens on another page. What the element cannot do, which only plays, the page that waits without scripts does for it: that says when to come again, and where the sound is then, at whichever
 * worker. Nothing is stored on other people's pages, so the place is this element's, and kept as long as that page is open.
 */
import { until } from "../wait/wait";

/** Where somebody asks who has no ticket yet. */
export function door(origin: string, space: string): URL {
  return new URL(`/s/${space}/wait?t=`, origin);
}

/** Waits until it is their turn, and says how long that is; `at`: where to ask, which has their ticket in it afterwards. Returns where they hear then, at once if there is room; `null`: there is no door, for which nobody needs a ticket, or nobody answers. Never throws. */
export async function queue(at: URL, signal: AbortSignal, tell: (left_ms: number) => void): Promise<string | null> {
  for (;;) {
    const answer = await ask(at, signal);
    if (signal.aborted || !answer) return null;
    if ("sound" in answer) return answer.sound;
    at.href = new URL(answer.next, at).href;
    await until(answer, signal, tell);
  }
}

async function ask(at: URL, signal: AbortSignal): Promise<{ sound: string } | { wait_ms: number; next: string } | null> {
  try {
    const answer = await fetch(at, { signal, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer" });
    const again = /^(\d+); url=(.+)$/.exec(answer.headers.get("Refresh") ?? "");
    if (again) return { wait_ms: Number(again[1]) * 1000, next: again[2]! };
    const found = /<audio[^>]* src="([^"]+)"/.exec(await answer.text())?.[1];
    const sound = answer.ok && found ? new URL(found.replaceAll("&amp;", "&"), at) : null;
    return sound?.searchParams.has("t") ? { sound: sound.href } : null;
  } catch {
    return null;
  }
}

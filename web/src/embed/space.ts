/** What a space is, read from its page: the island that stands there for the page's own script. */

export interface Known {
  is: "unknown" | "missing" | "invited" | "scheduled" | "live" | "over" | "replay";
  id?: string;
  title?: string;
  /** Where its playlists are. */
  hls?: string;
  mp4?: string;
  ogg?: string;
  duration?: number;
}

interface Island {
  id: string;
  title: string;
  state: string;
  audience: string;
  listen?: { hls?: string };
  replay?: { mp4: string; ogg: string; duration: number } | null;
}

/** Asks for it. Never throws: what could not be had is `unknown`. */
export async function look(origin: string, space: string, signal: AbortSignal): Promise<Known> {
  if (!/^[a-z0-9-]{1,40}$/.test(space)) return { is: "missing" };
  try {
    const answer = await fetch(`${origin}/s/${space}`, { signal, credentials: "omit", referrerPolicy: "no-referrer" });
    if (answer.status === 404) return { is: "missing" };
    return answer.ok ? known(await answer.text(), origin) : { is: "unknown" };
  } catch {
    return { is: "unknown" };
  }
}

/** What a page says of its space. */
export function known(page: string, origin: string): Known {
  const island = /<script type="application\/json" id="space">([^<]*)<\/script>/.exec(page)?.[1];
  if (!island) return { is: "unknown" };
  try {
    const { id, title, state, audience, listen, replay } = JSON.parse(island) as Island;
    if (audience === "invited") return { is: "invited", id };
    const at = (path: string) => new URL(path, origin).href;
    if (replay) return { is: "replay", id, title, mp4: at(replay.mp4), ogg: at(replay.ogg), duration: replay.duration };
    const is = state === "live" || state === "scheduled" ? state : "over";
    return { is, id, title, hls: at((listen?.hls ?? `/hls/${id}/`).replace(/[^/]*$/, "")) };
  } catch {
    return { is: "unknown" };
  }
}

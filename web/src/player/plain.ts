/**
 * Listening where the browser itself has to fetch the sound: the playlist, the endless Ogg, or the endless MP3, which everything plays. Seconds later than `Feed`, and no events.
 *
 * What one way cannot play, the other may: each failure changes the way, and waits longer.
 */
import { Backoff, pause } from "./backoff";

/** What iOS and Safari play by themselves, and many others do not. */
export const HLS = "application/vnd.apple.mpegurl";

const WAYS: [type: string, path: (space: string, hls: string) => string][] = [
  [HLS, (_, hls) => `${hls}live.m3u8`],
  ['audio/ogg; codecs="opus"', (space) => `/listen/${space}.ogg`],
  ["audio/mpeg", (space) => `/listen/${space}.mp3`],
];

/** The addresses that this browser says it can play, with what is to be shown there; empty: none. */
export function ways(audio: HTMLAudioElement, space: string, hls: string, show: Record<string, string | null | undefined>): string[] {
  let query = "";
  for (const name in show) if (show[name]) query += `${query ? "&" : "?"}${name}=${encodeURIComponent(show[name])}`;
  return WAYS.filter(([type]) => audio.canPlayType(type) !== "").map(([, path]) => path(space, hls) + query);
}

/** What the server says of the live sound now. */
export type Answer = "there" | "refused" | "over" | "missing" | "unknown";

export async function look(space: string, pass: string | null, signal: AbortSignal): Promise<Answer> {
  const headers: HeadersInit = pass ? { Authorization: `Bearer ${pass}` } : {};
  const status = await fetch(`/listen/${space}.ogg`, { method: "HEAD", headers, signal, cache: "no-store" }).then((r) => r.status, () => 0);
  if (status === 401 || status === 403) return "refused";
  if (status === 410) return "over";
  return status === 404 ? "missing" : status === 200 ? "there" : "unknown";
}

/** Plays on `audio` until `signal` aborts. `broke` is called at each failure and says whether to go on. */
export function plain(audio: HTMLAudioElement, addresses: string[], signal: AbortSignal, broke: () => Promise<"again" | "stop">): void {
  const backoff = new Backoff();
  let turn = 0;
  const begin = () => (audio.src = addresses[turn % addresses.length]!);
  const again = async () => {
    if ((await broke()) === "stop" || signal.aborted) return;
    await pause(backoff.next(), signal, "online");
    if (signal.aborted) return;
    turn += 1;
    begin();
    audio.play().catch(() => {});
  };
  audio.addEventListener("error", again, { signal });
  audio.addEventListener("ended", again, { signal });
  begin();
}

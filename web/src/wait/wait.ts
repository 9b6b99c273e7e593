/**
 * Waiting at the door: until it is time, with what somebody reads meanwhile, and the quiet sound that keeps a locked phone awake. Of the light page a script of its own, fetched by whoever has
 * to wait.
 */
import { pause } from "../player/backoff";
import { HLS } from "../player/plain";
import type { Told } from "../player/ticket";

/** A sentence of the catalogue. */
export type Say = (key: string, values?: Record<string, string | number>) => string;

/** Nearer than this seconds are told, and farther minutes. */
const SECONDS_MAX = 90;
/** So often the time is told anew, and clocks are looked at that may have slept: what is read aloud each second is heard by nobody. */
const LOOK_MS = 30_000;
/** Not all in one moment. */
const JITTER_MS = 300;
/** The quiet sound goes on until the other is there: between two silences a locked phone would fall asleep. */
const HUSH_MS = 5_000;
/** So long somebody reads that it is their turn. */
export const IN_MS = 10_000;

/** What somebody reads who waits so long still; with numbers as in `tag`, and whether they may hope for a recording. */
export function words({ stage, wait_ms, expected_ms, kept }: Told, left_ms: number, say: Say, tag: string, recorded: boolean): string {
  const left = span(left_ms, tag);
  const turn = stage === "rank" && expected_ms !== undefined ? { place: span(expected_ms - wait_ms + left_ms, tag), left } : undefined;
  const text = turn
    ? say("page-wait-turn", turn)
    : say({ soon: "page-wait-soon", draw: "page-wait-draw", place: "page-wait-place", rank: "page-wait-rank" }[stage], { left });
  if (stage !== "rank") return text;
  return [text, !turn && kept !== false && say("page-wait-kept"), recorded && say("page-wait-recording")].filter(Boolean).join(" ");
}

/** So long, in words. */
export function span(ms: number, tag: string): string {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  const [unit, count] = seconds <= SECONDS_MAX ? ["second", Math.ceil(seconds / 5) * 5] : ["minute", Math.ceil(seconds / 60)];
  return new Intl.NumberFormat(tag, { style: "unit", unit, unitDisplay: "long" }).format(count);
}

/** Whether a browser plays the delayed stream itself. Where it does not, the address may lead to a player that can. */
export function playsDelayed(audio: HTMLAudioElement): boolean {
  return audio.canPlayType(HLS) !== "";
}

/** Waits until it is time, and tells from time to time how long that is. Says nothing to the server. */
export async function until(told: Pick<Told, "wait_ms">, signal: AbortSignal, tell: (left_ms: number) => void): Promise<void> {
  const wait = told.wait_ms + Math.random() * JITTER_MS;
  const [steady, wall] = [performance.now() + wait, Date.now() + wait];
  // By whichever says sooner: one stands still while a device sleeps, the other may be set.
  const left = () => Math.min(steady - performance.now(), wall - Date.now());
  const stop = hush();
  while (!signal.aborted && left() > 0) {
    tell(left());
    await seen(Math.min(left(), LOOK_MS), signal);
  }
  void pause(HUSH_MS, signal).then(stop);
}

/** So long, or until the page is looked at again: shown, thawed, or brought back from where a browser keeps those that were left. */
function seen(ms: number, signal: AbortSignal): Promise<void> {
  const both = new AbortController();
  const end = () => both.abort();
  for (const kind of ["visibilitychange", "resume"]) document.addEventListener(kind, end, { signal: both.signal });
  addEventListener("pageshow", end, { signal: both.signal });
  signal.addEventListener("abort", end, { signal: both.signal });
  return pause(ms, both.signal).then(end);
}

/** The address of a file for calendars (RFC 5545): to look again then. */
export function calendar(title: string, page: string, at: number): string {
  const stamp = (ms: number) => new Date(ms).toISOString().replace(/[-:]|\.\d+/g, "");
  // A line break in a title would begin another property.
  const text = title.replace(/[\\;,]/g, "\\$&").replace(/\s+/g, " ");
  const lines = [
    "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Hiwar//Door//EN", "BEGIN:VEVENT", `UID:${stamp(at)}@${new URL(page).host}`,
    `DTSTAMP:${stamp(Date.now())}`, `DTSTART:${stamp(at)}`, `SUMMARY:${text}`, `URL:${page}`, "END:VEVENT", "END:VCALENDAR", "",
  ];
  return `data:text/calendar;charset=utf-8,${encodeURIComponent(lines.join("\r\n"))}`;
}

/** A sound that nobody hears, until it is told to stop. Where it needs a press of its own there is none, and the page has to stay open. */
function hush(): () => void {
  const address = URL.createObjectURL(new Blob([quiet()], { type: "audio/wav" }));
  const sound = new Audio(address);
  sound.loop = true;
  sound.play().catch(() => {});
  return () => {
    sound.pause();
    URL.revokeObjectURL(address);
  };
}

/** Two seconds of 8-bit samples, of which one in some hundred is off by one. */
function quiet(): Uint8Array<ArrayBuffer> {
  const [rate, samples] = [8_000, 16_000];
  const bytes = new Uint8Array(44 + samples).fill(128, 44);
  const view = new DataView(bytes.buffer);
  const write = (at: number, text: string) => [...text].forEach((c, i) => (bytes[at + i] = c.charCodeAt(0)));
  write(0, "RIFF");
  write(8, "WAVEfmt ");
  write(36, "data");
  for (const [at, value] of [[4, 36 + samples], [16, 16], [24, rate], [28, rate], [40, samples]] as const) view.setUint32(at, value, true);
  for (const [at, value] of [[20, 1], [22, 1], [32, 1], [34, 8]] as const) view.setUint16(at, value, true);
  for (let at = 44; at < bytes.length; at += 397) bytes[at] = 129;
  return bytes;
}

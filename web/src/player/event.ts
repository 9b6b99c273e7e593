/**
 * The events that ride inside the sound: `emsg` version 1 (ISO/IEC 23009-1 §5.10.3.3) around an ID3v2.4 tag
 * with one PRIV frame of the owner "hiwar", whose data is UTF-8 JSON. docs/formats/event.md is the page of it.
 *
 * Media Source shows scripts nothing of `emsg`, so we read it ourselves. Whatever is not ours is passed over in silence:
 * the stream is public and other tools may add events.
 */
import type { Rates } from "../react/kinds";
import type { Box } from "./boxes";

/** A person on the stage, as listeners are told. Without a role they are a speaker. */
export interface Speaker {
  id: string;
  name: string;
  role?: "host" | "co-host" | "speaker";
  muted?: boolean;
  speaking?: boolean;
}

/** That it was to begin at another time, and why. */
export interface Postponed {
  from?: string | null;
  reason: string | null;
}

/** How the stage stands. `awaits_host` and `asks` are told only while somebody is awaited, and may ask. */
export interface Standing {
  t: "stage";
  title?: string;
  lang?: string;
  state?: "open" | "live";
  speakers: Speaker[];
  recording?: "on" | "off" | "paused";
  /** RFC 3339. */
  starts_at?: string | null;
  awaits_host?: boolean;
  asks?: number;
  /** How crowded it is, where it is. */
  level?: number;
}

export type SpaceEvent =
  | Standing
  | { t: "speaking"; id: string | null }
  /** This participant is offered a seat on the stage. */
  | { t: "called"; id: string }
  /** It begins at another time. */
  | { t: "postponed"; starts_at: string; reason: string | null }
  /** How listeners reacted in a second; whoever shows it looks whether they are numbers. */
  | { t: "reactions"; rates?: Rates }
  | { t: "away" }
  | Cadence
  /** No more sound follows: it is over, or does not take place at all. */
  | { t: "ended"; cancelled?: true; reason?: string };

/** How long the pieces are in which sound comes, in ms; with `in_ms` it will be so after that time. Said by the worker, of this connection. */
export interface Cadence {
  t: "cadence";
  ms: number;
  in_ms?: number;
}

/** An event with the second of media time at which it is to be shown. */
export interface Timed {
  at: number;
  event: SpaceEvent;
}

const SCHEME = "https://aomedia.org/emsg/ID3";
const OWNER = "hiwar";

/** The events of one `emsg` box; empty for any other box, scheme or owner. Never throws. */
export function eventsOf(box: Box): Timed[] {
  if (box.type !== "emsg") return [];
  const { bytes, body } = box;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  // version 1: flags(4) timescale(4) presentation_time(8) event_duration(4) id(4), then two strings.
  if (bytes.length < body + 24 || view.getUint8(body) !== 1) return [];
  const timescale = view.getUint32(body + 4);
  if (timescale === 0) return [];
  const at = (view.getUint32(body + 8) * 2 ** 32 + view.getUint32(body + 12)) / timescale;
  const scheme = textUntilZero(bytes, body + 24);
  if (!scheme || scheme.text !== SCHEME) return [];
  const value = textUntilZero(bytes, scheme.next);
  if (!value) return [];
  const events: Timed[] = [];
  for (const json of privates(bytes.subarray(value.next))) {
    const event = parse(json);
    if (event) events.push({ at, event });
  }
  return events;
}

/** The data of our PRIV frames in an ID3v2.4 tag (id3v2.4.0-structure §3.1, id3v2.4.0-frames §4.27). */
function* privates(tag: Uint8Array): Generator<Uint8Array> {
  if (tag.length < 10 || tag[0] !== 0x49 || tag[1] !== 0x44 || tag[2] !== 0x33) return;
  const end = Math.min(10 + synchsafe(tag, 6), tag.length);
  let at = 10;
  while (at + 10 <= end) {
    const size = synchsafe(tag, at + 4);
    const from = at + 10;
    if (size === 0 || from + size > end) return;
    if (tag[at] === 0x50 && tag[at + 1] === 0x52 && tag[at + 2] === 0x49 && tag[at + 3] === 0x56) {
      const owner = textUntilZero(tag.subarray(0, from + size), from);
      if (owner && owner.text === OWNER) yield tag.subarray(owner.next, from + size);
    }
    at = from + size;
  }
}

/** Seven bits a byte, so that the length can never look like an MPEG sync word. */
function synchsafe(bytes: Uint8Array, at: number): number {
  return [0, 1, 2, 3].reduce((value, i) => value * 128 + ((bytes[at + i] ?? 0) & 0x7f), 0);
}

function textUntilZero(bytes: Uint8Array, from: number): { text: string; next: number } | null {
  const end = bytes.indexOf(0, from);
  if (end < 0) return null;
  return { text: new TextDecoder().decode(bytes.subarray(from, end)), next: end + 1 };
}

/** Our JSON, checked as far as the page relies on it; `null` for kinds that a later server may add. */
export function parse(json: Uint8Array): SpaceEvent | null {
  try {
    const value = JSON.parse(new TextDecoder().decode(json));
    if (["ended", "away", "called", "postponed", "reactions"].includes(value?.t)) return value;
    // What follows is the same: nothing.
    if (value?.t === "cancelled") return { ...value, t: "ended", cancelled: true };
    // Of a length that no player could have in hand nothing is believed.
    if (value?.t === "cadence" && value.ms >= 200 && value.ms <= 10_000) return value;
    if (value?.t === "speaking") return { t: "speaking", id: typeof value.id === "string" ? value.id : null };
    if (value?.t === "stage" && Array.isArray(value.speakers)) {
      const speakers = value.speakers.filter((s: Speaker) => typeof s?.id === "string" && typeof s?.name === "string");
      return { ...value, speakers };
    }
  } catch {
    // Damaged JSON is somebody's bug, but not a reason to stop the sound.
  }
  return null;
}

/** Holds events until the ear has reached their time. */
export class Agenda {
  #items: Timed[] = [];

  /** Bounded: a `stage` event comes every 2 s and at most 10 s are ever buffered ahead. */
  add(events: Timed[]): void {
    for (const timed of events) {
      // The house being away has no time of its own: it follows what was sent before, heard or not.
      const at = timed.event.t === "away" ? Math.max(timed.at, ...this.#items.map((item) => item.at)) : timed.at;
      this.#items.push({ ...timed, at });
    }
    this.#items.sort((a, b) => a.at - b.at);
    if (this.#items.length > 200) this.#items.splice(0, this.#items.length - 200);
  }

  /** Events that are due when `now` (seconds of media time) is being heard, in order. */
  due(now: number): SpaceEvent[] {
    const count = this.#items.findIndex((item) => item.at > now);
    return this.#items.splice(0, count < 0 ? this.#items.length : count).map((item) => item.event);
  }

  /** Whether an event of this kind is still to come. */
  has(kind: SpaceEvent["t"]): boolean {
    return this.#items.some((item) => item.event.t === kind);
  }

  clear(): void {
    this.#items = [];
  }
}

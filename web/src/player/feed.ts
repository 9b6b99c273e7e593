/**
 * Puts fragments into a SourceBuffer, one at a time, and throws away what has been heard.
 *
 * Knows Media Source and its Apple sister, ManagedMediaSource; knows no network and no clock.
 */
import type { Range } from "./catch_up";

type Source = typeof MediaSource;

/** Both spellings are asked for: Safari of 2024 accepted only "Opus", Chromium only "opus". */
const TYPES = ['audio/mp4; codecs="opus"', 'audio/mp4; codecs="Opus"'];

/** Sound behind the needle that is kept: none is ever played again, so this only spares work. */
const KEPT_S = 10;

/** Fragments waiting to be appended: at most a minute; past it the page sleeps and old sound is of no use. */
const QUEUE_MAX = 300;

/** The way this browser can play fragments, or `null`. */
export function support(): { source: Source; type: string; managed: boolean } | null {
  const scope = globalThis as unknown as { MediaSource?: Source; ManagedMediaSource?: Source };
  // On iPads both exist; the managed one is kinder to the battery and lives on a locked screen.
  for (const [source, managed] of [[scope.ManagedMediaSource, true], [scope.MediaSource, false]] as const) {
    const type = source && TYPES.find((t) => source.isTypeSupported(t));
    if (source && type) return { source, type, managed };
  }
  return null;
}

export class Feed {
  #source: MediaSource;
  #buffer: SourceBuffer | null = null;
  #queue: Uint8Array<ArrayBuffer>[] = [];
  #clearing = false;
  #finished = false;
  #url: string;

  /** Attaches to `audio`; `appended` is called after each fragment has become sound. */
  constructor(
    private audio: HTMLAudioElement,
    private appended: () => void,
  ) {
    const how = support();
    if (!how) throw new Error("no media source here");
    this.#source = new how.source();
    // Without this a ManagedMediaSource never opens (it waits for an AirPlay alternative).
    if (how.managed) audio.disableRemotePlayback = true;
    this.#url = URL.createObjectURL(this.#source);
    audio.src = this.#url;
    this.#source.addEventListener("sourceopen", () => {
      if (this.#buffer || this.#source.readyState !== "open") return;
      this.#buffer = this.#source.addSourceBuffer(how.type);
      this.#buffer.addEventListener("updateend", () => this.#next("updated"));
      this.#next("queued");
    });
  }

  /** Whole boxes only: an init segment, or one fragment. */
  append(bytes: Uint8Array<ArrayBuffer>): void {
    this.#queue.push(bytes);
    if (this.#queue.length > QUEUE_MAX) this.#queue.splice(1, this.#queue.length - QUEUE_MAX);
    this.#next("queued");
  }

  /** Something is still to become sound, or to be forgotten. */
  get busy(): boolean {
    return this.#clearing || this.#queue.length > 0 || !!this.#buffer?.updating;
  }

  /** Forgets everything buffered, because the space's clock went back. */
  clear(): void {
    this.#clearing = true;
    this.#next("queued");
  }

  /** No more will come: what is in hand plays out. */
  finish(): void {
    this.#finished = true;
    this.#next("queued");
  }

  ranges(): Range[] {
    const ranges: Range[] = [];
    try {
      const buffered = this.#buffer?.buffered;
      for (let i = 0; buffered && i < buffered.length; i++) ranges.push({ start: buffered.start(i), end: buffered.end(i) });
    } catch {
      // A source that was just detached throws here.
    }
    return ranges;
  }

  detach(): void {
    this.#queue = [];
    this.#buffer = null;
    URL.revokeObjectURL(this.#url);
    this.audio.removeAttribute("src");
    this.audio.load();
  }

  #next(why: "updated" | "queued"): void {
    const buffer = this.#buffer;
    if (!buffer || buffer.updating || this.#source.readyState === "closed") return;
    if (why === "updated") this.appended();
    try {
      if (this.#clearing) {
        this.#clearing = false;
        buffer.remove(0, Infinity);
        return;
      }
      const heard = this.audio.currentTime - KEPT_S;
      const first = this.ranges()[0];
      if (first && heard - first.start > KEPT_S) {
        buffer.remove(0, heard);
        return;
      }
      const bytes = this.#queue.shift();
      if (bytes) buffer.appendBuffer(bytes);
      else if (this.#finished && this.#source.readyState === "open") this.#source.endOfStream();
    } catch (error) {
      // Full: drop what was heard and go on with the next fragment; the catch-up closes the hole.
      if ((error as DOMException).name !== "QuotaExceededError") throw error;
      buffer.remove(0, Math.max(0.1, this.audio.currentTime - 1));
    }
  }
}

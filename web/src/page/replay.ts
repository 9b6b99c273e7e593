/** The replay of an ended space: waiting for it while it is being made, and fetching its player (src/ear), which few pages need. */
import { Backoff, pause } from "../player/backoff";
import type { Ear } from "../ear/ear";
import { numbers, say } from "./text";
import { by, put } from "./view";

/** Where the recording is, as the server tells it; what is missing has its fixed place. */
export interface Recording {
  mp4?: string;
  ogg?: string;
}

/** What is known of it at the end, or of a page that comes afterwards. */
export interface Recorded {
  replay?: Recording | null;
  recording?: "on" | "off" | "paused";
  posting?: "at_once" | "after_review";
  removed_at?: string | null;
}

/** The address of the player's script, by its hash. */
declare const __EAR__: string;
/** The replay is promised within 10 s of the end; after two minutes there is none. */
const WAIT_MS = 120_000;
/** The whole audience asks at once when a conversation ends: the first question is spread over this long. */
const SPREAD_MS = 6_000;

export class Replay {
  #ear?: Ear;
  #notice: string | null = null;
  #removed?: string | null;

  constructor(
    private space: string,
    private query: string,
  ) {}

  /** Shows the recording, or looks for it until it is there, or says why it will not be, or not soon. */
  async begin({ replay, recording, posting, removed_at }: Recorded): Promise<void> {
    if (replay) return this.#show(replay);
    this.#removed = removed_at;
    if (removed_at) return this.#say("page-replay-removed");
    if (recording === "off") return this.#say("page-replay-none");
    if (posting === "after_review") return this.#say("page-replay-review");
    this.#say("page-replay-preparing");
    const backoff = new Backoff();
    const end = performance.now() + WAIT_MS;
    const never = new AbortController().signal;
    await pause(1_500 + Math.random() * SPREAD_MS, never);
    while (performance.now() < end) {
      const found = await fetch(`/replay/${this.space}.mp4${this.query}`, { method: "HEAD" }).then((r) => r.ok, () => false);
      if (found) return this.#show({});
      await pause(1_500 + backoff.next(), never);
    }
    this.#say("page-replay-none");
  }

  /** Says everything again, in another language. */
  render(): void {
    const date = this.#removed && new Date(this.#removed).toLocaleDateString(numbers(), { dateStyle: "long" });
    put("replay-notice", this.#notice ? say(this.#notice, { date: date || "" }) : "");
    this.#ear?.render();
  }

  #say(key: string | null): void {
    this.#notice = key;
    this.render();
  }

  async #show(recording: Recording): Promise<void> {
    const path = `/replay/${this.space}`;
    const mp4 = (recording.mp4 ?? path + ".mp4") + this.query;
    const ogg = (recording.ogg ?? path + ".ogg") + this.query;
    const trouble = (is: boolean) => this.#say(is ? "player-failed" : null);
    try {
      const { show } = (await import(/* @vite-ignore */ __EAR__)) as typeof import("../ear/ear");
      this.#ear = show({ path, query: this.query, mp4, ogg, trouble });
    } catch {
      // It can be heard all the same.
      const audio = by<HTMLAudioElement>("audio");
      audio.src = mp4;
      audio.controls = true;
    }
    this.#say(null);
  }
}

/** The replay of an ended space: play, seek, speed, download; and waiting for it while it is being made. */
import { Backoff, pause } from "../player/backoff";
import { clock, spoken } from "../text/language";
import { numbers, say } from "./text";
import { by, icon, put } from "./view";

/** Where the recording is, as the server tells it; what is missing has its fixed place. */
export interface Recording {
  mp4?: string;
  ogg?: string;
}

/** The replay is promised within 10 s of the end; after two minutes there is none. */
const WAIT_MS = 120_000;
/** The whole audience asks at once when a conversation ends: the first question is spread over this long. */
const SPREAD_MS = 6_000;
const STEP_S = 15;

export class Replay {
  #audio = by<HTMLAudioElement>("audio");
  #seek = by<HTMLInputElement>("seek");
  #shown = false;
  #notice: string | null = null;
  #removed?: string | null;

  constructor(
    private space: string,
    private query: string,
  ) {}

  /** Shows the recording, or looks for it until it is there; `recorded` tells whether there will be one, `removed` when it was removed. */
  async begin(known: Recording | null, recorded: boolean, removed?: string | null): Promise<void> {
    if (known) return this.#show(known);
    this.#removed = removed;
    if (removed) return this.#say("page-replay-removed");
    if (!recorded) return this.#say("page-replay-none");
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
    if (!this.#shown) return;
    const playing = !this.#audio.paused;
    icon("replay-icon", playing ? "pause" : "play");
    label("replay-press", say(playing ? "page-replay-pause" : "page-replay-play"));
    label("back", say("page-replay-back", { seconds: STEP_S }));
    label("forward", say("page-replay-forward", { seconds: STEP_S }));
    label("seek", say("page-replay-position"));
    this.#tick();
  }

  #say(key: string | null): void {
    this.#notice = key;
    this.render();
  }

  #show(recording: Recording): void {
    const audio = this.#audio;
    const mp4 = (recording.mp4 ?? `/replay/${this.space}.mp4`) + this.query;
    const ogg = (recording.ogg ?? `/replay/${this.space}.ogg`) + this.query;
    this.#shown = true;
    audio.preload = "metadata";
    audio.src = audio.canPlayType('audio/mp4; codecs="opus"') ? mp4 : ogg;
    by<HTMLAnchorElement>("download-mp4").href = mp4;
    by<HTMLAnchorElement>("download-ogg").href = ogg;
    by("replay").hidden = false;
    for (const kind of ["play", "pause", "ended"]) audio.addEventListener(kind, () => this.render());
    for (const kind of ["timeupdate", "durationchange", "seeked"]) audio.addEventListener(kind, () => this.#tick());
    audio.addEventListener("error", () => this.#say("page-replay-error"));
    by("replay-press").onclick = () => {
      if (!audio.paused) return audio.pause();
      this.#notice = null;
      if (audio.error) audio.load();
      audio.play().catch(() => this.#say("page-replay-error"));
    };
    by("back").onclick = () => (audio.currentTime = Math.max(0, audio.currentTime - STEP_S));
    by("forward").onclick = () => (audio.currentTime = Math.min(this.#duration(), audio.currentTime + STEP_S));
    this.#seek.oninput = () => (audio.currentTime = Number(this.#seek.value));
    by<HTMLSelectElement>("speed").onchange = (event) => {
      audio.defaultPlaybackRate = audio.playbackRate = Number((event.target as HTMLSelectElement).value);
    };
    this.#say(null);
  }

  #duration(): number {
    return Number.isFinite(this.#audio.duration) ? this.#audio.duration : 0;
  }

  #tick(): void {
    const at = this.#audio.currentTime;
    const all = this.#duration();
    this.#seek.max = String(Math.max(1, Math.floor(all)));
    this.#seek.value = String(Math.floor(at));
    const tag = numbers();
    this.#seek.setAttribute("aria-valuetext", say("page-replay-position-text", { position: spoken(at, tag), duration: spoken(all, tag) }));
    by("position").textContent = clock(at, tag);
    by("duration").textContent = clock(all, tag);
  }
}

function label(id: string, text: string): void {
  by(id).setAttribute("aria-label", text);
}

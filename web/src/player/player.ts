/**
 * Plays one live space: fetch → boxes → Media Source, events at the moment they are heard, back again by itself when the line breaks.
 *
 * Framework-free: the light page and the app both use it. The first `listen()` must come from a press, or the browser refuses
 * to make a sound (`blocked`). It never throws; everything that can happen is a `State`.
 */
import { Backoff, pause, retryAfterMs } from "./backoff";
import { BoxWalker, join, NotBoxes } from "./boxes";
import { CatchUp, Lateness } from "./catch_up";
import { Agenda, eventsOf, type SpaceEvent } from "./event";
import { Feed, support } from "./feed";
import { look, plain, ways } from "./plain";

export type State =
  | "idle" | "connecting" | "waiting" | "playing" | "reconnecting"
  | "blocked" | "refused" | "missing" | "unsupported" | "ended";

export interface Config {
  /** The element that makes the sound; in the document, so that phones keep it alive on a locked screen. */
  audio: HTMLAudioElement;
  space: string;
  /** A listening pass, for spaces with invited listeners. */
  pass: string | null;
  /** What the page already knows: a space that has not begun may answer 404 and is asked again. */
  begun: () => boolean;
  onState: (state: State) => void;
  onEvent: (event: SpaceEvent) => void;
}

/**
 * Silence on an open line after which we ask anew, plus as much again by chance. Longer than a house needs to restart:
 * then the workers keep every connection, and nobody should run away.
 */
const SILENT_LINE_MS = 15_000;
/** A space that has not begun and has no stream yet is asked this often, when the server does not say otherwise. */
const NOT_YET_MS = 5_000;

export class Player {
  #state: State = "idle";
  #feed: Feed | null = null;
  #stop: AbortController | null = null;
  #catchUp = new CatchUp();
  #lateness = new Lateness();
  #agenda = new Agenda();
  #ended = false;
  #heard = false;

  constructor(private config: Config) {
    const { audio } = config;
    audio.addEventListener("waiting", () => this.#state === "playing" && this.#catchUp.stalled());
    audio.addEventListener("playing", () => this.#catchUp.begun());
    audio.addEventListener("ended", () => this.#feed && this.#ended && this.#finish());
    // Headphones pulled out, another app took the speaker: a live stream cannot be held, so it is a stop.
    audio.addEventListener("pause", () => {
      if (this.#heard && !audio.ended && this.#stop) this.stop();
    });
  }

  get state(): State {
    return this.#state;
  }

  /** False when only a playlist or an endless file can be played here: no events, no lateness. */
  get measured(): boolean {
    return support() !== null;
  }

  /** Seconds between the stage and the ear, or `null` while unknown. */
  lateness(): number | null {
    return this.#state === "playing" && this.#feed ? this.#lateness.seconds(now(), this.config.audio.currentTime) : null;
  }

  /** Begins. Call it in the press: the element must be told to play while the press is being handled. */
  listen(): void {
    this.stop();
    const { audio, space, pass } = this.config;
    const stop = new AbortController();
    this.#stop = stop;
    this.#ended = this.#heard = false;
    this.#catchUp = new CatchUp();
    this.#lateness.clear();
    this.#agenda.clear();
    this.#is("connecting");
    if (support()) {
      this.#feed = new Feed(audio, () => this.#appended());
      const timer = setInterval(() => this.#tick(), 100);
      stop.signal.addEventListener("abort", () => clearInterval(timer));
      void this.#run(stop.signal);
    } else {
      const addresses = ways(audio, space, pass);
      if (addresses.length === 0) return this.#is("unsupported");
      audio.addEventListener("playing", () => this.#sounds(), { signal: stop.signal });
      plain(audio, addresses, stop.signal, () => this.#broke(stop.signal));
    }
    audio.play().then(
      () => {
        if (this.#stop !== stop) return;
        this.#sounds();
      },
      (error: DOMException) => {
        if (this.#stop !== stop || error.name !== "NotAllowedError") return;
        this.stop();
        this.#is("blocked");
      },
    );
  }

  /** Ends. There is no pausing of live sound: the next `listen()` begins at live again. */
  stop(): void {
    this.#stop?.abort();
    this.#stop = null;
    this.config.audio.pause();
    this.#feed?.detach();
    this.#feed = null;
    if (this.#state !== "ended") this.#is("idle");
  }

  #sounds(): void {
    this.#heard = true;
    this.#is("playing");
  }

  /** The browser could not go on by itself: is there anything to go on with? */
  async #broke(signal: AbortSignal): Promise<"again" | "stop"> {
    const { space, pass, begun } = this.config;
    const heard = this.#heard;
    // The pause that follows an error is not the listener's.
    this.#heard = false;
    const found = await look(space, pass, signal);
    if (signal.aborted) return "stop";
    if (found === "refused") this.#give("refused");
    else if (found === "over" || (found === "missing" && heard)) this.#finish();
    else if (found === "missing" && begun()) this.#give("missing");
    else {
      this.#is(found === "missing" ? "waiting" : "reconnecting");
      return "again";
    }
    return "stop";
  }

  #is(state: State): void {
    if (this.#state === state) return;
    this.#state = state;
    this.config.onState(state);
  }

  #finish(): void {
    for (const event of this.#agenda.due(Infinity)) this.config.onEvent(event);
    this.#is("ended");
    this.stop();
  }

  /** Connects again and again until stopped, ended or refused. */
  async #run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff();
    while (!signal.aborted && !this.#ended) {
      let wait: number | null = null;
      try {
        const { space, pass } = this.config;
        const response = await fetch(`/listen/${space}.mp4`, {
          signal,
          cache: "no-store",
          headers: pass ? { Authorization: `Bearer ${pass}` } : {},
        });
        if (response.ok && response.body) {
          await this.#read(response.body, signal, () => backoff.reset());
        } else {
          void response.body?.cancel();
          wait = retryAfterMs(response.headers.get("Retry-After"), Date.now());
          if (response.status === 401 || response.status === 403) return this.#give("refused");
          if (response.status === 410) return this.#finish();
          if (response.status === 404) {
            if (this.config.begun()) return this.#heard ? this.#finish() : this.#give("missing");
            wait ??= NOT_YET_MS;
            this.#is("waiting");
          }
        }
      } catch (error) {
        // Network and damage alike: try again. Anything else is a bug and must be seen.
        if (!signal.aborted && !(error instanceof TypeError || error instanceof NotBoxes || error instanceof DOMException)) throw error;
      }
      if (signal.aborted) return;
      if (this.#ended) return this.#feed?.finish();
      if (this.#state !== "waiting") this.#is("reconnecting");
      await pause(backoff.next(wait), signal, wait === null ? "online" : "never");
    }
  }

  #give(state: State): void {
    this.stop();
    this.#is(state);
  }

  async #read(body: ReadableStream<Uint8Array>, signal: AbortSignal, working: () => void): Promise<void> {
    const reader = body.getReader();
    const walker = new BoxWalker();
    let parts: Uint8Array[] = [];
    let fragments = 0;
    const edgeBefore = this.#feed?.ranges().at(-1)?.end ?? -1;
    let silence: ReturnType<typeof setTimeout> | undefined;
    const listenForSilence = () => {
      clearTimeout(silence);
      silence = setTimeout(() => void reader.cancel().catch(() => {}), SILENT_LINE_MS * (1 + Math.random()));
    };
    const cut = () => void reader.cancel().catch(() => {});
    signal.addEventListener("abort", cut, { once: true });
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done || signal.aborted) return;
        for (const box of walker.handle(value)) {
          this.#agenda.add(eventsOf(box));
          parts.push(box.bytes);
          if (box.type === "moov" && this.#state !== "playing") this.#is(this.#heard ? "reconnecting" : "waiting");
          if (box.type !== "moov" && box.type !== "mdat") continue;
          this.#feed?.append(join(parts));
          parts = [];
          if (box.type !== "mdat") continue;
          fragments += 1;
          if (fragments === 1) working();
          // Two seconds of sound that lead nowhere new: the space's clock was set back, and our buffer is of another life.
          if (fragments === 10 && edgeBefore > 0 && (this.#feed?.ranges().at(-1)?.end ?? 0) <= edgeBefore) {
            this.#feed?.clear();
            this.#lateness.clear();
            this.#agenda.clear();
          }
          listenForSilence();
        }
      }
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", cut);
      if (this.#agendaEnds()) this.#ended = true;
    }
  }

  #agendaEnds(): boolean {
    return this.#ended || this.#agenda.has("ended");
  }

  #appended(): void {
    const edge = this.#feed?.ranges().at(-1)?.end;
    if (edge !== undefined) this.#lateness.arrived(now(), edge);
    this.#tick();
  }

  #tick(): void {
    const { audio } = this.config;
    const ranges = this.#feed?.ranges();
    if (!ranges) return;
    const act = this.#catchUp.act(audio.currentTime, ranges);
    if (act.kind === "seek") audio.currentTime = act.to;
    else if (act.kind === "rate" && audio.playbackRate !== act.rate) audio.playbackRate = act.rate;
    if (this.#heard && !audio.paused && act.kind === "rate" && this.#state !== "ended") this.#is("playing");
    for (const event of this.#agenda.due(audio.currentTime)) {
      if (event.t === "ended" && !this.#ended) {
        this.#ended = true;
        // The rest of the last chunk is still to be heard, whether or not the server closes the line at once.
        const stop = this.#stop;
        setTimeout(() => this.#stop === stop && this.#finish(), 1_500);
      }
      this.config.onEvent(event);
    }
  }
}

function now(): number {
  return performance.now() / 1000;
}

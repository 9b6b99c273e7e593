/**
 * Plays one live space: fetch → boxes → Media Source, events at the moment they are heard, back again by itself when the line breaks.
 * Framework-free: the light page and the app both use it. The first `listen()` must come from a press, or the browser refuses
 * to make a sound (`blocked`). It never throws; everything that can happen is a `State`.
 */
import { Backoff, pause, retryAfterMs } from "./backoff";
import { join, NotBoxes } from "./boxes";
import { BEFORE_US_S, CatchUp, Lateness, type Range } from "./catch_up";
import type { Config, State } from "./config";
import { Agenda, eventsOf, type Cadence, type SpaceEvent } from "./event";
import { Feed, support } from "./feed";
import { boxesOf } from "./line";
import { Past, Stretch, type Piece, type Place } from "./past";
import { HLS, look, plain, ways } from "./plain";
import { lastWords, Ticket } from "./ticket";

export type { Config, State };

/** A space that has not begun and has no stream yet is asked this often, when the server does not say otherwise. */
const NOT_YET_MS = 5_000;
/** Sound of the past that is fetched ahead of the needle. */
const AHEAD_S = 20;
/** Nearer to live than this the live stream is open, too, so that it joins what comes from the past; farther than that it is closed. */
const [NEAR_S, FAR_S] = [30, 40];
/** As near to live as this, and what the cadence adds, a listener who catches up is there. */
const THERE_S = 1.4;
/** Nearer to live than this, what was said may not be in a whole segment yet. */
const LISTED_S = 8;
/** Sound comes in pieces so long, if nothing else is said. */
const USUAL_MS = 200;
/** Short of what is wanted by no more than this is made up for by going slower. */
const SHORT_S = 0.2;
/** Pieces of the past that could not be had are asked for again after this. */
const PIECE_AGAIN_MS = 1_000;

export class Player {
  #state: State = "idle";
  #feed: Feed | null = null;
  #stop: AbortController | null = null;
  /** The connection of the live stream, if it is wanted. */
  #line: AbortController | null = null;
  #past: Past | null = null;
  #stretch = new Stretch();
  /** The listener is behind live because they want to: how fast they go on, and whether they are on their way to live. */
  #behind: { rate: number; returning: boolean } | null = null;
  /** A piece of the past is being fetched. */
  #fetching: AbortController | null = null;
  #notBefore = 0;
  /** Where a listener wants to be who is not there yet. */
  #goal: number | null = null;
  #catchUp = new CatchUp();
  #lateness = new Lateness();
  #agenda = new Agenda();
  #ended = false;
  #heard = false;
  /** The line broke, and brings no sound yet. */
  #lost = false;
  #ticket: Ticket;

  constructor(private config: Config) {
    this.#ticket = new Ticket(config.space);
    const { audio } = config;
    audio.addEventListener("waiting", () => this.#state === "playing" && !this.#behind && this.#catchUp.stalled());
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

  /** Sound comes in longer pieces than usual, so that there is room for more listeners. */
  get crowded(): boolean {
    return this.#catchUp.swing > 0;
  }

  /** Begins. Call it in the press: the element must be told to play while the press is being handled. Delayed: by the browser's own means. */
  listen(delayed = support() === null): void {
    this.stop();
    const { audio, space, hls, pass, voucher } = this.config;
    const stop = new AbortController();
    this.#stop = stop;
    this.#ended = this.#heard = this.#lost = false;
    this.#catchUp = new CatchUp();
    this.#lateness.clear();
    this.#agenda.clear();
    this.#past = new Past(hls, pass);
    this.#is("connecting");
    if (!delayed) {
      this.#feed = new Feed(audio, () => this.#appended());
      const timer = setInterval(() => this.#tick(), 100);
      stop.signal.addEventListener("abort", () => clearInterval(timer));
      this.#connect();
    } else {
      const addresses = ways(audio, space, hls, { pass, voucher });
      if (addresses.length === 0) return this.#is("unsupported");
      audio.addEventListener("playing", () => this.#sounds(), { signal: stop.signal });
      plain(audio, addresses, stop.signal, () => this.#broke(stop.signal));
    }
    audio.play().then(
      () => {
        if (this.#stop === stop) this.#sounds();
      },
      (error: DOMException) => {
        if (this.#stop !== stop || error.name !== "NotAllowedError") return;
        this.stop();
        this.#is("blocked");
      },
    );
  }

  /** Where the listener is, if they have gone back. */
  place(): Place | null {
    const late = this.#behind && this.#late();
    const at = this.config.audio.currentTime;
    return late === null ? null : { begin: Math.min(this.#past?.begin ?? at, at), at, live: at + late };
  }

  /** When the sound at a media second was said, in milliseconds since 1970, as far as that is known. */
  wall(at: number): number | null {
    return this.#past?.wall(at) ?? null;
  }

  /** How fast someone who has gone back hears; 1 at live. */
  get rate(): number {
    return this.#behind?.rate ?? 1;
  }

  set rate(rate: number) {
    if (this.#behind) this.config.audio.playbackRate = this.#behind.rate = rate;
  }

  /** Steps this many seconds, back if negative; a step past live is a return to it. */
  step(seconds: number): Promise<boolean> {
    return this.goTo((this.#goal ?? this.config.audio.currentTime) + seconds);
  }

  /** Goes to a media second: what is heard goes on until what was said then is here. False if it cannot be had. */
  async goTo(wanted: number): Promise<boolean> {
    const { audio } = this.config;
    const [past, late] = [this.#past, this.#late()];
    if (!past || late === null) return false;
    this.#fetching?.abort();
    this.#fetching = this.#goal = null;
    const before = audio.currentTime + late - wanted;
    if (before < this.#there) return this.live();
    // What is in hand needs no fetching; its events are still to come.
    const ahead = wanted > audio.currentTime && this.#feed?.ranges().some((range) => range.start <= wanted && wanted < range.end - 0.5);
    if (this.#behind && ahead) {
      audio.currentTime = wanted;
      return true;
    }
    const fetching = (this.#fetching = new AbortController());
    this.#goal = wanted = Math.max(0, wanted, past.begin ?? 0);
    const piece = await past.piece(wanted, fetching.signal);
    if (fetching.signal.aborted) return true;
    this.#fetching = this.#goal = null;
    // Not in a whole segment yet: that near to live, live is what is meant.
    if (!piece) return before < LISTED_S && this.live();
    this.#behind = { rate: this.#behind?.rate ?? 1, returning: false };
    // Everything anew: the events of what is heard twice are shown twice.
    this.#agenda.clear();
    this.#stretch.clear();
    this.#feed?.clear();
    this.#put(piece);
    this.#is("playing");
    audio.currentTime = Math.min(Math.max(wanted, piece.start), piece.end - 0.1);
    audio.playbackRate = this.#behind.rate;
    this.config.onBehind();
    return true;
  }

  /** Back to what is being said now. What is heard goes on until the live stream is here. */
  live(): true {
    if (!this.#behind) return true;
    this.#behind.returning = true;
    this.#connect();
    this.#arrive();
    return true;
  }

  /** Ends. There is no pausing of live sound: the next `listen()` begins at live again. */
  stop(): void {
    this.#stop?.abort();
    this.#stop = null;
    this.#line?.abort();
    this.#line = null;
    this.#fetching?.abort();
    this.#fetching = this.#behind = this.#goal = null;
    this.config.audio.playbackRate = 1;
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

  #finish(...last: SpaceEvent[]): void {
    for (const event of [...this.#agenda.due(Infinity), ...last]) this.config.onEvent(event);
    this.#is("ended");
    this.stop();
  }

  #connect(): void {
    if (this.#line || this.#ended) return;
    this.#line = new AbortController();
    void this.#run(this.#line.signal);
  }

  #late(): number | null {
    return this.#feed ? this.#lateness.seconds(now(), this.config.audio.currentTime) : null;
  }

  /** At live, if the live stream has come that far. */
  #arrive(): void {
    const late = this.#late();
    const edge = this.#feed?.ranges().at(-1)?.end ?? 0;
    if (!this.#behind || !this.#line || late === null) return;
    const { currentTime } = this.config.audio;
    // The newest in hand is the live stream's, not what was fetched of the past.
    if (late - (edge - currentTime) > this.#there) return;
    if (!this.#behind.returning && (late > this.#there || this.#behind.rate <= 1)) return;
    this.#fetching?.abort();
    this.#fetching = this.#behind = null;
    this.#catchUp = new CatchUp(this.#catchUp.swing);
    this.#tick();
    this.config.onBehind();
  }

  #put(piece: Piece): void {
    this.#agenda.add(piece.events);
    this.#feed?.append(piece.bytes);
  }

  /** Fetches what comes next for someone who has gone back, and opens or closes the live stream as they come near it. */
  #fill(ranges: Range[]): void {
    const { audio } = this.config;
    const late = this.#late();
    const [past, behind] = [this.#past, this.#behind];
    if (!past || !behind || late === null) return;
    if (late > FAR_S && !behind.returning) {
      this.#line?.abort();
      this.#line = null;
    } else if (late < NEAR_S) this.#connect();
    const at = audio.currentTime;
    const { end, ask, jump } = this.#stretch.ahead(at, ranges);
    if (jump !== null) audio.currentTime = jump;
    // The less is in hand, the slower, so that who catches up does not run dry just before live.
    const rate = Math.min(behind.rate, Math.max(1.05, 1 + Math.round((end - at - 0.8) * 7) / 20));
    if (audio.playbackRate !== rate) audio.playbackRate = rate;
    if (past.over(end)) {
      this.#ended = true;
      return this.#feed?.finish();
    }
    // The live stream has the rest, once it is here.
    const rest = this.#line && late - (end - at) < this.#there;
    if (rest || this.#fetching || this.#feed?.busy || end - at > AHEAD_S || performance.now() < this.#notBefore) return;
    const fetching = (this.#fetching = new AbortController());
    void past.piece(ask, fetching.signal).then((piece) => {
      if (fetching.signal.aborted) return;
      this.#fetching = null;
      if (!piece) this.#notBefore = performance.now() + PIECE_AGAIN_MS;
      else {
        this.#stretch.got(piece, end, ranges);
        this.#put(piece);
      }
    });
  }

  /** Connects again and again until stopped, ended or refused. */
  async #run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff();
    while (!signal.aborted && !this.#ended) {
      let wait: number | null = null;
      try {
        const { audio, space, pass, voucher } = this.config;
        const query = (await this.#ticket.turn(signal)) + (audio.canPlayType(HLS) && "&hls") + (voucher ? `&voucher=${encodeURIComponent(voucher)}` : "");
        const response = await fetch(`/listen/${space}.mp4?t=${query}`, {
          signal,
          cache: "no-store",
          headers: pass ? { Authorization: `Bearer ${pass}` } : {},
        });
        const told = await this.#ticket.read(response, signal);
        if (response.redirected && !this.#behind) return this.listen(true); // To the delayed stream.
        if (told) {
          if (!this.#behind) this.#is("queued");
          if ((await this.config.queue(told, signal)) && !signal.aborted) return this.listen(true);
          continue;
        }
        if (response.ok && response.body) await this.#read(response.body, signal, () => ((this.#lost = false), backoff.reset()));
        else if (response.status === 410 && !this.#behind) return this.#finish(...(await lastWords(response)));
        else {
          void response.body?.cancel().catch(() => {});
          wait = retryAfterMs(response.headers.get("Retry-After"), Date.now());
          if (response.status === 401 || response.status === 403) return this.#give("refused");
          if (this.#behind && (response.status === 410 || response.status === 404)) return; // The list tells when the past is over.
          if (!this.config.begun()) {
            wait ??= NOT_YET_MS;
            this.#is("waiting");
          } else if (response.status === 404) return this.#heard ? this.#finish() : this.#give("missing");
        }
      } catch (error) {
        // Network and damage alike: try again. Anything else is a bug and must be seen.
        if (!signal.aborted && !(error instanceof TypeError || error instanceof NotBoxes || error instanceof DOMException)) throw error;
      } finally {
        this.#ticket.free(signal);
      }
      if (signal.aborted) return;
      if (this.#ended) return this.#behind ? undefined : this.#feed?.finish();
      this.#lost = this.#state !== "waiting";
      if (this.#lost && !this.#behind) this.#is("reconnecting");
      await pause(backoff.next(wait), signal, wait === null ? "online" : "never");
    }
  }

  #give(state: State): void {
    this.stop();
    this.#is(state);
  }

  async #read(body: ReadableStream<Uint8Array>, signal: AbortSignal, working: () => void): Promise<void> {
    let parts: Uint8Array[] = [];
    let fragments = 0;
    const edgeBefore = this.#feed?.ranges().at(-1)?.end ?? -1;
    try {
      for await (const box of boxesOf(body, signal)) {
        for (const timed of eventsOf(box)) {
          if (timed.event.t === "cadence") this.#told(timed.event);
          else this.#agenda.add([timed]);
        }
        parts.push(box.bytes);
        if (box.type === "moov") {
          // Whoever is told nothing hears the usual pieces, whatever the connection before brought.
          this.#catchUp.cadence(0, "now");
          if (!this.#behind && this.#state !== "playing") this.#is(this.#heard ? "reconnecting" : "waiting");
        } else if (box.type !== "mdat") continue;
        this.#feed?.append(join(parts));
        parts = [];
        if (box.type === "moov") continue;
        fragments += 1;
        if (fragments === 1) working();
        // Two seconds of sound, or what one begins with, that lead nowhere new: the space's clock was set back, and our buffer is of another life.
        if (fragments === 10 + Math.round(this.#catchUp.swing * 5) && !this.#behind && edgeBefore > 0 && (this.#feed?.ranges().at(-1)?.end ?? 0) <= edgeBefore) {
          this.#feed?.clear();
          this.#lateness.clear();
          this.#agenda.clear();
        }
      }
    } finally {
      this.#ended ||= this.#agenda.has("ended");
    }
  }

  /** The worker says how it sends, or will. It is of the connection and not of the sound: what is still to be heard does not matter. */
  #told({ ms, in_ms }: Cadence): void {
    this.#catchUp.cadence((ms - USUAL_MS) / 1000, in_ms ? "later" : "now");
    const late = this.#late();
    if (in_ms || !this.#heard || this.#behind || late === null) return;
    // Unprepared, after a reconnect for instance: some words twice are better than a silence.
    const short = this.#catchUp.target + BEFORE_US_S - late;
    if (short > SHORT_S) this.config.audio.currentTime -= short;
  }

  get #there(): number {
    return THERE_S + this.#catchUp.swing;
  }

  #appended(): void {
    const edge = this.#feed?.ranges().at(-1)?.end;
    // Of the past nothing is learned of now.
    if (edge !== undefined && this.#line) this.#lateness.arrived(now(), edge);
    this.#tick();
  }

  #tick(): void {
    const { audio } = this.config;
    const ranges = this.#feed?.ranges();
    if (!ranges) return;
    if (this.#behind) {
      this.#fill(ranges);
      this.#arrive();
      return this.#show();
    }
    const act = this.#catchUp.act(audio.currentTime, ranges);
    if (act.kind === "seek") audio.currentTime = act.to;
    else if (act.kind === "rate" && audio.playbackRate !== act.rate) audio.playbackRate = act.rate;
    // Without a line what was in hand is heard first, and the next attempt may be long in coming. 3: HAVE_FUTURE_DATA.
    const dry = this.#lost && (act.kind === "none" || audio.readyState < 3);
    if (this.#heard && !audio.paused && (dry || act.kind === "rate") && this.#state !== "ended" && this.#state !== "queued") this.#is(dry ? "reconnecting" : "playing");
    this.#show();
  }

  /** Tells of what is heard now. */
  #show(): void {
    for (const event of this.#agenda.due(this.config.audio.currentTime)) {
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

const now = (): number => performance.now() / 1000;

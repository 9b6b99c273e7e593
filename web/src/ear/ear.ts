/**
 * The player of a replay: play, seek, speed, turns of speakers, a link to a moment, a clip, the files. A script of its own, which the page of a space fetches
 * when there is a replay (src/page/replay.ts). It fills the page's `#replay`, and plays on the page's `#audio`.
 */
import { clock, parts, spoken, type Language } from "../text/language";
import { numbers, say, speak } from "../page/text";
import { by, icon, put } from "../page/view";
import { ClipForm } from "./clip";
import { share } from "./share";
import { chaptersOf, current, moment, next, previous, type Chapter } from "./times";
import styles from "./ear.css?inline";

export interface Host {
  /** Of the recording, without an ending: what belongs to it is below. */
  path: string;
  /** With the pass, if one is needed. */
  query: string;
  mp4: string;
  ogg: string;
  /** It cannot be played, or can be again. */
  trouble(is: boolean): void;
}

const STEP_S = 15;
const SPEEDS = [0.75, 1, 1.25, 1.5, 2];

const STEP = (path: string) => `<svg viewBox="0 0 24 24" aria-hidden="true"><path class="wave" d="${path}"/></svg>`;
const MARKUP = `
<div class="transport" dir="ltr">
<button id="back">${STEP("M12 5a7 7 0 1 1-6.6 4.7M12 1.5 8.2 5 12 8.5")}</button>
<button class="press" id="replay-press"><svg viewBox="0 0 48 48" aria-hidden="true"><path id="replay-icon" d=""/></svg></button>
<button id="forward">${STEP("M12 5a7 7 0 1 0 6.6 4.7M12 1.5 15.8 5 12 8.5")}</button>
<div class="seek"><input id="seek" type="range" max="1" value="0"><span id="position"></span><span id="duration"></span></div>
</div>
<div class="turns" id="turns" hidden><button class="word" id="previous" data-ear="ear-previous"></button><button class="word" id="next" data-ear="ear-next"></button></div>
<div class="extras">
<label><span data-ear="page-replay-speed"></span> <select id="speed" dir="ltr">${SPEEDS.map((x) => `<option value="${x}">${x}×</option>`).join("")}</select></label>
<span class="downloads"><span data-ear="page-replay-download"></span> <a id="download-mp4" download>MP4</a> <a id="download-ogg" download>Ogg</a></span>
</div>
<section id="chapters-of" aria-labelledby="chapters-title" hidden><h2 id="chapters-title" data-ear="ear-chapters"></h2><ol id="chapters"></ol></section>
<details id="moment-of"><summary data-ear="ear-moment"></summary><p data-ear="ear-moment-hint"></p><div id="moment"></div></details>
<details id="clip-of"><summary data-ear="ear-clip"></summary><div id="clip"></div></details>`;

export class Ear {
  #audio = by<HTMLAudioElement>("audio");
  #seek: HTMLInputElement;
  #chapters: Chapter[] = [];
  #drawn = "";
  #clip: ClipForm;
  #moment: ReturnType<typeof share>;

  constructor(private host: Host) {
    document.adoptedStyleSheets.push(sheet());
    by("replay").innerHTML = MARKUP;
    this.#seek = by<HTMLInputElement>("seek");
    const audio = this.#audio;
    audio.preload = "metadata";
    audio.preservesPitch = true;
    audio.src = audio.canPlayType('audio/mp4; codecs="opus"') ? host.mp4 : host.ogg;
    by<HTMLAnchorElement>("download-mp4").href = host.mp4;
    by<HTMLAnchorElement>("download-ogg").href = host.ogg;
    this.#moment = share(by("moment"), "ear-moment");
    this.#clip = new ClipForm(by("clip"), host, audio);
    this.#listen(audio);
    by("replay").hidden = false;
    this.#goToMoment();
    void this.#fetchChapters();
  }

  /** Says everything again, in the language of the page. */
  render(): void {
    speak(document.documentElement.lang as Language);
    for (const element of document.querySelectorAll<HTMLElement>("[data-ear]")) element.textContent = say(element.dataset.ear!);
    const playing = !this.#audio.paused;
    icon("replay-icon", playing ? "pause" : "play");
    label("replay-press", say(playing ? "player-pause" : "player-listen"));
    label("back", say("page-replay-back", { seconds: STEP_S }));
    label("forward", say("page-replay-forward", { seconds: STEP_S }));
    label("seek", say("page-replay-position"));
    this.#moment.render();
    this.#clip.render();
    this.#tick();
  }

  #listen(audio: HTMLAudioElement): void {
    for (const kind of ["play", "pause", "ended"]) audio.addEventListener(kind, () => this.render());
    for (const kind of ["timeupdate", "durationchange", "seeked"]) audio.addEventListener(kind, () => this.#tick());
    audio.addEventListener("error", () => this.host.trouble(true));
    const press = (id: string, act: () => void) => (by(id).onclick = act);
    press("replay-press", () => {
      if (!audio.paused) return audio.pause();
      this.host.trouble(false);
      if (audio.error) audio.load();
      audio.play().catch(() => this.host.trouble(true));
    });
    const step = (by_s: number) => this.#go(audio.currentTime + by_s);
    press("back", () => step(-STEP_S));
    press("forward", () => step(STEP_S));
    press("previous", () => this.#go(previous(this.#chapters, audio.currentTime)));
    press("next", () => this.#go(next(this.#chapters, audio.currentTime) ?? this.#duration()));
    this.#seek.oninput = () => this.#go(Number(this.#seek.value));
    const speed = by<HTMLSelectElement>("speed");
    speed.value = "1";
    speed.onchange = () => (audio.defaultPlaybackRate = audio.playbackRate = Number(speed.value));
    addEventListener("hashchange", () => this.#goToMoment());
    by<HTMLDetailsElement>("moment-of").ontoggle = () => this.#tick();
    by<HTMLDetailsElement>("clip-of").ontoggle = (event) => (event.target as HTMLDetailsElement).open && void this.#clip.open();
    // Keys of keyboards, headsets and locked phones.
    const keys: [MediaSessionAction, (details: MediaSessionActionDetails) => void][] = [
      ["seekbackward", (details) => step(-(details.seekOffset ?? STEP_S))],
      ["seekforward", (details) => step(details.seekOffset ?? STEP_S)],
      ["previoustrack", () => by("previous").click()],
      ["nexttrack", () => by("next").click()],
    ];
    for (const [key, act] of keys) navigator.mediaSession?.setActionHandler(key, act);
  }

  #go(to: number): void {
    const duration = this.#duration();
    this.#audio.currentTime = Math.max(0, duration ? Math.min(duration, to) : to);
  }

  /** The address may say where to begin. A moment that is not in the recording says nothing. */
  #goToMoment(): void {
    const to = moment(location.hash);
    if (to === null) return;
    const go = () => to < this.#duration() && this.#go(to);
    if (this.#duration()) go();
    else this.#audio.addEventListener("loadedmetadata", go, { once: true });
  }

  async #fetchChapters(): Promise<void> {
    const { path, query } = this.host;
    this.#chapters = chaptersOf(await fetch(`${path}/chapters.json${query}`).then((r) => (r.ok ? r.json() : null), () => null).catch(() => null));
    by("turns").hidden = by("chapters-of").hidden = this.#chapters.length === 0;
    this.#tick();
  }

  #duration(): number {
    return Number.isFinite(this.#audio.duration) ? this.#audio.duration : 0;
  }

  #tick(): void {
    const at = this.#audio.currentTime;
    const all = this.#duration();
    const tag = numbers();
    this.#seek.max = String(Math.max(1, Math.floor(all)));
    this.#seek.value = String(Math.floor(at));
    this.#seek.setAttribute("aria-valuetext", say("page-replay-position-text", { position: spoken(at, tag), duration: spoken(all, tag) }));
    put("position", clock(at, tag));
    put("duration", clock(all, tag));
    this.#list(at, tag);
    // Within the page of a conversation nothing but the pass is kept of an address: neither the reader's language nor where they came from.
    if (by<HTMLDetailsElement>("moment-of").open) this.#moment.show(`${location.origin}${location.pathname}${this.host.query}#t=${Math.floor(at)}`);
  }

  /** Draws the chapters, if anything changed, and marks the one that is heard. */
  #list(at: number, tag: string): void {
    const list = by("chapters");
    const language = document.documentElement.lang as Language;
    const wanted = JSON.stringify([language, this.#chapters.length]);
    if (wanted !== this.#drawn) {
      this.#drawn = wanted;
      list.replaceChildren(...this.#chapters.map((chapter) => this.#item(chapter, language, tag)));
    }
    const here = current(this.#chapters, at);
    for (const [n, item] of [...list.children].entries()) {
      const button = item.firstElementChild!;
      if (n === here) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  #item({ startTime, title }: Chapter, language: Language, tag: string): HTMLLIElement {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const [time, name] = [document.createElement("span"), document.createElement("span")];
    time.textContent = clock(startTime, tag);
    time.dir = "ltr";
    name.textContent = parts(title, language)[0];
    name.dir = "auto";
    button.append(time, " ", name);
    button.onclick = () => this.#go(startTime);
    item.append(button);
    return item;
  }
}

/** Shows a recording in the page, for as long as the page stands. */
export function show(host: Host): Ear {
  return new Ear(host);
}

function label(id: string, text: string): void {
  by(id).setAttribute("aria-label", text);
}

function sheet(): CSSStyleSheet {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(styles);
  return sheet;
}

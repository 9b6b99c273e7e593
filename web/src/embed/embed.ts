/**
 * `<hiwar-player space="ID">`: a space, live or replayed, on any page. One script, no framework, nothing stored and nobody told of.
 *
 * Attributes: `space`; `lang` (`ar` or `en`: what the page around it says, or else the reader's own); `start`, in seconds, of a replay. What stands inside the element is shown where
 * there are no scripts. It asks workers alone: the space's page says what it is, and the browser plays the sound by itself.
 */
import { door, queue } from "./door";
import { look, type Known } from "./space";
import { plain, ways } from "../player/plain";
import { choose, clock, parts, spoken, type Language } from "../text/language";
import { moment } from "../ear/times";
import { numbers, say, speak } from "../page/text";
import { span } from "../wait/wait";
import styles from "./embed.css?inline";

/** Where this script is from: there the spaces are. Known while the script is being run only. */
const ORIGIN = new URL((document.currentScript as HTMLScriptElement | null)?.src || location.href).origin;
const ICONS = { play: "M17 11v26l21-13z", pause: "M13 11h8v26h-8zM27 11h8v26h-8z" };
/** A space that has not begun, or whose recording is being made, is looked at again after this, and then ever less often: what begins in a week, or was not recorded, is on pages that stay open. */
const AGAIN_MS = 15_000;
const AGAIN_MS_MAX = 15 * 60_000;

const MARKUP = `
<section part="player">
<button id="press"><svg viewBox="0 0 48 48" aria-hidden="true"><path d="${ICONS.play}"/></svg></button>
<div><p id="state"><span id="dot"></span><span id="state-text"></span></p>
<a id="title" target="_blank" rel="noopener" dir="auto"></a></div>
<div id="seek" dir="ltr" hidden><input type="range" max="1" value="0"><span id="position"></span><span id="duration"></span></div>
<p id="notice" role="status"></p>
</section>`;

class HiwarPlayer extends HTMLElement {
  static observedAttributes = ["space", "lang"];

  #root = this.attachShadow({ mode: "open" });
  #audio = new Audio();
  #known: Known = { is: "unknown" };
  /** Of the space that is shown. */
  #shown: AbortController | null = null;
  /** Of the live stream. */
  #live: AbortController | null = null;
  #trouble = false;
  /** What is said to whoever waits at the door. */
  #waits: (() => string) | null = null;
  #language: Language = "ar";

  constructor() {
    super();
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(styles);
    this.#root.adoptedStyleSheets = [sheet];
    this.#root.innerHTML = MARKUP;
    this.#root.append(this.#audio);
    this.#audio.preload = "none";
    for (const kind of ["play", "pause", "ended"]) this.#audio.addEventListener(kind, () => this.#render());
    for (const kind of ["timeupdate", "durationchange", "seeked"]) this.#audio.addEventListener(kind, () => this.#tick());
    // Of a live stream `plain` takes care.
    this.#audio.addEventListener("error", () => !this.#live && this.#audio.src && this.#fail(true));
    this.#by("press").onclick = () => this.#press();
    const seek = this.#seek();
    seek.oninput = () => (this.#audio.currentTime = Number(seek.value));
  }

  connectedCallback(): void {
    this.#turn();
    void this.#show();
  }

  disconnectedCallback(): void {
    this.#shown?.abort();
    this.#stop();
  }

  attributeChangedCallback(name: string, old: string | null, now: string | null): void {
    if (!this.isConnected || old === now) return;
    if (name === "lang") this.#turn();
    else void this.#show();
  }

  /** Our own document says in its address what it shows. */
  #asked(name: string): string | null {
    return this.hasAttribute("framed") ? new URLSearchParams(location.search).get(name) : this.getAttribute(name);
  }

  #turn(): void {
    const around = this.closest("[lang]")?.getAttribute("lang");
    const wanted = this.hasAttribute("framed") ? navigator.languages : [...(around ? [around] : []), ...navigator.languages];
    this.#language = choose("", this.#asked("lang"), wanted);
    const section = this.#root.querySelector("section")!;
    section.lang = this.#language;
    section.dir = this.#language === "ar" ? "rtl" : "ltr";
    if (this.hasAttribute("framed")) document.documentElement.lang = this.#language;
    this.#render();
  }

  /** Shows the space that the attribute names, and looks again while it is not what it will be. */
  async #show(): Promise<void> {
    this.#shown?.abort();
    this.#stop();
    const shown = (this.#shown = new AbortController());
    this.#known = { is: "unknown" };
    this.#render();
    await this.#learn(shown.signal);
  }

  async #learn(signal: AbortSignal, again = AGAIN_MS): Promise<void> {
    const known = await look(ORIGIN, this.#asked("space") ?? "", signal);
    if (signal.aborted) return;
    // What cannot be known just now is what it was.
    if (known.is !== "unknown" || this.#known.is === "unknown") this.#known = known;
    this.#trouble = known.is === "unknown";
    if (this.#known.is === "replay" && !this.#live && !this.#audio.src) this.#load(this.#known);
    this.#render();
    if (!["scheduled", "over", "unknown"].includes(this.#known.is)) return;
    const timer = setTimeout(() => void this.#learn(signal, Math.min(again * 2, AGAIN_MS_MAX)), again * (1 + Math.random()));
    signal.addEventListener("abort", () => clearTimeout(timer));
  }

  #load(known: Known): void {
    const audio = this.#audio;
    audio.src = audio.canPlayType('audio/mp4; codecs="opus"') ? known.mp4! : known.ogg!;
    const start = this.hasAttribute("framed") ? moment(location.hash) : Number(this.getAttribute("start") ?? 0);
    if (!start || !(start > 0)) return;
    audio.addEventListener("loadedmetadata", () => start < audio.duration && (audio.currentTime = start), { once: true });
  }

  #press(): void {
    const audio = this.#audio;
    if (this.#live || !audio.paused) return this.#known.is === "replay" ? audio.pause() : this.#stop();
    this.#fail(false);
    if (this.#known.is === "live" || this.#known.is === "scheduled") return void this.#listen();
    if (this.#known.is === "replay" && audio.error) audio.load();
    else if (this.#known.is === "unknown") return void this.#show();
    this.#play();
  }

  async #listen(): Promise<void> {
    const live = (this.#live = new AbortController());
    const addresses = ways(this.#audio, this.#known.id!, this.#known.hls!, {}).map((path) => new URL(path, ORIGIN).href);
    this.#audio.addEventListener("playing", () => this.#fail(false), { signal: live.signal });
    this.#render();
    const at = door(ORIGIN, this.#known.id!);
    await this.#queue(at, addresses, live.signal);
    if (live.signal.aborted) return;
    plain(this.#audio, addresses, live.signal, async () => {
      // The line broke, or the conversation ended: its page knows.
      this.#fail(true);
      const known = await look(ORIGIN, this.#known.id!, live.signal);
      if (live.signal.aborted) return "stop";
      if (known.is === "live" || known.is === "scheduled" || known.is === "unknown") {
        await this.#queue(at, addresses, live.signal);
        return "again";
      }
      void this.#show();
      return "stop";
    });
    this.#play();
  }

  /** Waits at the door if it is in the way, and has in `addresses` where they are let in. The delayed stream has no door. */
  async #queue(at: URL, addresses: string[], signal: AbortSignal): Promise<void> {
    if (!addresses.length || !addresses.every((address) => address.includes("/listen/"))) return;
    const sound = await queue(at, signal, (left) => {
      this.#trouble = false;
      this.#waits = () => say("embed-wait", { left: span(left, numbers()) });
      this.#render();
    });
    if (signal.aborted) return;
    this.#waits = null;
    this.#render();
    if (sound) addresses.splice(0, addresses.length, sound);
  }

  #play(): void {
    this.#audio.play().catch((why: DOMException) => why.name !== "AbortError" && !this.#live && this.#fail(true));
  }

  /** A live stream is not held: whoever goes on hears what is said then. */
  #stop(): void {
    this.#live?.abort();
    this.#live = this.#waits = null;
    this.#audio.pause();
    this.#audio.removeAttribute("src");
    this.#audio.load();
    this.#trouble = false;
    this.#render();
  }

  #fail(is: boolean): void {
    this.#trouble = is;
    this.#render();
  }

  #render(): void {
    speak(this.#language);
    const { is, title, id } = this.#known;
    const plays = this.#live !== null || !this.#audio.paused;
    this.#root.querySelector("path")!.setAttribute("d", plays ? ICONS.pause : ICONS.play);
    const press = this.#by<HTMLButtonElement>("press");
    press.setAttribute("aria-label", say(plays ? "embed-pause" : "embed-play") + (title ? `: ${parts(title, this.#language)[0]}` : ""));
    press.disabled = ["over", "invited", "missing"].includes(is);
    const states: Partial<Record<Known["is"], string>> = { live: "embed-live", scheduled: "embed-scheduled", replay: "embed-replay" };
    const state = states[is];
    this.#by("state").hidden = !state;
    this.#by("state").className = is;
    this.#put("state-text", state ? say(state) : "");
    const link = this.#by<HTMLAnchorElement>("title");
    this.#put("title", title ? parts(title, this.#language)[0] : say("embed-page"));
    link.href = id ? `${ORIGIN}/s/${id}` : ORIGIN;
    link.hidden = is === "missing" || is === "unknown";
    const notices: Partial<Record<Known["is"], string>> = { over: "embed-over", invited: "embed-invited", missing: "embed-missing" };
    const notice = this.#trouble ? "embed-trouble" : notices[is];
    this.#put("notice", this.#waits ? this.#waits() : notice ? say(notice) : "");
    this.#by("seek").hidden = is !== "replay";
    if (this.hasAttribute("framed") && title) document.title = `${parts(title, this.#language)[0]} · Hiwar`;
    this.#tick();
  }

  #tick(): void {
    if (this.#known.is !== "replay") return;
    speak(this.#language);
    const tag = numbers();
    const all = Number.isFinite(this.#audio.duration) ? this.#audio.duration : (this.#known.duration ?? 0);
    const at = this.#audio.currentTime;
    const seek = this.#seek();
    seek.max = String(Math.max(1, Math.floor(all)));
    seek.value = String(Math.floor(at));
    seek.setAttribute("aria-label", say("embed-position"));
    seek.setAttribute("aria-valuetext", say("embed-position-text", { position: spoken(at, tag), duration: spoken(all, tag) }));
    this.#put("position", clock(at, tag));
    this.#put("duration", clock(all, tag));
  }

  #seek(): HTMLInputElement {
    return this.#root.querySelector("input")!;
  }

  /** Writing the same again makes some screen readers repeat it. */
  #put(id: string, text: string): void {
    const element = this.#by(id);
    if (element.textContent !== text) element.textContent = text;
  }

  #by<T extends HTMLElement = HTMLElement>(id: string): T {
    return this.#root.getElementById(id) as T;
  }
}

// A page may name the script twice.
if (!customElements.get("hiwar-player")) customElements.define("hiwar-player", HiwarPlayer);

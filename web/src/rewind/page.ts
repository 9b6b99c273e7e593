/** Going back in a live conversation: steps, a slider over the last hours, how far behind, how fast, and the way to live. A script of its own, fetched when sound plays that can be gone back in. */
import { numbers, say, speak } from "../page/text";
import { by, put } from "../page/view";
import type { Player } from "../player/player";
import { clock, isolate, spoken, type Language } from "../text/language";
import past from "./past.html?raw";
import steps from "./steps.html?raw";
import styles from "./rewind.css?inline";

const STEP_S = 15;
const FAR_STEP_S = 30;

export class Rewind {
  #seek: HTMLInputElement;
  /** A hand is on the slider: it is not moved under it. */
  #held = false;
  #failed = false;

  constructor(
    private player: Player,
    private possible: () => boolean,
  ) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(styles);
    document.adoptedStyleSheets.push(sheet);
    by("notice").insertAdjacentHTML("afterend", steps);
    by("late").insertAdjacentHTML("afterend", past);
    this.#seek = by<HTMLInputElement>("past-seek");
    const press = (id: string, act: () => void) => (by(id).onclick = act);
    press("step-far", () => this.#step(-FAR_STEP_S));
    press("step-back", () => this.#step(-STEP_S));
    press("step-on", () => this.#step(STEP_S));
    press("to-live", () => {
      player.live();
      // The button goes, and whoever pressed it by keyboard is not left nowhere.
      by("press").focus();
    });
    const seek = this.#seek;
    seek.oninput = () => {
      this.#held = true;
      this.tick();
    };
    seek.onchange = () => {
      const begin = player.place()?.begin ?? 0;
      const end = Number(seek.value) >= Number(seek.max);
      if (end) player.live();
      else this.#tried(player.goTo(begin + Number(seek.value))).finally(() => (this.#held = false));
      this.#held = !end;
    };
    by<HTMLSelectElement>("past-speed").onchange = (event) => (player.rate = Number((event.target as HTMLSelectElement).value));
    addEventListener("keydown", (event) => this.#key(event));
    const skip = (sign: number) => (details: MediaSessionActionDetails) => possible() && this.#step(sign * (details.seekOffset ?? STEP_S));
    navigator.mediaSession?.setActionHandler("seekbackward", skip(-1));
    navigator.mediaSession?.setActionHandler("seekforward", skip(1));
  }

  /** Says everything again. */
  render(): void {
    speak(document.documentElement.lang as Language);
    const behind = this.player.place() !== null;
    by("steps").hidden = !this.possible();
    by("past").hidden = !this.possible() || !behind;
    by("step-on").hidden = !behind;
    const count = new Intl.NumberFormat(numbers());
    for (const [id, key, seconds] of [
      ["step-far", "page-replay-back", FAR_STEP_S],
      ["step-back", "page-replay-back", STEP_S],
      ["step-on", "page-replay-forward", STEP_S],
    ] as const) {
      by(id).setAttribute("aria-label", say(key, { seconds }));
      by(id).querySelector("span")!.textContent = count.format(seconds);
    }
    put("past-live", say("page-live"));
    put("to-live-text", say("player-to-live"));
    put("past-speed-text", say("page-replay-speed"));
    this.#seek.setAttribute("aria-label", say("page-replay-position"));
    by<HTMLSelectElement>("past-speed").value = String(this.player.rate);
    this.tick();
  }

  /** What changes with every second: true if the listener is behind live. */
  tick(): boolean {
    const place = this.player.place();
    put("past-notice", this.#failed ? say("player-failed") : "");
    if (!place) return false;
    const span = Math.max(1, Math.floor(place.live - place.begin));
    this.#seek.max = String(span);
    if (!this.#held) this.#seek.value = String(Math.floor(place.at - place.begin));
    const at = this.#held ? place.begin + Number(this.#seek.value) : place.at;
    const said = (seconds: number, words: (seconds: number, tag: string) => string) => {
      const wall = this.player.wall(at);
      const time = wall === null ? "" : this.#time(wall);
      return say("player-behind", { behind: words(Math.round(seconds), numbers()), time });
    };
    this.#seek.setAttribute("aria-valuetext", said(place.live - at, spoken));
    put("late", said(place.live - at, clock));
    const begin = this.player.wall(place.begin);
    put("past-begin", begin === null ? "" : isolate(this.#time(begin)));
    return true;
  }

  #time(wall: number): string {
    return new Intl.DateTimeFormat(numbers(), { timeStyle: "short" }).format(wall);
  }

  #step(seconds: number): void {
    void this.#tried(this.player.step(seconds));
  }

  async #tried(going: Promise<boolean>): Promise<void> {
    this.#failed = !(await going);
    this.render();
  }

  #key(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    if (!this.possible() || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (target !== this.#seek && target.closest("input, select, textarea")) return;
    // By place on the keyboard, so that they are the same keys in every layout.
    const back = event.code === "KeyJ" || event.code === "ArrowLeft";
    if (!back && event.code !== "KeyL" && event.code !== "ArrowRight") return;
    event.preventDefault();
    this.#step(back ? -STEP_S : STEP_S);
  }
}

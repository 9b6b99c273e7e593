/**
 * The row of reactions: five buttons, each with how many others pressed it in the last second. The page of a space fetches it when sound plays (./page.ts), the
 * app has it where somebody listens, and without buttons on the stage.
 *
 * A press is one bare request to a worker, and what comes of all presses comes with the sound, for everybody at the same word. The numbers are no live region: they change
 * every second. What is announced is only what a press led to, and that it was sent at most every ten seconds.
 */
import { retryAfterMs } from "../player/backoff";
import { KINDS, rate, type Rates } from "./kinds";

export interface Host {
  space: string;
  /** With the pass, if one is needed. */
  query: string;
  /** Whoever listens presses; whoever is on the stage sees. */
  mode: "press" | "watch";
  say: (key: string) => string;
  /** The locale for numbers. */
  numbers: () => string;
}

/** Numbers come once a second, and the last one says that there are none: if it is lost, it was long ago. */
const STALE_MS = 4_000;
const SAID_MS = 4_000;
const SAY_SENT_EVERY_MS = 10_000;
/** Where the server does not say how long. */
const REST_MS = 5_000;

/** Its looks are in react.css, which each brings along in its own way. */
export class Row {
  readonly element = document.createElement("div");
  #items: HTMLElement[];
  #notice = document.createElement("p");
  #said: string | null = null;
  #saidSent = -Infinity;
  #restUntil = 0;
  #saying: ReturnType<typeof setTimeout> | undefined;
  #resting: ReturnType<typeof setTimeout> | undefined;
  #stale: ReturnType<typeof setTimeout> | undefined;
  #rates: Rates = {};

  constructor(private host: Host) {
    const group = document.createElement("div");
    group.setAttribute("role", "group");
    this.#items = KINDS.map(({ kind, icon }) => {
      const item = document.createElement(host.mode === "press" ? "button" : "span");
      if (item instanceof HTMLButtonElement) {
        item.type = "button";
        item.onclick = () => void this.#press(kind, item);
      } else item.setAttribute("role", "img");
      item.dataset.kind = kind;
      item.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true">${icon}</svg>`;
      const [cell, count] = [document.createElement("div"), document.createElement("b")];
      count.dir = "ltr";
      count.setAttribute("aria-hidden", "true");
      // Beside the button: what it is called does not change every second.
      cell.append(item, count);
      group.append(cell);
      return item;
    });
    this.#notice.setAttribute("role", "status");
    this.element.className = "react";
    this.element.append(group);
    if (host.mode === "press") this.element.append(this.#notice);
    this.render();
  }

  /** Says everything again, in the language of the page. */
  render(): void {
    const { say, mode } = this.host;
    this.element.firstElementChild!.setAttribute("aria-label", say("page-react"));
    const format = new Intl.NumberFormat(this.host.numbers());
    let some = false;
    KINDS.forEach(({ kind, name }, at) => {
      const item = this.#items[at]!;
      const many = rate(this.#rates, kind);
      some ||= many > 0;
      item.setAttribute("aria-label", mode === "watch" && many > 0 ? `${say(name)}: ${format.format(many)}` : say(name));
      const count = item.nextElementSibling!;
      const text = many > 0 ? `+${format.format(many)}` : "";
      if (count.textContent === text) return;
      // A new element, so that it rises anew.
      const fresh = count.cloneNode() as HTMLElement;
      fresh.textContent = text;
      count.replaceWith(fresh);
    });
    if (mode === "watch") this.element.hidden = !some;
    const text = this.#said ? say(this.#said) : "";
    if (this.#notice.textContent !== text) this.#notice.textContent = text;
  }

  /** So many were there in a second. */
  show(rates: Rates | undefined): void {
    this.#rates = rates ?? {};
    clearTimeout(this.#stale);
    this.#stale = setTimeout(() => {
      this.#rates = {};
      this.render();
    }, STALE_MS);
    this.render();
  }

  async #press(kind: string, button: HTMLButtonElement): Promise<void> {
    // Not `disabled`: whoever is there by keyboard would be nowhere.
    if (performance.now() < this.#restUntil) return;
    button.classList.remove("sent");
    // The browser is to see that it was gone.
    void button.offsetWidth;
    button.classList.add("sent");
    const { space, query } = this.host;
    // Without a network nobody is told of it, and nothing is sent later: it was for that moment.
    const response = await fetch(`/react/${space}/${kind}${query}`, { method: "POST", cache: "no-store", credentials: "omit" }).catch(() => null);
    if (response?.ok) {
      if (performance.now() - this.#saidSent < SAY_SENT_EVERY_MS) return;
      this.#saidSent = performance.now();
      this.#tell("page-react-sent");
    } else if (response?.status === 429) this.#rest("page-react-slower", response, 0);
    // All were refused at once, and are not to come back at once.
    else if (response?.status === 503) this.#rest("page-react-off", response, 1);
  }

  /** Nothing is sent for as long as the server said, and up to `spread` times as long again. */
  #rest(key: string, response: Response, spread: number): void {
    const wait = (retryAfterMs(response.headers.get("Retry-After"), Date.now()) ?? REST_MS) * (1 + Math.random() * spread);
    this.#restUntil = performance.now() + wait;
    this.#able(false);
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => this.#able(true), wait);
    this.#tell(key);
  }

  #able(able: boolean): void {
    for (const item of this.#items) item.setAttribute("aria-disabled", String(!able));
  }

  #tell(key: string): void {
    this.#said = key;
    clearTimeout(this.#saying);
    this.#saying = setTimeout(() => {
      this.#said = null;
      this.render();
    }, SAID_MS);
    this.render();
  }
}

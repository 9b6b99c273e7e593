/** Making a clip: from when to when, and the link to it. The server cuts it when the link is opened. */
import { clock, spoken } from "../text/language";
import { numbers, say } from "../page/text";
import { share } from "./share";
import { fit, seconds, type Span } from "./times";

/** What is proposed at first. */
const USUAL_S = 30;

const field = (end: string) => `<label><span data-ear="ear-clip-${end}"></span> <input id="clip-${end}" dir="ltr" autocomplete="off"></label><button class="word" id="clip-${end}-here" data-ear="ear-clip-here"></button>`;

export class ClipForm {
  #span: Span | null = null;
  #link;
  /** Unknown until it is asked. */
  #allowed = true;

  constructor(
    private place: HTMLElement,
    private host: { path: string; query: string },
    private audio: HTMLAudioElement,
  ) {
    place.innerHTML = `<p id="clip-hint"></p><div id="clip-form"><div class="ends">${field("from")}${field("to")}</div><p id="clip-length" role="status"></p><div id="clip-link"></div><p><a id="clip-open" data-ear="ear-clip-play" target="_blank" rel="noopener"></a></p></div>`;
    this.#link = share(this.#of("clip-link"), "ear-clip-link");
    for (const end of ["from", "to"] as const) {
      const input = this.#of<HTMLInputElement>(`clip-${end}`);
      // What is no time leaves the one that was.
      input.onchange = () => this.#move(end, seconds(input.value));
      this.#of(`clip-${end}-here`).onclick = () => this.#move(end, Math.round(this.audio.currentTime * 10) / 10);
    }
  }

  /** Somebody wants one: proposes what is heard now, the first time, and asks whether clips are made of this recording. */
  async open(): Promise<void> {
    const at = Math.floor(this.audio.currentTime);
    this.#span ??= fit({ from: at, to: at + USUAL_S }, "from", this.#duration());
    this.render();
    const status = await fetch(this.#address("mp4"), { method: "HEAD" }).then((r) => r.status, () => 0);
    this.#allowed = status !== 403;
    this.render();
  }

  /** Says everything again. */
  render(): void {
    this.#of("clip-form").hidden = !this.#allowed;
    this.#of("clip-hint").textContent = say(this.#allowed ? "ear-clip-hint" : "ear-clip-off");
    this.#link.render();
    for (const end of ["from", "to"]) this.#of(`clip-${end}-here`).setAttribute("aria-label", `${say(`ear-clip-${end}`)}: ${say("ear-clip-here")}`);
    if (!this.#span) return;
    const tag = numbers();
    const show = (seconds: number) => clock(seconds, tag) + (seconds % 1 ? new Intl.NumberFormat(tag, { maximumFractionDigits: 3 }).format(seconds % 1).slice(1) : "");
    this.#of<HTMLInputElement>("clip-from").value = show(this.#span.from);
    this.#of<HTMLInputElement>("clip-to").value = show(this.#span.to);
    const length = say("ear-clip-length", { length: spoken(Math.round(this.#span.to - this.#span.from), tag) });
    // Written anew it would be said anew.
    if (this.#of("clip-length").textContent !== length) this.#of("clip-length").textContent = length;
    this.#link.show(this.#address("mp4"));
    this.#of<HTMLAnchorElement>("clip-open").href = this.#address("mp4");
  }

  #move(end: "from" | "to", time: number | null): void {
    if (this.#span && time !== null) this.#span = fit({ ...this.#span, [end]: time }, end, this.#duration());
    this.render();
  }

  #address(form: string): string {
    const { from, to } = this.#span!;
    return `${location.origin}${this.host.path}/clip.${form}?from=${from}&to=${to}${this.host.query.replace("?", "&")}`;
  }

  #duration(): number {
    return Number.isFinite(this.audio.duration) ? this.audio.duration : 0;
  }

  #of<T extends HTMLElement = HTMLElement>(id: string): T {
    return this.place.querySelector<T>(`#${id}`)!;
  }
}

/** Small pieces of the page: elements by id, icons, the people on the stage. */
import type { Speaker } from "../player/event";
import { hue, initial } from "../text/person";
import { parts, type Language } from "../text/language";
import { say } from "./text";

/** An element that page.html is known to have. */
export function by<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

const ICONS = {
  play: "M17 11v26l21-13z",
  pause: "M13 11h8v26h-8zM27 11h8v26h-8z",
};

export function icon(id: string, name: keyof typeof ICONS): void {
  document.getElementById(id)?.setAttribute("d", ICONS[name]);
}

/** Says `text` there, unless it already does: writing the same again makes some screen readers repeat it. */
export function put(id: string, text: string): void {
  const element = by(id);
  if (element.textContent !== text) element.textContent = text;
}

/** Fills `element` with a title or name, its second language in smaller letters below. */
export function entitle(element: HTMLElement, text: string, language: Language): void {
  if (element.dataset.said === language + text) return;
  element.dataset.said = language + text;
  const [first, second] = parts(text, language);
  element.replaceChildren(direct(first), ...(second ? [" ", direct(second, "second")] : []));
}

function direct(text: string, name = ""): HTMLSpanElement {
  const element = span(name, text);
  element.dir = "auto";
  return element;
}

let drawn = "";

/** Draws the people on the stage, if anything changed. Not announced: who speaks changes many times a minute. */
export function people(list: HTMLElement, speakers: Speaker[], speaking: string | null, language: Language): void {
  const wanted = JSON.stringify([language, speakers, speaking]);
  if (wanted === drawn) return;
  drawn = wanted;
  list.replaceChildren(
    ...speakers.map((speaker) => {
      const item = document.createElement("li");
      const talks = speaker.id === speaking;
      if (talks) item.className = "speaking";
      const face = span("face", initial(parts(speaker.name, language)[0]));
      face.setAttribute("aria-hidden", "true");
      face.style.setProperty("--hue", String(hue(speaker.id)));
      const name = span("name", "");
      entitle(name, speaker.name, language);
      const role = speaker.role && speaker.role !== "speaker" && say(`page-${speaker.role}`);
      const does = talks ? say("page-speaking") : speaker.muted && say("page-muted");
      item.append(face, name, span("does", [role, does].filter(Boolean).join(" · ")));
      return item;
    }),
  );
}

function span(name: string, text: string): HTMLSpanElement {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}

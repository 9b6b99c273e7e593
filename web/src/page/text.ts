/**
 * The messages of the light page, resolved from the Fluent catalogues at build time (scripts/page.mjs), both languages in the same bytes.
 * One string for each language, with bars between sentences. A sentence may have `{name}` in it.
 */
import { isolate, locale, type Language } from "../text/language";

declare const __AR__: string;
declare const __EN__: string;
/** The first sentences have names, because their keys are put together at run time; the others are called by their place. */
declare const __NAMED__: string;

let sentences: string[] = [];
let tag = "ar";

/** Speaks `to` from now on. */
export function speak(to: Language): void {
  sentences = (to === "ar" ? __AR__ : __EN__).split("|");
  tag = locale(to, navigator.languages);
}

/** The locale for numbers. */
export function numbers(): string {
  return tag;
}

/** The sentence `key`; names and numbers in it stand in isolates. */
export function say(key: string, values: Record<string, string | number> = {}): string {
  const place = __NAMED__.split(" ").indexOf(key);
  const message = sentences[place < 0 ? Number(key) : place] ?? key;
  return message.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name] ?? "";
    return isolate(typeof value === "number" ? new Intl.NumberFormat(tag).format(value) : value);
  });
}

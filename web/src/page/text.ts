/**
 * The messages of the light page, resolved from the Fluent catalogues at build time (scripts/page.mjs), both languages in the same bytes.
 *
 * A message is a sentence with `{name}` in it, or one sentence per plural category under the name of the number that chooses.
 */
import { isolate, locale, type Language } from "../text/language";

type Message = string | [variable: string, sentences: Record<string, string>];
declare const __MESSAGES__: Record<string, [ar: Message, en: Message]>;

let language: Language = "ar";
let tag = "ar";

/** Speaks `to` from now on. */
export function speak(to: Language): void {
  language = to;
  tag = locale(to, navigator.languages);
}

/** The locale for numbers. */
export function numbers(): string {
  return tag;
}

/** The sentence `key`; names and numbers in it stand in isolates. */
export function say(key: string, values: Record<string, string | number> = {}): string {
  let message = __MESSAGES__[key]?.[language === "ar" ? 0 : 1] ?? key;
  if (typeof message !== "string") {
    const [variable, sentences] = message;
    const category = new Intl.PluralRules(language).select(Number(values[variable]));
    message = (Number(values[variable]) === 0 && sentences.zero) || sentences[category] || sentences.other || key;
  }
  return message.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name] ?? "";
    return isolate(typeof value === "number" ? new Intl.NumberFormat(tag).format(value) : value);
  });
}

/** The language of the app: the same catalogues as the server's, through Fluent. */
import { FluentBundle, FluentResource, type FluentVariable } from "@fluent/bundle";
import { apply, choose, isolate, locale, store, stored, type Language } from "../text/language";

const CATALOGUES = {
  ar: () => import("../../locales/ar/app.ftl?raw"),
  en: () => import("../../locales/en/app.ftl?raw"),
};

const now = $state<{ language: Language; bundle: FluentBundle | null }>({ language: "ar", bundle: null });

/** Loads the reader's language. Nothing is shown before. */
export async function begin(): Promise<void> {
  await turn(choose(location.search, stored(), navigator.languages));
}

export function language(): Language {
  return now.language;
}

/** The locale for numbers and dates. */
export function numbers(): string {
  return locale(now.language, navigator.languages);
}

/** Changes the language in place: nothing that sounds is interrupted. */
export async function turn(to: Language): Promise<void> {
  const catalogue = await CATALOGUES[to]();
  const bundle = new FluentBundle(locale(to, navigator.languages));
  bundle.addResource(new FluentResource(catalogue.default));
  apply(to);
  now.bundle = bundle;
  now.language = to;
}

/** Changes the language and remembers it. */
export async function prefer(to: Language): Promise<void> {
  store(to);
  await turn(to);
}

/** The sentence `key`. Names and numbers in it stand in isolates, by Fluent's default. */
export function t(key: string, values?: Record<string, FluentVariable>): string {
  const message = now.bundle?.getMessage(key);
  // A missing key is shown as itself: ugly, and found by the first who looks; `npm run check` finds it before.
  if (!now.bundle || !message?.value) return key;
  return now.bundle.formatPattern(message.value, values);
}

/** `أحمد وSara وعلي`, each name in an isolate. */
export function names(list: string[]): string {
  return new Intl.ListFormat(now.language, { type: "conjunction" }).format(list.map(isolate));
}

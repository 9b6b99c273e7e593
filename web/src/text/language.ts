/**
 * Which language the reader sees, and how numbers look in it. Shared by the page and the app.
 *
 * Order: `?lang=` in the address, the reader's stored choice, the browser's own languages, Arabic.
 */

export type Language = "ar" | "en";

const STORED = "hiwar:lang";

/** The language to begin with. */
export function choose(search: string, stored: string | null, wanted: readonly string[]): Language {
  for (const tag of [new URLSearchParams(search).get("lang"), stored, ...wanted]) {
    const language = tag?.slice(0, 2).toLowerCase();
    if (language === "ar" || language === "en") return language;
  }
  return "ar";
}

/** A private window may refuse storage: then the choice lasts as long as the page. */
export function stored(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

export function store(language: Language): void {
  try {
    localStorage.setItem(STORED, language);
  } catch {
    // See `stored`.
  }
}

/**
 * The locale for numbers and dates: the reader's own region when it is of this language (Cairo writes ٣, Casablanca 3),
 * else the plain language.
 */
export function locale(language: Language, wanted: readonly string[]): string {
  return wanted.find((tag) => tag.toLowerCase().startsWith(language)) ?? language;
}

/** Sets `<html lang dir>`. */
export function apply(language: Language): void {
  document.documentElement.lang = language;
  document.documentElement.dir = language === "ar" ? "rtl" : "ltr";
}

/**
 * A title or name in both languages, "… · …", as its parts with the reader's own first; any other text is one part.
 * On one line the two directions would throw its punctuation about.
 */
export function parts(text: string, language: Language): [string, string?] {
  const [one, other, more] = text.split(" · ");
  if (!one || !other || more !== undefined || arabic(one) === arabic(other)) return [text];
  return arabic(one) === (language === "ar") ? [one, other] : [other, one];
}

const arabic = (text: string) => /\p{Script=Arabic}/u.test(text);

/** First strong isolate … pop: keeps a name or number from turning the sentence around it (UAX #9 §2.7). */
export function isolate(text: string): string {
  return `\u2068${text}\u2069`;
}

/** `75` → `1:15`, in the digits of `tag`; for a left-to-right island. */
export function clock(seconds: number, tag: string): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = new Intl.NumberFormat(tag, { minimumIntegerDigits: 2, useGrouping: false });
  const one = new Intl.NumberFormat(tag, { useGrouping: false });
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const tail = two.format(whole % 60);
  return hours > 0 ? `${one.format(hours)}:${two.format(minutes)}:${tail}` : `${one.format(minutes)}:${tail}`;
}

/** `75` → "1 minute 15 seconds", for those who hear the page. */
export function spoken(seconds: number, tag: string): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [[Math.floor(whole / 3600), "hour"], [Math.floor((whole % 3600) / 60), "minute"], [whole % 60, "second"]];
  const said = parts.filter(([value, unit]) => value > 0 || (unit === "second" && whole === 0));
  return said.map(([value, unit]) => new Intl.NumberFormat(tag, { style: "unit", unit, unitDisplay: "long" }).format(value)).join(" ");
}

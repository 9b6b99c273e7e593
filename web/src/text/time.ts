/** Times of day as people say them. */

/** `2026-11-27T18:00:00Z` → "Friday, November 27 at 8:00 PM", in the reader's own time zone. */
export function moment(at: string | number, tag: string): string {
  return new Date(at).toLocaleString(tag, { weekday: "long", day: "numeric", month: "long", hour: "numeric", minute: "2-digit" });
}

/** The moment as a field of date and time has it, in the reader's own time zone: `2026-11-27T20:00`. */
export function field(at: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** The reader's own time zone, in words. */
export function zone(at: Date, tag: string): string {
  const parts = new Intl.DateTimeFormat(tag, { timeZoneName: "long" }).formatToParts(at);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "";
}

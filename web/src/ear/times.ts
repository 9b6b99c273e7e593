/** Moments and parts of a recording: chapters, the moment in an address, the part that a clip is of. Pure. */

/** A turn of one speaker, in seconds (docs/formats/chapters.md). */
export interface Chapter {
  startTime: number;
  endTime: number;
  title: string;
  speaker: string;
}

/** The longest clip that the server makes, in seconds. */
export const CLIP_S_MAX = 90;
/** A clip is at least so long: less is no word. */
const CLIP_S_MIN = 1;
/** This far into a turn, "previous" means its beginning; nearer to that, the turn before. As the keys of music players do. */
const SAME_TURN_S = 3;

/** What of an answer is chapters: strangers may have written it, and a proxy may have answered. */
export function chaptersOf(answer: unknown): Chapter[] {
  const list = (answer as { chapters?: unknown } | null)?.chapters;
  if (!Array.isArray(list)) return [];
  const isOne = (c: Partial<Chapter> | null) => Number.isFinite(c?.startTime) && Number.isFinite(c?.endTime) && typeof c?.title === "string";
  return list.filter(isOne) as Chapter[];
}

/** Which chapter is heard at `at`; -1 before the first. */
export function current(chapters: Chapter[], at: number): number {
  return chapters.findLastIndex((chapter) => chapter.startTime <= at + 0.05);
}

/** Where the next turn begins, or `null` in the last. */
export function next(chapters: Chapter[], at: number): number | null {
  return chapters[current(chapters, at) + 1]?.startTime ?? null;
}

/** Where this turn begins, or the one before, right after its beginning. */
export function previous(chapters: Chapter[], at: number): number {
  const here = current(chapters, at);
  const begin = chapters[here]?.startTime ?? 0;
  return at - begin > SAME_TURN_S ? begin : (chapters[here - 1]?.startTime ?? 0);
}

/** The moment that an address is of, `#t=90.5` (Media Fragments 1.0 §4.2.1, whose end is of no use here), or `null`. */
export function moment(hash: string): number | null {
  const found = /^#(?:.*&)?t=(?:npt:)?(\d{1,6}(?:\.\d{1,3})?)(?:,[\d.]*)?(?:&.*)?$/.exec(hash);
  return found ? Number(found[1]) : null;
}

/** Seconds in "1:02:03", "2:03" or "3", with digits of any script that the page writes; `null` for anything else. */
export function seconds(text: string): number | null {
  const plain = text.replace(/[٠-٩۰-۹]/g, (digit) => String(digit.charCodeAt(0) & 15)).replace(/[\s\u200e\u200f\u2066-\u2069]/g, "");
  if (!/^\d{1,5}(:[0-5]?\d){0,2}([.٫]\d{1,3})?$/.test(plain)) return null;
  return plain.replace("٫", ".").split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

export interface Span {
  from: number;
  to: number;
}

/** The span that the server would cut: within the recording and not too long. The end that was not moved gives way. */
export function fit({ from, to }: Span, moved: "from" | "to", duration: number): Span {
  const least = Math.min(CLIP_S_MIN, duration);
  const last = thousandths(duration);
  if (moved === "from") {
    const begin = thousandths(Math.max(0, Math.min(from, last - least)));
    return { from: begin, to: thousandths(Math.min(last, Math.max(begin + least, Math.min(to, begin + CLIP_S_MAX)))) };
  }
  const end = thousandths(Math.min(last, Math.max(to, least)));
  return { from: thousandths(Math.max(0, end - CLIP_S_MAX, Math.min(from, end - least))), to: end };
}

/** Down to what the server reads, so that nothing ends beyond the end. A breath is added for what binary fractions take away. */
function thousandths(time: number): number {
  return Math.floor(time * 1000 + 1e-6) / 1000;
}

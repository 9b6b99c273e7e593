/**
 * The rewind playlist as numbers: which whole segments of the conversation there are, how long each is and when it was said.
 *
 * Only what our own server writes (crates/delivery/src/rewind.rs) is understood. Pure.
 */

/** One segment: its number is its address, and its place in the log. */
export interface Segment {
  number: number;
  /** When it was said, in milliseconds since 1970. */
  wall: number;
  /** Seconds; a lost one counts as long as it would have been. */
  duration: number;
  lost: boolean;
}

export interface List {
  /** In order, without a missing number. */
  segments: Segment[];
  /** Seconds of a usual segment. */
  target: number;
  /** Nothing will be added. */
  ended: boolean;
}

/** The list in `text`; one that leaves out what is known is completed from `before`. `null` if it cannot be, or is no list. */
export function listIn(text: string, before: List | null): List | null {
  const segments: Segment[] = [];
  let [target, next, duration, lost, ended] = [4, NaN, NaN, false, false];
  let wall: number | null = null;
  for (const line of text.split("\n")) {
    const at = line.indexOf(":");
    const [tag, value] = at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
    if (tag === "#EXT-X-TARGETDURATION") target = Number(value);
    else if (tag === "#EXT-X-MEDIA-SEQUENCE") next = Number(value);
    else if (tag === "#EXT-X-PROGRAM-DATE-TIME") wall = Date.parse(value);
    else if (tag === "#EXTINF") duration = parseFloat(value);
    else if (tag === "#EXT-X-GAP") lost = true;
    else if (tag === "#EXT-X-ENDLIST") ended = true;
    else if (tag === "#EXT-X-SKIP") {
      const known = before?.segments.find((segment) => segment.number === next);
      const skipped = Number(/SKIPPED-SEGMENTS=(\d+)/.exec(value)?.[1]);
      const from = known ? before!.segments.indexOf(known) : -1;
      if (from < 0 || !(from + skipped <= before!.segments.length)) return null;
      segments.push(...before!.segments.slice(from, from + skipped));
      next += skipped;
    } else if (line && !line.startsWith("#")) {
      const last = segments.at(-1);
      wall ??= last ? last.wall + last.duration * 1000 : 0;
      segments.push({ number: next, wall, duration, lost });
      next += 1;
      [wall, lost] = [null, false];
    }
  }
  const sound = segments.length > 0 && target > 0 && segments.every((s) => s.duration > 0 && Number.isFinite(s.wall) && Number.isFinite(s.number));
  return sound ? { segments, target, ended } : null;
}

/** The media second at which a fragment begins (`tfdt`, ISO/IEC 14496-12 §8.8.12), or `null`. Opus counts in 48,000ths. */
export function beginning(bytes: Uint8Array): number | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  // In the first `moof`, a few dozen bytes from the start; events of a second or two may stand before it.
  for (let i = 4; i + 16 <= Math.min(bytes.length, 65_536); i++) {
    if (view.getUint32(i) !== 0x74666474) continue;
    const long = view.getUint8(i + 4) === 1;
    return ((long ? view.getUint32(i + 8) * 2 ** 32 : 0) + view.getUint32(i + (long ? 12 : 8))) / 48_000;
  }
  return null;
}

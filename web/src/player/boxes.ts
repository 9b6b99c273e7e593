/**
 * Walks the boxes of a live fragmented MP4 as it comes off the wire (ISO/IEC 14496-12 §4.2).
 *
 * `fetch` hands over bytes cut anywhere; a SourceBuffer must only see whole boxes, so that a connection
 * that breaks in the middle of a fragment leaves nothing half-parsed behind. It does not look inside
 * `moof` or `mdat`: those go to the browser as they are.
 */

/** One top-level box. `bytes` is the whole box with its header. */
export interface Box {
  type: string;
  bytes: Uint8Array;
  /** Where the body begins in `bytes`: 8, or 16 with a 64-bit length. */
  body: number;
}

/** Thrown when the stream is not what the server promised; the connection is then given up. */
export class NotBoxes extends Error {}

/** 200 ms of Opus is about 1 kB and the init segment less than 1 kB: a box of 4 MiB is damage, not sound. */
const BOX_BYTES_MAX = 4 << 20;

export class BoxWalker {
  #pending = new Uint8Array(0);

  /** Takes the next bytes and returns the boxes they complete. Throws `NotBoxes` on an impossible length. */
  handle(bytes: Uint8Array): Box[] {
    let all = bytes;
    if (this.#pending.length > 0) {
      all = new Uint8Array(this.#pending.length + bytes.length);
      all.set(this.#pending);
      all.set(bytes, this.#pending.length);
    }
    const boxes: Box[] = [];
    let at = 0;
    for (;;) {
      const box = boxAt(all, at);
      if (!box) break;
      boxes.push(box);
      at += box.bytes.length;
    }
    this.#pending = all.slice(at);
    return boxes;
  }
}

function boxAt(bytes: Uint8Array, at: number): Box | null {
  if (bytes.length - at < 8) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
  let size = view.getUint32(0);
  let body = 8;
  if (size === 1) {
    if (view.byteLength < 16) return null;
    // A length that needs the high half is far past the bound below anyway.
    size = view.getUint32(8) > 0 ? Infinity : view.getUint32(12);
    body = 16;
  }
  if (size < body || size > BOX_BYTES_MAX) throw new NotBoxes(`box of ${size} bytes`);
  if (view.byteLength < size) return null;
  return { type: fourcc(bytes, at + 4), bytes: bytes.subarray(at, at + size), body };
}

/** Four ASCII letters at `at`. */
export function fourcc(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}

/** Joins `parts` into one buffer: one `appendBuffer` per fragment instead of one per box. */
export function join(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The boxes of one connection, as they come. */
import { BoxWalker, type Box } from "./boxes";

/**
 * Silence on an open line after which we ask anew, plus as much again by chance. Longer than a house needs to restart:
 * then the workers keep every connection, and nobody should run away.
 */
const SILENT_LINE_MS = 15_000;

/** Until the answer ends, `signal` aborts, or no sound has come for too long. Throws `NotBoxes`. */
export async function* boxesOf(body: ReadableStream<Uint8Array>, signal: AbortSignal): AsyncGenerator<Box> {
  const reader = body.getReader();
  const walker = new BoxWalker();
  let silence: ReturnType<typeof setTimeout> | undefined;
  const cut = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", cut, { once: true });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      for (const box of walker.handle(value)) {
        yield box;
        if (box.type !== "mdat") continue;
        clearTimeout(silence);
        silence = setTimeout(cut, SILENT_LINE_MS * (1 + Math.random()));
      }
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener("abort", cut);
  }
}

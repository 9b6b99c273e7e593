/**
 * What happens on the stage, for those who stand on it: server-sent events read through `fetch`, because `EventSource`
 * cannot carry a bearer pass and the pass has no place in an address.
 */
import type { Space, Stage } from "../api/spaces";
import { Backoff, pause, retryAfterMs } from "../player/backoff";

/** The whole of what is told, at once and at every change: the space, and the stage as the pass's holder may see it. */
export type News = { space: Space } | { stage: Stage };

export interface Config {
  url: string;
  token: string;
  onNews: (news: News) => void;
  /** The stream broke: the house may have restarted. Called once per break. */
  onBreak: () => void;
  /**
   * Whether we are one of many who wait: where too many watch, such a one is not let in, and `ask` is called now and then
   * instead. A house that restarts is busy, too; who stands on the stage goes on trying.
   */
  waits: () => boolean;
  ask: () => Promise<void>;
}

/** An offered seat is kept for a minute: asking so often, more or less, nobody misses theirs. */
const ASK_MS = 20_000;
/** So often we ask before we try to be let in again. */
const ASKED_BEFORE_AGAIN = 3;

/** The server writes at least a comment this often; twice of it without a byte is a dead line. */
const SILENT_MS = 30_000;

/** One server-sent event (WHATWG HTML §9.2.6): what it is called and what it says. */
export interface Message {
  event: string;
  data: string;
}

/** Cuts a stream of text into events. Comments, `id` and `retry` are passed over. */
export class Lines {
  #rest = "";
  #event = "";
  #data: string[] = [];

  handle(text: string): Message[] {
    const messages: Message[] = [];
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    // A line of a megabyte is not news.
    if (this.#rest.length > 1 << 20) this.#rest = "";
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) messages.push({ event: this.#event, data: this.#data.join("\n") });
        this.#event = "";
        this.#data = [];
        continue;
      }
      const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
      if (field === "event") this.#event = value ?? "";
      if (field === "data") this.#data.push(value ?? "");
    }
    return messages;
  }
}

/** Reads until `signal` aborts. */
export async function follow(config: Config, signal: AbortSignal): Promise<void> {
  const backoff = new Backoff();
  let heard = false;
  while (!signal.aborted) {
    let wait: number | null = null;
    try {
      const response = await fetch(config.url, {
        signal,
        cache: "no-store",
        headers: { Accept: "text/event-stream", Authorization: `Bearer ${config.token}` },
      });
      if (response.ok && response.body) {
        backoff.reset();
        heard = true;
        await read(response.body, config.onNews);
      } else {
        void response.body?.cancel();
        wait = retryAfterMs(response.headers.get("Retry-After"), Date.now());
        if ([401, 403, 404, 410].includes(response.status)) return;
        if (response.status === 503 && config.waits()) {
          for (let asked = 0; asked < ASKED_BEFORE_AGAIN && !signal.aborted; asked++) {
            await pause(ASK_MS * (0.75 + Math.random() / 2), signal);
            if (!signal.aborted) await config.ask();
          }
          continue;
        }
      }
    } catch {
      // The network, or our own abort: the loop's condition tells them apart.
    }
    if (signal.aborted) return;
    if (heard) config.onBreak();
    heard = false;
    await pause(backoff.next(wait), signal, wait === null ? "online" : "never");
  }
}

async function read(body: ReadableStream<Uint8Array>, onNews: (news: News) => void): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const lines = new Lines();
  let silence: ReturnType<typeof setTimeout> | undefined;
  try {
    for (;;) {
      clearTimeout(silence);
      silence = setTimeout(() => void reader.cancel().catch(() => {}), SILENT_MS);
      const { done, value } = await reader.read();
      if (done) return;
      for (const message of lines.handle(decoder.decode(value, { stream: true }))) {
        const news = told(message);
        if (news) onNews(news);
      }
    }
  } finally {
    clearTimeout(silence);
  }
}

/** What an event says, checked as far as the pages rely on it; `null` for kinds that may come later, and for damage. */
export function told(message: Message): News | null {
  try {
    const value = JSON.parse(message.data) as Partial<Space & Stage> | null;
    if (message.event === "space" && typeof value?.state === "string" && Array.isArray(value.speakers)) return { space: value as Space };
    if (message.event === "stage" && typeof value?.you?.role === "string" && Array.isArray(value.hands) && Array.isArray(value.people)) {
      return { stage: value as Stage };
    }
  } catch {
    // The next one is whole again.
  }
  return null;
}

/**
 * What happens on the stage, for those who stand on it: server-sent events read through `fetch`, because `EventSource`
 * cannot carry a bearer pass and the pass has no place in an address.
 */
import { Backoff, pause, retryAfterMs } from "../player/backoff";
import { parse, type SpaceEvent } from "../player/event";

export interface Config {
  url: string;
  token: string;
  onEvent: (event: SpaceEvent) => void;
  /** The stream broke: the house may have restarted. Called once per break. */
  onBreak: () => void;
}

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
        await read(response.body, config.onEvent);
      } else {
        void response.body?.cancel();
        wait = retryAfterMs(response.headers.get("Retry-After"), Date.now());
        if ([401, 403, 404, 410].includes(response.status)) return;
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

async function read(body: ReadableStream<Uint8Array>, onEvent: (event: SpaceEvent) => void): Promise<void> {
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
        const event = told(message);
        if (event) onEvent(event);
      }
    }
  } finally {
    clearTimeout(silence);
  }
}

/** The server's `space` event: the whole space, at once and at every change. Other kinds may come later. */
export function told(message: Message): SpaceEvent | null {
  return message.event === "space" ? parse(message.data, "stage") : null;
}

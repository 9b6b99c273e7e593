/** What a page tells the player, and what it is told. */
import type { SpaceEvent } from "./event";
import type { Told } from "./ticket";

export type State =
  | "idle" | "connecting" | "queued" | "waiting" | "playing" | "reconnecting"
  | "blocked" | "refused" | "missing" | "unsupported" | "ended";

export interface Config {
  /** The element that makes the sound; in the document, so that phones keep it alive on a locked screen. */
  audio: HTMLAudioElement;
  space: string;
  hls: string; // The folder of its HLS, with the slash at the end; of another origin, perhaps.
  /** A listening pass, for spaces with invited listeners. */
  pass: string | null;
  /** The server's word for who this is, shown at a door (docs/formats/ticket.md). */
  voucher?: string | null;
  /** What the page already knows: what answers of a space that has not begun is asked again. */
  begun: () => boolean;
  /** Waits at the door until it is time, and says so to whoever waits. */
  queue: (told: Told, signal: AbortSignal) => Promise<"delayed" | void>;
  onState: (state: State) => void;
  onEvent: (event: SpaceEvent) => void;
  /** The listener went back, or is at live again. */
  onBehind: () => void;
}

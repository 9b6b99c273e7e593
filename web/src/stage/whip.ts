/**
 * A voice on the stage: WHIP (RFC 9725) with a return feed on the same section, and back again by itself.
 *
 * The microphone's track belongs to the caller and outlives every connection: mute is a property of the track
 * (`track.enabled`), so no reconnection can lose it. A new connection is made before the old one is let go.
 *
 * Whoever has still to accept, or to agree, may `wait` in the wings: connected, without a microphone, and not heard. With their last word they `come` on.
 */
import { Backoff, pause, retryAfterMs } from "../player/backoff";
import { codecs, sessionUrl, takesVoice } from "./sdp";

export type State = "connecting" | "connected" | "reconnecting" | "refused" | "replaced" | "closed";

export interface Config {
  /** `https://stage.example`, without a slash at the end. */
  origin: string;
  space: string;
  token: string;
  /** Of who waits: none yet. */
  track: MediaStreamTrack | null;
  onState: (state: State, detail: string | null) => void;
  /** The others, as one mixed stream. Called again after each reconnection. */
  onOthers: (stream: MediaStream) => void;
  /** Whether the house shows this participant on the stage now; false where it cannot be asked. */
  shown: () => Promise<boolean>;
}

/** A line that held this long was a good one; until then the waits between attempts go on growing. */
const STEADY_MS = 20_000;

interface Line {
  peer: RTCPeerConnection;
  session: string | null;
  /** What the server chose, best first; for the curious and for tests. */
  codecs: string[];
}

/** Candidates are wanted for peer-reflexive checks only (the server is ICE-lite): a second is plenty. */
const GATHER_MS = 1_000;
/** From the answer to sound; a path that needs longer than this is tried anew. */
const CONNECT_MS = 8_000;
/** "disconnected" often heals by itself within a second or two, "failed" never. */
const HEAL_MS = 2_500;

export class Voice {
  #line: Line | null = null;
  #stop = new AbortController();
  #backoff = new Backoff();
  #dialling = false;
  #waiting = false;
  #others: MediaStream | null = null;
  #healing: ReturnType<typeof setTimeout> | undefined;
  #steady: ReturnType<typeof setTimeout> | undefined;

  constructor(private config: Config) {
    addEventListener("online", this.#network);
    const connection = (navigator as { connection?: EventTarget }).connection;
    connection?.addEventListener("change", this.#network);
    addEventListener("pagehide", this.#leaving);
    this.#stop.signal.addEventListener("abort", () => {
      removeEventListener("online", this.#network);
      connection?.removeEventListener("change", this.#network);
      removeEventListener("pagehide", this.#leaving);
      clearTimeout(this.#healing);
      clearTimeout(this.#steady);
    });
  }

  /** Codecs that the server answered with, best first. */
  get codecs(): string[] {
    return this.#line?.codecs ?? [];
  }

  /** Goes on the stage, and stays until `leave`. */
  join(): void {
    this.config.onState("connecting", null);
    void this.#dial();
  }

  /** Waits in the wings. One attempt: without it one comes by the usual way, and two tabs do not throw each other out. Whether it stands. */
  async wait(): Promise<boolean> {
    this.#waiting = true;
    if ((await this.#connect(this.#stop.signal)) === "connected") return true;
    this.leave();
    return false;
  }

  /** Has come on from the wings, and stays until `leave`. */
  come(config: Config): void {
    this.#waiting = false;
    this.config = config;
    config.onState("connected", null);
    if (this.#others) config.onOthers(this.#others);
  }

  /** Whether there is a connection. */
  get stands(): boolean {
    return this.#line?.peer.connectionState === "connected";
  }

  /** The stage's event stream broke, or said that the house restarted: do not wait for ICE to notice (RFC 7675 takes up to 30 s). */
  again(): void {
    if (!this.#dialling && !this.#waiting && !this.#stop.signal.aborted) void this.#dial();
  }

  /** Swaps the microphone without a new connection. */
  async replace(track: MediaStreamTrack): Promise<void> {
    this.config.track = track;
    await this.#line?.peer.getSenders()[0]?.replaceTrack(track);
  }

  /** Leaves for good. */
  leave(): void {
    this.#stop.abort();
    this.#drop(this.#line);
    this.#line = null;
    this.config.onState("closed", null);
  }

  #network = () => this.again();
  #leaving = () => this.#drop(this.#line);

  async #dial(): Promise<void> {
    this.#dialling = true;
    const { signal } = this.#stop;
    try {
      while (!signal.aborted) {
        if (await this.#replaced()) {
          this.leave();
          this.config.onState("replaced", null);
          return;
        }
        const result = await this.#connect(signal);
        if (signal.aborted) return;
        if (result === "connected") {
          clearTimeout(this.#healing);
          clearTimeout(this.#steady);
          this.#steady = setTimeout(() => this.#backoff.reset(), STEADY_MS);
          this.config.onState("connected", null);
          return;
        }
        if ("refused" in result) {
          this.leave();
          this.config.onState("refused", result.refused);
          return;
        }
        this.config.onState("reconnecting", null);
        await pause(this.#backoff.next(result.wait), signal, result.wait === null ? "online" : "never");
      }
    } finally {
      this.#dialling = false;
    }
  }

  /**
   * Whether somebody with our pass took our place: our session is gone, and yet we are shown on the stage. A house that
   * restarted has forgotten the session too, but shows nobody. Without this two tabs would throw each other out for ever.
   */
  async #replaced(): Promise<boolean> {
    const session = this.#line?.session;
    if (!session) return false;
    const headers = { Authorization: `Bearer ${this.config.token}` };
    const gone = await fetch(session, { headers, signal: this.#stop.signal }).then((r) => r.status === 404, () => false);
    return gone && (await this.config.shown()) && !this.#stop.signal.aborted;
  }

  async #connect(signal: AbortSignal): Promise<"connected" | { wait: number | null } | { refused: string }> {
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" });
    const line: Line = { peer, session: null, codecs: [] };
    const { track } = this.config;
    peer.addTransceiver(track ?? "audio", { direction: "sendrecv", streams: [new MediaStream(track ? [track] : [])] });
    peer.addEventListener("track", (event) => {
      this.#others = new MediaStream([event.track]);
      this.config.onOthers(this.#others);
    });
    try {
      await peer.setLocalDescription();
      await gathered(peer);
      const endpoint = `${this.config.origin}/whip/${this.config.space}${this.#waiting ? "?at=wings" : ""}`;
      const response = await fetch(endpoint, {
        method: "POST",
        signal,
        headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${this.config.token}` },
        body: peer.localDescription!.sdp,
      });
      if (response.status !== 201) {
        this.#drop(line);
        const wait = retryAfterMs(response.headers.get("Retry-After"), Date.now());
        // 4xx is a decision about us and will not change by asking again; the rest is the weather.
        const decided = response.status >= 400 && response.status < 500 && ![408, 425, 429].includes(response.status);
        return decided ? { refused: await detail(response) } : { wait };
      }
      line.session = sessionUrl(response.headers.get("Location"), response.url || endpoint);
      const answer = await response.text();
      if (!takesVoice(answer)) {
        this.#drop(line);
        return { refused: "" };
      }
      line.codecs = codecs(answer);
      await peer.setRemoteDescription({ type: "answer", sdp: answer });
      await connected(peer, signal);
    } catch {
      this.#drop(line);
      return { wait: null };
    }
    const before = this.#line;
    this.#line = line;
    this.#drop(before);
    peer.addEventListener("connectionstatechange", () => this.#watch(line));
    return "connected";
  }

  #watch(line: Line): void {
    if (line !== this.#line || this.#stop.signal.aborted) return;
    clearTimeout(this.#healing);
    if (line.peer.connectionState !== "connected") clearTimeout(this.#steady);
    const state = line.peer.connectionState;
    if (state === "connected") return this.config.onState("connected", null);
    if (state !== "disconnected" && state !== "failed" && state !== "closed") return;
    if (this.#waiting) return this.leave();
    this.config.onState("reconnecting", null);
    this.#healing = setTimeout(() => this.again(), state === "disconnected" ? HEAL_MS : this.#backoff.next());
  }

  /** Lets a line go, and tells the server, also while the tab is being closed. */
  #drop(line: Line | null): void {
    if (!line) return;
    line.peer.close();
    if (!line.session) return;
    const { session } = line;
    line.session = null;
    const headers = { Authorization: `Bearer ${this.config.token}` };
    void fetch(session, { method: "DELETE", keepalive: true, headers }).catch(() => {});
  }
}

function gathered(peer: RTCPeerConnection): Promise<void> {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER_MS);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}

function connected(peer: RTCPeerConnection, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no path")), CONNECT_MS);
    const look = () => {
      const state = peer.connectionState;
      if (state !== "connected" && state !== "failed" && state !== "closed" && !signal.aborted) return;
      clearTimeout(timer);
      if (state === "connected") resolve();
      else reject(new Error(state));
    };
    peer.addEventListener("connectionstatechange", look);
    signal.addEventListener("abort", look, { once: true });
    look();
  });
}

/** The server's own sentence (RFC 9457), or nothing. */
async function detail(response: Response): Promise<string> {
  try {
    const problem = (await response.json()) as { detail?: string; title?: string };
    return problem.detail ?? problem.title ?? "";
  } catch {
    return "";
  }
}

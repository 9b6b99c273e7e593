/**
 * One pass, one voice, among the tabs of one browser: whoever comes on the stage says so, and the others give way at once.
 *
 * Other devices are found out by `whip.ts` when their session is gone; between tabs nobody needs to wait for that.
 */
export class Claim {
  #channel: BroadcastChannel | null = null;
  #participant: string;

  /** `taken` is called when another tab came on the stage as `participant`. */
  constructor(participant: string, taken: () => void) {
    this.#participant = participant;
    if (!("BroadcastChannel" in globalThis)) return;
    this.#channel = new BroadcastChannel("hiwar:stage");
    this.#channel.onmessage = (event) => event.data === participant && taken();
  }

  /** Says to the other tabs that this one is on the stage now. */
  say(): void {
    this.#channel?.postMessage(this.#participant);
  }

  close(): void {
    this.#channel?.close();
    this.#channel = null;
  }
}

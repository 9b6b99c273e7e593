/**
 * Your own mute, in two places: the track, which is silent at once, and the server, which shows it to the others and keeps it
 * over a reconnection. Somebody who hosts may mute you there; only you open your microphone again.
 *
 * Decides and never asks: whoever owns it switches the track by `muted`, and sends what `wanted` answers.
 */
export class Mute {
  /** What you want. */
  #mine = false;
  /** What the server was last known to have. */
  #there = false;
  /** Somebody else muted you, and you have not opened since. */
  #byOther = false;
  #sent: boolean | null = null;

  /** `there`: what the server has already, from before a reload. */
  constructor(there = false) {
    this.#mine = this.#there = there;
  }

  /** Whether the track is to be silent. What somebody else muted is silent on the server in any case. */
  get muted(): boolean {
    return this.#mine;
  }

  get byOther(): boolean {
    return this.#byOther;
  }

  /** A press. */
  toggle(): void {
    this.#mine = !this.#mine;
    this.#byOther = false;
  }

  /** What the server says. True if somebody else has just muted you. */
  told(muted: boolean): boolean {
    const news = muted && !this.#there && !this.#mine && this.#sent === null;
    this.#there = muted;
    if (news) this.#mine = this.#byOther = true;
    // Nobody opens it but you: then that news was of a mute of your own which you had taken back before it was told.
    else if (!muted && this.#byOther) this.#mine = this.#byOther = false;
    return news;
  }

  /** What is to be sent now: to mute, to open, or nothing. It is then on its way until `arrived` or `failed`. */
  wanted(): boolean | null {
    if (this.#sent !== null || this.#mine === this.#there) return null;
    return (this.#sent = this.#mine);
  }

  arrived(): void {
    if (this.#sent !== null) this.#there = this.#sent;
    this.#sent = null;
  }

  /** It did not arrive. What you want stays; it is sent again when the line is back. */
  failed(): void {
    this.#sent = null;
  }
}

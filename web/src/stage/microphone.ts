/** The microphone: asking for it, choosing one, hearing how loud it is. */

export type Trouble = "denied" | "missing" | "busy" | "insecure";

export class Refused extends Error {
  constructor(readonly trouble: Trouble) {
    super(trouble);
  }
}

const CHOSEN = "hiwar:microphone";

/** Opens a microphone for speech: mono, echo and noise taken out by the browser. Throws `Refused`. */
export async function open(device: string | null = remembered()): Promise<MediaStream> {
  if (!navigator.mediaDevices?.getUserMedia) throw new Refused("insecure");
  const wish = {
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
    channelCount: 1,
    ...(device ? { deviceId: { ideal: device } } : {}),
  };
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: wish });
    const track = stream.getAudioTracks()[0];
    // Speech, so that browsers favour a low delay over music's detail.
    if (track && "contentHint" in track) track.contentHint = "speech";
    return stream;
  } catch (error) {
    const name = (error as DOMException).name;
    if (name === "NotFoundError" || name === "OverconstrainedError") throw new Refused("missing");
    if (name === "NotReadableError" || name === "AbortError") throw new Refused("busy");
    throw new Refused("denied");
  }
}

/** Microphones, named only after permission was given. */
export async function devices(): Promise<MediaDeviceInfo[]> {
  const all = await navigator.mediaDevices.enumerateDevices();
  return all.filter((device) => device.kind === "audioinput" && device.deviceId !== "");
}

export function remember(device: string): void {
  try {
    localStorage.setItem(CHOSEN, device);
  } catch {
    // Then it is asked next time.
  }
}

function remembered(): string | null {
  try {
    return localStorage.getItem(CHOSEN);
  } catch {
    return null;
  }
}

/** What the level says to the person in front of the microphone. */
export type Verdict = "say" | "nothing" | "quiet" | "heard" | "loud";

/** dBFS (root mean square over 20 ms or more) of speech that is plainly heard, and of speech at all. */
const HEARD_DB = -38;
const SPEECH_DB = -52;
/** Samples at full scale are cut off: the meter shows red before. */
const LOUD_DB = -6;
/** Patience before we ask whether the microphone is the right one. */
const PATIENCE_S = 6;

/** Turns levels into advice. Pure: given seconds and dBFS. */
export class Advice {
  #speech = 0;
  #best = -Infinity;
  #loud = 0;
  #begun: number | null = null;
  #last = 0;

  handle(now: number, db: number): Verdict {
    this.#begun ??= this.#last = now;
    const step = Math.min(0.2, now - this.#last);
    this.#last = now;
    if (db > SPEECH_DB) this.#speech += step;
    this.#best = Math.max(this.#best - step * 2, db);
    this.#loud = db > LOUD_DB ? this.#loud + step : Math.max(0, this.#loud - step / 2);
    if (this.#loud > 0.3) return "loud";
    // A door that falls shut is loud for a moment; half a second in all is somebody speaking.
    if (this.#speech > 0.5) return this.#best > HEARD_DB ? "heard" : "quiet";
    return now - this.#begun > PATIENCE_S ? "nothing" : "say";
  }
}

/** Measures a stream. `level()` is dBFS of the last 40 ms or so, −100 in silence. */
export class Meter {
  #context = new AudioContext();
  #analyser = this.#context.createAnalyser();
  #samples: Float32Array<ArrayBuffer>;

  constructor(stream: MediaStream) {
    this.#analyser.fftSize = 2048;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
    // Made after a press in all our pages; where it was not, it wakes at the next one.
    void this.#context.resume();
  }

  level(): number {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    return Math.max(-100, 10 * Math.log10(sum / this.#samples.length + 1e-12));
  }

  close(): void {
    void this.#context.close();
  }
}

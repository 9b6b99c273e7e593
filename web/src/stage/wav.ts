/**
 * Whatever this browser can play, as the one form that the server reads: WAV, 48 kHz, mono, 16 bits.
 */
export const RATE = 48_000;
/** The server plays three minutes again and again; of what is longer the rest is left out. */
const SECONDS_MAX = 180;
/** Decoding takes ten times a compressed file's bytes in memory and more: three minutes of CDs, and half an hour of MP3. */
const FILE_BYTES_MAX = 40_000_000;

/** Why there is no WAV: the file is too large to be decoded here, or nothing that this browser can play. */
export class Unreadable extends Error {
  constructor(readonly why: "large" | "unknown") {
    super(why);
  }
}

export async function toWav(file: Blob): Promise<Blob> {
  if (file.size > FILE_BYTES_MAX) throw new Unreadable("large");
  const bytes = await file.arrayBuffer();
  let sound: AudioBuffer;
  try {
    // It decodes to the rate that it has itself.
    sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  } catch {
    throw new Unreadable("unknown");
  }
  const channels = Array.from({ length: sound.numberOfChannels }, (_, n) => sound.getChannelData(n));
  return new Blob([wav(channels)], { type: "audio/wav" });
}

/** Channels of samples at {@link RATE}, mixed, as a file. */
export function wav(channels: Float32Array[]): ArrayBuffer {
  const count = Math.min(channels[0]?.length ?? 0, SECONDS_MAX * RATE);
  const file = new DataView(new ArrayBuffer(44 + 2 * count));
  const text = (at: number, word: string) => [...word].forEach((letter, n) => file.setUint8(at + n, letter.charCodeAt(0)));
  text(0, "RIFF");
  file.setUint32(4, 36 + 2 * count, true);
  text(8, "WAVEfmt ");
  file.setUint32(16, 16, true);
  file.setUint16(20, 1, true);
  file.setUint16(22, 1, true);
  file.setUint32(24, RATE, true);
  file.setUint32(28, 2 * RATE, true);
  file.setUint16(32, 2, true);
  file.setUint16(34, 16, true);
  text(36, "data");
  file.setUint32(40, 2 * count, true);
  for (let n = 0; n < count; n++) {
    let sum = 0;
    for (const channel of channels) sum += channel[n]!;
    const sample = Math.max(-1, Math.min(1, sum / channels.length));
    file.setInt16(44 + 2 * n, Math.round(sample * 32_767), true);
  }
  return file.buffer as ArrayBuffer;
}

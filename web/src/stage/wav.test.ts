/** What is sent as hold music, as facts. */
import { describe, expect, it } from "vitest";
import { RATE, toWav, Unreadable, wav } from "./wav";

describe("a WAV file", () => {
  const samples = (file: ArrayBuffer) => [...new Int16Array(file.slice(44))];
  const word = (file: ArrayBuffer, at: number) => String.fromCharCode(...new Uint8Array(file, at, 4));

  it("says what it is, and how long", () => {
    const file = wav([new Float32Array(5)]);
    const head = new DataView(file);
    expect([0, 8, 12, 36].map((at) => word(file, at))).toEqual(["RIFF", "WAVE", "fmt ", "data"]);
    expect([4, 16, 24, 28, 40].map((at) => head.getUint32(at, true))).toEqual([46, 16, RATE, 2 * RATE, 10]);
    expect([20, 22, 32, 34].map((at) => head.getUint16(at, true))).toEqual([1, 1, 2, 16]);
    expect(file.byteLength).toBe(54);
  });

  it("mixes channels, and cuts off what is louder than it can be", () => {
    expect(samples(wav([Float32Array.of(0, 1, -1, 2)]))).toEqual([0, 32_767, -32_767, 32_767]);
    expect(samples(wav([Float32Array.of(1, 0.5), Float32Array.of(0, 0.5)]))).toEqual([16_384, 16_384]);
  });

  it("has three minutes at most", () => {
    expect(wav([new Float32Array(181 * RATE)]).byteLength).toBe(44 + 2 * 180 * RATE);
  });

  it("is not made of what could take all memory", async () => {
    await expect(toWav({ size: 40_000_001 } as Blob)).rejects.toThrow(Unreadable);
  });
});

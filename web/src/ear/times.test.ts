import { describe, expect, it } from "vitest";
import { chaptersOf, current, fit, moment, next, previous, seconds } from "./times";

const CHAPTERS = chaptersOf({
  version: "1.2.0",
  chapters: [
    { startTime: 0, endTime: 30, title: "Amal", speaker: "a" },
    { startTime: 30, endTime: 42.5, title: "Badr", speaker: "b" },
    { startTime: 42.5, endTime: 60, title: "Amal", speaker: "a" },
  ],
});

describe("turns", () => {
  it("are stepped through by their beginnings", () => {
    expect([0, 29.9, 30, 42.5, 59].map((at) => current(CHAPTERS, at))).toEqual([0, 0, 1, 2, 2]);
    expect([0, 10, 30, 42.5, 59].map((at) => next(CHAPTERS, at))).toEqual([30, 30, 42.5, null, null]);
    expect([0, 2, 10, 31, 34, 43, 59].map((at) => previous(CHAPTERS, at))).toEqual([0, 0, 0, 0, 30, 30, 42.5]);
    expect([next([], 5), previous([], 5)]).toEqual([null, 0]);
  });

  it("are taken from nothing but chapters", () => {
    for (const other of [null, undefined, 7, "", {}, { chapters: 3 }, { chapters: [null, {}, { startTime: "0" }, { startTime: NaN }] }]) {
      expect(chaptersOf(other)).toEqual([]);
    }
  });
});

describe("a moment", () => {
  it("is seconds in the address", () => {
    expect(["#t=0", "#t=90.5", "#a=b&t=7", "#t=7&a=b", "#t=npt:7,9", "#t=7,"].map(moment)).toEqual([0, 90.5, 7, 7, 7, 7]);
    for (const none of ["", "#", "#t=", "#t=-1", "#t=x", "#t=1e3", "#t=1.2345", "#tt=1", "#t=1:30"]) expect(moment(none)).toBeNull();
  });

  it("is read as it is written, in any digits", () => {
    expect(["0", "1:15", "1:02:03", "٢:٠٣", "۱:۰۰", "1:15.5", "٠:٠١٫٥", "\u20661:15\u2069"].map(seconds)).toEqual([0, 75, 3723, 123, 60, 75.5, 1.5, 75]);
    for (const none of ["", ":", "a", "1:60", "1:2:3:4", "-1", "1:"]) expect(seconds(none)).toBeNull();
  });
});

describe("a clip", () => {
  it("is what the server would cut, whatever is asked for", () => {
    expect(fit({ from: 10, to: 40 }, "from", 600)).toEqual({ from: 10, to: 40 });
    // The end that was not moved gives way.
    expect(fit({ from: 10, to: 400 }, "from", 600)).toEqual({ from: 10, to: 100 });
    expect(fit({ from: 10, to: 400 }, "to", 600)).toEqual({ from: 310, to: 400 });
    expect(fit({ from: 50, to: 40 }, "from", 600)).toEqual({ from: 50, to: 51 });
    expect(fit({ from: 50, to: 40 }, "to", 600)).toEqual({ from: 39, to: 40 });
    // The recording has two ends, too.
    expect(fit({ from: 700, to: 800 }, "from", 600)).toEqual({ from: 599, to: 600 });
    expect(fit({ from: 590, to: 800 }, "to", 600.0005)).toEqual({ from: 590, to: 600 });
    expect(fit({ from: 0, to: 0 }, "to", 600)).toEqual({ from: 0, to: 1 });
    expect(fit({ from: 0, to: 30 }, "from", 0.5)).toEqual({ from: 0, to: 0.5 });
    for (let n = 0; n < 2000; n++) {
      const duration = Math.random() * 200 + 0.01;
      const asked = { from: Math.random() * 250, to: Math.random() * 250 };
      for (const moved of ["from", "to"] as const) {
        const { from, to } = fit(asked, moved, duration);
        expect(from >= 0 && to > from && to <= duration && to - from <= 90.0000001, JSON.stringify([asked, moved, duration, from, to])).toBe(true);
      }
    }
  });
});

import { expect, it, vi } from "vitest";
import type { Told } from "../player/ticket";
import { calendar, words } from "./wait";

const say = (key: string, values: Record<string, string | number> = {}) => `${key}(${Object.values(values).join()})`;

it("tells seconds when it is near and minutes when it is far", () => {
  const said = (stage: Told["stage"], left: number, tag = "en", recorded = false) => words({ ticket: "", wait_ms: 0, stage }, left, say, tag, recorded);
  expect(said("draw", 61_200)).toBe("page-wait-draw(65 seconds)");
  expect(said("place", 100_000)).toBe("page-wait-place(2 minutes)");
  expect(said("place", 170_000, "ar")).toBe("page-wait-place(3 دقائق)");
  expect(said("rank", 600_000)).toBe("page-wait-rank(10 minutes) page-wait-kept()");
  expect(said("place", -5)).toBe("page-wait-place(5 seconds)");
});

it("tells whoever has no time what they may expect, as it comes nearer", () => {
  const said = (left: number, expected_ms?: number) => words({ ticket: "", wait_ms: 600_000, expected_ms, stage: "rank" }, left, say, "en", false);
  expect(said(600_000, 1_500_000)).toBe("page-wait-turn(25 minutes,10 minutes)");
  expect(said(60_000, 1_500_000)).toBe("page-wait-turn(16 minutes,60 seconds)");
  expect(said(600_000)).toContain("page-wait-rank(10 minutes)");
});

it("says that a turn is kept only to whom one is", () => {
  const said = (kept?: boolean) => words({ ticket: "", wait_ms: 0, stage: "rank", kept }, 600_000, say, "en", false);
  expect([said(), said(true), said(false)]).toEqual(["page-wait-rank(10 minutes) page-wait-kept()", "page-wait-rank(10 minutes) page-wait-kept()", "page-wait-rank(10 minutes)"]);
});

it("promises a recording only to whom there will be one", () => {
  const said = (stage: Told["stage"], recorded: boolean) => words({ ticket: "", wait_ms: 0, stage }, 600_000, say, "en", recorded);
  expect(said("rank", true)).toContain("page-wait-recording()");
  expect(words({ ticket: "", wait_ms: 0, expected_ms: 9e5, stage: "rank" }, 600_000, say, "en", true)).toContain("page-wait-recording()");
  expect(said("rank", false)).not.toContain("recording");
  expect(said("place", true)).not.toContain("recording");
});

it("writes a calendar in which a title adds nothing of its own", () => {
  vi.useFakeTimers({ now: 0 });
  const file = decodeURIComponent(calendar("A; talk\r\nDTEND:x, حوار", "https://talk.example/s/demo", 1_800_000_000_000).split(",").slice(1).join(","));
  vi.useRealTimers();
  expect(file.split("\r\n")).toEqual([
    "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Hiwar//Door//EN", "BEGIN:VEVENT", "UID:20270115T080000Z@talk.example", "DTSTAMP:19700101T000000Z",
    "DTSTART:20270115T080000Z", "SUMMARY:A\\; talk DTEND:x\\, حوار", "URL:https://talk.example/s/demo", "END:VEVENT", "END:VCALENDAR", "",
  ]);
});

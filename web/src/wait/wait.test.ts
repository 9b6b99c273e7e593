import { expect, it, vi } from "vitest";
import { calendar, words } from "./wait";

const say = (key: string, values: Record<string, string | number> = {}) => `${key}(${Object.values(values).join()})`;

it("tells seconds when it is near and minutes when it is far", () => {
  expect(words("draw", 61_200, say)).toBe("page-wait-draw(page-wait-seconds(65))");
  expect(words("place", 100_000, say)).toBe("page-wait-place(page-wait-minutes(2))");
  expect(words("rank", 600_000, say)).toBe("page-wait-rank(page-wait-minutes(10))");
  expect(words("place", -5, say)).toBe("page-wait-place(page-wait-seconds(5))");
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

import { describe, expect, it } from "vitest";
import type { Door } from "../api/spaces";
import { History, POINTS_MAX, reading } from "./history";

const at = { places: 2, inside: 2, waiting: 7, waiting_by_class: { anybody: 7 }, without_time: 1, is: "queue" } as const;
const door: Door = { ...at, asked: 40, arrived: 12, entered: { anybody: 3, returning: 1 }, kept: { anybody: 2 }, late: { anybody: 1 }, away: 6 };
const joined = (n: number) => reading(0, 1, n, 0, null);

describe("what a live page has seen", () => {
  it("counts who comes at the door, and without one who began and who was turned away", () => {
    expect(reading(1, 2, 4, 5, door)).toEqual({ level: 1, listening: 2, waiting: 7, arrived: 12, admitted: 4, away: 5 });
    expect(reading(null, 2, 4, 5, null)).toEqual({ level: null, listening: 2, waiting: 0, arrived: 9, admitted: 4, away: 5 });
  });

  it("takes nobody who asks again for somebody who comes", () => {
    const history = new History();
    for (let at = 0; at < 30; at++) history.handle(at, reading(1, 2, 4, 5, { ...door, asked: door.asked + 1_000 * at }));
    expect(history.points.at(-1)!.arrived).toBe(0);
  });

  it("says how much a count grew in the last minute", () => {
    const history = new History();
    [[0, 100], [30, 110], [60, 115], [90, 118]].forEach(([at, n]) => history.handle(at!, joined(n!)));
    expect(history.points.map((point) => point.admitted)).toEqual([0, 10, 15, 8]);
  });

  it("takes a count that began anew for what it is", () => {
    const history = new History();
    [[0, 100], [1, 104], [2, 3]].forEach(([at, n]) => history.handle(at!, joined(n!)));
    expect(history.points.at(-1)!.admitted).toBe(7);
  });

  it("keeps an hour, and no second twice", () => {
    const history = new History();
    for (let at = 0; at < POINTS_MAX + 10; at++) history.handle(at, joined(at));
    history.handle(5, joined(5));
    expect(history.points).toHaveLength(POINTS_MAX);
    expect(history.points[0]!.at).toBe(10);
  });
});

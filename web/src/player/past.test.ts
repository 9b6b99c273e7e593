/** Going back: the list as numbers, segments by media time over jumps and holes, and what is in hand. The server is a sketch. */
import { afterEach, expect, it, vi } from "vitest";
import { beginning, listIn } from "./list";
import { Past, Stretch, type Piece } from "./past";

const HEAD = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n";
const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `#EXTINF:4,\n${from + i}.m4a\n`).join("");
const DATE = "#EXT-X-PROGRAM-DATE-TIME:2026-11-26T20:00:00.000Z\n";
const WALL = Date.parse("2026-11-26T20:00:00.000Z");

/** A fragment that begins at this media second. */
function fragment(start: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(44);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 44);
  bytes.set(new TextEncoder().encode("moof"), 4);
  bytes.set(new TextEncoder().encode("tfdt"), 20);
  view.setUint8(24, 1);
  view.setUint32(28, Math.floor((start * 48_000) / 2 ** 32));
  view.setUint32(32, (start * 48_000) % 2 ** 32);
  return bytes;
}

/** What the server has: the list, and where segments begin. */
function serve(list: string, starts: (number: number) => number | null): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", (path: string) => {
    asked.push(path.replace("/hls/demo/", ""));
    if (path.includes("rewind.m3u8")) return Promise.resolve(new Response(list));
    const start = starts(Number(/(\d+)\.m4a/.exec(path)![1]));
    return Promise.resolve(start === null ? new Response("{}", { status: 404 }) : new Response(fragment(start)));
  });
  return asked;
}

afterEach(() => vi.unstubAllGlobals());

const never = new AbortController().signal;

it("a list tells numbers, wall time and what was lost", () => {
  const list = listIn(`${HEAD}#EXT-X-MEDIA-SEQUENCE:7\n${DATE}${lines(7, 9)}#EXT-X-GAP\n#EXTINF:4,\n9.m4a\n#EXT-X-DISCONTINUITY\n${DATE}#EXTINF:1.2,\n10.m4a\n#EXT-X-ENDLIST\n`, null)!;
  expect(list.segments.map((s) => [s.number, s.wall - WALL, s.duration, s.lost])).toEqual([
    [7, 0, 4, false], [8, 4_000, 4, false], [9, 8_000, 4, true], [10, 0, 1.2, false],
  ]);
  expect(list.ended).toBe(true);
});

it("a delta is completed from what was known, or not at all", () => {
  const before = listIn(`${HEAD}#EXT-X-MEDIA-SEQUENCE:0\n${DATE}${lines(0, 20)}`, null);
  const delta = `${HEAD}#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-SKIP:SKIPPED-SEGMENTS=14\n${DATE}${lines(15, 21)}`;
  expect(listIn(delta, before)!.segments.map((s) => s.number)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect(listIn(delta, null)).toBeNull();
  expect(listIn(delta.replace("=14", "=24"), before)).toBeNull();
  expect(listIn(delta.replace("=14", "=x"), before)).toBeNull();
});

it("nonsense is no list", () => {
  for (const text of ["", "<html>", HEAD, `${HEAD}#EXTINF:x,\n1.m4a\n`, `${HEAD}${lines(0, 2)}`]) expect(listIn(text, null)).toBeNull();
});

it("a fragment tells where it begins, after a week too", () => {
  for (const start of [0, 12.2, 700_000]) expect(beginning(fragment(start))).toBeCloseTo(start, 3);
  expect(beginning(new Uint8Array(100))).toBeNull();
  expect(beginning(new Uint8Array(3))).toBeNull();
});

it("the segment of a media second is found at once where nothing has jumped", async () => {
  const asked = serve(`${HEAD}#EXT-X-MEDIA-SEQUENCE:100\n${DATE}${lines(100, 200)}`, (n) => n * 4);
  const past = new Past("/hls/demo/", null);
  const piece = await past.piece(610, never);
  expect([piece!.start, piece!.end]).toEqual([608, 612]);
  expect(asked).toEqual(["rewind.m3u8", "152.m4a"]);
  expect([past.begin, past.wall(610)]).toEqual([400, WALL + 210_000]);
  expect(await past.piece(900, never)).toBeNull();
});

it("where time has jumped, what was fetched tells by how much", async () => {
  const asked = serve(`${HEAD}#EXT-X-MEDIA-SEQUENCE:0\n${DATE}${lines(0, 200)}`, (n) => n * 4 + 90);
  const piece = await new Past("/hls/demo/", null).piece(610, never);
  expect([piece!.start, piece!.end]).toEqual([610, 614]);
  expect(asked).toEqual(["rewind.m3u8", "152.m4a", "130.m4a"]);
});

it("lost and short segments are stepped over", async () => {
  const gap = "#EXT-X-GAP\n#EXTINF:4,\n";
  const list = `${HEAD}#EXT-X-MEDIA-SEQUENCE:0\n${DATE}${lines(0, 5)}#EXTINF:1,\n5.m4a\n${gap}6.m4a\n${gap}7.m4a\n${DATE}${lines(8, 20)}`;
  serve(list, (n) => n * 4);
  const past = new Past("/hls/demo/", null);
  expect((await past.piece(20.5, never))!.start).toBe(20);
  expect((await past.piece(21.02, never))!.start).toBe(32);
  expect((await past.piece(26, never))!.start).toBe(32);
});

it("one that is gone is asked for once, and the network may fail", async () => {
  serve(`${HEAD}#EXT-X-MEDIA-SEQUENCE:0\n${DATE}${lines(0, 20)}`, (n) => (n < 3 ? null : n * 4));
  const past = new Past("/hls/demo/", null);
  expect(await past.piece(9, never)).toBeNull();
  expect((await past.piece(9, never))!.start).toBe(12);
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("no network")));
  expect(await past.piece(40, never)).toBeNull();
});

const piece = (start: number, end: number): Piece => ({ start, end, events: [], bytes: fragment(start) });

it("sound that was lost is jumped over when the needle is there, and not before", () => {
  const stretch = new Stretch();
  const ranges = [{ start: 0, end: 8 }, { start: 16, end: 20 }];
  expect(stretch.ahead(2, ranges)).toEqual({ end: 8, ask: 8.02, jump: null });
  stretch.got(piece(16, 20), 8, [ranges[0]!]);
  expect(stretch.ahead(2, ranges)).toEqual({ end: 20, ask: 20.02, jump: null });
  expect(stretch.ahead(7.95, ranges).jump).toBe(16);
  stretch.clear();
  expect(stretch.ahead(7.95, ranges)).toEqual({ end: 8, ask: 8.02, jump: null });
});

it("a piece with a hole in it is not asked for again and again", () => {
  const stretch = new Stretch();
  stretch.got(piece(8, 12), 9, [{ start: 0, end: 9 }]);
  expect(stretch.ahead(2, [{ start: 0, end: 9 }]).ask).toBeCloseTo(12.02);
  const other = new Stretch();
  other.got(piece(8, 12), 9, [{ start: 0, end: 9 }, { start: 10, end: 12 }]);
  expect(other.ahead(8.9, [{ start: 0, end: 9 }, { start: 10, end: 12 }])).toEqual({ end: 12, ask: 12.02, jump: 10 });
});

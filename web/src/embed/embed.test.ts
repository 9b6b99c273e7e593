import { expect, it } from "vitest";
import { known, look } from "./space";

const page = (island: object) => `<h1>x</h1><script type="application/json" id="space">${JSON.stringify(island).replaceAll("<", "\\u003c")}</script><script>1</script>`;
const of = (island: object) => known(page({ id: "demo", title: "<b>", audience: "public", ...island }), "https://talk.example");

it("a page says what its space is", () => {
  expect(of({ state: "live", listen: { hls: "/hls/demo/live.m3u8" } })).toEqual({ is: "live", id: "demo", title: "<b>", hls: "https://talk.example/hls/demo/" });
  expect(of({ state: "live", listen: { hls: "https://hls.example/hls/demo/live.m3u8" } }).hls).toBe("https://hls.example/hls/demo/");
  expect(of({ state: "scheduled" })).toMatchObject({ is: "scheduled", hls: "https://talk.example/hls/demo/" });
  expect(of({ state: "ended", replay: null }).is).toBe("over");
  expect(of({ state: "cancelled" }).is).toBe("over");
  const replay = { mp4: "/replay/demo.mp4", ogg: "/replay/demo.ogg", duration: 7 };
  expect(of({ state: "posted", replay })).toMatchObject({ is: "replay", mp4: "https://talk.example/replay/demo.mp4", duration: 7 });
  expect(of({ state: "live", audience: "invited", title: "secret" })).toEqual({ is: "invited", id: "demo" });
});

it("what is no page of ours says nothing", () => {
  for (const other of ["", "<html>", page({}).replace("{", "["), '<script type="application/json" id="space"></script>', '<script type="application/json" id="space">null</script>']) {
    expect(known(other, "https://talk.example").is).toBe("unknown");
  }
});

it("what is no id is not asked for", async () => {
  for (const id of ["", "../x", "A", "x".repeat(41), "a b"]) expect(await look("https://talk.example", id, AbortSignal.abort())).toEqual({ is: "missing" });
});

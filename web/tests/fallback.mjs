// Listening where Media Source is missing or another: the playlist, Apple's ManagedMediaSource, no scripts at all, and links that are
// only looked at. In Chromium, which has neither Apple's source nor always a player of playlists: hls.js, a public player, plays ours.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { CREATE, fine, launch, ORIGIN, page as open, position, pressAndHear, space, until } from "./browser.mjs";

const SPACE = process.env.HIWAR_SPACE ?? "demo";
const HLS = readFileSync(createRequire(import.meta.url).resolve("hls.js/dist/hls.light.min.js"), "utf8");
const browser = await launch();
const measured = {};

/** Apple's source is Media Source under another name that insists on `disableRemotePlayback`. */
async function managed(lang) {
  const { page, errors, close } = await open(browser, { lang, width: 390, height: 844 });
  await page.addInitScript(() => {
    globalThis.opened = 0;
    globalThis.ManagedMediaSource = class extends MediaSource {
      constructor() {
        super();
        this.addEventListener("sourceopen", () => {
          if (!document.querySelector("audio").disableRemotePlayback) throw new Error("it would never open");
          globalThis.opened += 1;
        });
      }
    };
    delete globalThis.MediaSource;
  });
  await page.goto(`${ORIGIN}/s/${SPACE}?lang=${lang}`);
  measured.managed_press_to_sound_ms = await pressAndHear(page, "#press");
  assert.equal(await page.evaluate(() => globalThis.opened), 1);
  await until("the lateness is told", async () => /[\d٠-٩]/.test(await page.textContent("#late")));
  assert.deepEqual(errors, []);
  await close();
}

/** No source at all: the playlist if the browser plays it, else the endless Ogg; later, but it sounds. */
async function without(lang) {
  const { page, errors, close } = await open(browser, { lang, width: 390, height: 844 });
  await page.addInitScript(() => {
    delete globalThis.MediaSource;
    delete globalThis.ManagedMediaSource;
  });
  const asked = page.waitForRequest((request) => /\/(hls|listen)\//.test(request.url()));
  await page.goto(`${ORIGIN}/s/${SPACE}?lang=${lang}`);
  measured.without_source_press_to_sound_ms = await pressAndHear(page, "#press", { limit: 20_000 });
  measured.without_source_plays = new URL((await asked).url()).pathname;
  await until("it says that it is late", async () => (await page.textContent("#late")).trim() !== "");
  await until("it goes on", async () => (await position(page)) > 3, 20_000);
  await fine(page, lang, "page-playlist");
  await page.click("#press");
  assert.ok(await page.evaluate(() => document.querySelector("audio").paused));
  assert.deepEqual(errors, []);
  await close();
}

/** The live playlist in a player that is not ours. */
async function playlist() {
  // A server that has just begun has no whole segment for its first four seconds.
  await until("a segment is whole", async () => (await fetch(`${ORIGIN}/hls/${SPACE}/live.m3u8`)).ok);
  const { page, close } = await open(browser, { lang: "en" });
  await page.route(`${ORIGIN}/playlist-test`, (route) =>
    route.fulfill({ contentType: "text/html", body: `<title>test</title><button id="press">play</button><audio></audio><script>${HLS}</script>` }),
  );
  await page.goto(`${ORIGIN}/playlist-test`);
  await page.evaluate((url) => {
    globalThis.wrong = [];
    const hls = new Hls({ enableWorker: false });
    hls.on(Hls.Events.ERROR, (_, problem) => problem.fatal && globalThis.wrong.push(problem.details));
    document.querySelector("#press").onclick = () => {
      hls.loadSource(url);
      hls.attachMedia(document.querySelector("audio"));
      void document.querySelector("audio").play();
    };
  }, `/hls/${SPACE}/live.m3u8`);
  measured.playlist_press_to_sound_ms = await pressAndHear(page, "#press", { limit: 25_000 });
  const from = await position(page);
  // Longer than one segment: the next one has joined on.
  await until("it goes from segment to segment", async () => (await position(page)) > from + 5, 25_000);
  assert.deepEqual(await page.evaluate(() => globalThis.wrong), []);
  await close();
}

/** No scripts: the title, the browser's own player, plain links. */
async function plain() {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  await page.goto(`${ORIGIN}/s/${SPACE}`);
  assert.ok((await page.textContent("h1")).length > 5, "the title is there");
  const player = page.locator("noscript audio");
  assert.ok(await player.isVisible());
  assert.equal(await player.getAttribute("preload"), "none");
  const types = await page.locator("noscript source").evaluateAll((all) => all.map((one) => [one.getAttribute("src"), one.type]));
  assert.deepEqual(types, [[`/listen/${SPACE}.mp4`, 'audio/mp4; codecs="opus"'], [`/listen/${SPACE}.ogg`, "audio/ogg"], [`/listen/${SPACE}.mp3`, "audio/mpeg"]]);
  for (const lang of ["ar", "en"]) assert.ok(await page.locator(`noscript p[lang=${lang}]`).isVisible());
  if (process.env.HIWAR_PICTURES) await page.screenshot({ path: `${process.env.HIWAR_PICTURES}/noscript.png`, fullPage: true });
  await context.close();
}

/** What a messenger sees that only fetches the page: title, description, sound; and nothing of a private space. */
async function preview() {
  const tags = async (path) => {
    const response = await fetch(ORIGIN + path, { headers: { "User-Agent": "preview/1.0" } });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("referrer-policy"), "no-referrer");
    const page = await response.text();
    const found = [...page.matchAll(/<meta (?:property|name)="((?:og|twitter|description|robots)[\w:]*)" content="([^"]*)">/g)];
    return { page, tags: Object.fromEntries(found.map(([, name, content]) => [name, content])) };
  };
  const shown = (await tags(`/s/${SPACE}`)).tags;
  for (const name of ["og:title", "og:description", "og:url", "og:site_name", "og:type", "og:locale", "og:audio", "twitter:card", "description"]) {
    assert.ok(shown[name], `${name} is told`);
  }
  assert.equal(shown["og:url"], `${ORIGIN}/s/${SPACE}`);
  assert.equal(new URL(shown["og:audio"]).pathname, `/listen/${SPACE}.mp4`);
  if (!CREATE) return;
  const hostile = '"><script>alert(1)</script> & \'سؤال\'؟';
  const made = await space({ title: hostile, audience: "unlisted", language: "ar" });
  const unlisted = await tags(`/s/${made.space.id}`);
  assert.ok(!unlisted.page.includes("<script>alert"), "a title stays words");
  assert.equal(unlisted.tags["og:locale"], "ar_AR");
  assert.equal(unlisted.tags.robots, "noindex");
  const secret = await space({ title: "Secret plan", audience: "invited", language: "en" });
  const closed = await tags(`/s/${secret.space.id}`);
  assert.ok(!closed.page.includes("Secret plan"));
  assert.equal(closed.tags["og:audio"], undefined);
}

try {
  await Promise.all([managed("ar"), without("ar"), playlist(), plain(), preview()]);
} finally {
  await browser.close();
}
console.log(JSON.stringify({ test: "fallback", ...measured }));

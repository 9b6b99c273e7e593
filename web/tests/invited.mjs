// A space for invited listeners: without the pass nothing is told or heard; with it the page plays, live and replayed, and the pass goes
// nowhere else.
import assert from "node:assert/strict";
import { CREATE, fine, hostUntilStage, launch, ORIGIN, page as open, pressAndHear, until } from "./browser.mjs";

const TITLE = { ar: "حديث خاص", en: "A private talk" };
assert.ok(CREATE, "HIWAR_HOST_LINK is the link that the server printed");
const browser = await launch();

async function invited(lang) {
  const host = await open(browser, { lang });
  await hostUntilStage(host.page, { lang, title: TITLE[lang], name: "Layla", audience: "invited" });
  const link = new URL(await host.page.inputValue("#share-listen"));
  const pass = link.searchParams.get("pass");
  assert.ok(pass, "the listening link carries a pass");
  const id = link.pathname.split("/").at(-1);
  await host.page.click("#start");
  await host.page.waitForSelector(".sentence.air");

  // Whoever has only the address learns nothing, and is told what is missing.
  const stranger = await open(browser, { lang, width: 390, height: 844 });
  await stranger.page.goto(`${ORIGIN}${link.pathname}?lang=${lang}`);
  assert.ok(!(await stranger.page.content()).includes(TITLE[lang]));
  await stranger.page.click("#press");
  await until("it asks for an invitation", async () => /invitation|دعوة/.test(await stranger.page.textContent("#notice")));
  await fine(stranger.page, lang, "page-not-invited");
  assert.deepEqual(stranger.errors, []);
  await stranger.close();
  for (const path of [`/listen/${id}.mp4`, `/listen/${id}.ogg`, `/hls/${id}/live.m3u8`, `/api/spaces/v1/spaces/${id}`]) {
    const response = await fetch(ORIGIN + path);
    void response.body?.cancel();
    assert.equal(response.status, 401, path);
  }
  const { spaces } = await (await fetch(`${ORIGIN}/api/spaces/v1/spaces`)).json();
  assert.ok(!spaces.some((one) => one.id === id), "it is not listed");

  // The invited one hears. The pass travels to this server only, and no page that is left for says where it came from.
  const ear = await open(browser, { lang, width: 390, height: 844 });
  const referred = [];
  const asked = [];
  ear.page.on("request", async (request) => {
    const headers = await request.allHeaders();
    if (headers.referer) referred.push(`${request.url()} ← ${headers.referer}`);
    if (/\/(listen|hls|replay)\//.test(request.url())) asked.push({ url: request.url(), authorized: headers.authorization === `Bearer ${pass}` });
    if (request.url().includes(pass) || headers.authorization) assert.equal(new URL(request.url()).origin, ORIGIN);
  });
  await ear.page.goto(`${link.href}&lang=${lang}`);
  await pressAndHear(ear.page, "#press");
  await until("the sound tells the title", async () => (await ear.page.textContent("#title")).includes(TITLE[lang]));
  await fine(ear.page, lang, "page-invited");
  assert.ok(asked[0].authorized && !asked[0].url.includes(pass), "live sound is asked for with the pass in a header, not in an address");
  await ear.page.click("#lang");
  assert.equal(new URL(ear.page.url()).searchParams.get("pass"), pass, "the language is changed without losing the pass");
  await ear.page.click("#lang");

  // The playlist and what it names are open to the pass.
  const playlist = await until("a segment is whole", async () => {
    const response = await fetch(`${ORIGIN}/hls/${id}/live.m3u8?pass=${pass}`);
    return response.ok && response.text();
  }, 15_000);
  for (const name of [/URI="([^"]+)"/.exec(playlist)[1], playlist.split("\n").find((line) => /^[^#].*\.m4a/.test(line))]) {
    assert.equal((await fetch(new URL(name, `${ORIGIN}/hls/${id}/`))).status, 200, name);
  }

  // And so is the replay, which an element asks for: there the pass has to be in the address.
  await host.page.click("#end");
  await host.page.click("#end-yes");
  await ear.page.waitForSelector("#replay:not([hidden])", { timeout: 25_000 });
  await pressAndHear(ear.page, "#replay-press");
  assert.ok((await ear.page.getAttribute("#download-ogg", "href")).includes(pass));
  assert.equal((await fetch(`${ORIGIN}/replay/${id}.mp4`, { method: "HEAD" })).status, 401);
  const vod = await (await fetch(`${ORIGIN}/replay/${id}/index.m3u8?pass=${pass}`)).text();
  const part = new URL(/URI="([^"]+)"/.exec(vod)[1], `${ORIGIN}/replay/${id}/index.m3u8`);
  assert.equal((await fetch(part, { headers: { Range: "bytes=0-99" } })).status, 206, part.href);

  // A later visit finds the replay at once.
  await ear.page.reload();
  await ear.page.waitForSelector("#replay:not([hidden])", { timeout: 25_000 });
  await fine(ear.page, lang, "replay-invited");
  await ear.page.click("#home");
  await ear.page.waitForSelector("h1");
  assert.equal(await ear.page.evaluate(() => document.referrer), "", "the next page does not learn the address");
  assert.deepEqual(referred, []);
  assert.deepEqual([...host.errors, ...ear.errors], []);
  await ear.close();
  await host.close();
}

try {
  await Promise.all(["ar", "en"].map(invited));
} finally {
  await browser.close();
}
console.log(JSON.stringify({ test: "invited" }));

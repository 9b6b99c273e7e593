// A conversation at a full door, on somebody else's page: whoever presses there is told so, is drawn and keeps their place by one ticket, and hears without a second press when it is their turn.
import assert from "node:assert/strict";
import { elsewhere, fine, page as open, until } from "../browser.mjs";
import { ADMITTED_MS, DRAWN_MS, fill, hushes, LANGUAGES, serial, space as made, watch } from "./people.mjs";

const SAID = { ar: /أكثر مما يمكن أن يستمع معًا.*(ثانية|ثوانٍ|دقيق|دقائق)/, en: /More people came than can listen at once.*\d+ (second|minute)/ };
/** Of tickets by which nothing is promised yet (docs/formats/ticket.md). */
const NOBODY = "AAAAAAAAAA";

/** In a browser that plays no playlist by itself, as Firefox: the delayed stream has no door. */
async function visitor(browser, lang, address, space) {
  const who = { lang, space, asked: [], told: [], ...(await open(browser, { lang })) };
  await watch(who);
  const ticket = (url) => new URL(url, address).searchParams.get("t");
  who.page.on("request", (request) => {
    if (new URL(request.url()).pathname === `/s/${space}/wait`) who.asked.push({ ticket: ticket(request.url()), request });
  });
  who.page.on("response", (response) => {
    const [, seconds, next] = /^(\d+); url=(.+)$/.exec(response.headers().refresh ?? "") ?? [];
    if (next) who.told.push({ ticket: ticket(next), wait_ms: seconds * 1_000, request: response.request() });
  });
  await who.page.addInitScript(() => {
    const can = HTMLMediaElement.prototype.canPlayType;
    HTMLMediaElement.prototype.canPlayType = function (type) {
      return /mpegurl/.test(type) ? "" : can.call(this, type);
    };
  });
  await who.page.goto(address);
  await who.page.waitForSelector("hiwar-player #state:visible");
  await who.page.focus("hiwar-player #press");
  await who.page.keyboard.press("Enter");
  return who;
}

/** When they asked, and were answered, by the browser's clock: what it says of that comes later where much goes on. */
const asks = ({ request }) => request.timing().startTime;
const isTold = ({ request }) => asks({ request }) + request.timing().responseStart;
const says = ({ page }) => page.textContent("hiwar-player #notice");
const at = ({ page }) => page.evaluate(() => document.querySelector("hiwar-player").shadowRoot.querySelector("audio").currentTime);
/** Those by which something is promised. */
const serials = (all) => [...new Set(all.map(({ ticket }) => ticket && serial(ticket)).filter((one) => one && one !== NOBODY))];

export async function embedded(browser, server) {
  const space = await made(server, "Embedded · في صفحة أخرى");
  await space.host("start");
  const inside = await fill(server.origin, 2, space.id);
  const pages = await Promise.all(LANGUAGES.map((lang) => elsewhere(`<script async src="${server.origin}/embed.js"></script><hiwar-player space="${space.id}" lang="${lang}"></hiwar-player>`)));
  const all = await Promise.all(LANGUAGES.map((lang, n) => visitor(browser, lang, pages[n].address, space.id)));
  for (const who of all) {
    await until(`${who.lang}: told to wait`, async () => SAID[who.lang].test(await says(who)), DRAWN_MS);
    await until(`${who.lang}: a quiet sound plays`, () => hushes(who));
    await fine(who.page, "en", `embed-wait-${who.lang}`);
  }
  await Promise.all(all.map((who) => until(`${who.lang} is drawn`, () => serials(who.told).length > 0, DRAWN_MS)));
  await Promise.all(inside.map(({ leave }) => leave()));
  await Promise.all(
    all.map(async (who, n) => {
      const { lang, page, asked, told, shown } = who;
      await until(`${lang}: it plays, without a second press`, async () => (await at(who)) > 1, ADMITTED_MS).catch((failed) => {
        throw new Error(`${failed.message} ${JSON.stringify({ asked: asked.map(({ ticket }) => ticket), told: told.map(({ ticket, wait_ms }) => [ticket, wait_ms]), shown })}`);
      });
      assert.equal(await says(who), "");
      // Drawn once, and back with that ticket each time, to the sound too.
      const [own, ...others] = serials([...asked, ...told, ...shown.map((ticket) => ({ ticket }))]);
      assert.deepEqual(others, [], `${lang}: one ticket`);
      assert.equal(serial(shown.at(-1)), own, `${lang}: it enters by that`);
      assert.ok(asked.length <= 10, `${lang}: ${asked.length} requests`);
      // Told in whole seconds, and never too soon.
      told.slice(0, asked.length - 1).forEach((one, nth) => {
        const waited_ms = asks(asked[nth + 1]) - isTold(one);
        assert.ok(waited_ms > one.wait_ms - 1_000, `${lang} asks while they wait: ${waited_ms} of ${one.wait_ms}`);
      });
      assert.deepEqual(await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]), ["", 0, 0]);
      assert.deepEqual(who.errors, []);
      await who.close();
      pages[n].close();
    }),
  );
}

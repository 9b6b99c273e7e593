// A conversation at a full door, on somebody else's page: whoever presses there is told so, is drawn and keeps their place by one ticket, and hears without a second press when it is their turn.
import assert from "node:assert/strict";
import { elsewhere, fine, page as open, until } from "../browser.mjs";
import { ADMITTED_MS, DRAWN_MS, fill, hushes, LANGUAGES, serial, space as made, stage, watch } from "./people.mjs";

const SAID = {
  ar: { wait: /أكثر مما يمكن أن يستمع معًا/, place: /مكانك محجوز/ },
  en: { wait: /More people came/, place: /You have a place, in about .*\d/ },
};

/** In a browser that plays no playlist by itself, as Firefox: the delayed stream has no door. */
async function visitor(browser, lang, address, space) {
  const who = { lang, space, ...(await open(browser, { lang })) };
  await watch(who);
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

const says = ({ page }) => page.textContent("hiwar-player #notice");
const at = ({ page }) => page.evaluate(() => document.querySelector("hiwar-player").shadowRoot.querySelector("audio").currentTime);

export async function embedded(browser, server) {
  const space = await made(server, "Embedded · في صفحة أخرى");
  await space.host("start");
  const inside = await fill(server.origin, 2, space.id);
  const pages = await Promise.all(LANGUAGES.map((lang) => elsewhere(`<script async src="${server.origin}/embed.js"></script><hiwar-player space="${space.id}" lang="${lang}"></hiwar-player>`)));
  const all = await Promise.all(LANGUAGES.map((lang, n) => visitor(browser, lang, pages[n].address, space.id)));
  for (const who of all) {
    await until(`${who.lang}: told to wait`, async () => SAID[who.lang].wait.test(await says(who)), DRAWN_MS);
    await until(`${who.lang}: a quiet sound plays`, () => hushes(who));
    await fine(who.page, "en", `embed-wait-${who.lang}`);
  }
  await Promise.all(all.map((who) => until(`${who.lang} is drawn`, () => ["draw", "place", "rank"].includes(stage(who)), DRAWN_MS)));
  await Promise.all(inside.map(({ leave }) => leave()));
  await Promise.all(
    all.map(async (who, n) => {
      const { lang, page, told, shown } = who;
      await until(`${lang}: it plays, without a second press`, async () => (await at(who)) > 1, ADMITTED_MS);
      assert.equal(await says(who), "");
      // Drawn once, and back with that ticket each time.
      const drawn = told.filter(({ stage }) => stage !== "soon").map(({ ticket }) => serial(ticket));
      assert.deepEqual([...new Set(drawn)], [drawn[0]], `${lang}: one ticket`);
      assert.ok(shown.every((ticket) => ticket !== null), `${lang}: never as a player that knows of no ticket`);
      assert.equal(serial(shown.at(-1)), drawn[0], `${lang}: it enters by that`);
      assert.ok(shown.length <= 10, `${lang}: ${shown.length} requests`);
      told.reduce((before, now) => (assert.ok(Date.parse(now.asked) > Date.parse(before.at) + before.wait_ms - 1_000, `${lang} asks while they wait`), now));
      assert.deepEqual(await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]), ["", 0, 0]);
      assert.deepEqual(who.errors, []);
      await who.close();
      pages[n].close();
    }),
  );
}

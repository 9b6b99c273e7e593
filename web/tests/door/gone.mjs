// What those who wait are told when there is nothing to wait for any more: it was cancelled, or it is over, and then they are offered the recording.
import assert from "node:assert/strict";
import { agree, fine, page as open, position, pressAndHear, until } from "../browser.mjs";
import { aloud, DRAWN_MS, fill, isTold, LANGUAGES, person, PRESSED_MS, scriptless, space as made, WORDS } from "./people.mjs";

/** Somebody who is heard, so that there is something to record. */
async function speaks(browser, { origin }, { id, pass }) {
  const { page, close } = await open(browser, { lang: "en" });
  await page.goto(`${origin}/?lang=en#/s/${id}/stage?token=${pass}`);
  await agree(page);
  await page.click("#mic-allow");
  await page.click("#mic-go");
  await page.waitForSelector("#mute");
  return close;
}

/** All wait for it, with scripts and without, and are told when they come back. None has asked in between. */
async function gone(browser, server, space, how, ends) {
  const [inside] = await fill(server.origin, 1, space.id);
  const all = await Promise.all(LANGUAGES.map((lang) => person(browser, lang, server.origin, { space: space.id, scheme: how === "over" ? "dark" : "light" })));
  await Promise.all(all.map(({ page }) => page.click("#press")));
  await Promise.all(all.map((who) => isTold(who, "draw", PRESSED_MS)));
  const without = await Promise.all(LANGUAGES.map((lang) => scriptless(browser, lang, server.origin, space.id)));
  const asked = all.map(({ shown }) => shown.length);
  await ends();
  await inside.leave();
  const told = all.map(async (who, n) => {
    const { lang, page } = who;
    await until(`${lang}: it is ${how}`, async () => WORDS[lang][how].test(await page.textContent("#state-text")), DRAWN_MS);
    assert.equal(who.shown.length, asked[n] + 1, `${lang}: ${who.shown.length} requests`);
    for (const waiting of ["#notice", "#press"]) assert.equal(await page.isVisible(waiting), false, "nobody waits any more");
    if (how === "over") await recording(who);
    else await until(`${lang}: read aloud`, async () => (await aloud(page)).some((text) => WORDS[lang].why.test(text)));
    await fine(page, lang, `page-wait-${how}`);
    assert.deepEqual(who.errors, []);
    await who.close();
  });
  const plainly = without.map(async ({ page, picture, close }, n) => {
    const lang = LANGUAGES[n];
    await page.waitForURL(new RegExp(`/s/${space.id}$`), { timeout: DRAWN_MS });
    const said = page.locator(`noscript [lang=${lang}]`).first();
    assert.match(await said.textContent(), WORDS[lang][`${how}Plain`]);
    assert.ok(await said.isVisible());
    await picture(`wait-plain-${how}`);
    await close();
  });
  await Promise.all([...told, ...plainly]);
}

/** It is there, said aloud, and plays with one press. */
async function recording({ lang, page }) {
  await page.waitForSelector("#replay-press", { timeout: 60_000 });
  assert.ok((await aloud(page)).some((text) => WORDS[lang].preparing.test(text)), `${lang}: it is being prepared`);
  await pressAndHear(page, "#replay-press");
  const from = await position(page);
  await until(`${lang}: it plays on`, async () => (await position(page)) > from + 0.5);
}

/** It was to be. */
export async function cancelled(browser, server) {
  const space = await made(server, "Called off · أُلغي ما كان");
  await gone(browser, server, space, "cancelled", () => space.host("cancel", { reason: "Rain" }));
}

/** It was, and was recorded. */
export async function over(browser, server) {
  const space = await made(server, "Ends soon · ينتهي قريبًا");
  const falls = await speaks(browser, server, space);
  await space.host("start");
  await gone(browser, server, space, "over", async () => {
    await space.host("end");
    await falls();
  });
}

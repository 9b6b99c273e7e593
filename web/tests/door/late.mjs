// Whoever comes back in time and finds no place is told a new one. Whoever's page was frozen when they were to come back comes late, and is let in before those who came meanwhile.
import assert from "node:assert/strict";
import { fine, until } from "../browser.mjs";
import { admitted, ADMITTED_MS, aloud, DRAWN_MS, fill, isTold, LANGUAGES, person, plain, PRESSED_MS, presses, serial, SPACE, stage, ticketOf, WORDS } from "./people.mjs";

/** So many are inside, of whom nobody goes: by how long people stay some should within half a minute, so that times are told. */
export const PLACES = 20;

/** Freezes a page, as a browser does with those that nobody looks at. Resolves with what thaws it: somebody looks. */
async function freeze({ page }) {
  await page.evaluate(() => document.addEventListener("freeze", () => (globalThis.wasFrozen = true)));
  const devtools = await page.context().newCDPSession(page);
  const state = (state) => devtools.send("Page.setWebLifecycleState", { state });
  // Playwright keeps every page as if it were in front, and none such is frozen; it has no word for letting go of it.
  const { _client: own } = page._connection.toImpl(page).delegate._mainFrameSession;
  const front = (enabled) => own.send("Emulation.setFocusEmulationEnabled", { enabled });
  await front(false);
  await state("frozen");
  return async () => {
    await state("active");
    await front(true);
    assert.ok(await page.evaluate(() => globalThis.wasFrozen && document.visibilityState === "visible"));
  };
}

/** Told a time, and frozen before it comes. */
async function freezes(who) {
  await until(`${who.lang}: told a time before it is frozen`, () => stage(who) === "place", DRAWN_MS);
  await isTold(who, "place", 5_000);
  who.ticket = await ticketOf(who);
  who.due = Date.now() + who.told.at(-1).wait_ms;
  who.thaw = await freeze(who);
  who.before = who.shown.length;
}

/** Comes back at the time that it was told, and is told another. */
async function again(who) {
  const { lang, page } = who;
  await isTold(who, "place");
  who.ticket = await ticketOf(who);
  const from = (await aloud(page)).findIndex((text) => WORDS[lang].place.test(text));
  await until(`${lang}: back in time, without a place`, () => stage(who) === "soon", 60_000);
  await isTold(who, "soon", 5_000, from);
  // Nor is whoever has no JavaScript told that the door is being opened.
  const plainly = await fetch(`${new URL(page.url()).origin}/s/${SPACE}/wait?t=${await ticketOf(who)}`, { headers: { "Accept-Language": lang } });
  assert.match(await plainly.text(), new RegExp(WORDS[lang].soon, "i"));
  const places = who.told.filter((told) => told.stage === "place");
  const [{ ticket }] = places;
  assert.equal(places.length, 1, `${lang}: told a time ${places.length} times`);
  assert.equal(serial(await ticketOf(who)), serial(ticket), "it keeps its place");
  assert.equal(await page.getAttribute("#notice", "role"), "status");
  await fine(page, lang, "page-wait-again");
}

/** `wait` is called when all wait for the draw. */
export async function late(browser, { origin }, measured, wait) {
  const inside = await fill(origin, PLACES);
  const [awake, asleep] = await Promise.all([0, 1].map(() => Promise.all(LANGUAGES.map((lang) => person(browser, lang, origin)))));
  const began = Date.now();
  const all = [...awake, ...asleep].map(presses);
  await Promise.all(all.map((who) => isTold(who, "draw", PRESSED_MS)));
  wait();
  const frozen = Promise.all(asleep.map(freezes));
  const told = Promise.all(awake.map(again));
  for (const doing of [frozen, told]) doing.catch(() => {});
  // Their places are kept for half a minute: those who come in time find none.
  await until("the first is told a time", () => all.some((who) => stage(who) === "place"), DRAWN_MS);
  const left = Date.now();
  await Promise.all(inside.splice(0, all.length).map(({ leave }) => leave()));
  await Promise.all([frozen, told]);
  measured.told_again_ms = Date.now() - began;

  // Whoever comes anew, when all who were drawn have had their turn, is drawn.
  const figure = async (name) => Number((await (await fetch(`${origin}/metrics`)).text()).match(new RegExp(`^hiwar_door_${name} (\\d+)$`, "m"))?.[1]);
  await until("nobody's turn is to come", async () => (await figure("crowds")) === 0, 60_000);
  const { told: newcomer } = await plain(origin);
  assert.equal(newcomer?.stage, "draw");
  assert.ok(Date.now() - left < 29_000, "no place was free yet");

  await until("places are free, and it is long past their times", async () => (await figure("inside")) <= PLACES - all.length && asleep.every(({ due }) => Date.now() > due + 10_000), 60_000);
  for (const who of asleep) assert.equal(who.shown.length, who.before, "what is frozen asks for nothing");
  const thawed = Date.now();
  await Promise.all(
    asleep.map(async (who) => {
      await who.thaw();
      await admitted(who);
      const since = who.shown.slice(who.before).map(serial);
      // Two, if the worker that it meets has not been given a place yet.
      assert.ok(since.length <= 2 && since.every((shown) => shown === serial(who.ticket)), `${who.lang}: ${since}`);
    }),
  );
  measured.late_in_ms = Date.now() - thawed;
  const other = await plain(origin);
  assert.equal(other.told?.stage, "draw", "whoever comes now waits for the draw");
  await Promise.all(awake.map(admitted));
  for (const who of all) assert.ok(who.shown.length <= 9, `${who.shown.length} requests`);
  measured.again_in_ms = Date.now() - began;
  assert.ok(measured.again_in_ms < ADMITTED_MS);
  await Promise.all([...all.map((who) => who.close()), ...inside.map(({ leave }) => leave())]);
}

// A conversation with two places, and people before its door: told so in Arabic and in English, with one press, drawn, given a time, and let in when
// there is room. A reloaded page keeps its place, pages with one ticket are one person, and a browser without scripts comes back by itself until it plays. At another server, whose one place is free for
// nobody within half an hour, people are told so, and what they are offered; and what is cancelled or over (door/gone.mjs). At a third those who come in time find no place, and others come late
// (door/late.mjs). The servers are this test's own, for the others' has no door; all of it is done at the same time, since people wait for a minute everywhere.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fine, launch, page as open, position, until } from "./browser.mjs";
import { embedded } from "./door/embedded.mjs";
import { cancelled, over } from "./door/gone.mjs";
import { late, PLACES } from "./door/late.mjs";
import { admitted, ADMITTED_MS, enters, fill, heard, hushes, isTold, LANGUAGES, person, placeOf, PRESSED_MS, presses, says, scriptless, serial, SPACE, space, stage, ticketOf, watch, WORDS } from "./door/people.mjs";
import { BINARY, Server } from "./server.mjs";

const door = (places, stay) => `[door]\nplaces = ${places}\nstay_minutes = ${stay}\n`;
// Of a few places that fall free one of several workers may have all; where that is not what is tested there is one.
const configured = [door(2, 1), door(1, 600), `workers = 1\n${door(PLACES, 1)}`];
const [server, full, busy] = await Promise.all(configured.map((configuration) => Server.start(BINARY, configuration)));
const { origin } = server;
const browser = await launch();
const measured = {};
const ELSEWHERE = `https://cdn.example/hls/${SPACE}/live.m3u8`;

/** They are drawn, and then told that there is no place within half an hour, and what there is for them. */
async function capped({ id }, lang, scheme) {
  const who = await person(browser, lang, full.origin, { space: id, scheme });
  await who.page.click("#press");
  await isTold(who, "draw", PRESSED_MS);
  await isTold(who, "rank");
  assert.match(await says(who.page), WORDS[lang].recorded);
  assert.equal(await who.page.getAttribute("#notice", "role"), "status");
  assert.equal(await who.page.locator("#calendar").count(), 1);
  assert.ok(who.shown.length <= 4, `${who.shown.length} requests`);
  assert.equal(stage(who), "rank");
  assert.equal(await who.page.locator("#delayed").count(), 0, "nobody carries a delayed stream");
  await fine(who.page, lang, `page-capped-${scheme}`);
  await offered(lang, id, who.told.at(-1).ticket);
  assert.deepEqual(who.errors, []);
  await who.close();
}

/** Whoever has no scripts finds the same there: where the recording will be, and a file for their calendar. */
async function offered(lang, id, ticket) {
  const context = await browser.newContext({ javaScriptEnabled: false, locale: lang, viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  await page.goto(`${full.origin}/s/${id}/wait?t=${ticket}`);
  assert.match(await page.textContent("h1"), WORDS[lang].rank);
  assert.equal(await page.locator("a").count(), 2, "nobody carries a delayed stream");
  const [file] = await Promise.all([page.waitForEvent("download"), page.click("#calendar")]);
  assert.equal(file.suggestedFilename(), "hiwar.ics");
  const text = readFileSync(await file.path(), "utf8").replaceAll("\r\n ", "");
  assert.match(text, /^BEGIN:VCALENDAR\r\n[^]*\r\nDTSTART:\d{8}T\d{6}Z\r\n[^]*\r\nEND:VCALENDAR\r\n$/);
  assert.ok(text.includes(`\r\nURL:${full.origin}/s/${id}\r\n`), text);
  await page.click(`a[href="/s/${id}"]`);
  await page.waitForURL(`${full.origin}/s/${id}`);
  await context.close();
}

/** What each stage is told by, whatever the door is at: the server's answers are this test's. */
async function told(lang) {
  const { page, errors, close } = await open(browser, { lang, width: 390, height: 844 });
  let what;
  await page.route(/\/listen\//, (route) => {
    const offered = { draw: {}, place: {}, turn: { stage: "rank", expected_ms: 1_110_000, elsewhere: ELSEWHERE }, rank: { elsewhere: ELSEWHERE } }[what];
    return route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify({ type: "/problems/wait", status: 503, ticket: "T", wait_ms: 170_000, stage: what, ...offered }) });
  });
  for (what of ["draw", "place", "turn", "rank"]) {
    await page.goto(`${origin}/s/${SPACE}?lang=${lang}`);
    await page.click("#press");
    await until(`${what} is told`, async () => WORDS[lang][what].test(await says(page)));
    assert.equal(await page.getAttribute("#notice", "role"), "status");
    for (const offer of ["#calendar", "#delayed"]) assert.equal(await page.locator(offer).count(), ["turn", "rank"].includes(what) ? 1 : 0, `${what} ${offer}`);
    await fine(page, lang, `page-wait-${what}`);
  }
  assert.equal(await page.getAttribute("#delayed", "href"), ELSEWHERE);
  assert.match(await page.textContent("#delayed"), lang === "ar" ? /استمع الآن/ : /Listen now/);
  const [file] = await Promise.all([page.waitForEvent("download"), page.click("#calendar")]);
  assert.equal(file.suggestedFilename(), "hiwar.ics");
  assert.match(readFileSync(await file.path(), "utf8"), /^BEGIN:VCALENDAR\r\n[^]*\r\nDTSTART:\d{8}T\d{6}Z\r\n/);
  // Said at once in the other language, and nothing is left of it when somebody stops.
  await page.click("#lang");
  assert.match(await says(page), WORDS[lang === "ar" ? "en" : "ar"].rank);
  await page.click("#press");
  await until("it is over", async () => (await says(page)) === "" && (await page.locator("#calendar, #delayed").count()) === 0);
  assert.deepEqual(errors, []);
  await close();
}

/** Two places, and who waits for them. */
async function waiting() {
  const inside = await fill(origin, 2);
  const [ar, en] = await Promise.all(LANGUAGES.map((lang) => person(browser, lang, origin)));
  const began = Date.now();
  presses(ar);
  await isTold(ar, "draw", PRESSED_MS);
  await en.page.click("#press");
  await isTold(en, "draw", PRESSED_MS);
  // Who came before both workers knew that the other is full, too, was told to come in a moment.
  const asked = [ar.shown.length, en.shown.length];
  assert.ok(asked.every((times) => times <= 3), `${asked} requests until they were drawn`);
  // A page that is loaded again shows what it had.
  [ar.ticket, en.ticket] = await Promise.all([ar, en].map(ticketOf));
  const loaded = en.told.length;
  await en.page.reload();
  presses(en);
  await isTold(en, "draw", PRESSED_MS);
  assert.deepEqual(en.shown.slice(asked[1]), [en.ticket]);
  // And so does one beside it: they are one person, and have one place.
  const twin = await tab(en, (context) => context.newPage());
  presses(twin);
  await isTold(twin, "draw", PRESSED_MS);
  assert.deepEqual(twin.shown, [en.ticket]);
  // By which it enters, if it is the first; the other has another then.
  twin.ticket = en.ticket;

  for (const who of [ar, en, twin]) await until("a quiet sound plays while they wait", () => hushes(who));

  // Both go, and there is room, when everybody has been drawn.
  await Promise.all(inside.map(({ leave }) => leave()));
  await Promise.all([fine(ar.page, "ar", "page-wait"), fine(en.page, "en", "page-wait")]);
  await Promise.all(LANGUAGES.map(told));
  const first = Promise.any([en, twin].map((who) => enters(who).then(() => who)));
  await Promise.all([admitted(ar).then(() => (measured.ar_admitted_ms = Date.now() - began)), first.then(admitted).then(() => (measured.en_admitted_ms = Date.now() - began))]);
  // But for the page that was loaded again nobody asks before they were told to, whenever it is that this looks.
  for (const [who, from] of [[ar, 0], [en, loaded], [twin, 0]]) {
    who.told.slice(from).reduce((before, now) => (assert.ok(Date.parse(now.asked) > Date.parse(before.at) + before.wait_ms - 1_000, `${who.lang} asks while they wait`), now));
  }
  const [one, other] = (await first) === en ? [en, twin] : [twin, en];
  measured.requests = { ar: ar.shown.length, en: one.shown.length };
  for (const who of [ar, one]) assert.ok(who.shown.length <= 6, `${who.shown.length} requests`);

  for (const who of [ar, one]) await until("the quiet sound ends when they hear the other", async () => !(await hushes(who)), 15_000);

  // The other comes as others do, and so does a copy of a page that is inside: nobody throws anybody out.
  const copy = await tab(ar, (context, page) => Promise.all([context.waitForEvent("page"), page.evaluate(() => void open(location.href))]).then(([copied]) => copied));
  assert.equal(await placeOf(copy), await placeOf(ar), "it has been copied");
  await copy.page.click("#press");
  await until("the copy waits", () => ["draw", "place", "rank"].includes(stage(copy)), 20_000);
  await until("the other waits", () => ["draw", "place", "rank"].includes(stage(other)) && serial(other.told.at(-1).ticket) !== serial(en.ticket), 20_000);
  const [before, from] = [[ar, one].map(({ shown }) => shown.length), await Promise.all([ar, one].map(({ page }) => position(page)))];
  await until("those inside go on hearing", async () => (await Promise.all([ar, one].map(async ({ page }, n) => (await position(page)) > from[n] + 5))).every(Boolean), 15_000);
  assert.deepEqual([ar, one].map(({ shown }) => shown.length), before, "by the connections that they had");
  assert.ok(serial(copy.told.at(-1).ticket) !== serial(ar.ticket) && !copy.shown.includes(await placeOf(ar)), "the copy has a ticket of its own");
  await Promise.all([ar.close(), en.close()]);
}

/** Another tab of the same browser. */
async function tab({ page, lang, space }, opens) {
  const who = { lang, space, errors: [], page: await opens(page.context(), page) };
  await watch(who);
  await who.page.goto(`${origin}/s/${space}?lang=${lang}`);
  return who;
}

/** Without scripts: from the page to where one waits, and to the sound when there is room. */
async function without() {
  const plain = await space(server, "Without scripts · بلا نصوص برمجية");
  await plain.host("start");
  const inside = await fill(origin, 2, plain.id);
  const all = await Promise.all(LANGUAGES.map((lang) => scriptless(browser, lang, origin, plain.id)));
  await Promise.all(inside.map(({ leave }) => leave()));
  await Promise.all(
    all.map(async ({ page, picture, close }, n) => {
      const lang = LANGUAGES[n];
      const answer = page.waitForResponse((got) => /\.mp3/.test(got.url()) && got.status() !== 307, { timeout: ADMITTED_MS }).then((got) => ({ headers: got.headers(), status: got.status() }));
      // Where it meets a worker without a place it is sent on. What failed first is what is told.
      answer.catch(() => {});
      const audio = await page.waitForSelector("audio", { timeout: ADMITTED_MS, state: "attached" });
      const { headers, status } = await answer;
      assert.deepEqual([status, headers["content-type"], headers["hiwar-place"]?.length], [200, "audio/mpeg", 72]);
      assert.match(await audio.getAttribute("src"), new RegExp(`^/listen/${plain.id}\\.mp3\\?t=[\\w-]+&hop=0$`));
      assert.match(await page.textContent("h1"), WORDS[lang].entered);
      assert.match(await page.textContent("[role=status]"), /./);
      const plays = () => page.evaluate(() => document.querySelector("audio").currentTime);
      await until(`${lang}: it plays without scripts, and without a press`, async () => (await plays()) > 1, 20_000);
      await picture("wait-plain-in");
      measured.scriptless_heard_s = await plays();
      await close();
    }),
  );
}

try {
  const recorded = await space(full, "Recorded · يُسجَّل");
  await recorded.host("start");
  await fill(full.origin, 1, recorded.id);
  // What takes longest first.
  let begun;
  await new Promise((wait, fails) => (begun = late(browser, busy, measured, wait)).catch(fails));
  const there = [capped(recorded, "ar", "dark"), capped(recorded, "en", "light"), cancelled(browser, full), over(browser, full)];
  await Promise.all([begun, waiting(), without(), embedded(browser, server), ...there]);
} catch (failed) {
  console.error(heard());
  throw failed;
} finally {
  await browser.close();
  await Promise.all([server, full, busy].map((one) => one.stop()));
}
console.log(JSON.stringify({ test: "door", ...measured }));
